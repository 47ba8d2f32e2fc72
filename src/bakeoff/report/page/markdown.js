// Text that strangers wrote, shown: plain, or as Markdown. Knows no pairs. Makes elements and text
// nodes and nothing else, so that no text can become markup; reads every character a few times.
//
// Reading.plain(element, text) and Reading.markdown(element, text) append to an element.
const Reading = (() => {
  "use strict";

  const DEEPEST = 8; // quotes and lists within each other, and emphasis: more is no help to a reader
  const MOST_MARKS = 1000; // of characters made visible, in one text
  const MOST_MARKDOWN = 200_000; // characters: longer texts are shown as they are
  const MOST_CELLS = 40;

  // -- Characters that nobody sees, or that turn the line around ----------------------------------

  const FLAG = "\\u{1F3F4}[\\u{E0030}-\\u{E007A}]{4,6}\\u{E007F}"; // of England, Wales, Texas
  const ODD = new RegExp(
    `${FLAG}|(?:[\\0-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F\\u00AD\\u034F\\u061C\\u115F\\u1160\\u180E` +
      "\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u3164\\uFEFF\\uFFA0\\uFFF9-\\uFFFB" +
      "\\u{E0000}-\\u{E01EF}\\p{Cs}]|(?<=[\\x20-\\x7E])[\\u200C\\u200D]|[\\uFE00-\\uFE0F]{2,})+",
    "gu",
  );

  function plain(parent, text, budget = { marks: MOST_MARKS }) {
    let from = 0;
    for (const found of text.matchAll(ODD)) {
      if (found[0].startsWith("\u{1F3F4}")) continue;
      if (budget.marks-- <= 0) {
        parent.append(text.slice(from).replace(ODD, "\uFFFD"));
        return;
      }
      parent.append(text.slice(from, found.index), odd(found[0]));
      from = found.index + found[0].length;
    }
    if (from < text.length) parent.append(text.slice(from));
  }

  function odd(characters) {
    const codes = Array.from(characters.slice(0, 8), name);
    const alike = codes.every((code) => code === codes[0]);
    const many = characters.length;
    const mark = element("span", "odd");
    const shown = alike && many > 1 ? [`${codes[0]} ×${many.toLocaleString("en")}`] : codes;
    mark.textContent = shown.slice(0, 4).join(" ") + (!alike && many > 4 ? ` +${many - 4}` : "");
    mark.title = "a character that is not seen, made visible";
    return mark;
  }

  function name(character) {
    const code = character.codePointAt(0);
    const half = code >= 0xd800 && code <= 0xdfff;
    const hex = code.toString(16).toUpperCase().padStart(4, "0");
    return half ? `\uFFFD U+${hex}` : `U+${hex}`;
  }

  function element(tag, className = "") {
    const made = document.createElement(tag);
    if (className) made.className = className;
    return made;
  }

  // -- Blocks --------------------------------------------------------------------------------------

  const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]{0,40})/;
  const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
  const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
  const QUOTE = /^ {0,3}> ?/;
  const ITEM = /^( {0,12})([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
  const TABLE = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$/;
  const LONGEST_LINE = 4000; // characters: longer lines are paragraphs, whatever they begin with

  function markdown(parent, text) {
    if (text.length > MOST_MARKDOWN) {
      const note = element("p", "soft");
      note.textContent = "Too long for Markdown: shown as it is.";
      const raw = element("div", "raw");
      plain(raw, text);
      parent.append(note, raw);
      return;
    }
    const budget = { marks: MOST_MARKS };
    blocks(parent, text.replace(/\r\n?/g, "\n").split("\n"), 0, budget);
  }

  function blocks(parent, lines, depth, budget) {
    let at = 0;
    while (at < lines.length) {
      const line = lines[at];
      if (line.trim() === "") at++;
      else if (line.length > LONGEST_LINE) at = paragraph(parent, lines, at, depth, budget);
      else if (FENCE.test(line)) at = fenced(parent, lines, at, budget);
      else if (HEADING.test(line)) at = heading(parent, lines, at, budget);
      else if (RULE.test(line)) at = ruled(parent, at);
      else if (QUOTE.test(line) && depth < DEEPEST) at = quoted(parent, lines, at, depth, budget);
      else if (ITEM.test(line) && depth < DEEPEST) at = listed(parent, lines, at, depth, budget);
      else if (isTable(lines, at)) at = tabled(parent, lines, at, budget);
      else at = paragraph(parent, lines, at, depth, budget);
    }
  }

  function interrupts(lines, at, depth) {
    const line = lines[at];
    if (line.trim() === "") return true;
    if (line.length > LONGEST_LINE) return false;
    const nests = depth < DEEPEST && (QUOTE.test(line) || ITEM.test(line));
    return nests || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || isTable(lines, at);
  }

  function paragraph(parent, lines, at, depth, budget) {
    let end = at + 1;
    while (end < lines.length && !interrupts(lines, end, depth)) end++;
    const made = element("p");
    const text = lines.slice(at, end).map((line) => line.replace(/^[ \t]+/, ""));
    inline(made, text.join("\n"), budget);
    parent.append(made);
    return end;
  }

  function ruled(parent, at) {
    parent.append(element("hr"));
    return at + 1;
  }

  function heading(parent, lines, at, budget) {
    const [, marks, title] = HEADING.exec(lines[at]);
    // Below the headings of the page: a completion must not pose as a part of it.
    const made = element("div", `h h${marks.length}`);
    made.setAttribute("role", "heading");
    made.setAttribute("aria-level", String(Math.min(6, marks.length + 4)));
    inline(made, title.replace(/[ \t]#*[ \t]*$/, ""), budget);
    parent.append(made);
    return at + 1;
  }

  function fenced(parent, lines, at, budget) {
    const [, fence, language] = FENCE.exec(lines[at]);
    const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
    let end = at + 1;
    while (end < lines.length && !closing.test(lines[end])) end++;
    const figure = element("div", "code");
    if (language) {
      const label = element("span", "language");
      plain(label, language, budget);
      figure.append(label);
    }
    const pre = element("pre");
    const code = element("code");
    pre.tabIndex = 0; // it may have to be scrolled
    pre.setAttribute("aria-label", language ? `code, ${language}` : "code");
    pre.setAttribute("role", "region");
    plain(code, lines.slice(at + 1, end).join("\n"), budget);
    pre.append(code);
    figure.append(pre);
    parent.append(figure);
    return end + 1;
  }

  function quoted(parent, lines, at, depth, budget) {
    const inner = [];
    let end = at;
    while (end < lines.length && lines[end].length <= LONGEST_LINE && QUOTE.test(lines[end])) {
      inner.push(lines[end++].replace(QUOTE, ""));
    }
    const made = element("blockquote");
    blocks(made, inner, depth + 1, budget);
    parent.append(made);
    return end;
  }

  function listed(parent, lines, at, depth, budget) {
    const [, , mark] = ITEM.exec(lines[at]);
    const ordered = /\d/.test(mark);
    const made = element(ordered ? "ol" : "ul");
    if (ordered && parseInt(mark, 10) !== 1) made.start = parseInt(mark, 10);
    while (at < lines.length) {
      const found = lines[at].length <= LONGEST_LINE && ITEM.exec(lines[at]);
      if (!found || RULE.test(lines[at]) || /\d/.test(found[2]) !== ordered) break;
      const { item, end } = gathered(lines, at, found);
      const li = element("li");
      blocks(li, item, depth + 1, budget);
      made.append(li);
      at = end;
    }
    parent.append(made);
    return at;
  }

  // The lines of one item without their indent, and where the next thing begins.
  function gathered(lines, at, found) {
    const inside = found[1].length + 2;
    const item = [lines[at].slice(found[0].length)];
    let end = at + 1;
    for (; end < lines.length; end++) {
      const line = lines[end];
      const indent = line.search(/\S/);
      if (indent >= inside) item.push(line.slice(Math.min(indent, found[0].length)));
      else if (indent < 0 && belongs(lines, end, inside)) item.push("");
      else if (indent < 0 || item[item.length - 1] === "" || interrupts(lines, end, 0)) break;
      else item.push(line);
    }
    while (end < lines.length && lines[end].trim() === "" && ITEM.test(nextLine(lines, end))) end++;
    return { item, end };
  }

  function belongs(lines, at, inside) {
    return nextLine(lines, at).search(/\S/) >= inside;
  }

  // Two empty lines may stand between the parts of an item; more end it.
  function nextLine(lines, at) {
    for (let next = at + 1; next <= at + 2 && next < lines.length; next++) {
      if (lines[next].trim() !== "") return lines[next].slice(0, LONGEST_LINE);
    }
    return "";
  }

  function isTable(lines, at) {
    const [head, rule] = [lines[at], lines[at + 1]];
    if (rule === undefined || rule.length > LONGEST_LINE || head.length > LONGEST_LINE) return false;
    if (!head.includes("|") || !rule.includes("-") || !TABLE.test(rule.trim())) return false;
    const columns = cells(head).length;
    return columns === cells(rule).length && columns <= MOST_CELLS;
  }

  function cells(line) {
    const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
    return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  }

  function tabled(parent, lines, at, budget) {
    const aligned = cells(lines[at + 1]).map((cell) =>
      cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "end") : "",
    );
    const table = element("table");
    const body = element("tbody");
    const head = element("thead");
    head.append(row(cells(lines[at]), "th", aligned, budget));
    let end = at + 2;
    for (; end < lines.length && lines[end].length <= LONGEST_LINE; end++) {
      if (!lines[end].includes("|")) break;
      body.append(row(cells(lines[end]), "td", aligned, budget));
    }
    table.append(head, body);
    const scroller = element("div", "wide");
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    scroller.setAttribute("aria-label", "table");
    scroller.append(table);
    parent.append(scroller);
    return end;
  }

  function row(texts, tag, aligned, budget) {
    const made = element("tr");
    aligned.forEach((align, column) => {
      const cell = element(tag, align);
      inline(cell, texts[column] ?? "", budget);
      made.append(cell);
    });
    return made;
  }

  // -- Inline: one pass that collects pieces, one that builds --------------------------------------

  const PLAIN = /[^\\`*_~[\]!<$h\n]+/y;
  const MATH = /\$\$[^$]{1,2000}\$\$|\$[^\s$](?:[^$\n]{0,300}[^\s$])?\$(?!\d)/y;
  const URL_TEXT = /https?:\/\/[^\s<>"'`[\]\\|]{1,2000}/y;
  const POINTED = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
  const TARGET = /\([ \t]*<?([^\s<>()[\]]*(?:\([^\s<>()[\]]*\)[^\s<>()[\]]*)*)>?(?:[ \t]+"[^"\n]*")?[ \t]*\)/y;
  const PUNCTUATION = /[!-/:-@[-`{-~]/;
  const EDGE = /[\s!-/:-@[-`{-~]/;
  const CLOSE = { tag: "" };

  function inline(parent, text, budget) {
    build(parent, pieces(text), budget);
  }

  // Strings; where a delimiter found its partner, an element that opens and CLOSE in their places.
  function pieces(text) {
    const state = { text, at: 0, found: [], open: {}, brackets: [], ticks: null };
    while (state.at < text.length) {
      if (!step(state)) literal(state, 1);
    }
    return state.found;
  }

  function step(state) {
    const { text, at } = state;
    const run = match(PLAIN, text, at);
    if (run) return literal(state, run[0].length);
    switch (text[at]) {
      case "\\":
        return escaped(state);
      case "`":
        return ticked(state);
      case "*":
      case "_":
      case "~":
        return delimited(state);
      case "[":
        state.brackets.push(state.found.length);
        return literal(state, 1);
      case "!":
        if (text[at + 1] !== "[") return false;
        state.brackets.push(state.found.length);
        return literal(state, 2);
      case "]":
        return linked(state);
      case "<":
        return address(state, match(POINTED, text, at), 1);
      case "h":
        return /\w/.test(text[at - 1] ?? "") ? false : address(state, match(URL_TEXT, text, at), 0);
      case "$":
        return literal(state, match(MATH, text, at)?.[0].length ?? 1);
      default:
        return broken(state);
    }
  }

  function match(pattern, text, at) {
    pattern.lastIndex = at;
    return pattern.exec(text);
  }

  function literal(state, length) {
    state.found.push(state.text.slice(state.at, state.at + length));
    state.at += length;
    return true;
  }

  function escaped(state) {
    const next = state.text[state.at + 1] ?? "";
    // \( and \[ begin mathematics, which is left as it is.
    const kept = !PUNCTUATION.test(next) || "()[]".includes(next);
    if (kept && next !== "\n") return literal(state, 2);
    state.at += 1;
    return literal(state, 1);
  }

  function broken(state) {
    if (state.text[state.at] !== "\n") return false;
    state.found.push({ tag: "br" }, CLOSE);
    state.at += 1;
    return true;
  }

  function ticked(state) {
    const { text, at } = state;
    state.ticks ??= tickRuns(text);
    const length = runLength(text, at);
    const places = state.ticks.get(length) ?? [];
    while (places.length && places[places.length - 1] <= at) places.pop(); // they are in descending order
    if (!places.length) return literal(state, length);
    const end = places[places.length - 1];
    let code = text.slice(at + length, end).replaceAll("\n", " ");
    if (code.startsWith(" ") && code.endsWith(" ") && code.trim()) code = code.slice(1, -1);
    state.found.push({ tag: "code" }, code, CLOSE);
    state.at = end + length;
    return true;
  }

  function tickRuns(text) {
    const runs = new Map();
    for (const found of text.matchAll(/`+/g)) {
      const length = found[0].length;
      if (!runs.has(length)) runs.set(length, []);
      runs.get(length).push(found.index);
    }
    for (const places of runs.values()) places.reverse();
    return runs;
  }

  function runLength(text, at) {
    let end = at + 1;
    while (text[end] === text[at]) end++;
    return end - at;
  }

  // ** and __ are strong, * and _ are emphasis, ~~ is struck; of longer runs nobody is sure.
  function delimited(state) {
    const { text, at } = state;
    const length = runLength(text, at);
    const mark = text[at];
    const before = text[at - 1] ?? " ";
    const after = text[at + length] ?? " ";
    const inWord = mark === "_" && /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
    if (length > 3 || (mark === "~" && length !== 2) || inWord) return literal(state, length);
    const opens = /\S/.test(after) && (!PUNCTUATION.test(after) || EDGE.test(before));
    const closes = /\S/.test(before) && (!PUNCTUATION.test(before) || EDGE.test(after));
    let left = length;
    if (closes) left -= closeAll(state, mark, left);
    while (left > 0) {
      const part = mark === "~" ? left : left >= 2 ? 2 : 1;
      if (opens) (state.open[mark + part] ??= []).push(state.found.length);
      state.found.push(mark.repeat(part));
      left -= part;
    }
    state.at += length;
    return true;
  }

  // How many of the marks closed something; the latest that was opened is closed first.
  function closeAll(state, mark, count) {
    let closed = 0;
    while (closed < count) {
      const fitting = [1, 2].filter((size) => size <= count - closed && last(state.open[mark + size]) >= 0);
      if (!fitting.length) break;
      const size = fitting.sort((x, y) => last(state.open[mark + y]) - last(state.open[mark + x]))[0];
      const start = state.open[mark + size].pop();
      if (start === state.found.length - 1) break; // nothing in between
      forget(state, start);
      state.found[start] = { tag: mark === "~" ? "s" : size === 2 ? "strong" : "em" };
      state.found.push(CLOSE);
      closed += size;
    }
    return closed;
  }

  function last(list) {
    return list?.length ? list[list.length - 1] : -1;
  }

  // What was opened inside and not closed there is text: elements do not overlap.
  function forget(state, start) {
    for (const starts of [...Object.values(state.open), state.brackets]) {
      while (last(starts) > start) starts.pop();
    }
  }

  function linked(state) {
    const start = state.brackets.pop();
    const target = start === undefined ? null : match(TARGET, state.text, state.at + 1);
    if (!target) return literal(state, 1);
    const image = state.found[start] === "![";
    const href = image ? null : safe(target[1]);
    if (!image && !href) return literal(state, 1);
    forget(state, start);
    state.found[start] = image ? "[image: " : { tag: "a", url: href };
    state.found.push(image ? "]" : CLOSE);
    state.at += 1 + target[0].length;
    return true;
  }

  function address(state, found, pointed) {
    if (!found) return false;
    const text = pointed ? found[1] : trimmed(found[0]);
    const href = safe(text);
    if (!href) return false;
    state.found.push({ tag: "a", url: href }, text, CLOSE);
    state.at += pointed ? found[0].length : text.length;
    return true;
  }

  // Without the full stop and the bracket that end the sentence around it.
  function trimmed(url) {
    let end = url.length;
    while (end > 8 && /[.,;:!?*_~)]/.test(url[end - 1])) {
      if (url[end - 1] === ")" && url.lastIndexOf("(", end) >= 8) break;
      end--;
    }
    return url.slice(0, end);
  }

  function safe(text) {
    if (!/^(?:https?:\/\/|mailto:)/i.test(text)) return null;
    try {
      return new URL(text);
    } catch {
      return null;
    }
  }

  function build(parent, found, budget) {
    const path = [parent];
    let words = "";
    const flush = () => {
      if (words) plain(path[path.length - 1], words, budget);
      words = "";
    };
    for (const piece of found) {
      if (typeof piece === "string") {
        words += piece;
        continue;
      }
      flush();
      if (piece === CLOSE) path.pop();
      else path.push(entered(path, piece));
    }
    flush();
  }

  // The element that comes next; where they are too deep, the one around it goes on.
  function entered(path, { tag, url }) {
    const here = path[path.length - 1];
    if (path.length > DEEPEST) return here;
    const made = element(tag);
    if (url) point(made, url);
    here.append(made);
    return made;
  }

  function point(anchor, url) {
    anchor.href = url.href;
    anchor.rel = "noopener noreferrer nofollow";
    anchor.target = "_blank";
    anchor.title = url.protocol === "mailto:" ? `mail to ${url.pathname}` : `leads to ${url.host}`;
  }

  return { plain, markdown, element };
})();
