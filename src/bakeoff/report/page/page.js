// The report around the pairs: theme, charts and copy buttons.
(() => {
  "use strict";

  const readJson = (id) => JSON.parse(document.getElementById(id).textContent);
  const themes = readJson("themes");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const printing = matchMedia("print");
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const NEXT = { "": "light", light: "dark", dark: "" };
  const LABELS = { "": "Auto", light: "Light", dark: "Dark" };

  // Without storage (private windows, some file:// pages) the theme is that of the system.
  function storedTheme(value) {
    try {
      if (value === undefined) return localStorage.getItem("bakeoff-theme") || "";
      localStorage.setItem("bakeoff-theme", value);
    } catch { /* no storage */ }
    return value || "";
  }

  let theme = storedTheme();

  function applyTheme() {
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
    button.textContent = LABELS[theme];
    button.setAttribute("aria-label", `Theme: ${LABELS[theme]}`);
    for (const plot of drawn) draw(plot);
  }

  const dark = () => !printing.matches && (theme ? theme === "dark" : system.matches);

  const drawn = new Set();

  async function draw(plot) {
    drawn.add(plot);
    const spec = readJson(plot.dataset.chart);
    const config = themes[dark() ? "dark" : "light"];
    // `ast` interprets expressions: the policy forbids `eval`.
    const result = await vegaEmbed(plot, spec, {
      ast: true, renderer: "svg", actions: false, defaultStyle: false, config,
      tooltip: { theme: "none", disableDefaultStyle: true },
    });
    plot.view?.finalize();
    plot.view = result.view;
    plot.style.minHeight = "";
  }

  // A chart is drawn when it comes close to the viewport: a page with many charts opens quickly.
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { watcher.unobserve(target); draw(target); }
    }
  }, { rootMargin: "600px" });

  for (const plot of document.querySelectorAll("[data-chart]")) {
    plot.style.minHeight = `${plot.dataset.height}px`; // reserves the space of the chart
    watcher.observe(plot);
  }
  system.addEventListener("change", applyTheme);
  addEventListener("beforeprint", () => {
    for (const plot of document.querySelectorAll("[data-chart]")) draw(plot);
  });
  addEventListener("afterprint", applyTheme);
  button.hidden = false;
  button.addEventListener("click", () => { theme = storedTheme(NEXT[theme]); applyTheme(); });
  applyTheme();

  for (const copy of document.querySelectorAll("[data-copies]")) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const text = document.getElementById(copy.dataset.copies).textContent;
      const label = copy.textContent;
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(document.getElementById(copy.dataset.copies));
        copy.textContent = "Selected";
      }
      setTimeout(() => { copy.textContent = label; }, 2000);
    });
  }

  // A link to an element in a closed <details> opens it.
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
