"use strict";
// The grid: one table for each value of the axes that are neither rows nor columns. Tables, and the rows of long ones,
// are made when they come near the window, so that ten thousand cells cost no more than those in sight.

site.grid = (() => {
  const { make, breakable, longestWord, symbols, figure } = site;
  const ROWS_AT_ONCE = 16;
  const ROW_HEIGHT = 54;
  /** Widths in rem: of labels the least and the most, in a narrow window and in others; of columns. */
  const LABELS = { narrow: [6.5, 10], wide: [9.5, 14] };
  const NARROW = 36;
  /** Labels of more characters than this get a wider column. */
  const LONG_LABEL = 16;
  const LETTER = 0.52;
  const COLUMN = 7;
  /** Columns grow to the width of the window, those of a grid of few as far as this. */
  const [WIDEST, WIDER, FEW] = [9, 18, 4];

  let builders = new WeakMap();
  let whenBuilt = () => {};
  const observer = new IntersectionObserver(
    (entries) => entries.forEach((entry) => entry.isIntersecting && build(entry.target)),
    { rootMargin: "600px" },
  );

  function build(element) {
    const builder = builders.get(element);
    if (!builder) return;
    builders.delete(element);
    observer.unobserve(element);
    builder();
    whenBuilt();
  }

  function later(element, builder) {
    builders.set(element, builder);
    observer.observe(element);
  }

  /** What stands for a value on its axis: of a path that no other value ends like, the last part. */
  function shortNames(axis) {
    const endings = new Set(axis.values.map((value) => value.match(/\.\w+$/)?.[0]));
    const ending = axis.kind === "script" && endings.size === 1 ? [...endings][0] : undefined;
    const last = axis.values.map((value) => value.split("/").pop().slice(0, ending ? -ending.length : undefined));
    return axis.values.map((value, at) => (axis.kind === "script" && last.indexOf(last[at]) === last.lastIndexOf(last[at]) ? last[at] : value));
  }

  /** The least width of a grid with so many columns, in rem. */
  const least = (columns, room) => (room < NARROW ? LABELS.narrow : LABELS.wide)[0] + columns * COLUMN;

  /** Lay out the places of `shown` cells for a view in a window of `room` rem, and call `built` after each part; `whole`
   * makes every row at once, and parts of what is too wide. Returns the least width of the widest table. */
  function draw(into, matrix, follows, view, shown, { built, room, whole }) {
    observer.disconnect();
    whenBuilt = built;
    builders = new WeakMap();
    const layout = {
      matrix,
      view,
      room,
      whole,
      names: matrix.axes.map(shortNames),
      follow: (axis) => (axis < 0 ? [] : matrix.axes.map((_, other) => other).filter((other) => follows[axis][other] && other !== view.rows && other !== view.columns && matrix.axes[other].values.length > 1)),
    };
    const panels = panelsOf(layout, shown, follows);
    const found = [...panels.values()];
    const needed = Math.max(0, ...found.map((panel) => (view.rows < 0 ? panel.columns.size * COLUMN : least(panel.columns.size, room))));
    into.style.gridTemplateColumns = found.length > 1 ? `repeat(auto-fill, minmax(min(100%, ${Math.max(needed, 18)}rem), 1fr))` : "";
    into.replaceChildren(...found.map((panel, at) => section(layout, panel, whole || at === 0)));
    return needed;
  }

  /** The cells by the values of all other axes; an axis that follows rows or columns makes no tables of its own. */
  function panelsOf(layout, shown, follows) {
    const { matrix, view } = layout;
    const rest = matrix.axes
      .map((_, axis) => axis)
      .filter((axis) => axis !== view.rows && axis !== view.columns)
      .filter((axis) => !follows[view.columns][axis] && !(view.rows >= 0 && follows[view.rows][axis]));
    const panels = new Map();
    for (const place of shown) {
      const key = rest.map((axis) => matrix.cells.values[axis][place]).join(" ");
      if (!panels.has(key)) panels.set(key, { title: title(layout, rest, place), cells: new Map(), rows: new Set(), columns: new Set() });
      const panel = panels.get(key);
      const [row, column] = [view.rows < 0 ? 0 : matrix.cells.values[view.rows][place], matrix.cells.values[view.columns][place]];
      panel.rows.add(row);
      panel.columns.add(column);
      const at = `${row} ${column}`;
      panel.cells.set(at, [...(panel.cells.get(at) ?? []), place]);
    }
    return panels;
  }

  function title(layout, rest, place) {
    const { matrix, names } = layout;
    return rest
      .filter((axis) => matrix.axes[axis].values.length > 1)
      .map((axis) => `${matrix.axes[axis].name} ${names[axis][matrix.cells.values[axis][place]] ?? "none"}`)
      .join(", ");
  }

  const ordered = (places) => [...places].sort((one, other) => one - other);

  /** One panel; the first is made at once, so that nothing blinks while a query is typed. */
  function section(layout, panel, atOnce) {
    const rows = ordered(panel.rows);
    const element = make("section", { class: "panel" });
    const fill = () => {
      element.style.minHeight = "";
      const parts = columnsByLine(layout, panel, rows);
      element.replaceChildren(...(panel.title ? [make("h2", {}, panel.title)] : []), ...parts.map((columns, at) => lineOf(layout, panel, rows, columns, at, parts.length)));
    };
    if (atOnce) {
      fill();
      return element;
    }
    element.style.minHeight = `${Math.min(rows.length, 40) * ROW_HEIGHT + 80}px`;
    later(element, fill);
    return element;
  }

  /** The columns of each table of a panel: all in one, but a single axis, and what is too wide for paper, in several. */
  function columnsByLine(layout, panel, rows) {
    const columns = ordered(panel.columns);
    if (layout.view.rows >= 0 && !layout.whole) return [columns];
    const most = Math.max(1, Math.floor((layout.room - (layout.view.rows < 0 ? 0 : labelWidth(layout, rows))) / COLUMN));
    const lines = Math.ceil(columns.length / most);
    const each = Math.ceil(columns.length / lines);
    return Array.from({ length: lines }, (_, at) => columns.slice(at * each, (at + 1) * each));
  }

  /** The width of the labels of rows: of the longest word, within limits. */
  function labelWidth(layout, rows) {
    const { room, view, names } = layout;
    const [low, high] = room < NARROW ? LABELS.narrow : LABELS.wide;
    if (view.rows < 0) return 0;
    const labels = rows.map((row) => names[view.rows][row]);
    if (room >= NARROW && labels.some((label) => label.length > LONG_LABEL)) return high;
    return Math.min(high, Math.max(low, ...labels.map((label) => longestWord(label) * LETTER + 1.2)));
  }

  /** One table in a box that scrolls where the table is wider than the window; then its head stays in sight. */
  function lineOf(layout, panel, rows, columns, at, parts) {
    const axis = layout.matrix.axes[layout.view.columns].name;
    const line = layout.view.rows < 0;
    const table = make("table", { class: line ? "grid line" : "grid" }, ...(line && at === 0 ? [make("caption", {}, axis)] : []), head(layout, panel, columns), ...bodies(layout, panel, rows, columns));
    const labels = labelWidth(layout, rows);
    const needed = labels + columns.length * COLUMN;
    const most = labels + columns.length * (columns.length > FEW ? WIDEST : WIDER);
    table.style.setProperty("--label", `${labels}rem`);
    table.style.width = layout.whole ? "100%" : `clamp(${needed}rem, 100%, ${most}rem)`;
    table.setAttribute("aria-label", (panel.title || "All cells") + (parts > 1 ? `, ${at + 1} of ${parts}` : ""));
    return make("div", { class: needed > layout.room ? "scroll over" : "scroll" }, table);
  }

  function head(layout, panel, columns) {
    const { matrix, view, names } = layout;
    const corner = view.rows < 0 ? matrix.axes[view.columns].name : `${matrix.axes[view.rows].name} \\ ${matrix.axes[view.columns].name}`;
    const cells = columns.map((column) =>
      make("th", { scope: "col" }, make("span", { class: "value" }, ...breakable(names[view.columns][column])), ...followed(layout, panel, view.columns, column)),
    );
    return make("thead", {}, make("tr", {}, make("th", { class: "corner", scope: "col" }, corner), ...cells));
  }

  /** What goes with a value of an axis, such as the Keras of a TensorFlow. */
  function followed(layout, panel, axis, value) {
    const { matrix, names } = layout;
    const place = [...panel.cells.values()].flat().find((one) => matrix.cells.values[axis][one] === value);
    return layout.follow(axis).map((other) => make("span", { class: "with" }, `${matrix.axes[other].name} `, ...breakable(names[other][matrix.cells.values[other][place]] ?? "none")));
  }

  function bodies(layout, panel, rows, columns) {
    const found = [];
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      const some = rows.slice(at, at + ROWS_AT_ONCE);
      const body = make("tbody", {});
      const fill = () => body.replaceChildren(...some.map((row) => line(layout, panel, row, columns)));
      if (at === 0 || layout.whole) fill();
      else {
        const gap = make("td", { colspan: columns.length + 1 });
        gap.style.height = `${some.length * ROW_HEIGHT}px`;
        body.append(make("tr", { class: "gap" }, gap));
        later(body, fill);
      }
      found.push(body);
    }
    return found;
  }

  function line(layout, panel, row, columns) {
    const { view, names } = layout;
    const label = view.rows < 0 ? "all" : names[view.rows][row];
    const header = make("th", { scope: "row" }, make("span", { class: "value" }, ...breakable(label)), ...(view.rows < 0 ? [] : followed(layout, panel, view.rows, row)));
    return make("tr", {}, header, ...columns.map((column) => make("td", {}, ...(panel.cells.get(`${row} ${column}`) ?? []).map((place) => cell(layout.matrix, place)))));
  }

  /** One cell: outcome by colour, symbol and word; seeds converged of seeds counted; the final value. */
  function cell(matrix, place) {
    const { cells, words } = matrix;
    const kind = matrix.kinds[cells.kind[place]];
    const symbol = make("span", { class: "symbol", "aria-hidden": "true" }, symbols[kind]);
    const figures = [words.stage[cells.stage[place]], cells.counted[place] ? `${cells.converged[place]}/${cells.counted[place]}` : "", figure(cells.final[place])].filter(Boolean);
    return make(
      "a",
      { class: `cell ${kind}${cells.missed[place] ? " missed" : ""}`, href: `cells/${cells.id[place]}.html`, "data-place": place, tabindex: "-1" },
      make("span", { class: "word" }, symbol, ...breakable(words.short[cells.short[place]])),
      make("span", { class: "numbers" }, ...(figures.length ? figures.flatMap((one, at) => [at ? " · " : "", make("span", { class: "part" }, one)]) : ["–"])),
    );
  }

  /** All places of the grid that the keyboard can go to, made or not: rows that are not there yet are made first. */
  function move(from, rows, columns) {
    const row = from.closest("tr");
    const table = row.closest("table");
    const at = [...row.cells].indexOf(from.closest("td"));
    let next = row;
    if (rows > 0 && !next.nextElementSibling) {
      const body = next.closest("tbody").nextElementSibling;
      if (body) build(body);
      next = body?.rows[0] ?? next;
    } else if (rows < 0 && !next.previousElementSibling) {
      const body = next.closest("tbody").previousElementSibling;
      if (body?.tagName === "TBODY") build(body);
      next = body?.tagName === "TBODY" ? body.rows[body.rows.length - 1] : next;
    } else if (rows) next = rows > 0 ? next.nextElementSibling : next.previousElementSibling;
    const step = columns || 1;
    for (let column = at + columns; column > 0 && column < next.cells.length; column += step) {
      const target = next.cells[column].querySelector("a");
      if (target) return target;
      if (!columns) break;
    }
    return (rows && [...next.querySelectorAll("a")].sort((one, other) => Math.abs([...next.cells].indexOf(one.closest("td")) - at) - Math.abs([...next.cells].indexOf(other.closest("td")) - at))[0]) || (table && null);
  }

  return { draw, least, move, build };
})();
