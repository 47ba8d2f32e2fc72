// One pair, to be read: what was asked, both completions, what each judge said in each order.
// Knows how a pair looks; which one is read, and how it was chosen, is told by others.
const PairView = (() => {
  "use strict";

  const { element, plain, markdown } = Reading;
  const CUT = 20_000; // characters that are shown at first
  const MORE = 200_000; // characters that a press of the button adds

  // Appends all of a pair to `root`. `how` has raw and diff, both true or false.
  function show(root, shelf, row, body, how) {
    const names = shelf.names(row);
    const pair = { shelf, row, body, how, names, sides: shelf.sides(row), number: shelf.pair[row] };
    root.append(outcome(pair), ...asked(pair), ...completions(pair), ...verdicts(pair));
  }

  function make(tag, className, ...children) {
    const made = element(tag, className);
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  }

  // Text of strangers: never trusted with the direction of the line that it stands in.
  function said(tag, className, text) {
    const made = element(tag, className);
    made.dir = "auto";
    plain(made, text);
    return made;
  }

  function named(pair, side) {
    return said("bdi", `model ${side}`, pair.names[side === "a" ? 0 : 1]);
  }

  function folded(title, ...children) {
    return make("details", "fold", make("summary", "", title), ...children);
  }

  // -- What came of it ----------------------------------------------------------------------------

  function outcome(pair) {
    const { shelf, row } = pair;
    const winner = shelf.winner[row];
    const line = make("p", "outcome");
    if (winner === "-") line.append("Not judged");
    else if (winner === "t") line.append("A tie");
    else line.append(named(pair, winner), " won");
    const facts = [
      shelf.has(row, "regression") && "in both orders",
      shelf.has(row, "flipped") && "the orders name opposite winners",
      shelf.has(row, "disagree") && "judges disagree",
      shelf.score[row] === 0 && "equal scores",
      shelf.score[row] && difference(pair, shelf.score[row]),
    ].filter(Boolean);
    line.append(make("span", "soft", ...facts.flatMap((fact) => [" · ", fact])));
    return line;
  }

  function difference({ names }, more) {
    const name = said("bdi", "", names[more > 0 ? 0 : 1]);
    return make("span", "", name, ` scores ${number(Math.abs(more))} higher`);
  }

  function number(value) {
    return String(Math.round(value * 100) / 100);
  }

  // -- What was asked -----------------------------------------------------------------------------

  function asked({ body, how }) {
    const lastAsked = body.turns.map(([role]) => role).lastIndexOf("user");
    const turns = body.turns.map(([role, text], at) =>
      make(
        "div",
        at === lastAsked ? "turn asked" : `turn ${role}`,
        make("span", "role", role),
        prose(text, how.raw),
      ),
    );
    const parts = [make("h3", "", "Prompt"), ...turns];
    if (body.reference) parts.push(folded("Reference", prose(body.reference, how.raw)));
    if (body.criteria.length) parts.push(folded("Criteria", criteria(body.criteria)));
    return parts;
  }

  function criteria(found) {
    return make(
      "ul",
      "criteria",
      ...found.map(([name, description, weight]) =>
        make(
          "li",
          "",
          said("strong", "", name),
          weight === 1 ? "" : ` (weight ${number(weight)})`,
          description ? make("span", "", ": ", said("span", "", description)) : null,
        ),
      ),
    );
  }

  // A text as Markdown or as it is; of a very long one the beginning, and a button for the rest.
  function prose(text, raw) {
    const holder = make("div", "prose");
    const write = (length) => {
      const whole = text.length <= length;
      const shown = whole ? text : text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "");
      const words = said("div", raw ? "words raw" : "words", "");
      if (raw) plain(words, shown);
      else markdown(words, shown);
      holder.replaceChildren(words, ...(whole ? [] : [more(shown.length, text.length, write)]));
    };
    write(CUT);
    return holder;
  }

  function more(shown, length, write) {
    const next = Math.min(length, shown + MORE);
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
    const compared = pair.how.diff && both.every(Boolean);
    const found = compared ? Diff.words(both[0].text ?? "", both[1].text ?? "") : null;
    const columns = ["a", "b"].map((side, at) => {
      const words = found ? marked(found[side], side) : null;
      return completion(pair, side, both[at], words);
    });
    const grid = make("div", "sides", ...columns);
    return compared ? [make("p", "soft compared", told(found)), grid] : [grid];
  }

  function told(found) {
    if (!found) return "The completions are too long to be compared.";
    const share = `${Math.round(100 * found.shared)} % of the ${found.by}s are the same`;
    return found.by === "line" ? `${share}; too long to be compared word by word.` : `${share}.`;
  }

  function marked(runs, side) {
    const words = said("div", "words raw", "");
    const budget = { marks: 1000 };
    for (const [text, changed] of runs) {
      const target = changed ? element(side === "a" ? "del" : "ins") : words;
      plain(target, text, budget);
      if (changed) words.append(target);
    }
    return words;
  }

  function completion(pair, side, found, words) {
    const name = pair.names[side === "a" ? 0 : 1];
    const column = make("article", `completion ${side}`, make("h4", "", named(pair, side)));
    const failures = pair.body.failed.filter(({ who }) => who === name);
    if (!found) {
      column.append(...(failures.length ? failures.map(failure) : [make("p", "soft", "No completion.")]));
      return column;
    }
    column.append(facts(found));
    if (found.thinking) column.append(folded("Thinking", prose(found.thinking, pair.how.raw)));
    if (!found.text?.trim()) column.append(make("p", "soft", "Empty."));
    else column.append(words ?? prose(found.text, pair.how.raw));
    if (found.raw) column.append(folded("As the model wrote it", prose(found.raw, true)));
    return column;
  }

  function facts(found) {
    const { text = "", tokens, finish, cut, suspicious = [] } = found;
    const line = make("p", "measure soft", `${count(text.length)} characters`);
    if (tokens) line.append(` · ${count(tokens)} tokens`);
    if (finish === "length") line.append(" · ", make("span", "warn", "cut at the limit"));
    else if (cut) line.append(" · ", make("span", "warn", "looks cut"));
    if (finish === "refused") line.append(" · ", make("span", "warn", "refused"));
    for (const kind of suspicious) line.append(" · ", make("span", "warn", kind));
    return line;
  }

  // -- Verdicts -----------------------------------------------------------------------------------

  function verdicts(pair) {
    const given = pair.body.verdicts[pair.number];
    const lost = pair.body.lost[pair.number];
    const judges = new Set([...given.map(({ judge }) => judge), ...lost.map(({ who }) => who)]);
    const parts = [make("h3", "", "Verdicts")];
    if (!judges.size) parts.push(make("p", "soft", "Nobody judged this pair."));
    for (const judge of judges) {
      const own = given.filter((verdict) => verdict.judge === judge);
      parts.push(heading(pair, judge, own));
      if (own.length) parts.push(table(pair, own));
      parts.push(...lost.filter(({ who }) => who === judge).map(failure));
    }
    return parts;
  }

  function heading(pair, judge, own) {
    const line = make("h4", "judge", said("bdi", "", judge));
    const person = own.some((verdict) => verdict.person);
    if (person) line.append(make("span", "soft", " · a person's vote"));
    if (flips(pair, own)) line.append(make("span", "warn", " · names the opposite winner when swapped"));
    return line;
  }

  // Whether the mean verdicts of the two orders name opposite winners.
  function flips(pair, own) {
    const means = pair.names.map((name) => {
      const said = own.filter(({ first }) => first === name).map(({ a }) => a);
      return said.length ? said.reduce((sum, a) => sum + a, 0) / said.length : 0.5;
    });
    return (means[0] - 0.5) * (means[1] - 0.5) < 0;
  }

  function table(pair, own) {
    const scored = own.some(({ scores }) => scores);
    const pointwise = own.some(({ raw_scores }) => raw_scores);
    const [a, b] = [named(pair, "a"), named(pair, "b")];
    const head = make("tr", "", make("th", "", "Shown first"), make("th", "", "Better"));
    if (scored || pointwise) {
      head.append(make("th", "number", a, scored ? " scores" : " is worth"));
      head.append(make("th", "number", b, scored ? " scores" : " is worth"));
    }
    head.append(make("th", "why", "Explanation"));
    const order = ({ first, sample = 0, repeat = 0 }) => [sample, first === pair.names[0] ? 0 : 1, repeat];
    const sorted = own.slice().sort((x, y) => compare(order(x), order(y)));
    const rows = sorted.map((verdict) => judged(pair, verdict, scored || pointwise));
    return make("table", "verdicts", make("thead", "", head), make("tbody", "", ...rows));
  }

  function compare(x, y) {
    const at = x.findIndex((value, place) => value !== y[place]);
    return at < 0 ? 0 : x[at] - y[at];
  }

  function judged(pair, verdict, numbers) {
    const { first, presented, repeat = 0, sample = 0 } = verdict;
    const shown = make("td", "order");
    if (first) shown.append(named(pair, first === pair.names[0] ? "a" : "b"));
    else shown.append(make("span", "soft", presented === "apart" ? "each alone" : "not known"));
    const which = [sample && `sample ${sample + 1}`, repeat && `repeat ${repeat + 1}`].filter(Boolean);
    if (which.length) shown.append(make("span", "soft", ` ${which.join(", ")}`));
    shown.dataset.label = "Shown first";
    const row = make("tr", "", shown, better(pair, verdict));
    if (numbers) row.append(...[0, 1].map((side) => worth(pair, verdict, side)));
    const why = make("td", "why", ...notes(verdict));
    why.append(verdict.reason ? prose(verdict.reason, pair.how.raw) : make("span", "soft", "none given"));
    row.append(why);
    return row;
  }

  function better(pair, { a }) {
    const cell = make("td", "better");
    cell.dataset.label = "Better";
    if (Math.abs(a - 0.5) < 1e-4) return cell.append("tie"), cell;
    const side = a > 0.5 ? "a" : "b";
    const sure = Math.max(a, 1 - a);
    cell.append(named(pair, side));
    if (sure < 0.9999) cell.append(make("span", "soft", ` ${sure.toFixed(2)}`));
    return cell;
  }

  function worth(pair, { scores, raw_scores }, side) {
    const value = (scores ?? raw_scores)?.[side];
    const cell = make("td", "number", value === undefined || value === null ? "–" : number(value));
    cell.dataset.label = pair.names[side];
    return cell;
  }

  function notes({ mended, odds, kept }) {
    const told = [
      odds && "its scores say otherwise",
      mended && `asked again: the first reply was ${mended === "unreadable" ? mended : "a contradiction"}`,
      kept && `was shown ${count(kept)} characters of each`,
    ].filter(Boolean);
    return told.length ? [make("p", "warn", told.join(" · "))] : [];
  }

  function failure({ kind, message, raw, first, status }) {
    const line = make("p", "", make("strong", "warn", "Failed"), ` (${kind}${status ? ` ${status}` : ""})`);
    if (first) line.append(make("span", "soft", " with ", said("bdi", "", first), " first"));
    line.append(": ", said("span", "", message));
    return make("div", "failure", line, raw ? folded("What came back", prose(raw, true)) : null);
  }

  return { show };
})();
