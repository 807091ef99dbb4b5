"use strict";
// The summary of a cell beside the pointer or the focus; what it says is also in the cell's own page.

site.tip = (() => {
  const { make, badge, figure, seconds, memory } = site;
  const box = make("div", { class: "tip", role: "tooltip", id: "tip", hidden: true });
  document.body.append(box);

  function show(anchor, matrix, place) {
    const { cells, words } = matrix;
    const row = (name, value) => (value ? [make("div", {}, make("dt", {}, name), make("dd", {}, value))] : []);
    box.replaceChildren(
      badge(matrix.kinds[cells.kind[place]], words.outcome[cells.outcome[place]]),
      make("p", {}, words.reason[cells.reason[place]]),
      make(
        "dl",
        { class: "facts" },
        ...matrix.axes.flatMap((axis, at) => row(axis.name, axis.values[cells.values[at][place]])),
        ...row(`final ${matrix.metric}`, figure(cells.final[place])),
        ...row("time an epoch", seconds(cells.seconds[place])),
        ...row("peak memory", memory(cells.memory[place])),
        ...row("compared", words.compared[cells.compared[place]]),
        ...row("exception", words.exception[cells.exception[place]].slice(0, 160)),
        ...row("expected", cells.missed[place] ? words.expected[cells.expected[place]] : ""),
      ),
    );
    box.hidden = false;
    anchor.setAttribute("aria-describedby", "tip");
    stand(anchor);
  }

  /** Below its cell, or above it where there is no room. */
  function stand(anchor) {
    const around = anchor.getBoundingClientRect();
    const left = Math.min(Math.max(8, around.left), window.innerWidth - box.offsetWidth - 8);
    const below = around.bottom + 6 + box.offsetHeight < window.innerHeight;
    box.style.left = `${left}px`;
    box.style.top = `${below ? around.bottom + 6 : Math.max(8, around.top - box.offsetHeight - 6)}px`;
  }

  function hide() {
    box.hidden = true;
    described()?.removeAttribute("aria-describedby");
  }

  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  const described = () => document.querySelector('[aria-describedby="tip"]');

  /** Scrolling takes a cell away from the pointer, not from the focus: going to a cell scrolls to it. */
  function scrolled() {
    if (described() && described() === document.activeElement) stand(described());
    else hide();
  }

  document.addEventListener("scroll", scrolled, { passive: true, capture: true });
  return { show, hide };
})();
