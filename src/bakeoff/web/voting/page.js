"use strict";
// One pair at a time. All that is known of a pair is what stands on the page; votes are kept by the
// server, and this page only shows what it says.

const $ = (id) => document.getElementById(id);
const KEYS = { 1: "first", 2: "second", 0: "tie", s: "skip", S: "skip" };
const ROLES = { system: "System", user: "User", assistant: "Assistant" };
const SETTLE = 250; // milliseconds in which a pair that just came takes no vote: a key pressed twice
const PATIENCE = 10_000; // milliseconds until a server that says nothing is taken to be gone
const BRIEF = 140; // characters of a prompt that is set as a headline
const GONE =
  "bakeoff has stopped. Your votes are saved. Start it again, and open the address that it prints, to go on.";

let voter = "";
let pair = null;
let busy = false;
let closed = false;
let shownAt = 0;

class Gone extends Error {}

// What the server says; Gone where it does not, Error with its words where it refuses.
async function call(path, body) {
  let reply, said;
  try {
    const sent = body && {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    };
    reply = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), ...sent });
    said = await reply.json();
  } catch {
    throw new Gone();
  }
  if (!reply.ok) throw new Error(said.error);
  return said;
}

// Run one thing at a time; what goes wrong is said at the top of the page.
async function doing(work) {
  if (busy || closed) return;
  busy = true;
  try {
    await work();
    trouble("");
  } catch (error) {
    trouble(error instanceof Gone ? GONE : error.message);
  } finally {
    busy = false;
    for (const button of document.querySelectorAll(".pressed")) button.classList.remove("pressed");
  }
}

function trouble(words) {
  if ($("trouble").textContent !== words) $("trouble").textContent = words;
  $("trouble").hidden = !words;
}

// Notice when bakeoff stops, and when it is back. The pair on the page stays as it is: to vote on it
// once more, should the vote have arrived, changes nothing.
async function listen() {
  if (busy || closed || document.hidden) return;
  const gone = $("trouble").textContent === GONE;
  try {
    await call("alive");
    if (gone && !busy) trouble("");
    if (gone && !busy && !document.querySelector("main:not([hidden])")) doing(open);
  } catch {
    if (!busy && !closed) trouble(GONE);
  }
}

function show(id) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== id;
  $("top").hidden = $("bar").hidden = id === "start";
}

// Where this tab was, or the first screen.
async function open() {
  const name = recall(sessionStorage);
  if (!name) return start();
  try {
    await enter(name);
  } catch (error) {
    if (error instanceof Gone) throw error;
    await start();
  }
}

