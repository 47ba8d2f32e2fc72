// The pairs of the page as data: what the index says, which of them are wanted and in what order,
// and their texts, unpacked when they are asked for. Knows no element but those that hold the data.
const Shelf = (() => {
  "use strict";

  const KEPT_CHUNKS = 12; // unpacked and ready to be read
  const KEPT_TEXT = 128_000_000; // characters of texts, and of chunks, that are kept for searching
  const SIFTED = /^[ !#-[\]-~]+$/; // words that stand in a chunk as they are typed
  const TIE = -1;
  const NOBODY = -2;
  const SLICE = 24; // milliseconds of searching before the page may draw again

  async function opened(indexElement, chunkElements) {
    const index = JSON.parse(await inflated(indexElement));
    return new Pairs(index, Array.from(chunkElements));
  }

  async function inflated(element) {
    const packed = atob(element.textContent);
    const bytes = new Uint8Array(packed.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = packed.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  // The words of a query in lower case; a phrase in quotes is one.
  function terms(query) {
    const found = query.toLowerCase().matchAll(/"([^"]+)"?|[^\s"]+/g);
    return Array.from(found, (match) => match[1]?.trim() ?? match[0]).filter(Boolean);
  }

  // Half a character cannot stand in an address; what is found by an address does without, too.
  function whole(text) {
    return text.replace(/\p{Cs}/gu, "\uFFFD");
  }

  class Pairs {
    constructor(index, chunkElements) {
      Object.assign(this, index); // models pairs marks ids heads tags tagged, and the columns
      this.size = this.winner.length;
      this.elements = chunkElements;
      this.places = this.chunks.flatMap((count, chunk) =>
        Array.from({ length: count }, (_, place) => [chunk, place]),
      );
      this.unpacked = new Map();
      this.texts = new Map();
      this.lowChunks = new Map();
      this.kept = 0;
      this.lowered = null;
    }

    // -- What one row is --------------------------------------------------------------------------

    // The numbers of the two models, and their names.
    sides(row) {
      return this.pairs[this.pair[row]];
    }

    names(row) {
      return this.sides(row).map((model) => this.models[model]);
    }

    has(row, mark) {
      return Boolean(this.mark[row] & (1 << this.marks.indexOf(mark)));
    }

    id(row) {
      return this.ids[this.prompt[row]];
    }

    head(row) {
      return this.heads[this.prompt[row]];
    }

    tagsOf(row) {
      return this.tagged[this.prompt[row]].map((code) => this.tags[code]);
    }

    // The number of the model that won, TIE, or NOBODY where nobody judged.
    outcome(row) {
      const [a, b] = this.sides(row);
      return { a, b, t: TIE, "-": NOBODY }[this.winner[row]];
    }

    // The row of a prompt and, of several, two models; -1 where there is none.
    find(id, a, b) {
      const named = (row) => this.names(row).map(whole);
      const between = (row) => a === undefined || (named(row)[0] === a && named(row)[1] === b);
      for (let row = 0; row < this.size; row++) {
        if (whole(this.id(row)) === id && between(row)) return row;
      }
      return -1;
    }

    // -- Which rows are wanted --------------------------------------------------------------------

    // `wanted` has pair, outcome (numbers), marks, tag; null where any will do.
    passes(row, wanted) {
      return (
        (wanted.pair === null || this.pair[row] === wanted.pair) &&
        (wanted.outcome === null || this.outcome(row) === wanted.outcome) &&
        wanted.marks.every((mark) => this.has(row, mark)) &&
        (wanted.tag === null || this.tagged[this.prompt[row]].includes(this.tags.indexOf(wanted.tag)))
      );
    }

    filtered(wanted) {
      const rows = [];
      for (let row = 0; row < this.size; row++) if (this.passes(row, wanted)) rows.push(row);
      return rows;
    }

    // How many rows of a pair of models (or of all) each choice would leave if nothing else chose.
    counts(pair) {
      const found = { all: 0, outcomes: new Map(), marks: new Map(), tags: new Map() };
      const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
      for (let row = 0; row < this.size; row++) {
        if (pair !== null && this.pair[row] !== pair) continue;
        found.all++;
        count(found.outcomes, this.outcome(row));
        for (const mark of this.marks) if (this.has(row, mark)) count(found.marks, mark);
        for (const tag of new Set(this.tagsOf(row))) count(found.tags, tag);
      }
      return found;
    }

    sorted(rows, by) {
      const weigh = {
        difference: (row) => (this.score[row] === null ? -1 : Math.abs(this.score[row])),
        lost: (row) => (this.score[row] === null ? -11 : -this.score[row]),
        longest: (row) => Math.max(this.long_a[row], this.long_b[row]),
        lengths: (row) => Math.abs(this.long_a[row] - this.long_b[row]),
        disagreement: (row) => this.apart[row],
      }[by];
      return weigh ? rows.slice().sort((x, y) => weigh(y) - weigh(x) || x - y) : rows;
    }

    // -- Texts ------------------------------------------------------------------------------------

    async body(row) {
      const [chunk, place] = this.places[this.prompt[row]];
      return (await this.chunk(chunk))[place];
    }

    async chunk(number) {
      let bodies = this.unpacked.get(number);
      bodies ??= this.raw(number).then(JSON.parse);
      this.unpacked.delete(number); // the latest that was asked for is the last to go
      this.unpacked.set(number, bodies);
      if (this.unpacked.size > KEPT_CHUNKS) this.unpacked.delete(this.unpacked.keys().next().value);
      return bodies;
    }

    // Who searches a chunk opens it next: its text is kept until another one is asked for.
    raw(number) {
      if (this.latest?.number !== number) {
        this.latest = { number, text: inflated(this.elements[number]) };
      }
      return this.latest.text;
    }

    // Which of the words stand nowhere in a chunk: no pair of it has to be opened for them.
    async missing(number, words) {
      let text = this.lowChunks.get(number);
      if (text === undefined) {
        text = (await this.raw(number)).toLowerCase();
        if (this.keeps(text.length)) this.lowChunks.set(number, text);
      }
      return words.filter((word) => SIFTED.test(word) && !text.includes(word));
    }

    keeps(length) {
      if (this.kept + length > KEPT_TEXT) return false;
      this.kept += length;
      return true;
    }

    // Calls `tell(hits, share)` now and then: the rows found so far, and how far it is (1: all of
    // it). `rows` are in the order of the index. Stops when `signal` is aborted.
    async search(rows, query, signal, tell) {
      const words = terms(query);
      const hits = new Set();
      const rest = [];
      this.lowered ??= this.ids.map((id, at) =>
        [id, this.heads[at], ...this.tagged[at].map((tag) => this.tags[tag])].join("\n").toLowerCase(),
      );
      for (const row of rows) {
        const head = this.lowered[this.prompt[row]];
        if (words.every((word) => head.includes(word))) hits.add(row);
        else rest.push(row);
      }
      tell(hits, rest.length ? 0 : 1);
      let paused = performance.now();
      let sifted = { chunk: -1, missing: [] };
      for (const [done, row] of rest.entries()) {
        const [chunk] = this.places[this.prompt[row]];
        if (sifted.chunk !== chunk) sifted = { chunk, missing: await this.missing(chunk, words) };
        const head = this.lowered[this.prompt[row]];
        if (sifted.missing.every((word) => head.includes(word))) {
          const parts = this.texts.get(this.prompt[row]) ?? (await this.searchable(row));
          if (this.matches(row, parts, words)) hits.add(row);
        }
        if (signal.aborted) return;
        if (performance.now() - paused < SLICE) continue;
        await new Promise((resume) => setTimeout(resume));
        if (signal.aborted) return;
        tell(hits, (done + 1) / rest.length);
        paused = performance.now();
      }
      if (rest.length) tell(hits, 1);
    }

    matches(row, parts, words) {
      const [a, b] = this.sides(row);
      const own = [this.lowered[this.prompt[row]], parts.asked, parts.by[a], parts.by[b]];
      own.push(parts.said[this.pair[row]]);
      return words.every((word) => own.some((text) => text?.includes(word)));
    }

    // All that is written about a prompt, in lower case; kept while there is room.
    async searchable(row) {
      const body = await this.body(row);
      const low = (texts) => texts.filter(Boolean).join("\n").toLowerCase();
      const ofModel = (name, model) => [
        ...body.completions[model].flatMap((said) => [said.text, said.thinking, said.raw]),
        ...body.failed.filter(({ who }) => who === name).map(({ message }) => message),
      ];
      const criteria = body.criteria.flatMap(([name, description]) => [name, description]);
      const parts = {
        asked: low([...body.turns.map(([, text]) => text), body.reference, ...criteria]),
        by: this.models.map((name, model) => low(ofModel(name, model))),
        said: body.verdicts.map((verdicts, pair) =>
          low([
            ...verdicts.flatMap((verdict) => [verdict.judge, verdict.reason]),
            ...body.lost[pair].flatMap((failure) => [failure.kind, failure.message, failure.raw]),
          ]),
        ),
      };
      const length = [parts.asked, ...parts.by, ...parts.said].reduce((sum, text) => sum + text.length, 0);
      if (this.keeps(length)) this.texts.set(this.prompt[row], parts);
      return parts;
    }
  }

  return { opened, terms, whole, TIE, NOBODY };
})();
