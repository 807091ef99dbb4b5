"use strict";
// The compare page: two cells, chosen by their axis values, that stand in the address.

site.given("matrix").then((matrix) => {
  const { make, badge, figure, seconds, memory, plots, statistics } = site;
  const $ = (id) => document.getElementById(id);
  const { cells } = matrix;
  const SUCCESS = new Set(["converged", "settled"]);
  let places = read();
  let metric = null;

  /** The cells of the address; else the baseline (or the first cell that ran) and the first that came out otherwise. */
  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const [a, b] = ["a", "b"].map((name) => cells.id.indexOf(said.get(name)));
    const ran = (kind) => matrix.kinds[kind] !== "left-out";
    const one = a >= 0 ? a : (matrix.baseline ?? Math.max(0, cells.kind.findIndex(ran)));
    const other = cells.kind.findIndex((kind) => kind !== cells.kind[one] && ran(kind));
    return [one, b >= 0 ? b : other >= 0 ? other : Math.min(1, cells.id.length - 1)];
  }

  /** The cell with a value on an axis that is otherwise most like another one. */
  function nearest(place, axis, value) {
    let best = place;
    let least = Infinity;
    for (let other = 0; other < cells.id.length; other += 1) {
      if (cells.values[axis][other] !== value) continue;
      const distance = cells.values.reduce((sum, column) => sum + (column[other] === column[place] ? 0 : 1000 + Math.abs(column[other] - column[place])), 0);
      if (distance < least) [best, least] = [other, distance];
    }
    return best;
  }

  function drawSide(id, side) {
    const place = places[side];
    const kind = matrix.kinds[cells.kind[place]];
    const selects = matrix.axes.map((axis, at) => {
      const select = make("select", { id: `${id}-${at}` }, ...axis.values.map((value, i) => make("option", { value: i, selected: i === cells.values[at][place] }, value)));
      select.addEventListener("change", () => {
        places[side] = nearest(place, at, Number(select.value));
        update();
        $(id).querySelectorAll("select")[at].focus();
      });
      return make("div", { class: "axis" }, make("label", { for: select.id }, axis.name), select);
    });
    const link = make("a", { href: `cells/${cells.id[place]}.html` }, badge(kind, matrix.words.outcome[cells.outcome[place]]));
    $(id).replaceChildren($(id).querySelector("legend"), ...selects, make("p", {}, link));
  }

  function update() {
    history.replaceState(null, "", `#a=${cells.id[places[0]]}&b=${cells.id[places[1]]}`);
    draw();
  }

  async function draw() {
    drawSide("side-a", 0);
    drawSide("side-b", 1);
    const wanted = places.join();
    const pair = await Promise.all(places.map((place) => site.load("cell", cells.id[place], cells.id[place])));
    const locks = await Promise.all(pair.map((cell) => (cell.lock ? site.load("lock", cell.lock, `lock-${cell.lock}`) : null)));
    if (wanted !== places.join()) return; // the reader went on meanwhile
    say(pair);
    drawDifference(pair, locks);
    await drawCharts(pair);
    document.documentElement.dataset.drawn = wanted;
  }

  const finals = (cell) => cell.trials.filter((trial) => SUCCESS.has(trial.label) && typeof trial.final === "number").map((trial) => trial.final);

  function say([a, b]) {
    const parts = [];
    if (!a.counted || !b.counted) parts.push("A side has no trial that counts: how often the two succeed can't be compared.");
    else {
      const p = statistics.fisher(a.converged, a.counted, b.converged, b.counted);
      parts.push(`A succeeds in ${a.converged} of ${a.counted}, B in ${b.converged} of ${b.counted}: ${p <= 0.05 ? "they differ" : "no difference is shown"} (Fisher’s exact test, p = ${figure(p)}).`);
    }
    const [ours, theirs] = [finals(a), finals(b)];
    if (ours.length >= 4 && theirs.length >= 4) {
      const { p } = statistics.mannWhitney(ours, theirs);
      const level = `successes end at a median of ${figure(median(ours))} and ${figure(median(theirs))}`;
      parts.push(p === null ? `Their ${level}; some are tied, so no exact test is made.` : `Their ${level}: ${p <= 0.05 ? "they differ" : "no difference is shown"} (Mann and Whitney’s exact test, p = ${figure(p)}).`);
    }
    $("statement").textContent = parts.join(" ");
    const against = [a, b].map((cell, at) => (cell.compared ? `${"AB"[at]} against the baseline: ${cell.compared}.` : "")).filter(Boolean);
    $("caveat").textContent = ["These p values are not corrected for having chosen this pair.", ...against].join(" ");
  }

  function median(values) {
    const sorted = [...values].sort((one, other) => one - other);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  function drawDifference([a, b], locks) {
    const rows = [];
    const add = (name, one, other, always = false) => (always || one !== other) && rows.push([name, one, other]);
    for (const axis of matrix.axes) add(axis.name, a.values[axis.name] ?? "", b.values[axis.name] ?? "");
    add("outcome", a.outcome, b.outcome, true);
    add("converged", `${a.converged}/${a.counted}`, `${b.converged}/${b.counted}`, true);
    add("final", figure(a.final), figure(b.final), true);
    add("time an epoch", seconds(a.seconds), seconds(b.seconds), true);
    add("peak memory", memory(a.memory), memory(b.memory), true);
    if (a.python && b.python) add("CPython", a.python, b.python);
    add("engine", a.engine, b.engine);
    const [mine, theirs] = locks.map((lock) => lock?.packages ?? {});
    for (const name of [...new Set([...Object.keys(mine), ...Object.keys(theirs)])].sort()) if (!(name in a.values)) add(name, mine[name] ?? "none", theirs[name] ?? "none");
    $("differs").tBodies[0].replaceChildren(...rows.map(([name, one, other]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, one), make("td", {}, other))));
  }

  async function drawCharts(pair) {
    const names = [...new Set(pair.flatMap((cell) => cell.trials.flatMap((trial) => Object.keys(trial.curves))))];
    $("training").hidden = $("ends").hidden = !names.length;
    if (!names.length) return;
    metric = names.includes(metric) ? metric : names[0];
    const groups = pair.map((cell, at) => `${"AB"[at]}`);
    async function show(chosen) {
      metric = chosen;
      const found = pair.flatMap((cell, at) => plots.points(cell.trials, (trial) => trial.curves[metric], groups[at]));
      $("curves-note").textContent = plots.note(found, await plots.curves("curves-chart", found, metric));
    }
    plots.choices($("metric"), names, show);
    await show(metric);
    const ends = pair.flatMap((cell, at) => cell.trials.filter((trial) => typeof trial.final === "number").map((trial) => ({ group: groups[at], seed: trial.seed, value: trial.final, finite: true, text: figure(trial.final) })));
    const lost = pair.map((cell) => cell.trials.filter((trial) => typeof trial.final !== "number").length);
    $("finals-note").textContent = lost.some(Boolean) ? `Without a final value: ${lost[0]} of A, ${lost[1]} of B.` : "";
    await plots.finals("finals-chart", ends, pair[0].trials[0]?.metric ?? matrix.metric);
  }

  $("swap").addEventListener("click", () => {
    places.reverse();
    update();
  });
  window.addEventListener("hashchange", () => {
    places = read();
    draw();
  });
  draw();
});
