// Word differences of two texts. Knows no page: two strings in, runs of words out.
//
// Diff.words(a, b) gives { by, a, b, shared }: for each side a list of [text, isChanged], `by` the
// unit that was compared ("word", or "line" where the texts are too long for words), `shared` the
// share of words that stand in both. It gives null where even lines are too many to compare.
const Diff = (() => {
  "use strict";

  const MOST = 12_000_000; // cells of the table of common subsequences: well below 200 ms
  const LONGEST = 400_000; // characters of both together whose words are counted at all
  const WORD = /[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_]/gu;
  const LINE = /[^\n]+/g;
  const ISLAND = 3; // so few words in common between changes are chance, and read better as changed

  function words(a, b) {
    for (const [by, pattern] of [["word", WORD], ["line", LINE]]) {
      if (by === "word" && a.length + b.length > LONGEST) continue;
      const cut = [tokens(a, pattern), tokens(b, pattern)];
      const codes = encoded(cut[0].keys, cut[1].keys);
      const same = common(codes[0], codes[1]);
      if (same === null) continue;
      if (by === "word") drown(same, codes);
      const kept = same.a.reduce((sum, bit) => sum + bit, 0);
      const all = Math.max(cut[0].keys.length, cut[1].keys.length);
      return {
        by,
        a: runs(a, cut[0].starts, same.a),
        b: runs(b, cut[1].starts, same.b),
        shared: all ? kept / all : 1,
      };
    }
    return null;
  }

  function tokens(text, pattern) {
    const keys = [];
    const starts = [];
    for (const found of text.matchAll(pattern)) {
      keys.push(found[0]);
      starts.push(found.index);
    }
    return { keys, starts };
  }

  // Numbers in place of words, the same for the same word: comparing them is what takes the time.
  function encoded(...lists) {
    const known = new Map();
    return lists.map((keys) =>
      Int32Array.from(keys, (key) => {
        if (!known.has(key)) known.set(key, known.size);
        return known.get(key);
      }),
    );
  }

  // Which tokens of each side belong to a longest common subsequence, 1 or 0; null: too many.
  function common(a, b) {
    let head = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head++;
    let tail = 0;
    const least = Math.min(a.length, b.length) - head;
    while (tail < least && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
    const inner = [a.length - head - tail, b.length - head - tail];
    if (inner[0] * inner[1] > MOST) return null;
    const same = { a: new Uint8Array(a.length), b: new Uint8Array(b.length) };
    same.a.fill(1, 0, head).fill(1, a.length - tail);
    same.b.fill(1, 0, head).fill(1, b.length - tail);
    halves(a, head, head + inner[0], b, head, head + inner[1], same);
    return same;
  }

  // Hirschberg: a longest common subsequence in memory that grows with the length alone.
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

  // The last row of the table of lengths, read forwards or backwards.
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

  // A lone "the" that two different sentences share tells nobody anything.
  function drown(same, [a, b]) {
    let [i, j, changed] = [0, 0, 0];
    while (i < a.length || j < b.length) {
      while (i < a.length && !same.a[i]) changed++, i++;
      while (j < b.length && !same.b[j]) changed++, j++;
      let run = 0;
      while (i + run < a.length && j + run < b.length && same.a[i + run] && same.b[j + run]) run++;
      const inside = i + run < a.length || j + run < b.length;
      if (run < ISLAND && changed > 2 * run && inside) {
        same.a.fill(0, i, i + run);
        same.b.fill(0, j, j + run);
        changed += 2 * run;
      } else changed = 0;
      i += run;
      j += run;
    }
  }

  // The text again, whole, in runs of what is shared and what is not.
  function runs(text, starts, same) {
    const found = [];
    let from = 0;
    for (let i = 1; i <= starts.length; i++) {
      if (i < starts.length && same[i] === same[i - 1]) continue;
      const to = i < starts.length ? starts[i] : text.length;
      found.push([text.slice(from, to), !same[i - 1]]);
      from = to;
    }
    return starts.length ? found : [[text, false]];
  }

  return { words };
})();
