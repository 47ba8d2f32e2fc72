// WordDiff.compare(a, b) compares two texts word by word and returns { unit, a, b, shared }: for each
// side a list of [text, isChanged]; `unit` is "word", or "line" for texts that are too long for words;
// `shared` is the share of units that both have. Returns null if there are too many lines as well.
//
// Not jsdiff: completions of two models have few words in common, and its O(ND) search takes 0.8 s
// for 3,000 words a side, where a longest common subsequence in typed arrays takes 0.04 s.
const WordDiff = (() => {
  "use strict";

  const MAX_CELLS = 12_000_000; // of the table of common subsequences: well below 200 ms
  const MAX_CHARACTERS = 400_000; // of both texts; longer ones are compared by line
  const WORD = /[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_]/gu;
  const LINE = /[^\n]+/g;
  const MIN_ISLAND = 3; // shorter common runs between changes are chance, and are shown as changed

  function compare(a, b) {
    for (const [unit, pattern] of [["word", WORD], ["line", LINE]]) {
      if (unit === "word" && a.length + b.length > MAX_CHARACTERS) continue;
      const sides = [tokens(a, pattern), tokens(b, pattern)];
      const codes = encode(sides[0].keys, sides[1].keys);
      const same = common(codes[0], codes[1]);
      if (same === null) continue;
      if (unit === "word") dropIslands(same, codes);
      const count = same.a.reduce((sum, bit) => sum + bit, 0);
      const longer = Math.max(sides[0].keys.length, sides[1].keys.length);
      return {
        unit,
        a: runs(a, sides[0].starts, same.a),
        b: runs(b, sides[1].starts, same.b),
        shared: longer ? count / longer : 1,
      };
    }
    return null;
  }

  function tokens(text, pattern) {
    const keys = [];
    const starts = [];
    for (const match of text.matchAll(pattern)) {
      keys.push(match[0]);
      starts.push(match.index);
    }
    return { keys, starts };
  }

  // Equal words as equal numbers: comparing words is what takes the time.
  function encode(...lists) {
    const numbers = new Map();
    return lists.map((keys) =>
      Int32Array.from(keys, (key) => {
        if (!numbers.has(key)) numbers.set(key, numbers.size);
        return numbers.get(key);
      }),
    );
  }

  // For each token 1 if it belongs to a longest common subsequence, else 0; null if too many.
  function common(a, b) {
    let head = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head++;
    let tail = 0;
    const least = Math.min(a.length, b.length) - head;
    while (tail < least && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
    const inner = [a.length - head - tail, b.length - head - tail];
    if (inner[0] * inner[1] > MAX_CELLS) return null;
    const same = { a: new Uint8Array(a.length), b: new Uint8Array(b.length) };
    same.a.fill(1, 0, head).fill(1, a.length - tail);
    same.b.fill(1, 0, head).fill(1, b.length - tail);
    halves(a, head, head + inner[0], b, head, head + inner[1], same);
    return same;
  }

  // Hirschberg's algorithm: a longest common subsequence in linear memory.
  function halves(a, a0, a1, b, b0, b1, same) {
    if (a0 === a1 || b0 === b1) return;
    if (a1 - a0 === 1) {
      const at = b.subarray(b0, b1).indexOf(a[a0]);
      if (at >= 0) same.a[a0] = same.b[b0 + at] = 1;
      return;
    }
    const middle = (a0 + a1) >> 1;
    const before = lengths(a, a0, middle, b, b0, b1, 1);
    const after = lengths(a, middle, a1, b, b0, b1, -1);
    let best = -1;
    let split = b0;
    for (let j = 0; j <= b1 - b0; j++) {
      const sum = before[j] + after[b1 - b0 - j];
      if (sum > best) [best, split] = [sum, b0 + j];
    }
    halves(a, a0, middle, b, b0, split, same);
    halves(a, middle, a1, b, split, b1, same);
  }

  // The last row of the table of lengths, computed forwards (step 1) or backwards (step -1).
  function lengths(a, a0, a1, b, b0, b1, step) {
    const row = new Int32Array(b1 - b0 + 1);
    const [aFrom, bFrom] = step > 0 ? [a0, b0] : [a1 - 1, b1 - 1];
    for (let i = 0; i < a1 - a0; i++) {
      const word = a[aFrom + step * i];
      let corner = 0;
      for (let j = 1; j < row.length; j++) {
        const above = row[j];
        const left = row[j - 1];
        if (b[bFrom + step * (j - 1)] === word) row[j] = corner + 1;
        else if (left > above) row[j] = left;
        corner = above;
      }
    }
    return row;
  }

  // A lone "the" that two different sentences share is noise.
  function dropIslands(same, [a, b]) {
    let [i, j, changed] = [0, 0, 0];
    while (i < a.length || j < b.length) {
      while (i < a.length && !same.a[i]) changed++, i++;
      while (j < b.length && !same.b[j]) changed++, j++;
      let run = 0;
      while (i + run < a.length && j + run < b.length && same.a[i + run] && same.b[j + run]) run++;
      const inside = i + run < a.length || j + run < b.length;
      if (run < MIN_ISLAND && changed > 2 * run && inside) {
        same.a.fill(0, i, i + run);
        same.b.fill(0, j, j + run);
        changed += 2 * run;
      } else changed = 0;
      i += run;
      j += run;
    }
  }

  // The whole text as runs of shared and changed tokens.
  function runs(text, starts, same) {
    const result = [];
    let from = 0;
    for (let i = 1; i <= starts.length; i++) {
      if (i < starts.length && same[i] === same[i - 1]) continue;
      const to = i < starts.length ? starts[i] : text.length;
      result.push([text.slice(from, to), !same[i - 1]]);
      from = to;
    }
    return starts.length ? result : [[text, false]];
  }

  return { compare };
})();
