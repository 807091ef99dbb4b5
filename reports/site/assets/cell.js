"use strict";
// The page of one cell: its charts, the search in its log, the buttons that copy.

(() => {
  const $ = (id) => document.getElementById(id);
  const { plots } = site;

  for (const button of document.querySelectorAll("button.copy")) {
    const label = button.innerHTML;
    button.addEventListener("click", async () => {
      const text = $(button.dataset.of).textContent;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        selectText($(button.dataset.of)); // no clipboard here: what is selected can be copied by hand
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => (button.innerHTML = label), 1500); // our own words, from the template
    });
  }

  function selectText(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  $("packages")?.addEventListener("toggle", async () => {
    const { lock: name } = $("packages").dataset;
    const lock = await site.load("lock", name, `lock-${name}`);
    const items = Object.entries(lock.packages).map(([one, version]) => site.make("li", {}, `${one} `, site.make("span", {}, version)));
    $("packages").querySelector("ul").replaceChildren(...items);
  });

  if ($("log-text")) searchLog($("log-text"));

  /** Finds words in the log across its colours, with the browser's own highlights. */
  function searchLog(log) {
    let ranges = [];
    let at = -1;

    function find() {
      const wanted = $("find").value.toLowerCase();
      ranges = wanted ? occurrences(log, wanted) : [];
      at = -1;
      globalThis.CSS?.highlights?.set("found", new Highlight(...ranges));
      $("found").textContent = wanted ? `${ranges.length} found` : "";
    }

    function next() {
      if (!ranges.length) return;
      at = (at + 1) % ranges.length;
      globalThis.CSS?.highlights?.set("current", new Highlight(ranges[at]));
      $("found").textContent = `${at + 1} of ${ranges.length}`;
      const place = ranges[at].getBoundingClientRect();
      log.scrollTop += place.top - log.getBoundingClientRect().top - log.clientHeight / 2;
    }

    $("find").addEventListener("input", find);
    $("find").addEventListener("keydown", (event) => event.key === "Enter" && next());
    $("next").addEventListener("click", next);
  }

  function occurrences(log, wanted) {
    const nodes = [];
    const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
    for (let begins = 0; walker.nextNode(); begins += walker.currentNode.data.length) nodes.push([begins, walker.currentNode]);
    const text = nodes.map(([, node]) => node.data).join("").toLowerCase();
    const place = (offset) => {
      const [begins, node] = nodes.findLast(([from]) => from <= offset);
      return [node, Math.min(offset - begins, node.data.length)];
    };
    const found = [];
    for (let at = text.indexOf(wanted); at >= 0 && found.length < 1000; at = text.indexOf(wanted, at + wanted.length)) {
      const range = document.createRange();
      range.setStart(...place(at));
      range.setEnd(...place(at + wanted.length));
      found.push(range);
    }
    return found;
  }

  const past = $("history-chart");
  if (past) plots.history("history-chart", JSON.parse(past.dataset.runs), past.dataset.metric).then((note) => ($("history-note").textContent = note));

  if (!$("curves-chart")) return;
  const id = location.pathname.match(/([0-9a-f]{12})\.html$/)?.[1];
  site.given(`cell ${id}`).then(async (cell) => {
    const trials = cell.trials.filter((trial) => trial.epochs.length);
    const targets = JSON.parse($("curves-chart").dataset.targets);
    const names = [...new Set(trials.flatMap((trial) => [...(trial.metric in trial.curves ? [trial.metric] : []), ...Object.keys(trial.curves)]))];
    async function show(metric) {
      const found = plots.points(trials, (trial) => trial.curves[metric]);
      const wide = await plots.curves("curves-chart", found, metric, targets[metric] ?? null);
      $("curves-note").textContent = plots.note(found, wide);
    }
    plots.choices($("metric"), names, show);
    await show(names[0]);
    await plots.epochs("seconds-chart", plots.points(trials, (trial) => trial.seconds));
    await plots.epochs("memory-chart", plots.points(trials, (trial) => trial.memory.map((bytes) => (bytes === null ? null : bytes / 1e6))));
  });
})();