async function start() {
  const { voters, total } = await call("voters");
  show("start");
  $("names").replaceChildren(...voters.map(({ name, done }) => {
    const button = make("button", name);
    button.append(make("small", `${done} of ${total}`));
    button.addEventListener("click", () => doing(() => enter(name)));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  $("known").hidden = voters.length === 0;
  $("name").value = recall(localStorage);
  $("name").focus();
}

async function enter(name) {
  const state = await call("state?voter=" + encodeURIComponent(name));
  remember(state.voter);
  render(state, "");
}

function render(state, before) {
  voter = state.voter;
  pair = state.pair;
  show(pair ? "pair" : "end");
  $("bar").max = state.total;
  $("bar").value = state.done;
  $("count").textContent = pair ? `${state.done + 1} of ${state.total}` : `${state.done} of ${state.total}`;
  $("who").textContent = voter;
  $("finish").hidden = !state.begun || !pair;
  $("undo").disabled = state.done === 0;
  if (pair) {
    lay(pair);
    $("say").textContent = `${before}Pair ${state.done + 1} of ${state.total}.`;
    $("prompt").focus({ preventScroll: true });
  } else {
    $("ended").textContent = state.total === 1 ? "The only pair is judged." : `All ${state.total} are judged.`;
    $("again").hidden = state.skipped === 0;
    $("again").textContent = state.skipped === 1 ? "Show the skipped one again" : `Show the ${state.skipped} skipped ones again`;
    $("say").textContent = "";
    $("ended").focus({ preventScroll: true });
  }
  scrollTo(0, 0);
  shownAt = performance.now();
}

// Everything that a model or a prompt says goes in as text, never as markup.
function lay({ turns, reference, criteria, first, second }) {
  $("prompt").replaceChildren(...turns.map(({ role, content }) => {
    const turn = make("div", "", `turn ${role === "user" ? "asked" : "said"}`);
    if (turns.length > 1 || role !== "user") turn.append(make("h2", ROLES[role]));
    turn.append(words(content));
    return turn;
  }));
  $("prompt").classList.toggle("brief", turns.length === 1 && turns[0].content.length <= BRIEF);
  const hints = criteria.flatMap(({ name, description }) => [make("h3", name), words(description)]);
  if (reference) hints.push(make("h3", "A good completion, to compare with"), words(reference));
  $("hint").replaceChildren(...hints);
  $("hints").hidden = hints.length === 0;
  $("hints").open = false;
  for (const [id, text] of [["first", first], ["second", second]]) {
    const empty = text.trim() === "";
    $(id).textContent = empty ? "Nothing was said." : text;
    $(id).classList.toggle("silent", empty);
  }
  const sides = document.querySelector(".sides");
  for (const one of [$("prompt"), sides]) {
    one.classList.remove("new");
    void one.offsetWidth; // so that the animation begins anew
    one.classList.add("new");
  }
}

function make(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = name;
  return made;
}

function words(text) {
  const made = make("div", text, "text");
  made.dir = "auto";
  return made;
}

function vote(choice) {
  if (!pair || performance.now() - shownAt < SETTLE) return;
  const id = pair.id;
  const button = document.querySelector(`[data-choice="${choice}"]`);
  doing(async () => {
    button.classList.add("pressed");
    render(await call("vote", { voter, id, choice }), choice === "skip" ? "Skipped. " : "Saved. ");
  });
}

const undo = () => doing(async () => render(await call("undo", { voter }), "Undone. "));

async function finish() {
  const { after } = await call("finish", { voter });
  closed = true;
  if (after) return location.replace(after);
  show("end");
  $("ended").textContent = "The voting is finished.";
  $("after").textContent = "You can close this page. The results are where bakeoff runs.";
  for (const id of ["done", "again", "back", "finish", "who"]) $(id).hidden = true;
  $("count").textContent = "";
  $("ended").focus();
}

function ask() {
  $("sure").returnValue = "";
  $("sure").showModal();
  $("sure").querySelector("[value=no]").focus(); // Enter does no harm
}

// The name of this tab, and the last one of this browser; without storage the page asks each time.
function recall(store) {
  try { return store.getItem("voter") || ""; } catch { return ""; }
}

function remember(name) {
  try {
    sessionStorage.setItem("voter", name);
    if (name) localStorage.setItem("voter", name);
  } catch { /* a browser that keeps nothing */ }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || $("sure").open) return;
  const undoes = ["u", "U", "Backspace"].includes(event.key) && $("start").hidden;
  if (!undoes && (!KEYS[event.key] || $("pair").hidden)) return;
  event.preventDefault();
  if (!undoes) vote(KEYS[event.key]);
  else if (!$("undo").disabled || $("pair").hidden) undo();
});
for (const button of document.querySelectorAll("[data-choice]")) {
  button.addEventListener("click", () => vote(button.dataset.choice));
}
$("undo").addEventListener("click", undo);
$("back").addEventListener("click", undo);
$("again").addEventListener("click", () => doing(async () => render(await call("again", { voter }), "")));
$("finish").addEventListener("click", ask);
$("done").addEventListener("click", ask);
$("sure").addEventListener("close", () => { if ($("sure").returnValue === "yes") doing(finish); });
$("who").addEventListener("click", () => doing(() => { remember(""); return start(); }));
$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(() => enter($("name").value));
});

setInterval(listen, 3000);
doing(open);
