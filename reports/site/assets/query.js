"use strict";
// The query language: a text becomes a test of cells, or says what of it can't be understood.
//
//   outcome:bad keras:>=2.3 -import:keras "two words"      pass→fail along tensorflow

site.query = (() => {
  const { compare, means, tests } = site.versions;
  const KINDS = { pass: "good", good: "good", fail: "bad", bad: "bad", flaky: "undecided", undecided: "undecided", blocked: "untestable", untestable: "untestable", "left-out": "left-out", any: "any" };
  const FIGURES = { final: "final", seconds: "seconds", memory: "memory", seeds: "seeds", converged: "converged", counted: "counted" };
  const WORDS = { reason: ["reason", "exception"], exception: ["exception"], compared: ["compared"], flag: ["flags"], expected: ["expected"] };
  const OPERATOR = /^(>=|<=|!=|==|>|<)(.+)$/;

  class QueryError extends Error {}

  /** The conditions of a text: what stands in quotes is one word. */
  const words = (text) => text.match(/-?(?:[\w.-]+:)?"[^"]*"|\S+/g) ?? [];
  const bare = (text) => text.replace(/"/g, "");

  /** A test of the place of a cell; throws QueryError. */
  function parse(text, matrix) {
    const conditions = [];
    const found = words(text);
    for (let at = 0; at < found.length; at += 1) {
      const step = found[at].match(/^(\w+)(?:→|->)(\w+)$/);
      if (step) {
        const along = found[at + 1] === "along" ? found[at + 2] : null;
        if (found[at + 1] === "along") at += 2;
        conditions.push(stepTest(step[1], step[2], along, matrix));
      } else {
        const negated = found[at].startsWith("-") && found[at].length > 1;
        const test = condition(negated ? found[at].slice(1) : found[at], matrix);
        conditions.push(negated ? (place) => !test(place) : test);
      }
    }
    return (place) => conditions.every((test) => test(place));
  }

  function condition(text, matrix) {
    const colon = text.indexOf(":");
    if (colon < 1 || text.startsWith('"')) return anywhere(bare(text), matrix);
    const [name, value] = [text.slice(0, colon), bare(text.slice(colon + 1))];
    if (!value) throw new QueryError(`${name}: what? Write a value after the colon.`);
    const axis = matrix.axes.findIndex((one) => one.name.toLowerCase() === name.toLowerCase());
    if (axis >= 0) return axisTest(axis, value, matrix);
    if (name === "outcome") return outcomeTest(value, matrix);
    if (name === "failure") return failureTest(value, matrix);
    if (name === "expected" && value === "missed") return (place) => matrix.cells.missed[place] === 1;
    if (name in FIGURES) return figureTest(FIGURES[name], value, matrix);
    if (name in WORDS) return wordTest(WORDS[name], value, matrix);
    throw new QueryError(`There is no axis or field “${name}”${nearest(name, matrix)}.`);
  }

  function nearest(name, matrix) {
    const names = [...matrix.axes.map((axis) => axis.name), "outcome", "failure", ...Object.keys(FIGURES), ...Object.keys(WORDS)];
    const close = names.find((one) => one.startsWith(name.slice(0, 2).toLowerCase()));
    return close ? `; did you mean “${close}”?` : `; there are ${names.join(", ")}`;
  }

  function axisTest(axis, value, matrix) {
    const alternatives = value.split(",").map((one) => {
      const operator = one.match(OPERATOR);
      return operator ? (has) => tests[operator[1]](compare(has, operator[2])) : (has) => means(has, one);
    });
    const ranges = value.split(",").every((one) => OPERATOR.test(one)); // >=2,<3 is a range, 2.3,2.4 are alternatives
    const fits = matrix.axes[axis].values.map((has) => (ranges ? alternatives.every((test) => test(has)) : alternatives.some((test) => test(has))));
    return (place) => fits[matrix.cells.values[axis][place]] ?? false;
  }

  function outcomeTest(value, matrix) {
    const lower = value.toLowerCase();
    const kind = matrix.kinds.indexOf(KINDS[lower]);
    const fits = matrix.words.outcome.map((word) => word.toLowerCase().includes(lower));
    return (place) => (kind >= 0 ? matrix.cells.kind[place] === kind : fits[matrix.cells.outcome[place]]);
  }

  function failureTest(value, matrix) {
    const failure = matrix.failures[Number(value) - 1];
    if (!failure) throw new QueryError(`There is no failure ${value}: there are ${matrix.failures.length}.`);
    const cells = new Set(failure.cells);
    return (place) => cells.has(place);
  }

  function figureTest(field, value, matrix) {
    const operator = value.match(OPERATOR) ?? [value, "==", value];
    const limit = Number(operator[2]) * (field === "memory" ? 1e6 : 1);
    const named = operator[2].toLowerCase();
    if (Number.isNaN(limit) && named !== "nan") throw new QueryError(`${field}:${value} needs a number, such as ${field}:<1e-6.`);
    return (place) => {
      const has = matrix.cells[field][place];
      if (named === "nan") return has === "nan" ? operator[1] !== "!=" : operator[1] === "!=";
      return typeof has === "number" && tests[operator[1]](has - limit);
    };
  }

  function wordTest(fields, value, matrix) {
    const lower = value.toLowerCase();
    const fits = fields.map((field) => matrix.words[field].map((word) => word.toLowerCase().includes(lower)));
    return (place) => fields.some((field, at) => fits[at][matrix.cells[field][place]]);
  }

  function anywhere(text, matrix) {
    const lower = text.toLowerCase();
    const values = matrix.axes.map((axis) => axis.values.map((value) => value.toLowerCase().includes(lower)));
    const test = wordTest(["outcome", "reason", "exception", "compared", "flags"], text, matrix);
    return (place) => values.some((fits, axis) => fits[matrix.cells.values[axis][place]]) || test(place);
  }

  function stepTest(before, after, along, matrix) {
    const [from, to] = [before, after].map((word) => KINDS[word.toLowerCase()]);
    if (!from || !to) throw new QueryError(`“${from ? after : before}” is no outcome: pass, fail, undecided, untestable or any.`);
    if (along === undefined) throw new QueryError("along which axis?");
    if (along && !matrix.axes.some((axis) => axis.name === along)) throw new QueryError(`There is no axis “${along}”.`);
    const is = (place, kind) => kind === "any" || matrix.kinds[matrix.cells.kind[place]] === kind;
    const cells = new Set();
    for (const [axis, one, other] of matrix.changes) {
      if ((along && axis !== along) || !is(one, from) || !is(other, to)) continue;
      cells.add(one).add(other);
    }
    return (place) => cells.has(place);
  }

  return { parse, QueryError };
})();
