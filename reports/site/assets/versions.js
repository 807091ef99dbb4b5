"use strict";
// Versions as numbers with dots, compared part by part; what is no version is compared as text.

site.versions = (() => {
  const parts = (text) => text.split(/[.+-]/).map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const isVersion = (text) => /^\d/.test(text);

  /** Negative, zero or positive, as `one` comes before, with or after `other`; missing parts count as 0. */
  function compare(one, other) {
    const [mine, theirs] = [parts(one), parts(other)];
    for (let at = 0; at < Math.max(mine.length, theirs.length); at += 1) {
      const [left, right] = [mine[at] ?? 0, theirs[at] ?? 0];
      if (left === right) continue;
      if (typeof left === "number" && typeof right === "number") return left - right;
      if (typeof left !== typeof right) return typeof left === "number" ? 1 : -1; // 2.0rc1 comes before 2.0.1
      return left < right ? -1 : 1;
    }
    return 0;
  }

  /** Whether a value is meant by what was typed: itself, a version that it is one of, or for names a part of it. */
  function means(value, typed) {
    if (value.toLowerCase() === typed.toLowerCase()) return true;
    if (isVersion(value)) return value.startsWith(`${typed}.`);
    return value.toLowerCase().split(/[/\\]/).pop().startsWith(typed.toLowerCase());
  }

  const tests = {
    ">=": (found) => found >= 0,
    "<=": (found) => found <= 0,
    ">": (found) => found > 0,
    "<": (found) => found < 0,
    "==": (found) => found === 0,
    "!=": (found) => found !== 0,
  };

  return { compare, means, isVersion, tests };
})();
