"use strict";
// Shows one pair at a time. The server stores the votes; the page displays the state it returns.

const $ = (id) => document.getElementById(id);
const KEYS = { 1: "first", 2: "second", 0: "tie", s: "skip", S: "skip" };
const ROLES = { system: "System", user: "User", assistant: "Assistant" };
const SETTLE = 250; // milliseconds after which a new pair accepts votes: against double key presses
const TIMEOUT = 10_000; // milliseconds until the server is considered stopped
const MAX_HEADLINE = 140; // characters of a prompt that is displayed as a headline
const STOPPED =
  "bakeoff has stopped. Your votes are saved. Start it again, and open the address that it prints, to go on.";

let voter = "";
let pair = null;
let busy = false;
let closed = false;
let shownAt = 0;

class ServerStopped extends Error {}

// Returns the JSON reply. Throws ServerStopped without a reply, Error with the message on refusal.
async function call(path, body) {
  let reply, json;
  try {
    const options = body && {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    };
    reply = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT), ...options });
    json = await reply.json();
  } catch {
    throw new ServerStopped();
  }
  if (!reply.ok) throw new Error(json.error);
  return json;
}

// Runs one action at a time; errors are displayed at the top of the page.
async function runExclusive(action) {
  if (busy || closed) return;
  busy = true;
  try {
    await action();
    showError("");
  } catch (error) {
    showError(error instanceof ServerStopped ? STOPPED : error.message);
  } finally {
    busy = false;
    for (const button of document.querySelectorAll(".pressed")) button.classList.remove("pressed");
  }
}

function showError(message) {
  if ($("error").textContent !== message) $("error").textContent = message;
  $("error").hidden = !message;
}

// Detects when bakeoff stops and when it is back. The pair stays on the page: repeating a vote that
// has already arrived changes nothing.
async function pollServer() {
  if (busy || closed || document.hidden) return;
  const wasStopped = $("error").textContent === STOPPED;
  try {
    await call("alive");
    if (wasStopped && !busy) showError("");
    if (wasStopped && !busy && !document.querySelector("main:not([hidden])")) runExclusive(open);
  } catch {
    if (!busy && !closed) showError(STOPPED);
  }
}

function showScreen(id) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== id;
  $("top").hidden = $("bar").hidden = id === "start";
}

// Shows the state of the voter of this tab, or the start screen.
async function open() {
  const name = storedVoter(sessionStorage);
  if (!name) return showStart();
  try {
    await enter(name);
  } catch (error) {
    if (error instanceof ServerStopped) throw error;
    await showStart();
  }
}

