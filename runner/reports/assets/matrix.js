"use strict";
// The matrix page: choices of the reader become a view, a view becomes the grid, the failures and the address.

site.given("matrix").then((matrix) => {
  const { make, view: views, grid, query, tip } = site;
  const $ = (id) => document.getElementById(id);
  const follows = views.followers(matrix);
  const start = views.first(matrix, follows);
  const FAILURES = 30;
  const LINKS = 12;
  /** The failures beside the grid take so many rem. */
  const ASIDE = 21.5;
  /** The width of a sheet of paper in portrait, with the smaller letters that it has. */
  const PAPER = 56;
  let view = views.read(location.hash, matrix, start);
  let seen = view; // as the window shows it
  let room = 0; // its width in rem
  let shown = [];

  const name = (place) => matrix.axes.filter((axis) => axis.values.length > 1).map((axis) => axis.values[matrix.cells.values[matrix.axes.indexOf(axis)][place]]).filter(Boolean).join(" · ");

  function select(id, label, options, chosen, change) {
    const element = make("select", { id }, ...options.map(([value, words]) => make("option", { value, selected: String(value) === String(chosen) }, words)));
    element.addEventListener("change", () => change(element.value));
    return make("div", { class: "axis" }, make("label", { for: id }, label), element);
  }

  function drawAxes() {
    const axes = matrix.axes.map((axis, at) => [at, axis.name]);
    const pick = (key, other) => (value) => {
      const chosen = Number(value);
      const swapped = seen[other] === chosen ? { [other]: seen[key] } : {};
      update({ ...seen, ...swapped, [key]: chosen, chosen: true }, `axis-${key}`);
    };
    const rest = axes.filter(([at]) => matrix.axes[at].values.length > 1);
    $("axes").replaceChildren(
      ...(seen.rows < 0 ? [] : [select("axis-rows", "Rows", axes, seen.rows, pick("rows", "columns"))]),
      select("axis-columns", "Columns", axes, seen.columns, pick("columns", "rows")),
      make("span", { class: "between" }, "show"),
      ...rest.map(([at, label]) =>
        select(`axis-${at}`, label, [["", "all"], ...matrix.axes[at].values.map((value, place) => [place, value])], view.only[at] ?? "", (value) => {
          const only = { ...view.only };
          if (value === "") delete only[at];
          else only[at] = Number(value);
          update({ ...view, only }, `axis-${at}`);
        }),
      ),
    );
  }

  function drawFailures() {
    const inside = new Set(shown);
    const found = matrix.failures
      .map((failure, at) => ({ ...failure, at, cells: failure.cells.filter((place) => inside.has(place)) }))
      .filter((failure) => failure.cells.length)
      .slice(0, FAILURES);
    const item = (failure) => {
      const button = make("button", { type: "button", class: "only", "aria-label": `Show only the cells of: ${failure.reason}` }, "only these");
      button.addEventListener("click", () => ask(`failure:${failure.at + 1}`));
      const links = failure.cells.slice(0, LINKS).map((place) => make("li", {}, make("a", { href: `cells/${matrix.cells.id[place]}.html` }, name(place))));
      const more = failure.cells.length > LINKS ? [make("li", { class: "muted" }, `and ${failure.cells.length - LINKS} more`)] : [];
      const count = numberOf(failure.cells.length);
      return make("li", { class: "failure" }, make("p", { class: "reason" }, ...site.breakable(failure.reason)), ...(failure.advice ? [make("p", {}, failure.advice)] : []), ...(failure.accounts.length ? [make("p", {}, ...failure.accounts.map((account) => make("a", { href: `why.html#a-${account}` }, "Why it fails")))] : []), make("p", { class: "muted" }, `${failure.label}, ${count} `, button), make("details", {}, make("summary", {}, "Its cells"), make("ul", {}, ...links, ...more)));
    };
    $("failures").replaceChildren(found.length ? make("ol", {}, ...found.map(item)) : make("p", { class: "muted" }, "None among these cells."));
  }

  const numberOf = (count) => `${count} ${count === 1 ? "cell" : "cells"}`;

  function drawKinds() {
    const counts = matrix.kinds.map(() => 0);
    for (const place of shown) counts[matrix.cells.kind[place]] += 1;
    for (const button of $("kinds").children) {
      const at = matrix.kinds.indexOf(button.dataset.kind);
      button.querySelector(".count").textContent = counts[at];
      button.setAttribute("aria-pressed", view.query.split(/\s+/).includes(`outcome:${button.dataset.kind}`));
    }
  }

  /** The cells of a view; a query that can't be read leaves those before it, and says why. */
  function choose() {
    const note = $("query-note");
    try {
      const test = query.parse(view.query, matrix);
      const only = Object.entries(view.only);
      shown = matrix.cells.id.map((_, place) => place).filter((place) => only.every(([axis, value]) => matrix.cells.values[axis][place] === value) && test(place));
      note.classList.remove("wrong");
      note.textContent = shown.length === matrix.cells.id.length ? numberOf(shown.length) : `${shown.length} of ${numberOf(matrix.cells.id.length)}`;
    } catch (error) {
      if (!(error instanceof query.QueryError)) throw error;
      note.classList.add("wrong");
      note.textContent = error.message;
    }
  }

  function update(next, focus) {
    view = next;
    const address = views.write(view, matrix);
    history.replaceState(null, "", address ? `#${address}` : location.pathname + location.search);
    draw();
    if (focus) $(focus).focus(); // the choices were made anew
  }

  function ask(text) {
    $("query").value = text;
    update({ ...view, query: text });
  }

  const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
  const wholeRoom = () => $("panels").parentElement.clientWidth / rem();

  /** All of the page; on paper (`room` is its width) every row is made, and what is too wide stands in parts. */
  function draw(paper = 0) {
    choose();
    room = paper || wholeRoom();
    seen = views.fitted(view, matrix, room);
    drawAxes();
    drawKinds();
    drawFailures();
    const needed = grid.draw($("panels"), matrix, follows, seen, shown, { built: firstStop, room, whole: paper > 0 });
    const columns = $("panels").parentElement.classList;
    columns.toggle("wide", needed > room - ASIDE); // the failures go below a grid that needs the room
    if ($("failures").parentElement.offsetHeight > 1.25 * $("panels").offsetHeight) columns.add("wide"); // or that is short
    firstStop();
    if (!shown.length) $("panels").replaceChildren(make("p", { class: "note" }, "No cell is like that."));
  }

  /** One cell of each table is in the tab order; the arrows go on from there. */
  function firstStop() {
    for (const table of $("panels").querySelectorAll("table")) {
      if (!table.querySelector('a[tabindex="0"]')) table.querySelector("a.cell")?.setAttribute("tabindex", "0");
    }
  }

  function focusCell(target) {
    target.closest("table").querySelectorAll('a[tabindex="0"]').forEach((one) => one.setAttribute("tabindex", "-1"));
    target.setAttribute("tabindex", "0");
    target.focus();
  }

  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  $("panels").addEventListener("keydown", (event) => {
    const at = event.target.closest("a.cell");
    if (!at || !ARROWS[event.key]) return;
    event.preventDefault();
    const target = grid.move(at, ...ARROWS[event.key]);
    if (target) focusCell(target);
  });
  for (const [event, act] of [["pointerover", "show"], ["focusin", "show"], ["pointerout", "hide"], ["focusout", "hide"]]) {
    $("panels").addEventListener(event, ({ target }) => {
      const at = target.closest("a.cell");
      if (at && act === "show") tip.show(at, matrix, Number(at.dataset.place));
      else tip.hide();
    });
  }
  $("query").addEventListener("input", () => update({ ...view, query: $("query").value }));
  $("search").addEventListener("submit", (event) => event.preventDefault());
  $("kinds").addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    const term = `outcome:${button.dataset.kind}`;
    const others = view.query.split(/\s+/).filter((word) => word && !/^outcome:(good|bad|undecided|untestable)$/.test(word));
    ask([...others, ...(button.getAttribute("aria-pressed") === "true" ? [] : [term])].join(" "));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    $("query").focus();
  });
  window.addEventListener("hashchange", () => {
    view = views.read(location.hash, matrix, start);
    $("query").value = view.query;
    draw();
  });
  window.addEventListener("resize", () => {
    if (Math.abs(wholeRoom() - room) > 1 && !matchMedia("print").matches) draw();
  });
  window.addEventListener("beforeprint", () => draw(PAPER));
  window.addEventListener("afterprint", () => draw());
  $("query").value = view.query;
  requestAnimationFrame(() => setTimeout(() => draw())); // the page is painted first
});
