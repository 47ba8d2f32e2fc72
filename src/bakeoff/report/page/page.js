"use strict";
// The report around the pairs: its theme, its charts, what can be copied. Text is set as text, never
// as markup.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const themes = read("themes");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const printing = matchMedia("print");
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const NEXT = { "": "light", light: "dark", dark: "" };
  const CALLED = { "": "Auto", light: "Light", dark: "Dark" };

  // A browser that keeps nothing (private windows, some file:// pages) asks the system each time.
  function kept(value) {
    try {
      if (value === undefined) return localStorage.getItem("bakeoff-theme") || "";
      localStorage.setItem("bakeoff-theme", value);
    } catch { /* nothing is kept */ }
    return value || "";
  }

  let chosen = kept();

  function dress() {
    if (chosen) root.dataset.theme = chosen; else delete root.dataset.theme;
    button.textContent = CALLED[chosen];
    button.setAttribute("aria-label", `Theme: ${CALLED[chosen]}`);
    for (const plot of drawn) draw(plot);
  }

  const dark = () => !printing.matches && (chosen ? chosen === "dark" : system.matches);

  const drawn = new Set();

  async function draw(plot) {
    drawn.add(plot);
    const spec = read(plot.dataset.chart);
    const config = themes[dark() ? "dark" : "light"];
    // `ast`: expressions are interpreted, so that the page needs no `eval`.
    const found = await vegaEmbed(plot, spec, {
      ast: true, renderer: "svg", actions: false, defaultStyle: false, config,
      tooltip: { theme: "none", disableDefaultStyle: true },
    });
    plot.view?.finalize();
    plot.view = found.view;
    plot.style.minHeight = "";
  }

  // A chart is drawn when it comes near, so that a page with many opens at once.
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { watcher.unobserve(target); draw(target); }
    }
  }, { rootMargin: "600px" });

  for (const plot of document.querySelectorAll("[data-chart]")) {
    plot.style.minHeight = `${plot.dataset.height}px`; // so that nothing below it jumps
    watcher.observe(plot);
  }
  system.addEventListener("change", dress);
  addEventListener("beforeprint", () => {
    for (const plot of document.querySelectorAll("[data-chart]")) draw(plot);
  });
  addEventListener("afterprint", dress);
  button.hidden = false;
  button.addEventListener("click", () => { chosen = kept(NEXT[chosen]); dress(); });
  dress();

  for (const copy of document.querySelectorAll("[data-copies]")) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const text = document.getElementById(copy.dataset.copies).textContent;
      const words = copy.textContent;
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(document.getElementById(copy.dataset.copies));
        copy.textContent = "Selected";
      }
      setTimeout(() => { copy.textContent = words; }, 2000);
    });
  }

  // A link to a part that is folded away opens it.
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