async function showStart() {
  const { voters, total } = await call("voters");
  showScreen("start");
  $("names").replaceChildren(...voters.map(({ name, done }) => {
    const button = element("button", name);
    button.append(element("small", `${done} of ${total}`));
    button.addEventListener("click", () => runExclusive(() => enter(name)));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  $("known").hidden = voters.length === 0;
  $("name").value = storedVoter(localStorage);
  $("name").focus();
}

async function enter(name) {
  const state = await call("state?voter=" + encodeURIComponent(name));
  storeVoter(state.voter);
  render(state, "");
}

function render(state, announcement) {
  voter = state.voter;
  pair = state.pair;
  showScreen(pair ? "pair" : "end");
  $("bar").max = state.total;
  $("bar").value = state.done;
  $("count").textContent = pair ? `${state.done + 1} of ${state.total}` : `${state.done} of ${state.total}`;
  $("change-voter").textContent = voter;
  $("finish").hidden = !state.has_votes || !pair;
  $("undo").disabled = state.done === 0;
  if (pair) {
    renderPair(pair);
    $("announcement").textContent = `${announcement}Pair ${state.done + 1} of ${state.total}.`;
    $("prompt").focus({ preventScroll: true });
  } else {
    $("ended").textContent = state.total === 1 ? "The only pair is judged." : `All ${state.total} are judged.`;
    $("reopen").hidden = state.skipped === 0;
    $("reopen").textContent = state.skipped === 1 ? "Show the skipped one again" : `Show the ${state.skipped} skipped ones again`;
    $("announcement").textContent = "";
    $("ended").focus({ preventScroll: true });
  }
  scrollTo(0, 0);
  shownAt = performance.now();
}

// Prompts and completions are inserted as text, never as markup.
function renderPair({ turns, reference, criteria, first, second }) {
  $("prompt").replaceChildren(...turns.map(({ role, content }) => {
    const turn = element("div", "", `turn ${role}`);
    if (turns.length > 1 || role !== "user") turn.append(element("h2", ROLES[role]));
    turn.append(textBlock(content));
    return turn;
  }));
  $("prompt").classList.toggle("brief", turns.length === 1 && turns[0].content.length <= MAX_HEADLINE);
  const hints = criteria.flatMap(({ name, description }) => [element("h3", name), textBlock(description)]);
  if (reference) hints.push(element("h3", "A good completion, to compare with"), textBlock(reference));
  $("hint").replaceChildren(...hints);
  $("hints").hidden = hints.length === 0;
  $("hints").open = false;
  for (const [id, text] of [["first", first], ["second", second]]) {
    const empty = text.trim() === "";
    $(id).textContent = empty ? "Nothing was said." : text;
    $(id).classList.toggle("silent", empty);
  }
  const sides = document.querySelector(".sides");
  for (const part of [$("prompt"), sides]) {
    part.classList.remove("new");
    void part.offsetWidth; // restarts the animation
    part.classList.add("new");
  }
}

function element(tag, text, className = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = className;
  return node;
}

function textBlock(text) {
  const node = element("div", text, "text");
  node.dir = "auto";
  return node;
}

function vote(choice) {
  if (!pair || performance.now() - shownAt < SETTLE) return;
  const id = pair.id;
  const button = document.querySelector(`[data-choice="${choice}"]`);
  runExclusive(async () => {
    button.classList.add("pressed");
    render(await call("vote", { voter, id, choice }), choice === "skip" ? "Skipped. " : "Saved. ");
  });
}

const undo = () => runExclusive(async () => render(await call("undo", { voter }), "Undone. "));

async function finish() {
  const { next_page: nextPage } = await call("finish", { voter });
  closed = true;
  if (nextPage) return location.replace(nextPage);
  showScreen("end");
  $("ended").textContent = "The voting is finished.";
  $("end-note").textContent = "You can close this page. The results are where bakeoff runs.";
  for (const id of ["done", "reopen", "back", "finish", "change-voter"]) $(id).hidden = true;
  $("count").textContent = "";
  $("ended").focus();
}

function confirmFinish() {
  $("confirm").returnValue = "";
  $("confirm").showModal();
  $("confirm").querySelector("[value=no]").focus(); // so that Enter cancels
}

// The voter of this tab (session) or the last one of this browser (local); empty without storage.
function storedVoter(storage) {
  try { return storage.getItem("voter") || ""; } catch { return ""; }
}

function storeVoter(name) {
  try {
    sessionStorage.setItem("voter", name);
    if (name) localStorage.setItem("voter", name);
  } catch { /* storage is disabled */ }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || $("confirm").open) return;
  const isUndo = ["u", "U", "Backspace"].includes(event.key) && $("start").hidden;
  if (!isUndo && (!KEYS[event.key] || $("pair").hidden)) return;
  event.preventDefault();
  if (!isUndo) vote(KEYS[event.key]);
  else if (!$("undo").disabled || $("pair").hidden) undo();
});
for (const button of document.querySelectorAll("[data-choice]")) {
  button.addEventListener("click", () => vote(button.dataset.choice));
}
$("undo").addEventListener("click", undo);
$("back").addEventListener("click", undo);
$("reopen").addEventListener("click", () => runExclusive(async () => render(await call("reopen_skipped", { voter }), "")));
$("finish").addEventListener("click", confirmFinish);
$("done").addEventListener("click", confirmFinish);
$("confirm").addEventListener("close", () => { if ($("confirm").returnValue === "yes") runExclusive(finish); });
$("change-voter").addEventListener("click", () => runExclusive(() => { storeVoter(""); return showStart(); }));
$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  runExclusive(() => enter($("name").value));
});

setInterval(pollServer, 3000);
runExclusive(open);
