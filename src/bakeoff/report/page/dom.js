// Elements and text nodes. Characters that are invisible or change the writing direction are shown
// by their code point, so that a model cannot hide text from a reader or reorder a line.
const Dom = (() => {
  "use strict";

  const MAX_MARKED = 1000; // runs of such characters that are marked in one text; later ones become U+FFFD

  // An emoji flag of a region (England, Wales, Texas) consists of invisible tag characters.
  const REGION_FLAG = "\\u{1F3F4}[\\u{E0030}-\\u{E007A}]{4,6}\\u{E007F}";
  const INVISIBLE = new RegExp(
    `${REGION_FLAG}|(?:[\\0-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F\\u00AD\\u034F\\u061C\\u115F\\u1160\\u180E` +
      "\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u3164\\uFEFF\\uFFA0\\uFFF9-\\uFFFB" +
      "\\u{E0000}-\\u{E01EF}\\p{Cs}]|(?<=[\\x20-\\x7E])[\\u200C\\u200D]|[\\uFE00-\\uFE0F]{2,})+",
    "gu",
  );

  function element(tag, className = "") {
    const node = document.createElement(tag);
    if (className) node.className = className;
    return node;
  }

  // Appends text as text nodes. Texts that share a budget share the limit of marked runs.
  function appendText(parent, text, budget = { marks: MAX_MARKED }) {
    let from = 0;
    for (const match of text.matchAll(INVISIBLE)) {
      if (match[0].startsWith("\u{1F3F4}")) continue;
      if (budget.marks-- <= 0) {
        parent.append(text.slice(from).replace(INVISIBLE, "\uFFFD"));
        return;
      }
      parent.append(text.slice(from, match.index), codePoints(match[0]));
      from = match.index + match[0].length;
    }
    if (from < text.length) parent.append(text.slice(from));
  }

  function codePoints(characters) {
    const codes = Array.from(characters.slice(0, 8), codePoint);
    const length = characters.length;
    const repeated = length > 1 && codes.every((code) => code === codes[0]);
    const shown = repeated ? [`${codes[0]} ×${length.toLocaleString("en")}`] : codes;
    const node = element("span", "invisible");
    node.textContent = shown.slice(0, 4).join(" ") + (!repeated && length > 4 ? ` +${length - 4}` : "");
    node.title = "a character that is not seen, made visible";
    return node;
  }

  function codePoint(character) {
    const code = character.codePointAt(0);
    const surrogate = code >= 0xd800 && code <= 0xdfff;
    const hex = code.toString(16).toUpperCase().padStart(4, "0");
    return surrogate ? `\uFFFD U+${hex}` : `U+${hex}`;
  }

  return { element, appendText, MAX_MARKED };
})();
