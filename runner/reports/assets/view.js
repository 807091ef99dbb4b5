"use strict";
// The view of the matrix page as a value that stands in the address, so that it can be sent to somebody.

site.view = (() => {
  /** For each axis, the axes that its value settles: TensorFlow's says which Keras was of its time. */
  function followers(matrix) {
    return matrix.axes.map((_, axis) =>
      matrix.axes.map((_other, other) => other !== axis && settles(matrix.cells.values[axis], matrix.cells.values[other])),
    );
  }

  function settles(ours, theirs) {
    const seen = new Map();
    return ours.every((value, place) => {
      if (!seen.has(value)) seen.set(value, theirs[place]);
      return seen.get(value) === theirs[place];
    });
  }

  /** What is shown first: the base as columns, the longest of the others as rows, the rest as small multiples. */
  function first(matrix, follows) {
    const size = (axis) => matrix.axes[axis].values.length;
    const columns = Math.max(0, matrix.axes.findIndex((axis) => axis.name === matrix.base));
    const others = matrix.axes.map((_, axis) => axis).filter((axis) => axis !== columns);
    const free = others.filter((axis) => !follows[columns][axis]);
    const rows = (free.length ? free : others).sort((one, other) => size(other) - size(one))[0] ?? -1;
    return { columns, rows, only: {}, query: "", chosen: false };
  }

  /** The view as a window of `room` rem shows it: what nobody chose is turned where that makes it fit, or less wide. */
  function fitted(view, matrix, room) {
    if (view.chosen || view.rows < 0) return view;
    const columns = (axis) => matrix.axes[axis].values.length; // of all cells: a query does not turn what it narrows
    const least = (axis) => site.grid.least(columns(axis), room);
    const turned = least(view.columns) > room && columns(view.rows) < columns(view.columns);
    return turned ? { ...view, rows: view.columns, columns: view.rows } : view;
  }

  /** The view that an address means; what it does not say is as in `start`. */
  function read(hash, matrix, start) {
    const said = new URLSearchParams(hash.replace(/^#/, ""));
    const axis = (name) => matrix.axes.findIndex((one) => one.name === name);
    const view = { ...start, only: {}, query: said.get("q") ?? "", chosen: axis(said.get("columns")) >= 0 || axis(said.get("rows")) >= 0 };
    if (axis(said.get("columns")) >= 0) view.columns = axis(said.get("columns"));
    if (axis(said.get("rows")) >= 0) view.rows = axis(said.get("rows"));
    if (view.rows === view.columns) view.rows = matrix.axes.findIndex((_, one) => one !== view.columns);
    for (const [name, value] of said) {
      const found = name.startsWith("only.") ? axis(name.slice(5)) : -1;
      const place = found < 0 ? -1 : matrix.axes[found].values.indexOf(value);
      if (place >= 0) view.only[found] = place;
    }
    return view;
  }

  /** The address of a view: only what somebody chose. */
  function write(view, matrix) {
    const says = new URLSearchParams();
    if (view.chosen) says.set("columns", matrix.axes[view.columns].name);
    if (view.chosen && view.rows >= 0) says.set("rows", matrix.axes[view.rows].name);
    for (const [axis, place] of Object.entries(view.only)) says.set(`only.${matrix.axes[axis].name}`, matrix.axes[axis].values[place]);
    if (view.query) says.set("q", view.query);
    return says.toString();
  }

  return { followers, first, fitted, read, write };
})();
