"use strict";
// Charts: the shared specifications filled with data, in the colours of the page, drawn without evaluating any text.

site.plots = (() => {
  const { figure } = site;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const copy = (value) => JSON.parse(JSON.stringify(value));
  const LABEL = "datum.value != 0 && abs(datum.value) < 0.001 ? format(datum.value, '~e') : format(datum.value, '~g')";
  const drawn = new Map();

  function config() {
    const [ink, muted, line] = [style("--ink"), style("--muted"), style("--line")];
    const font = getComputedStyle(document.body).fontFamily;
    return {
      mark: { aria: false }, // the chart as a whole is an image with a name; its figures are in the page's tables
      background: "transparent",
      font,
      view: { stroke: null },
      range: { category: [style("--series-a"), style("--series-b")] },
      axis: { aria: false, labelColor: muted, titleColor: muted, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400 },
      legend: { aria: false, labelColor: ink, labelFontSize: 12, symbolStrokeWidth: 3 },
      rule: { color: muted },
    };
  }

  /** The points of trials for one metric; those that are not finite have no height. */
  function points(trials, values, group = "") {
    return trials.flatMap((trial) =>
      (values(trial) ?? []).flatMap((value, at) =>
        value === null ? [] : [{ group, seed: trial.seed, epoch: trial.epochs[at], value: typeof value === "number" ? value : null, finite: typeof value === "number", text: figure(value) }],
      ),
    );
  }

  /** Log scale where all values are positive and span more than two decades. */
  function isWide(found) {
    const finite = found.filter((one) => one.finite).map((one) => one.value);
    const low = finite.reduce((one, other) => Math.min(one, other), Infinity);
    const high = finite.reduce((one, other) => Math.max(one, other), -Infinity);
    return low > 0 && high / low > 100;
  }

  function scaled(channel, wide) {
    channel.scale = wide ? { type: "log", nice: false } : { ...channel.scale, type: "linear" };
    channel.axis = { labelExpr: LABEL, labelOverlap: "greedy", tickCount: 5 };
  }

  /** Few epochs are all named; of many, some. */
  function named(channel, found) {
    const epochs = [...new Set(found.map((one) => one.epoch))];
    if (epochs.length <= 12) channel.axis = { ...channel.axis, values: epochs };
  }

  async function curves(id, found, metric, target = null) {
    const specs = await site.given("specs");
    const spec = copy(specs.curves);
    const wide = isWide(found);
    scaled(spec.layer[0].encoding.y, wide);
    spec.layer[0].encoding.y.title = metric;
    named(spec.encoding.x, found);
    if (!found.some((one) => one.group)) spec.encoding.color = { value: style("--series-a") };
    spec.datasets = { points: found, rules: target === null || (wide && target <= 0) ? [] : [{ value: target }] };
    await draw(id, spec);
    return wide;
  }

  async function epochs(id, found) {
    document.getElementById(id).closest("figure").hidden = !found.length;
    if (!found.length) return;
    const specs = await site.given("specs");
    const spec = copy(specs.epochs);
    spec.encoding.color = { value: style("--series-a") };
    spec.datasets = { points: found };
    named(spec.encoding.x, found);
    await draw(id, spec);
  }

  async function finals(id, found, metric) {
    const specs = await site.given("specs");
    const spec = copy(specs.finals);
    const wide = isWide(found);
    scaled(spec.layer[0].encoding.x, wide);
    spec.layer[0].encoding.x.title = `final ${metric}`;
    spec.datasets = { points: found };
    await draw(id, spec);
  }

  const SHAPES = { good: "circle", bad: "cross", undecided: "triangle-up", untestable: "square" };

  /** One cell through the published runs: its final value, in the colour and the shape of what it came to. */
  async function history(id, runs, metric) {
    const specs = await site.given("specs");
    const spec = copy(specs.history);
    const named = (value) => (value === null ? "none" : figure(value));
    const found = runs.map((one) => ({ ...one, value: typeof one.final === "number" ? one.final : null, finite: typeof one.final === "number", text: named(one.final) }));
    const kinds = Object.keys(SHAPES).filter((kind) => found.some((one) => one.kind === kind));
    const wide = isWide(found);
    scaled(spec.layer[0].encoding.y, wide);
    spec.layer[0].encoding.y.title = `final ${metric}`;
    for (const { encoding } of spec.layer.slice(1)) {
      encoding.color.scale = { domain: kinds, range: kinds.map((kind) => style(`--${kind}-strong`)) };
      encoding.shape.scale = { domain: kinds, range: kinds.map((kind) => SHAPES[kind]) };
    }
    spec.datasets = { points: found };
    await draw(id, spec);
    const without = found.filter((one) => !one.finite).length;
    return [wide ? "Logarithmic scale." : "", without ? `At the top: ${without} of ${found.length} runs without a finite value.` : ""].filter(Boolean).join(" ");
  }

  async function draw(id, spec) {
    const element = document.getElementById(id);
    const { datasets, ...rest } = spec;
    const embed = async () => {
      const filled = fill(copy(rest), datasets);
      const { view } = await window.vegaEmbed(element, filled, {
        mode: "vega-lite",
        actions: false,
        logLevel: 1, // errors; that a chart has no point to mark is none
        ast: true,
        renderer: "svg",
        defaultStyle: false,
        tooltip: { disableDefaultStyle: true, theme: "site" },
        config: config(),
      });
      element.dataset.drawn = "true";
      return view;
    };
    drawn.set(id, embed);
    await embed();
  }

  /** The data in the places that the specification names. */
  function fill(spec, datasets) {
    if (spec.data?.name) spec.data = { values: datasets[spec.data.name] ?? [] };
    for (const layer of spec.layer ?? []) fill(layer, datasets);
    return spec;
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((embed) => embed()));

  /** Buttons for the metrics of some trials. */
  function choices(into, names, choose) {
    const buttons = names.map((name) => {
      const button = site.make("button", { type: "button", "aria-pressed": "false" }, name);
      button.addEventListener("click", () => {
        buttons.forEach((one) => one.setAttribute("aria-pressed", one === button));
        choose(name);
      });
      return button;
    });
    into.replaceChildren(...(buttons.length > 1 ? buttons : []));
    buttons[0]?.setAttribute("aria-pressed", "true");
  }

  /** What a chart can't show by itself, in words. */
  function note(found, wide) {
    const broken = found.filter((one) => !one.finite);
    const seeds = new Set(broken.map((one) => `${one.group} ${one.seed}`)).size;
    const parts = [wide ? "Logarithmic scale." : ""];
    if (broken.length) parts.push(`× at the top: not finite, in ${seeds} ${seeds === 1 ? "trial" : "trials"}, first at epoch ${Math.min(...broken.map((one) => one.epoch))}.`);
    return parts.filter(Boolean).join(" ");
  }

  return { points, curves, epochs, finals, history, choices, note };
})();
