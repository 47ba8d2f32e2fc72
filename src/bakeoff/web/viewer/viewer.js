"use strict";
// Refreshes the page when its runs change, filters the list, and selects two runs to compare. The
// server renders everything: on a change the page is fetched again, and changed parts are replaced.

const POLL_INTERVAL = 2000; // milliseconds
const TIMEOUT = 30_000; // milliseconds until the server is considered stopped
const $ = (id) => document.getElementById(id);
const checkboxes = () => [...document.querySelectorAll(".runs input[type=checkbox]")];
const selected = () => checkboxes().filter((box) => box.checked);

const request = (url) => fetch(url, { signal: AbortSignal.timeout(TIMEOUT) });

async function poll() {
  const main = document.querySelector("main[data-stamp]");
  if (document.hidden) return;
  try {
    const reply = await request("status");
    const { stamp, report } = reply.ok ? await reply.json() : { report: true };
    if (report) return location.reload(); // the report has replaced the progress
    if (stamp !== main.dataset.stamp) await refresh(main);
    $("gone").hidden = true;
  } catch {
    $("gone").hidden = false;
  }
}

async function refresh(main) {
  const html = await (await request(location.href)).text();
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("main[data-stamp]");
  if (!fresh) return;
  const checked = new Set(selected().map((box) => box.value));
  const focused = document.activeElement?.id;
  for (const part of main.querySelectorAll("[data-part]")) {
    const next = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (next && !part.isEqualNode(next)) part.replaceWith(document.adoptNode(next));
  }
  main.dataset.stamp = fresh.dataset.stamp;
  for (const box of checkboxes()) box.checked = checked.has(box.value);
  if (focused) $(focused)?.focus({ preventScroll: true });
  filterRuns();
  updateCompareButton();
}

async function pollForever() {
  await poll();
  setTimeout(pollForever, POLL_INTERVAL);
}

function filterRuns() {
  const words = ($("words")?.value ?? "").toLowerCase().split(/\s+/);
  const runs = [...document.querySelectorAll(".runs > li")];
  for (const run of runs) {
    const text = run.textContent.toLowerCase();
    run.hidden = !words.every((word) => text.includes(word));
  }
  if ($("none")) $("none").hidden = runs.length === 0 || runs.some((run) => !run.hidden);
}

function updateCompareButton() {
  if (!$("choice")) return;
  const count = selected().length;
  $("choice").hidden = count === 0;
  $("chosen").textContent = ["", "Choose one more to compare", "Two runs"][count] ?? "Choose only two to compare";
  $("compare").disabled = count !== 2;
}

document.addEventListener("change", updateCompareButton);
document.addEventListener("input", filterRuns);
document.addEventListener("click", (event) => {
  if (event.target.id !== "compare") return;
  const [after, before] = selected().map((box) => box.value); // the page lists the newest first
  location.assign(`compare?before=${before}&after=${after}`);
});

if (document.querySelector("main[data-stamp]")) {
  filterRuns();
  updateCompareButton();
  setTimeout(pollForever, POLL_INTERVAL);
}
