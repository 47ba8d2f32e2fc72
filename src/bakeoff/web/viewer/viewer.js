"use strict";
// Keeps a page as new as its runs, and lets one choose two of them. The server makes all that is
// shown: where something changed, its page is asked for again and the parts that differ are put in.

const PERIOD = 2000; // milliseconds from one look to the next
const PATIENCE = 30_000; // milliseconds until a server that says nothing is taken to be gone
const $ = (id) => document.getElementById(id);
const boxes = () => [...document.querySelectorAll(".runs input[type=checkbox]")];
const chosen = () => boxes().filter((box) => box.checked);

const ask = (where) => fetch(where, { signal: AbortSignal.timeout(PATIENCE) });

async function look() {
  const main = document.querySelector("main[data-stamp]");
  if (document.hidden) return;
  try {
    const reply = await ask("pulse");
    const { stamp, report } = reply.ok ? await reply.json() : { report: true };
    if (report) return location.reload(); // what is here now is another page, or none
    if (stamp !== main.dataset.stamp) await renew(main);
    $("gone").hidden = true;
  } catch {
    $("gone").hidden = false;
  }
}

async function renew(main) {
  const text = await (await ask(location.href)).text();
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main[data-stamp]");
  if (!fresh) return;
  const kept = new Set(chosen().map((box) => box.value));
  const focused = document.activeElement?.id;
  for (const part of main.querySelectorAll("[data-part]")) {
    const next = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (next && !part.isEqualNode(next)) part.replaceWith(document.adoptNode(next));
  }
  main.dataset.stamp = fresh.dataset.stamp;
  for (const box of boxes()) box.checked = kept.has(box.value);
  if (focused) $(focused)?.focus({ preventScroll: true });
  search();
  choose();
}

async function watch() {
  await look();
  setTimeout(watch, PERIOD);
}

function search() {
  const words = ($("words")?.value ?? "").toLowerCase().split(/\s+/);
  const runs = [...document.querySelectorAll(".runs > li")];
  for (const run of runs) {
    const text = run.textContent.toLowerCase();
    run.hidden = !words.every((word) => text.includes(word));
  }
  if ($("none")) $("none").hidden = runs.length === 0 || runs.some((run) => !run.hidden);
}

function choose() {
  if (!$("choice")) return;
  const count = chosen().length;
  $("choice").hidden = count === 0;
  $("chosen").textContent = ["", "Choose one more to compare", "Two runs"][count] ?? "Choose only two to compare";
  $("compare").disabled = count !== 2;
}

document.addEventListener("change", choose);
document.addEventListener("input", search);
document.addEventListener("click", (event) => {
  if (event.target.id !== "compare") return;
  const [other, one] = chosen().map((box) => box.value); // the newest is first on the page
  location.assign(`compare?one=${one}&other=${other}`);
});

if (document.querySelector("main[data-stamp]")) {
  search();
  choose();
  setTimeout(watch, PERIOD);
}
