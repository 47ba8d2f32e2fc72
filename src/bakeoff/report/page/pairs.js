// The browser of pairs: the list with its search and filters, the open pair, and the URL fragment.
(() => {
  "use strict";

  const { element, appendText } = Dom;
  const OVERSCAN = 6; // rows beyond the edges of the list that are drawn as well
  const URL_DELAY = 300; // milliseconds from the last step or key to the change of the URL
  const SEARCH_DELAY = 150; // milliseconds from the last key to the search
  const REDRAW_INTERVAL = 200; // milliseconds between two updates of the list during a search
  const MARKS = {
    regression: ["Regressions", "lost in both orders"],
    flipped: ["Flipped", "the two orders name opposite winners"],
    disagree: ["Judges disagree", "the judges name different winners"],
    failed: ["Failed", "a completion or a verdict failed"],
    cut: ["Cut", "a completion was cut at the limit, or looks so"],
    suspicious: ["Suspicious", "a completion speaks to the judge, or hides something"],
    people: ["People voted", "somebody voted on it"],
  };
  const SORTS = {
    "": "as asked",
    difference: "largest score difference",
    lost: "first model furthest behind",
    longest: "longest",
    lengths: "largest length difference",
    disagreement: "most disagreement",
  };

  const root = document.getElementById("pairs");
  if (!root) return;
  const part = (name) => root.querySelector(`.${name}`);
  const list = part("list");
  const rowsHolder = part("rows");
  const pairHolder = part("pair");
  const query = part("query");

  let pairList; // all pairs
  let view; // the filter (pair, outcome, marks, tag), the sort and the query
  let listed = []; // the rows of the list, in its order
  let hits = null; // the rows that match the query; null without a query
  let current = -1; // the open row
  let searching = null; // the AbortController of the running search
  let share = 1; // the share of the rows that is searched
  let turn = 0; // the number of opened pairs: their texts may arrive in another order
  const options = { raw: false, diff: false };
  const drawn = new Map(); // place in the list to the row's element

  // -- The URL fragment: filters and the open pair ------------------------------------------------

  const encoded = (text) => encodeURIComponent(PairList.wellFormed(text)).replaceAll("~", "%7E");

  function fragment() {
    const parts = [];
    if (current >= 0) {
      const models = pairList.pairs.length > 1 ? pairList.names(current) : [];
      parts.push(`pair=${[pairList.id(current), ...models].map(encoded).join("~")}`);
    }
    if (view.pair !== null) parts.push(`models=${view.pair}`);
    if (view.outcome !== null) parts.push(`winner=${view.outcome}`);
    if (view.marks.length) parts.push(`filter=${view.marks.join("~")}`);
    if (view.tag !== null) parts.push(`tag=${encoded(view.tag)}`);
    if (view.sort) parts.push(`sort=${view.sort}`);
    if (view.query) parts.push(`q=${encoded(view.query)}`);
    return parts.length ? `#${parts.join("&")}` : location.href.split("#")[0];
  }

  // The view and the pair of a URL fragment; null if it names another part of the page.
  function parsed(hash) {
    if (hash && !/^#(?:pair|models|winner|filter|tag|sort|q)=/.test(hash)) return null;
    const values = new Map();
    for (const text of hash.slice(1).split("&")) {
      const at = text.indexOf("=");
      values.set(text.slice(0, at), text.slice(at + 1).split("~").map(decoded));
    }
    const integer = (name, limit) => {
      const value = Number(values.get(name)?.[0] ?? NaN);
      return Number.isInteger(value) && value < limit ? value : null;
    };
    const sort = values.get("sort")?.[0] ?? "";
    return {
      open: values.get("pair") ?? null,
      pair: integer("models", pairList.pairs.length),
      outcome: integer("winner", pairList.models.length),
      marks: (values.get("filter") ?? []).filter((mark) => pairList.marks.includes(mark)),
      tag: pairList.tags.includes(values.get("tag")?.[0]) ? values.get("tag")[0] : null,
      sort: sort in SORTS ? sort : "",
      query: values.get("q")?.[0] ?? "",
    };
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // a percent sign that encodes nothing
    }
  }

  // A key that is held down must not fill the history: some browsers raise an error then.
  let urlTimer = 0;
  function updateUrl(step) {
    clearTimeout(urlTimer);
    if (step === "replaceState") urlTimer = setTimeout(writeUrl, URL_DELAY, step);
    else writeUrl(step);
  }

  function writeUrl(step) {
    if (fragment() !== location.hash) history[step](null, "", fragment());
  }

  // -- Filters and search -------------------------------------------------------------------------

  const defaultView = () => ({ pair: null, outcome: null, marks: [], tag: null, sort: "", query: "" });

  function changeView(change, step = "pushState") {
    Object.assign(view, change);
    refresh();
    updateUrl(step);
  }

  // Updates the list and the filters; a query is searched in slices, without blocking the page.
  function refresh() {
    searching?.abort();
    searching = null;
    hits = null;
    share = 1;
    list.scrollTop = 0;
    const rows = pairList.filtered(view);
    if (PairList.terms(view.query).length) search(rows);
    else relist(rows);
    tools();
  }

  function search(rows) {
    const control = (searching = new AbortController());
    let last = 0;
    pairList
      .search(rows, view.query, control.signal, (matches, done) => {
        if (done < 1 && performance.now() - last < REDRAW_INTERVAL) return;
        [hits, share, last] = [matches, done, performance.now()];
        relist(rows.filter((row) => matches.has(row)));
      })
      .catch(fail);
  }

  function relist(rows) {
    listed = pairList.sorted(rows, view.sort);
    for (const node of drawn.values()) node.remove();
    drawn.clear();
    rowsHolder.style.height = `${listed.length * rowHeight()}px`;
    draw();
    showCount();
    // On a wide screen a pair of the list is always open.
    if (listed.length && !isNarrow() && !listed.includes(current)) {
      open(listed[0], searching ? "replaceState" : null).catch(fail);
    } else highlight();
  }

  // During a search only `progress` changes: `count` is announced by screen readers.
  function showCount() {
    const all = view.pair === null ? pairList.size : pairList.counts(view.pair).all;
    const [shown, total] = [listed.length, all].map((count) => count.toLocaleString("en"));
    const noun = all === 1 ? "pair" : "pairs";
    const text = listed.length === all ? `${shown} ${noun}` : `${shown} of ${total} ${noun}`;
    part("count").textContent = share < 1 ? "" : text;
    part("progress").textContent = share < 1 ? `${shown} so far, searched ${Math.floor(100 * share)} %` : "";
    list.hidden = !listed.length;
    part("nothing").hidden = listed.length > 0 || share < 1;
    part("clear").hidden = listed.length === all && !view.sort && !view.query && share === 1;
    showPosition();
  }

  // -- The list: only its visible rows are elements --------------------------------------------------

  let height = 0;
  const rowHeight = () => height || (height = 4.25 * parseFloat(getComputedStyle(document.documentElement).fontSize));

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / rowHeight()) - OVERSCAN);
    const last = Math.min(listed.length, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight()) + OVERSCAN);
    const active = listed.indexOf(current); // kept: `aria-activedescendant` refers to it
    for (const [place, node] of drawn) {
      if ((place < first || place >= last) && place !== active) {
        node.remove();
        drawn.delete(place);
      }
    }
    for (let place = first; place < last; place++) if (!drawn.has(place)) add(place);
    if (active >= 0 && !drawn.has(active)) add(active);
    select(active);
  }

  function add(place) {
    const node = listItem(listed[place]);
    node.id = `pair-row-${place}`;
    node.style.top = `${place * rowHeight()}px`;
    node.setAttribute("aria-setsize", String(listed.length));
    node.setAttribute("aria-posinset", String(place + 1));
    drawn.set(place, node);
    rowsHolder.append(node);
  }

  function select(active) {
    for (const [place, node] of drawn) node.setAttribute("aria-selected", String(place === active));
    if (active >= 0) list.setAttribute("aria-activedescendant", `pair-row-${active}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function listItem(row) {
    const node = element("div", `option won-${{ a: "a", b: "b", t: "tie", "-": "none" }[pairList.winner[row]]}`);
    node.setAttribute("role", "option");
    node.dataset.row = String(row);
    const head = element("span", "head");
    head.dir = "auto";
    appendText(head, pairList.head(row) || "(nothing)");
    const line = element("span", "measure");
    line.append(winner(row));
    if (pairList.score[row] !== null) {
      const score = textNode("span", "score", signed(pairList.score[row]));
      score.title = `how much higher the scores of ${pairList.names(row)[0]} are`;
      line.append(score);
    }
    for (const mark of ["flipped", "disagree", "failed", "cut", "suspicious"]) {
      if (pairList.has(row, mark)) line.append(textNode("span", "flag", mark === "disagree" ? "split" : mark));
    }
    node.append(head, line);
    return node;
  }

  function winner(row) {
    const outcome = pairList.outcome(row);
    const node = element("span", "winner");
    const name = outcome === PairList.TIE ? "tie" : outcome === PairList.NOT_JUDGED ? "not judged" : null;
    appendText(node, name ?? pairList.models[outcome]);
    if (pairList.pairs.length > 1) {
      const other = pairList.names(row).filter((_, at) => pairList.sides(row)[at] !== outcome);
      node.append(" ", textNode("span", "soft", (name ? "" : "over ") + other.join(" and ")));
    }
    return node;
  }

  const textNode = (tag, className, text) => {
    const node = element(tag, className);
    appendText(node, text);
    return node;
  };

  const signed = (value) => (value > 0 ? `+${value}` : String(value).replace("-", "\u2212"));

  function reveal(place) {
    const top = place * rowHeight();
    if (top < list.scrollTop) list.scrollTop = top;
    const bottom = top + rowHeight();
    if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
  }

  // -- Filter controls ----------------------------------------------------------------------------

  function tools() {
    const counts = pairList.counts(view.pair);
    outcomes(counts);
    marks(counts);
    const tags = [...counts.tags].sort(([, x], [, y]) => y - x);
    fill(part("tag"), [["", "any"], ...tags.map(([tag, n]) => [`=${tag}`, `${tag} (${n})`])], view.tag === null ? "" : `=${view.tag}`);
    part("tagged").hidden = !pairList.tags.length;
    const scored = pairList.score.some((value) => value !== null);
    const sorts = Object.entries(SORTS).filter(([sort]) => scored || !["difference", "lost"].includes(sort));
    fill(part("sort"), sorts, view.sort);
    const models = pairList.pairs.map((_, at) => [String(at), pairList.pairs[at].map((m) => pairList.models[m]).join(" against ")]);
    fill(part("pair-of-models"), [["", "all"], ...models], view.pair === null ? "" : String(view.pair));
    part("models").hidden = pairList.pairs.length < 2;
    if (query.value !== view.query) query.value = view.query;
  }

  function outcomes(counts) {
    const choices = pairList.models.map((name, at) => [at, `${name} won`, sideOf(at)]);
    choices.push([PairList.TIE, "Ties", "tie"], [PairList.NOT_JUDGED, "Not judged", "none"]);
    const seen = choices.filter(([outcome]) => counts.outcomes.get(outcome) || view.outcome === outcome);
    part("outcomes").replaceChildren(
      ...seen.map(([outcome, name, side]) => {
        const pressed = view.outcome === outcome;
        const node = chip(name, counts.outcomes.get(outcome) ?? 0, pressed, side);
        node.dataset.outcome = String(outcome);
        return node;
      }),
    );
  }

  const sideOf = (model) => (pairList.pairs.length > 1 ? "any" : model === pairList.pairs[0][0] ? "a" : "b");

  function marks(counts) {
    const seen = Object.entries(MARKS).filter(
      ([mark]) => mark === "regression" || counts.marks.get(mark) || view.marks.includes(mark),
    );
    part("marks").replaceChildren(
      ...seen.map(([mark, [name, title]]) => {
        const node = chip(name, counts.marks.get(mark) ?? 0, view.marks.includes(mark), mark);
        node.dataset.mark = mark;
        const [first] = pairList.pairs.length === 1 ? pairList.names(0) : ["the first model"];
        node.title = mark === "regression" ? `${first} ${title}` : title;
        return node;
      }),
    );
  }

  function chip(name, count, pressed, className) {
    const node = element("button", `chip ${className}`);
    node.type = "button";
    node.setAttribute("aria-pressed", String(pressed));
    node.append(textNode("span", "name", name), " ", textNode("span", "n", count.toLocaleString("en")));
    return node;
  }

  function fill(select, choices, value) {
    select.replaceChildren(
      ...choices.map(([key, name]) => {
        const node = element("option");
        node.value = key;
        node.textContent = name.length > 60 ? `${name.slice(0, 60)}…` : name;
        return node;
      }),
    );
    select.value = value;
  }

  function pressChip(event) {
    const button = event.target.closest(".chip");
    if (!button) return;
    const { mark, outcome } = button.dataset;
    if (mark) {
      const rest = view.marks.filter((other) => other !== mark);
      changeView({ marks: rest.length < view.marks.length ? rest : [...rest, mark] });
    } else changeView({ outcome: view.outcome === Number(outcome) ? null : Number(outcome) });
    const selector = mark ? `[data-mark="${mark}"]` : `[data-outcome="${outcome}"]`;
    root.querySelector(selector)?.focus(); // the chips have been replaced
  }

  // -- The open pair -------------------------------------------------------------------------------

  // `step` is the method of `history` that updates the URL (pushState, replaceState), or null.
  async function open(row, step) {
    current = row;
    const mine = ++turn;
    const place = listed.indexOf(row);
    if (place >= 0) reveal(place);
    draw();
    showPosition();
    if (step) updateUrl(step);
    const body = await pairList.body(row);
    if (mine !== turn) return; // another pair was opened in the meantime
    render(body);
    pairHolder.dataset.row = String(row);
  }

  function render(body) {
    pairHolder.replaceChildren();
    const tags = pairList.tagsOf(current);
    const line = element("p", "tags soft");
    line.append(textNode("bdi", "id", pairList.id(current)));
    for (const tag of tags) line.append(textNode("bdi", "tag", tag));
    pairHolder.append(line);
    PairView.show(pairHolder, pairList, current, body, options);
    highlight();
  }

  // Marks the terms of the query without changing the text.
  function highlight() {
    if (!globalThis.CSS?.highlights || !globalThis.Highlight) return;
    const ranges = [];
    const terms = PairList.terms(view.query);
    const walker = document.createTreeWalker(pairHolder, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node && terms.length; node = walker.nextNode()) {
      const text = node.data.toLowerCase();
      if (text.length !== node.data.length) continue;
      for (const term of terms) {
        for (let at = text.indexOf(term); at >= 0 && ranges.length < 1000; at = text.indexOf(term, at + term.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + term.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("pairs-match", new Highlight(...ranges));
  }

  function showPosition() {
    const place = listed.indexOf(current);
    const total = listed.length.toLocaleString("en");
    part("where").textContent = place < 0 ? "not in the list" : `${(place + 1).toLocaleString("en")} of ${total}`;
    part("previous").disabled = place <= 0;
    part("next").disabled = place + 1 >= listed.length;
  }

  async function renderAgain() {
    part("raw").setAttribute("aria-pressed", String(options.raw));
    part("diff").setAttribute("aria-pressed", String(options.diff));
    if (current >= 0) render(await pairList.body(current));
  }

  function toggle(name) {
    options[name] = !options[name];
    renderAgain().catch(fail);
  }

  function move(by) {
    if (!listed.length) return;
    const place = listed.indexOf(current) + by;
    if (place < 0 || place >= listed.length) return;
    open(listed[place], "replaceState").catch(fail);
    if (isReading() || !isNarrow()) scrollToPair();
  }

  const isNarrow = () => getComputedStyle(part("back")).display !== "none";
  const isReading = () => root.dataset.view === "pair";

  // Scrolls to the beginning of the pair if it is not on the screen.
  function scrollToPair() {
    const edge = part("reading").getBoundingClientRect().top;
    if (edge >= 0 && edge <= innerHeight / 2) return;
    (isNarrow() ? root : part("reading")).scrollIntoView({ block: "start" });
  }

  function openPair(row, step = "pushState") {
    root.dataset.view = "pair";
    open(row, step).catch(fail);
    if (isNarrow()) pairHolder.focus({ preventScroll: true });
    scrollToPair();
  }

  function closePair() {
    root.dataset.view = "list";
    list.focus({ preventScroll: true });
    draw();
    const place = listed.indexOf(current);
    if (place >= 0) reveal(place);
    if (isNarrow()) root.scrollIntoView({ block: "start" });
  }

  async function copyLink() {
    const button = part("link");
    const link = `${location.href.split("#")[0]}${fragment()}`;
    try {
      await navigator.clipboard.writeText(link);
      button.textContent = "Copied";
    } catch {
      writeUrl("replaceState"); // the clipboard is not available on this page
      button.textContent = "Link in the address bar";
    }
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  }

  // -- Keys and events -----------------------------------------------------------------------------

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    r: () => toggle("raw"),
    d: () => toggle("diff"),
    "?": () => part("keys").showModal(),
    "/": () => {
      root.dataset.view = "list";
      query.focus();
      query.select();
    },
    Escape: closePair,
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (part("keys").open) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing && (typing !== query || event.key !== "Escape")) return;
    if (!KEYS[event.key]) return;
    if (event.key === "Escape" && !root.contains(event.target)) return;
    event.preventDefault();
    KEYS[event.key]();
  }

  function onListKey(event) {
    const page = Math.max(1, Math.floor(list.clientHeight / rowHeight()) - 1);
    const place = listed.indexOf(current);
    const to = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      PageDown: place + page,
      PageUp: place - page,
      Home: 0,
      End: listed.length - 1,
    }[event.key];
    if (event.key === "Enter" && current >= 0) {
      openPair(current);
      pairHolder.focus({ preventScroll: true });
    } else if (to === undefined || !listed.length) return;
    else open(listed[Math.max(0, Math.min(listed.length - 1, to))], "replaceState").catch(fail);
    event.preventDefault();
  }

  function applyUrl() {
    const parsedUrl = parsed(location.hash);
    if (!parsedUrl) return;
    const { open: target, ...rest } = parsedUrl;
    const changed = Object.keys(rest).some((name) => String(rest[name]) !== String(view[name]));
    const row = target ? pairList.find(...target) : -1;
    if (changed) {
      view = rest;
      current = row >= 0 ? row : current;
      refresh();
    }
    if (target && row < 0) showError("The link names a pair that is not in these results.");
    if (row >= 0) openPair(row, null);
    else if (!target && isReading() && isNarrow()) closePair();
  }

  function listen() {
    let frame = 0;
    list.addEventListener("scroll", () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw()))));
    list.addEventListener("keydown", onListKey);
    list.addEventListener("click", (event) => {
      const node = event.target.closest(".option");
      if (node) openPair(Number(node.dataset.row));
    });
    let timer = 0;
    query.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => changeView({ query: query.value }, "replaceState"), SEARCH_DELAY);
    });
    part("outcomes").addEventListener("click", pressChip);
    part("marks").addEventListener("click", pressChip);
    part("tag").addEventListener("change", ({ target }) => changeView({ tag: target.value ? target.value.slice(1) : null }));
    part("sort").addEventListener("change", ({ target }) => changeView({ sort: target.value }));
    part("pair-of-models").addEventListener("change", ({ target }) =>
      changeView({ pair: target.value === "" ? null : Number(target.value) }),
    );
    part("clear").addEventListener("click", () => (changeView(defaultView()), query.focus()));
    part("back").addEventListener("click", closePair);
    part("raw").addEventListener("click", () => toggle("raw"));
    part("diff").addEventListener("click", () => toggle("diff"));
    part("previous").addEventListener("click", () => move(-1));
    part("next").addEventListener("click", () => move(1));
    part("help").addEventListener("click", () => part("keys").showModal());
    part("link").addEventListener("click", copyLink);
    document.addEventListener("keydown", onKey);
    addEventListener("popstate", applyUrl);
    new ResizeObserver(() => draw()).observe(list);
  }

  function showError(message) {
    const line = document.getElementById("pairs-error");
    line.hidden = false;
    line.textContent = message;
  }

  function fail(error) {
    showError(`The pairs cannot be shown: ${error.message}`);
  }

  async function start() {
    if (!globalThis.DecompressionStream) throw new Error("this browser cannot unpack them; a newer one can");
    pairList = await PairList.load(document.getElementById("pairs-index"), root.querySelectorAll(".pairs-chunk"));
    part("reader").hidden = false;
    root.dataset.view = "list";
    view = defaultView();
    listen();
    refresh();
    applyUrl();
    root.dataset.ready = "";
    performance.mark("pairs-ready");
  }

  start().catch(fail);
})();
