// The browser of pairs: the list, what is searched and chosen, which pair is read, and its address.
// Knows the section that the page has for it, and nothing of the rest of the page.
(() => {
  "use strict";

  const { element, plain } = Reading;
  const SPARE = 6; // rows beyond the edges of the list that are drawn as well
  const SETTLED = 300; // milliseconds until the address follows who walks or types
  const TYPING = 150; // milliseconds without a key before a query is searched
  const REDRAWN = 200; // milliseconds between two looks of a list that is still being searched
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

  let shelf; // all that there is
  let view; // what is wanted: pair, outcome, marks, tag, sort, query
  let found = []; // the rows that are listed, in their order
  let hits = null; // the rows that the search has found; null: nothing is searched
  let current = -1; // the row that is read
  let searching = null; // the search that runs, to be aborted
  let share = 1; // how far it is
  let turn = 0; // counts the pairs that were opened, since their texts may come late
  const how = { raw: false, diff: false };
  const drawn = new Map(); // place in the list to its element

  // -- The address: what is wanted, and which pair is read -----------------------------------------

  const safely = (text) => encodeURIComponent(Shelf.whole(text)).replaceAll("~", "%7E");

  function address() {
    const parts = [];
    if (current >= 0) {
      const models = shelf.pairs.length > 1 ? shelf.names(current) : [];
      parts.push(`pair=${[shelf.id(current), ...models].map(safely).join("~")}`);
    }
    if (view.pair !== null) parts.push(`models=${view.pair}`);
    if (view.outcome !== null) parts.push(`winner=${view.outcome}`);
    if (view.marks.length) parts.push(`filter=${view.marks.join("~")}`);
    if (view.tag !== null) parts.push(`tag=${safely(view.tag)}`);
    if (view.sort) parts.push(`sort=${view.sort}`);
    if (view.query) parts.push(`q=${safely(view.query)}`);
    return parts.length ? `#${parts.join("&")}` : location.href.split("#")[0];
  }

  // What an address says; null where it is an address of something else on the page.
  function parsed(hash) {
    if (hash && !/^#(?:pair|models|winner|filter|tag|sort|q)=/.test(hash)) return null;
    const said = new Map();
    for (const text of hash.slice(1).split("&")) {
      const at = text.indexOf("=");
      said.set(text.slice(0, at), text.slice(at + 1).split("~").map(decoded));
    }
    const whole = (name, most) => {
      const value = Number(said.get(name)?.[0] ?? NaN);
      return Number.isInteger(value) && value < most ? value : null;
    };
    const sort = said.get("sort")?.[0] ?? "";
    return {
      open: said.get("pair") ?? null,
      pair: whole("models", shelf.pairs.length),
      outcome: whole("winner", shelf.models.length),
      marks: (said.get("filter") ?? []).filter((mark) => shelf.marks.includes(mark)),
      tag: shelf.tags.includes(said.get("tag")?.[0]) ? said.get("tag")[0] : null,
      sort: sort in SORTS ? sort : "",
      query: said.get("q")?.[0] ?? "",
    };
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // a sign of percent that somebody typed
    }
  }

  // Whoever holds a key down must not fill the history: some browsers forbid it with an error.
  let settling = 0;
  function remember(step) {
    clearTimeout(settling);
    if (step === "replaceState") settling = setTimeout(write, SETTLED, step);
    else write(step);
  }

  function write(step) {
    if (address() !== location.hash) history[step](null, "", address());
  }

  // -- What is wanted ------------------------------------------------------------------------------

  const fresh = () => ({ pair: null, outcome: null, marks: [], tag: null, sort: "", query: "" });

  function want(change, step = "pushState") {
    Object.assign(view, change);
    gather();
    remember(step);
  }

  // Lists what the view asks for; a query is searched while the page goes on.
  function gather() {
    searching?.abort();
    searching = null;
    hits = null;
    share = 1;
    list.scrollTop = 0;
    const rows = shelf.filtered(view);
    if (Shelf.terms(view.query).length) search(rows);
    else relist(rows);
    tools();
  }

  function search(rows) {
    const control = (searching = new AbortController());
    let last = 0;
    shelf
      .search(rows, view.query, control.signal, (now, done) => {
        if (done < 1 && performance.now() - last < REDRAWN) return;
        [hits, share, last] = [now, done, performance.now()];
        relist(rows.filter((row) => now.has(row)));
      })
      .catch(fail);
  }

  function relist(rows) {
    found = shelf.sorted(rows, view.sort);
    for (const made of drawn.values()) made.remove();
    drawn.clear();
    rowsHolder.style.height = `${found.length * rowHeight()}px`;
    draw();
    told();
    // Beside the list there is always a pair to read, and it is one of the list.
    if (found.length && !narrow() && !found.includes(current)) {
      open(found[0], searching ? "replaceState" : null).catch(fail);
    } else highlight();
  }

  // What is still searched is shown and not announced: it changes all the time.
  function told() {
    const all = view.pair === null ? shelf.size : shelf.counts(view.pair).all;
    const [some, most] = [found.length, all].map((count) => count.toLocaleString("en"));
    const noun = all === 1 ? "pair" : "pairs";
    const told = found.length === all ? `${some} ${noun}` : `${some} of ${most} ${noun}`;
    part("count").textContent = share < 1 ? "" : told;
    part("progress").textContent = share < 1 ? `${some} so far, searched ${Math.floor(100 * share)} %` : "";
    list.hidden = !found.length;
    part("nothing").hidden = found.length > 0 || share < 1;
    part("clear").hidden = found.length === all && !view.sort && !view.query && share === 1;
    where();
  }

  // -- The list: only what is seen of it is there --------------------------------------------------

  let height = 0;
  const rowHeight = () => height || (height = 4.25 * parseFloat(getComputedStyle(document.documentElement).fontSize));

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / rowHeight()) - SPARE);
    const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight()) + SPARE);
    const active = found.indexOf(current); // stays, wherever it is: the list names it to readers
    for (const [place, made] of drawn) {
      if ((place < first || place >= last) && place !== active) {
        made.remove();
        drawn.delete(place);
      }
    }
    for (let place = first; place < last; place++) if (!drawn.has(place)) add(place);
    if (active >= 0 && !drawn.has(active)) add(active);
    select(active);
  }

  function add(place) {
    const made = option(found[place]);
    made.id = `pair-row-${place}`;
    made.style.top = `${place * rowHeight()}px`;
    made.setAttribute("aria-setsize", String(found.length));
    made.setAttribute("aria-posinset", String(place + 1));
    drawn.set(place, made);
    rowsHolder.append(made);
  }

  function select(active) {
    for (const [place, made] of drawn) made.setAttribute("aria-selected", String(place === active));
    if (active >= 0) list.setAttribute("aria-activedescendant", `pair-row-${active}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function option(row) {
    const made = element("div", `option won-${{ a: "a", b: "b", t: "tie", "-": "none" }[shelf.winner[row]]}`);
    made.setAttribute("role", "option");
    made.dataset.row = String(row);
    const head = element("span", "head");
    head.dir = "auto";
    plain(head, shelf.head(row) || "(nothing)");
    const line = element("span", "measure");
    line.append(winner(row));
    if (shelf.score[row] !== null) {
      const score = words("span", "score", signed(shelf.score[row]));
      score.title = `how much higher the scores of ${shelf.names(row)[0]} are`;
      line.append(score);
    }
    for (const mark of ["flipped", "disagree", "failed", "cut", "suspicious"]) {
      if (shelf.has(row, mark)) line.append(words("span", "flag", mark === "disagree" ? "split" : mark));
    }
    made.append(head, line);
    return made;
  }

  function winner(row) {
    const outcome = shelf.outcome(row);
    const made = element("span", "winner");
    const name = outcome === Shelf.TIE ? "tie" : outcome === Shelf.NOBODY ? "not judged" : null;
    plain(made, name ?? shelf.models[outcome]);
    if (shelf.pairs.length > 1) {
      const other = shelf.names(row).filter((_, at) => shelf.sides(row)[at] !== outcome);
      made.append(" ", words("span", "soft", (name ? "" : "over ") + other.join(" and ")));
    }
    return made;
  }

  const words = (tag, className, text) => {
    const made = element(tag, className);
    plain(made, text);
    return made;
  };

  const signed = (value) => (value > 0 ? `+${value}` : String(value).replace("-", "\u2212"));

  function reveal(place) {
    const top = place * rowHeight();
    if (top < list.scrollTop) list.scrollTop = top;
    const bottom = top + rowHeight();
    if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
  }

  // -- What can be chosen --------------------------------------------------------------------------

  function tools() {
    const counts = shelf.counts(view.pair);
    outcomes(counts);
    marks(counts);
    const tags = [...counts.tags].sort(([, x], [, y]) => y - x);
    fill(part("tag"), [["", "any"], ...tags.map(([tag, n]) => [`=${tag}`, `${tag} (${n})`])], view.tag === null ? "" : `=${view.tag}`);
    part("tagged").hidden = !shelf.tags.length;
    const scored = shelf.score.some((value) => value !== null);
    const sorts = Object.entries(SORTS).filter(([sort]) => scored || !["difference", "lost"].includes(sort));
    fill(part("sort"), sorts, view.sort);
    const models = shelf.pairs.map((_, at) => [String(at), shelf.pairs[at].map((m) => shelf.models[m]).join(" against ")]);
    fill(part("pair-of-models"), [["", "all"], ...models], view.pair === null ? "" : String(view.pair));
    part("models").hidden = shelf.pairs.length < 2;
    if (query.value !== view.query) query.value = view.query;
  }

  function outcomes(counts) {
    const choices = shelf.models.map((name, at) => [at, `${name} won`, sideOf(at)]);
    choices.push([Shelf.TIE, "Ties", "tie"], [Shelf.NOBODY, "Not judged", "none"]);
    const seen = choices.filter(([outcome]) => counts.outcomes.get(outcome) || view.outcome === outcome);
    part("outcomes").replaceChildren(
      ...seen.map(([outcome, name, side]) => {
        const pressed = view.outcome === outcome;
        const made = chip(name, counts.outcomes.get(outcome) ?? 0, pressed, side);
        made.dataset.outcome = String(outcome);
        return made;
      }),
    );
  }

  const sideOf = (model) => (shelf.pairs.length > 1 ? "any" : model === shelf.pairs[0][0] ? "a" : "b");

  function marks(counts) {
    const seen = Object.entries(MARKS).filter(
      ([mark]) => mark === "regression" || counts.marks.get(mark) || view.marks.includes(mark),
    );
    part("marks").replaceChildren(
      ...seen.map(([mark, [name, title]]) => {
        const made = chip(name, counts.marks.get(mark) ?? 0, view.marks.includes(mark), mark);
        made.dataset.mark = mark;
        const [first] = shelf.pairs.length === 1 ? shelf.names(0) : ["the first model"];
        made.title = mark === "regression" ? `${first} ${title}` : title;
        return made;
      }),
    );
  }

  function chip(name, count, pressed, className) {
    const made = element("button", `chip ${className}`);
    made.type = "button";
    made.setAttribute("aria-pressed", String(pressed));
    made.append(words("span", "name", name), " ", words("span", "n", count.toLocaleString("en")));
    return made;
  }

  function fill(select, choices, value) {
    select.replaceChildren(
      ...choices.map(([key, name]) => {
        const made = element("option");
        made.value = key;
        made.textContent = name.length > 60 ? `${name.slice(0, 60)}…` : name;
        return made;
      }),
    );
    select.value = value;
  }

  function pressed(event) {
    const made = event.target.closest(".chip");
    if (!made) return;
    const { mark, outcome } = made.dataset;
    if (mark) {
      const rest = view.marks.filter((other) => other !== mark);
      want({ marks: rest.length < view.marks.length ? rest : [...rest, mark] });
    } else want({ outcome: view.outcome === Number(outcome) ? null : Number(outcome) });
    const again = mark ? `[data-mark="${mark}"]` : `[data-outcome="${outcome}"]`;
    root.querySelector(again)?.focus(); // the chips are new ones
  }

  // -- The pair that is read -----------------------------------------------------------------------

  // `step` says how the address remembers it: pushState, replaceState, or null for not at all.
  async function open(row, step) {
    current = row;
    const mine = ++turn;
    const place = found.indexOf(row);
    if (place >= 0) reveal(place);
    draw();
    where();
    if (step) remember(step);
    const body = await shelf.body(row);
    if (mine !== turn) return; // another one was opened meanwhile
    render(body);
    pairHolder.dataset.row = String(row);
  }

  function render(body) {
    pairHolder.replaceChildren();
    const tags = shelf.tagsOf(current);
    const line = element("p", "tags soft");
    line.append(words("bdi", "id", shelf.id(current)));
    for (const tag of tags) line.append(words("bdi", "tag", tag));
    pairHolder.append(line);
    PairView.show(pairHolder, shelf, current, body, how);
    highlight();
  }

  // Where the words of the query stand, without touching the text.
  function highlight() {
    if (!globalThis.CSS?.highlights || !globalThis.Highlight) return;
    const ranges = [];
    const sought = Shelf.terms(view.query);
    const walker = document.createTreeWalker(pairHolder, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node && sought.length; node = walker.nextNode()) {
      const text = node.data.toLowerCase();
      if (text.length !== node.data.length) continue;
      for (const word of sought) {
        for (let at = text.indexOf(word); at >= 0 && ranges.length < 1000; at = text.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("pairs-found", new Highlight(...ranges));
  }

  function where() {
    const place = found.indexOf(current);
    const of = found.length.toLocaleString("en");
    part("where").textContent = place < 0 ? "not in the list" : `${(place + 1).toLocaleString("en")} of ${of}`;
    part("previous").disabled = place <= 0;
    part("next").disabled = place + 1 >= found.length;
  }

  async function again() {
    part("raw").setAttribute("aria-pressed", String(how.raw));
    part("diff").setAttribute("aria-pressed", String(how.diff));
    if (current >= 0) render(await shelf.body(current));
  }

  function flip(name) {
    how[name] = !how[name];
    again().catch(fail);
  }

  function walk(by) {
    if (!found.length) return;
    const place = found.indexOf(current) + by;
    if (place < 0 || place >= found.length) return;
    open(found[place], "replaceState").catch(fail);
    if (reading() || !narrow()) top();
  }

  const narrow = () => getComputedStyle(part("back")).display !== "none";
  const reading = () => root.dataset.view === "pair";

  // The beginning of the pair, where it is not on the screen.
  function top() {
    const edge = part("reading").getBoundingClientRect().top;
    if (edge >= 0 && edge <= innerHeight / 2) return;
    (narrow() ? root : part("reading")).scrollIntoView({ block: "start" });
  }

  function enter(row, step = "pushState") {
    root.dataset.view = "pair";
    open(row, step).catch(fail);
    if (narrow()) pairHolder.focus({ preventScroll: true });
    top();
  }

  function leave() {
    root.dataset.view = "list";
    list.focus({ preventScroll: true });
    draw();
    const place = found.indexOf(current);
    if (place >= 0) reveal(place);
    if (narrow()) root.scrollIntoView({ block: "start" });
  }

  async function copyLink() {
    const button = part("link");
    const link = `${location.href.split("#")[0]}${address()}`;
    try {
      await navigator.clipboard.writeText(link);
      button.textContent = "Copied";
    } catch {
      write("replaceState"); // where a page may not write to the clipboard
      button.textContent = "Link in the address bar";
    }
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  }

  // -- Keys and events -----------------------------------------------------------------------------

  const KEYS = {
    j: () => walk(1),
    k: () => walk(-1),
    r: () => flip("raw"),
    d: () => flip("diff"),
    "?": () => part("keys").showModal(),
    "/": () => {
      root.dataset.view = "list";
      query.focus();
      query.select();
    },
    Escape: leave,
  };

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (part("keys").open) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing && (typing !== query || event.key !== "Escape")) return;
    if (!KEYS[event.key]) return;
    if (event.key === "Escape" && !root.contains(event.target)) return;
    event.preventDefault();
    KEYS[event.key]();
  }

  function inList(event) {
    const page = Math.max(1, Math.floor(list.clientHeight / rowHeight()) - 1);
    const place = found.indexOf(current);
    const to = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      PageDown: place + page,
      PageUp: place - page,
      Home: 0,
      End: found.length - 1,
    }[event.key];
    if (event.key === "Enter" && current >= 0) {
      enter(current);
      pairHolder.focus({ preventScroll: true });
    } else if (to === undefined || !found.length) return;
    else open(found[Math.max(0, Math.min(found.length - 1, to))], "replaceState").catch(fail);
    event.preventDefault();
  }

  function follow() {
    const said = parsed(location.hash);
    if (!said) return;
    const { open: wanted, ...rest } = said;
    const changed = Object.keys(rest).some((name) => String(rest[name]) !== String(view[name]));
    const row = wanted ? shelf.find(...wanted) : -1;
    if (changed) {
      view = rest;
      current = row >= 0 ? row : current;
      gather();
    }
    if (wanted && row < 0) trouble("The link names a pair that is not in these results.");
    if (row >= 0) enter(row, null);
    else if (!wanted && reading() && narrow()) leave();
  }

  function listen() {
    let frame = 0;
    list.addEventListener("scroll", () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw()))));
    list.addEventListener("keydown", inList);
    list.addEventListener("click", (event) => {
      const made = event.target.closest(".option");
      if (made) enter(Number(made.dataset.row));
    });
    let typed = 0;
    query.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(() => want({ query: query.value }, "replaceState"), TYPING);
    });
    part("outcomes").addEventListener("click", pressed);
    part("marks").addEventListener("click", pressed);
    part("tag").addEventListener("change", ({ target }) => want({ tag: target.value ? target.value.slice(1) : null }));
    part("sort").addEventListener("change", ({ target }) => want({ sort: target.value }));
    part("pair-of-models").addEventListener("change", ({ target }) =>
      want({ pair: target.value === "" ? null : Number(target.value) }),
    );
    part("clear").addEventListener("click", () => (want(fresh()), query.focus()));
    part("back").addEventListener("click", leave);
    part("raw").addEventListener("click", () => flip("raw"));
    part("diff").addEventListener("click", () => flip("diff"));
    part("previous").addEventListener("click", () => walk(-1));
    part("next").addEventListener("click", () => walk(1));
    part("help").addEventListener("click", () => part("keys").showModal());
    part("link").addEventListener("click", copyLink);
    document.addEventListener("keydown", key);
    addEventListener("popstate", follow);
    new ResizeObserver(() => draw()).observe(list);
  }

  function trouble(words) {
    const line = document.getElementById("pairs-trouble");
    line.hidden = false;
    line.textContent = words;
  }

  function fail(error) {
    trouble(`The pairs cannot be shown: ${error.message}`);
  }

  async function start() {
    if (!globalThis.DecompressionStream) throw new Error("this browser cannot unpack them; a newer one can");
    shelf = await Shelf.opened(document.getElementById("pairs-index"), root.querySelectorAll(".pairs-chunk"));
    part("reader").hidden = false;
    root.dataset.view = "list";
    view = fresh();
    listen();
    gather();
    follow();
    root.dataset.ready = "";
    performance.mark("pairs-ready");
  }

  start().catch(fail);
})();
