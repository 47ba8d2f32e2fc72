// Markdown of prompts, completions and explanations. markdown-it renders it with raw HTML disabled,
// and DOMPurify keeps only the elements and attributes that are listed here.
const Markdown = (() => {
  "use strict";

  const MAX_CHARACTERS = 200_000; // longer texts are shown as they are
  const MAX_TOKENS = 20_000; // so are texts of more tokens: purifying them would take over a second
  const MAX_NESTING = 30; // lists and quotes within each other; markdown-it drops what is deeper
  const LINK = /^(?:https?:\/\/|mailto:)/i;
  const MATH = /\$\$[^$]{1,2000}\$\$|\$[^\s$](?:[^$\n]{0,300}[^\s$])?\$(?!\d)|\\[()[\]]/y;
  const PURIFY = {
    ALLOWED_TAGS: (
      "a blockquote br code div em hr li ol p pre s span strong table tbody td th thead tr ul"
    ).split(" "),
    ALLOWED_ATTR: ["class", "href", "rel", "role", "start", "tabindex", "target", "title"],
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: LINK,
    ADD_URI_SAFE_ATTR: ["rel", "start", "tabindex", "target"],
    RETURN_DOM_FRAGMENT: true,
  };

  const parser = markdownit({ html: false, linkify: true, breaks: true, maxNesting: MAX_NESTING });
  const { escapeHtml } = parser.utils;
  parser.disable("reference"); // a definition is not rendered: a model could hide text in it
  parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
  parser.linkify.add("ftp:", null).add("//", null);
  parser.validateLink = (url) => LINK.test(url) && parsed(url) !== null;
  parser.normalizeLinkText = (text) => text; // not decoded: a look-alike host would read as another
  parser.inline.ruler.before("escape", "math", math);

  function parsed(url) {
    try {
      return new URL(url);
    } catch {
      return null;
    }
  }

  // Formulas are shown as they are: their `_`, `*` and `\(` are not Markdown.
  function math(state, silent) {
    MATH.lastIndex = state.pos;
    const match = MATH.exec(state.src);
    if (!match) return false;
    if (!silent) state.pending += match[0];
    state.pos += match[0].length;
    return true;
  }

  const ALIGNMENT = { "text-align:center": ' class="center"', "text-align:right": ' class="end"' };
  // An inline style is forbidden by the page's policy.
  const cell = (tokens, at) => `<${tokens[at].tag}${ALIGNMENT[tokens[at].attrGet("style")] ?? ""}>`;

  function code(tokens, at) {
    const language = tokens[at].info.trim().split(/\s+/)[0].slice(0, 40);
    const label = language ? `<span class="language">${escapeHtml(language)}</span>` : "";
    const name = escapeHtml(language ? `code, ${language}` : "code");
    const text = escapeHtml(tokens[at].content.replace(/\n$/, ""));
    const region = `tabindex="0" role="region" aria-label="${name}"`; // focusable, to be scrolled
    return `<div class="code">${label}<pre ${region}><code>${text}</code></pre></div>\n`;
  }

  function link(tokens, at) {
    const url = new URL(tokens[at].attrGet("href"));
    const title = url.protocol === "mailto:" ? `mail to ${url.pathname}` : `leads to ${url.host}`;
    const rel = "noopener noreferrer nofollow";
    return `<a href="${escapeHtml(url.href)}" rel="${rel}" target="_blank" title="${escapeHtml(title)}">`;
  }

  // Below the headings of the page: a completion must not pose as a part of it.
  function heading(tokens, at) {
    const level = Number(tokens[at].tag.slice(1));
    return `<div class="h h${level}" role="heading" aria-level="${Math.min(6, level + 4)}">`;
  }

  Object.assign(parser.renderer.rules, {
    heading_open: heading,
    heading_close: () => "</div>\n",
    fence: code,
    code_block: code,
    table_open: () => '<div class="wide" tabindex="0" role="region" aria-label="table"><table>\n',
    table_close: () => "</table></div>\n",
    th_open: cell,
    td_open: cell,
    link_open: link,
    // Never loaded: a remote image would tell its server who reads the page.
    image: (tokens, at, options, env, self) =>
      `[image: ${escapeHtml(self.renderInlineAsText(tokens[at].children, options, env))}]`,
  });

  // Appends a text as Markdown.
  function append(parent, text) {
    const tokens = text.length <= MAX_CHARACTERS ? parser.parse(text, {}) : null;
    if (!tokens || size(tokens) > MAX_TOKENS) appendRaw(parent, text, "Too long for Markdown: shown as it is.");
    else if (tokens.some(({ level, nesting }) => nesting > 0 && level >= MAX_NESTING - 1))
      appendRaw(parent, text, "Too deeply nested for Markdown: shown as it is.");
    else parent.append(visible(DOMPurify.sanitize(parser.renderer.render(tokens, parser.options, {}), PURIFY)));
  }

  function size(tokens) {
    return tokens.reduce((sum, { children }) => sum + 1 + (children?.length ?? 0), 0);
  }

  function appendRaw(parent, text, reason) {
    const note = Dom.element("p", "soft");
    note.textContent = reason;
    const raw = Dom.element("div", "raw");
    Dom.appendText(raw, text);
    parent.append(note, raw);
  }

  // Replaces each text node by one whose invisible characters are marked.
  function visible(fragment) {
    const budget = { marks: Dom.MAX_MARKED };
    const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const node of texts) {
      const marked = new DocumentFragment();
      Dom.appendText(marked, node.data, budget);
      node.replaceWith(marked);
    }
    return fragment;
  }

  return { append };
})();
