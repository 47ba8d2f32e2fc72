// The view of one pair: the prompt, both completions, and each judge's verdicts in each order.
const PairView = (() => {
  "use strict";

  const { element, appendText } = Dom;
  const FIRST_PART = 20_000; // characters of a text that are shown at first
  const NEXT_PART = 200_000; // characters that the button adds

  // Appends a pair to `root`. `options` has the flags raw (no Markdown) and diff.
  function show(root, pairList, row, body, options) {
    const names = pairList.names(row);
    const pair = { pairList, row, body, options, names, sides: pairList.sides(row), number: pairList.pair[row] };
    root.append(outcome(pair), ...promptParts(pair), ...completions(pair), ...verdicts(pair));
  }

  function make(tag, className, ...children) {
    const node = element(tag, className);
    node.append(...children.filter((child) => child !== null && child !== ""));
    return node;
  }

  // An element of untrusted text: its writing direction does not affect the line around it.
  function textNode(tag, className, text) {
    const node = element(tag, className);
    node.dir = "auto";
    appendText(node, text);
    return node;
  }

  function modelName(pair, side) {
    return textNode("bdi", `model ${side}`, pair.names[side === "a" ? 0 : 1]);
  }

  function folded(title, ...children) {
    return make("details", "fold", make("summary", "", title), ...children);
  }

  // -- Outcome ------------------------------------------------------------------------------------

  function outcome(pair) {
    const { pairList, row } = pair;
    const winner = pairList.winner[row];
    const line = make("p", "outcome");
    if (winner === "-") line.append("Not judged");
    else if (winner === "t") line.append("A tie");
    else line.append(modelName(pair, winner), " won");
    const facts = [
      pairList.has(row, "regression") && "in both orders",
      pairList.has(row, "flipped") && "the orders name opposite winners",
      pairList.has(row, "disagree") && "judges disagree",
      pairList.score[row] === 0 && "equal scores",
      pairList.score[row] && difference(pair, pairList.score[row]),
    ].filter(Boolean);
    line.append(make("span", "soft", ...facts.flatMap((fact) => [" · ", fact])));
    return line;
  }

  function difference({ names }, more) {
    const name = textNode("bdi", "", names[more > 0 ? 0 : 1]);
    return make("span", "", name, ` scores ${number(Math.abs(more))} higher`);
  }

  function number(value) {
    return String(Math.round(value * 100) / 100);
  }

  // -- Prompt -------------------------------------------------------------------------------------

  function promptParts({ body, options }) {
    const question = body.turns.map(([role]) => role).lastIndexOf("user");
    const turns = body.turns.map(([role, text], at) =>
      make(
        "div",
        at === question ? "turn question" : `turn ${role}`,
        make("span", "role", role),
        prose(text, options.raw),
      ),
    );
    const parts = [make("h3", "", "Prompt"), ...turns];
    if (body.reference) parts.push(folded("Reference", prose(body.reference, options.raw)));
    if (body.criteria.length) parts.push(folded("Criteria", criteria(body.criteria)));
    return parts;
  }

  function criteria(list) {
    return make(
      "ul",
      "criteria",
      ...list.map(([name, description, weight]) =>
        make(
          "li",
          "",
          textNode("strong", "", name),
          weight === 1 ? "" : ` (weight ${number(weight)})`,
          description ? make("span", "", ": ", textNode("span", "", description)) : null,
        ),
      ),
    );
  }

  // A text as Markdown or raw; a very long one is shown in parts, with a button for the next one.
  function prose(text, raw) {
    const holder = make("div", "prose");
    const write = (length) => {
      const complete = text.length <= length;
      const shown = complete ? text : text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "");
      const view = textNode("div", raw ? "words raw" : "words", "");
      if (raw) appendText(view, shown);
      else Markdown.append(view, shown);
      holder.replaceChildren(view, ...(complete ? [] : [moreButton(shown.length, text.length, write)]));
    };
    write(FIRST_PART);
    return holder;
  }

  function moreButton(shown, length, write) {
    const next = Math.min(length, shown + NEXT_PART);
    const rest = next === length ? `all ${count(length)}` : `${count(next)} of ${count(length)}`;
    const button = make("button", "more", `Show ${rest} characters`);
    button.type = "button";
    button.addEventListener("click", () => write(next));
    return make("p", "soft", `The first ${count(shown)} characters are shown. `, button);
  }

  function count(value) {
    return value.toLocaleString("en");
  }

  // -- Completions --------------------------------------------------------------------------------

  function completions(pair) {
    const both = pair.sides.map((model) => pair.body.completions[model]);
    const samples = Math.max(1, ...both.map((list) => list.length));
    const parts = [make("h3", "", "Completions")];
    for (let sample = 0; sample < samples; sample++) {
      if (samples > 1) parts.push(make("h4", "", `Sample ${sample + 1} of ${samples}`));
      parts.push(...sideBySide(pair, both.map((list) => list[sample])));
    }
    return parts;
  }

  function sideBySide(pair, both) {
    const compared = pair.options.diff && both.every(Boolean);
    const diff = compared ? WordDiff.compare(both[0].text ?? "", both[1].text ?? "") : null;
    const columns = ["a", "b"].map((side, at) => {
      const view = diff ? diffView(diff[side], side) : null;
      return completionColumn(pair, side, both[at], view);
    });
    const grid = make("div", "sides", ...columns);
    return compared ? [make("p", "soft compared", similarity(diff)), grid] : [grid];
  }

  function similarity(diff) {
    if (!diff) return "The completions are too long to be compared.";
    const share = `${Math.round(100 * diff.shared)} % of the ${diff.unit}s are the same`;
    return diff.unit === "line" ? `${share}; too long to be compared word by word.` : `${share}.`;
  }

  function diffView(runs, side) {
    const view = textNode("div", "words raw", "");
    const budget = { marks: Dom.MAX_MARKED };
    for (const [text, changed] of runs) {
      const target = changed ? element(side === "a" ? "del" : "ins") : view;
      appendText(target, text, budget);
      if (changed) view.append(target);
    }
    return view;
  }

  function completionColumn(pair, side, completion, view) {
    const name = pair.names[side === "a" ? 0 : 1];
    const column = make("article", `completion ${side}`, make("h4", "", modelName(pair, side)));
    const failures = pair.body.completion_failures.filter(({ participant }) => participant === name);
    if (!completion) {
      column.append(...(failures.length ? failures.map(failure) : [make("p", "soft", "No completion.")]));
      return column;
    }
    column.append(facts(completion));
    if (completion.thinking) column.append(folded("Thinking", prose(completion.thinking, pair.options.raw)));
    if (!completion.text?.trim()) column.append(make("p", "soft", "Empty."));
    else column.append(view ?? prose(completion.text, pair.options.raw));
    if (completion.raw) column.append(folded("As the model wrote it", prose(completion.raw, true)));
    return column;
  }

  function facts(completion) {
    const { text = "", tokens, finish, truncated, suspicious = [] } = completion;
    const line = make("p", "measure soft", `${count(text.length)} characters`);
    if (tokens) line.append(` · ${count(tokens)} tokens`);
    if (finish === "length") line.append(" · ", make("span", "warn", "cut at the limit"));
    else if (truncated) line.append(" · ", make("span", "warn", "looks cut"));
    if (finish === "refused") line.append(" · ", make("span", "warn", "refused"));
    for (const kind of suspicious) line.append(" · ", make("span", "warn", kind));
    return line;
  }

  // -- Verdicts -----------------------------------------------------------------------------------

  function verdicts(pair) {
    const all = pair.body.verdicts[pair.number];
    const failures = pair.body.judgment_failures[pair.number];
    const judges = new Set([...all.map(({ judge }) => judge), ...failures.map(({ participant }) => participant)]);
    const parts = [make("h3", "", "Verdicts")];
    if (!judges.size) parts.push(make("p", "soft", "Nobody judged this pair."));
    for (const judge of judges) {
      const own = all.filter((verdict) => verdict.judge === judge);
      parts.push(heading(pair, judge, own));
      if (own.length) parts.push(table(pair, own));
      parts.push(...failures.filter(({ participant }) => participant === judge).map(failure));
    }
    return parts;
  }

  function heading(pair, judge, own) {
    const line = make("h4", "judge", textNode("bdi", "", judge));
    const person = own.some((verdict) => verdict.person);
    if (person) line.append(make("span", "soft", " · a person's vote"));
    if (isFlipped(pair, own)) line.append(make("span", "warn", " · names the opposite winner when swapped"));
    return line;
  }

  // Whether the mean verdicts of the two orders name opposite winners.
  function isFlipped(pair, own) {
    const means = pair.names.map((name) => {
      const values = own.filter(({ first }) => first === name).map(({ a }) => a);
      return values.length ? values.reduce((sum, a) => sum + a, 0) / values.length : 0.5;
    });
    return (means[0] - 0.5) * (means[1] - 0.5) < 0;
  }

  function table(pair, own) {
    const scored = own.some(({ scores }) => scores);
    const pointwise = own.some(({ raw_scores }) => raw_scores);
    const [a, b] = [modelName(pair, "a"), modelName(pair, "b")];
    const head = make("tr", "", make("th", "", "Shown first"), make("th", "", "Better"));
    if (scored || pointwise) {
      head.append(make("th", "number", a, scored ? " scores" : " is worth"));
      head.append(make("th", "number", b, scored ? " scores" : " is worth"));
    }
    head.append(make("th", "why", "Explanation"));
    const order = ({ first, sample = 0, repeat = 0 }) => [sample, first === pair.names[0] ? 0 : 1, repeat];
    const sorted = own.slice().sort((x, y) => compare(order(x), order(y)));
    const rows = sorted.map((verdict) => verdictRow(pair, verdict, scored || pointwise));
    return make("table", "verdicts", make("thead", "", head), make("tbody", "", ...rows));
  }

  function compare(x, y) {
    const at = x.findIndex((value, place) => value !== y[place]);
    return at < 0 ? 0 : x[at] - y[at];
  }

  function verdictRow(pair, verdict, numbers) {
    const { first, presented, repeat = 0, sample = 0 } = verdict;
    const shown = make("td", "order");
    if (first) shown.append(modelName(pair, first === pair.names[0] ? "a" : "b"));
    else shown.append(make("span", "soft", presented === "pointwise" ? "each alone" : "not known"));
    const which = [sample && `sample ${sample + 1}`, repeat && `repeat ${repeat + 1}`].filter(Boolean);
    if (which.length) shown.append(make("span", "soft", ` ${which.join(", ")}`));
    shown.dataset.label = "Shown first";
    const row = make("tr", "", shown, winnerCell(pair, verdict));
    if (numbers) row.append(...[0, 1].map((side) => scoreCell(pair, verdict, side)));
    const why = make("td", "why", ...notes(verdict));
    why.append(verdict.reason ? prose(verdict.reason, pair.options.raw) : make("span", "soft", "none given"));
    row.append(why);
    return row;
  }

  function winnerCell(pair, { a }) {
    const cell = make("td", "better");
    cell.dataset.label = "Better";
    if (Math.abs(a - 0.5) < 1e-4) return cell.append("tie"), cell;
    const side = a > 0.5 ? "a" : "b";
    const probability = Math.max(a, 1 - a);
    cell.append(modelName(pair, side));
    if (probability < 0.9999) cell.append(make("span", "soft", ` ${probability.toFixed(2)}`));
    return cell;
  }

  function scoreCell(pair, { scores, raw_scores }, side) {
    const value = (scores ?? raw_scores)?.[side];
    const cell = make("td", "number", value === undefined || value === null ? "–" : number(value));
    cell.dataset.label = pair.names[side];
    return cell;
  }

  function notes({ retry_reason: retry, contradicts_scores, shown_characters: shown }) {
    const lines = [
      contradicts_scores && "its scores say otherwise",
      retry && `asked again: the first reply was ${retry === "unreadable" ? retry : "a contradiction"}`,
      shown && `was shown ${count(shown)} characters of each`,
    ].filter(Boolean);
    return lines.length ? [make("p", "warn", lines.join(" · "))] : [];
  }

  function failure({ kind, message, raw, first, status }) {
    const line = make("p", "", make("strong", "warn", "Failed"), ` (${kind}${status ? ` ${status}` : ""})`);
    if (first) line.append(make("span", "soft", " with ", textNode("bdi", "", first), " first"));
    line.append(": ", textNode("span", "", message));
    return make("div", "failure", line, raw ? folded("What came back", prose(raw, true)) : null);
  }

  return { show };
})();
