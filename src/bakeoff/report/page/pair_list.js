// The data of the pairs: the index, filters, sorting and search, and the texts, which are unpacked on
// demand. Touches no element but those that hold the data.
const PairList = (() => {
  "use strict";

  const MAX_CHUNKS = 12; // unpacked chunks in memory
  const MAX_CACHED_TEXT = 128_000_000; // characters of texts and chunks that are cached for searching
  const VERBATIM = /^[ !#-[\]-~]+$/; // terms that JSON does not escape: a chunk contains them as typed
  const TIE = -1;
  const NOT_JUDGED = -2;
  const SEARCH_SLICE = 24; // milliseconds of searching before the page may draw again

  async function load(indexElement, chunkElements) {
    const index = JSON.parse(await inflate(indexElement));
    return new PairIndex(index, Array.from(chunkElements));
  }

  async function inflate(element) {
    const binary = atob(element.textContent);
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  // The terms of a query in lower case; a quoted phrase is one term.
  function terms(query) {
    const matches = query.toLowerCase().matchAll(/"([^"]+)"?|[^\s"]+/g);
    return Array.from(matches, (match) => match[1]?.trim() ?? match[0]).filter(Boolean);
  }

  // Lone surrogates cannot be part of a URL; ids and names are compared without them as well.
  function wellFormed(text) {
    return text.replace(/\p{Cs}/gu, "\uFFFD");
  }

  class PairIndex {
    constructor(index, chunkElements) {
      Object.assign(this, index); // models pairs marks ids heads tags tagged, and the columns
      this.size = this.winner.length;
      this.elements = chunkElements;
      this.places = this.chunks.flatMap((count, chunk) =>
        Array.from({ length: count }, (_, place) => [chunk, place]),
      );
      this.unpacked = new Map(); // chunk to its bodies, the least recently used first
      this.texts = new Map(); // prompt to its searchable texts
      this.lowerChunks = new Map(); // chunk to its text in lower case
      this.cachedText = 0;
      this.lowerHeads = null;
    }

    // -- One row ----------------------------------------------------------------------------------

    // The indexes of the two models.
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

    // The index of the winning model, TIE or NOT_JUDGED.
    outcome(row) {
      const [a, b] = this.sides(row);
      return { a, b, t: TIE, "-": NOT_JUDGED }[this.winner[row]];
    }

    // The row of a prompt and, with several models, of two models; -1 if there is none.
    find(id, a, b) {
      const names = (row) => this.names(row).map(wellFormed);
      const between = (row) => a === undefined || (names(row)[0] === a && names(row)[1] === b);
      for (let row = 0; row < this.size; row++) {
        if (wellFormed(this.id(row)) === id && between(row)) return row;
      }
      return -1;
    }

    // -- Filters and order ------------------------------------------------------------------------

    // `filter` has pair and outcome (indexes), marks and tag; null matches everything.
    passes(row, filter) {
      return (
        (filter.pair === null || this.pair[row] === filter.pair) &&
        (filter.outcome === null || this.outcome(row) === filter.outcome) &&
        filter.marks.every((mark) => this.has(row, mark)) &&
        (filter.tag === null || this.tagged[this.prompt[row]].includes(this.tags.indexOf(filter.tag)))
      );
    }

    filtered(filter) {
      const rows = [];
      for (let row = 0; row < this.size; row++) if (this.passes(row, filter)) rows.push(row);
      return rows;
    }

    // The number of rows of each choice if it were the only filter; `pair` null counts all models.
    counts(pair) {
      const totals = { all: 0, outcomes: new Map(), marks: new Map(), tags: new Map() };
      const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
      for (let row = 0; row < this.size; row++) {
        if (pair !== null && this.pair[row] !== pair) continue;
        totals.all++;
        count(totals.outcomes, this.outcome(row));
        for (const mark of this.marks) if (this.has(row, mark)) count(totals.marks, mark);
        for (const tag of new Set(this.tagsOf(row))) count(totals.tags, tag);
      }
      return totals;
    }

    sorted(rows, order) {
      const key = {
        difference: (row) => (this.score[row] === null ? -1 : Math.abs(this.score[row])),
        lost: (row) => (this.score[row] === null ? -11 : -this.score[row]),
        longest: (row) => Math.max(this.length_a[row], this.length_b[row]),
        lengths: (row) => Math.abs(this.length_a[row] - this.length_b[row]),
        disagreement: (row) => this.spread[row],
      }[order];
      return key ? rows.slice().sort((x, y) => key(y) - key(x) || x - y) : rows;
    }

    // -- Texts ------------------------------------------------------------------------------------

    async body(row) {
      const [chunk, place] = this.places[this.prompt[row]];
      return (await this.chunk(chunk))[place];
    }

    async chunk(number) {
      let bodies = this.unpacked.get(number);
      bodies ??= this.chunkText(number).then(JSON.parse);
      this.unpacked.delete(number); // inserted again as the most recently used
      this.unpacked.set(number, bodies);
      if (this.unpacked.size > MAX_CHUNKS) this.unpacked.delete(this.unpacked.keys().next().value);
      return bodies;
    }

    // The latest text is cached: a search that matches a chunk parses it next.
    chunkText(number) {
      if (this.latest?.number !== number) {
        this.latest = { number, text: inflate(this.elements[number]) };
      }
      return this.latest.text;
    }

    // The terms that no pair of a chunk contains: their pairs need not be unpacked.
    async missing(number, queryTerms) {
      let text = this.lowerChunks.get(number);
      if (text === undefined) {
        text = (await this.chunkText(number)).toLowerCase();
        if (this.reserve(text.length)) this.lowerChunks.set(number, text);
      }
      return queryTerms.filter((term) => VERBATIM.test(term) && !text.includes(term));
    }

    // Counts characters that are to be cached; false if there is no room for them.
    reserve(length) {
      if (this.cachedText + length > MAX_CACHED_TEXT) return false;
      this.cachedText += length;
      return true;
    }

    // Calls `report(hits, share)` repeatedly: the matching rows so far and the share of `rows` that
    // is searched, at the end 1. `rows` are in the order of the index. Aborting `signal` stops it.
    async search(rows, query, signal, report) {
      const queryTerms = terms(query);
      const hits = new Set();
      const rest = [];
      this.lowerHeads ??= this.ids.map((id, at) =>
        [id, this.heads[at], ...this.tagged[at].map((tag) => this.tags[tag])].join("\n").toLowerCase(),
      );
      for (const row of rows) {
        const head = this.lowerHeads[this.prompt[row]];
        if (queryTerms.every((term) => head.includes(term))) hits.add(row);
        else rest.push(row);
      }
      report(hits, rest.length ? 0 : 1);
      let paused = performance.now();
      let scanned = { chunk: -1, missing: [] };
      for (const [done, row] of rest.entries()) {
        const [chunk] = this.places[this.prompt[row]];
        if (scanned.chunk !== chunk) scanned = { chunk, missing: await this.missing(chunk, queryTerms) };
        const head = this.lowerHeads[this.prompt[row]];
        if (scanned.missing.every((term) => head.includes(term))) {
          const texts = this.texts.get(this.prompt[row]) ?? (await this.searchable(row));
          if (this.matches(row, texts, queryTerms)) hits.add(row);
        }
        if (signal.aborted) return;
        if (performance.now() - paused < SEARCH_SLICE) continue;
        await new Promise((resume) => setTimeout(resume));
        if (signal.aborted) return;
        report(hits, (done + 1) / rest.length);
        paused = performance.now();
      }
      if (rest.length) report(hits, 1);
    }

    matches(row, texts, queryTerms) {
      const [a, b] = this.sides(row);
      const own = [this.lowerHeads[this.prompt[row]], texts.prompt, texts.completions[a], texts.completions[b]];
      own.push(texts.verdicts[this.pair[row]]);
      return queryTerms.every((term) => own.some((text) => text?.includes(term)));
    }

    // All texts of a prompt in lower case: of the prompt, by model, and by pair of models.
    async searchable(row) {
      const body = await this.body(row);
      const lower = (texts) => texts.filter(Boolean).join("\n").toLowerCase();
      const ofModel = (name, model) => [
        ...body.completions[model].flatMap(({ text, thinking, raw }) => [text, thinking, raw]),
        ...body.completion_failures.filter(({ participant }) => participant === name).map(({ message }) => message),
      ];
      const criteria = body.criteria.flatMap(([name, description]) => [name, description]);
      const texts = {
        prompt: lower([...body.turns.map(([, text]) => text), body.reference, ...criteria]),
        completions: this.models.map((name, model) => lower(ofModel(name, model))),
        verdicts: body.verdicts.map((verdicts, pair) =>
          lower([
            ...verdicts.flatMap(({ judge, reason }) => [judge, reason]),
            ...body.judgment_failures[pair].flatMap(({ kind, message, raw }) => [kind, message, raw]),
          ]),
        ),
      };
      const lengths = [texts.prompt, ...texts.completions, ...texts.verdicts].map((text) => text.length);
      if (this.reserve(lengths.reduce((sum, length) => sum + length, 0))) this.texts.set(this.prompt[row], texts);
      return texts;
    }
  }

  return { load, terms, wellFormed, TIE, NOT_JUDGED };
})();
