"use strict";
// Two cells that the reader chose, held against each other: exact tests as in docs/verdicts.md, without correction,
// since nobody knows how many pairs were looked at before.

site.statistics = (() => {
  const logFactorials = [0];
  function logFactorial(n) {
    while (logFactorials.length <= n) logFactorials.push(logFactorials.at(-1) + Math.log(logFactorials.length));
    return logFactorials[n];
  }
  const logChoose = (n, k) => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

  /** Two-sided p of Fisher's exact test: `a` of `n` successes against `b` of `m`. */
  function fisher(a, n, b, m) {
    const successes = a + b;
    const probability = (x) => Math.exp(logChoose(n, x) + logChoose(m, successes - x) - logChoose(n + m, successes));
    const seen = probability(a) * (1 + 1e-7);
    let p = 0;
    for (let x = Math.max(0, successes - m); x <= Math.min(n, successes); x += 1) if (probability(x) <= seen) p += probability(x);
    return Math.min(1, p);
  }

  /** How often each value of Mann and Whitney's U comes about by chance, of n and m values without ties. */
  function distribution(n, m) {
    let counts = Array.from({ length: m + 1 }, () => [1]);
    for (let i = 1; i <= n; i += 1) {
      const next = [[1]];
      for (let j = 1; j <= m; j += 1) {
        const sum = new Array(i * j + 1).fill(0);
        next[j - 1].forEach((count, u) => (sum[u + 0] += count)); // the largest is one of theirs: it beats none of ours
        counts[j].forEach((count, u) => (sum[u + j] += count)); // the largest is ours: it beats all j of theirs
        next.push(sum);
      }
      counts = next;
    }
    return counts[m];
  }

  /** U of the first, and the exact two-sided p; p is null where values are tied. */
  function mannWhitney(ours, theirs) {
    let u = 0;
    for (const one of ours) for (const other of theirs) u += one > other ? 1 : one === other ? 0.5 : 0;
    if (new Set([...ours, ...theirs]).size < ours.length + theirs.length) return { u, p: null };
    const counts = distribution(ours.length, theirs.length);
    const all = counts.reduce((one, other) => one + other, 0);
    const extreme = Math.max(u, ours.length * theirs.length - u);
    const tail = counts.slice(extreme).reduce((one, other) => one + other, 0);
    return { u, p: Math.min(1, (2 * tail) / all) };
  }

  return { fisher, mannWhitney };
})();
