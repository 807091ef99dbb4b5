"""Levels of cells compared: equal cells called different, what a chosen baseline costs, and what tests can see.

Simulated final losses are log-normal; all goes through the runner's own stopping rule, outcomes and comparisons.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from itertools import combinations, count
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from measured import provenance, table, write, write_csv
from scipy.stats import mannwhitneyu
from simulated import SEEDS, exactly, trial, wanted

from runner.matrix.cell_id import CellId
from runner.outcomes.comparing import compare, comparisons, top_up
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judged_matrix import baseline_of
from runner.outcomes.significance import (
    LARGE_EFFECT,
    clopper_pearson,
    difference_of,
    fisher,
    mann_whitney,
    median_interval,
)

if TYPE_CHECKING:
    from simulated import Trial

    from runner.outcomes.judged_cell import JudgedCell

LEVEL = -4.0
"""Powers of ten of the loss that cells end at."""
PAIRS = 5000
WORDS = ("worse", "better", "level-differs", "equivalent", "inconclusive")


_NUMBERS = count()


class Cell:
    """A simulated cell: successes at `rate` end at levels with a `spread`, in powers of ten."""

    def __init__(self, random: Random, rate: float, spread: float) -> None:
        self.random, self.rate, self.spread = random, rate, spread
        self.id = CellId.of({"number": str(next(_NUMBERS))})
        self.trials: list[Trial] = []
        self.add(0)

    def add(self, more: int) -> None:
        """As many more trials, and what the sequential rule then asks for."""
        succeeded = sum(verdict.final is not None for _, verdict in self.trials)
        while more > 0 or wanted(succeeded, len(self.trials) - succeeded):
            more -= 1
            succeeds = self.random.random() < self.rate
            final = 10 ** self.random.gauss(LEVEL, self.spread) if succeeds else None
            self.trials.append(trial(len(self.trials), final))
            succeeded += succeeds

    @property
    def outcome(self) -> JudgedCell:
        return judge_cell(self.id, self.trials, SEEDS)


def main() -> None:
    begun = time.perf_counter()
    alike = [equal_pairs(rate, spread) for rate, spread in ((0.98, 0.02), (0.98, 0.05), (0.98, 0.1))]
    alike += [equal_pairs(rate, 0.05) for rate in (0.9, 0.8, 0.7, 0.6, 0.5)]
    write_csv("comparisons.csv", list(alike[0]), [list(row.values()) for row in alike])
    write("comparisons.md", page(alike))
    print(f"{time.perf_counter() - begun:.0f} s")


def page(alike: list[dict[str, float]]) -> str:
    worst = max(alike, key=lambda row: row["called different"])
    exact_worst = max((called_different(step / 100), step / 100) for step in range(1, 100))
    reached = "reached" if exact_worst[0] <= 0.05 else "not reached"
    return f"""# Levels compared: errors, power, coverage

{provenance("scipy", "statsmodels")}
Made by `python benchmarks/comparisons.py`; the first table is in [comparisons.csv](comparisons.csv). Final losses are
log-normal; "spread" is their standard deviation in powers of ten. Sequential seeds, lead 4, cap 10.

## Equal cells (A/A), by how often they succeed and how their levels spread

{PAIRS:,} pairs a row, each as the only comparison; called different: worse, better or level-differs.

{equal_table(alike)}
Asked: at most 5 % called different. Worst measured {worst["called different"]:.2%} (rate {worst["rate"]}); enumerated
exactly, whatever the spread, {exact_worst[0]:.2%} (rate {exact_worst[1]}): {reached}. Rates and levels are two tests of
5 % each, so that together they come close to it where a cell succeeds 6 times in 10.

## A whole matrix of equal cells: any called different (spread 0.05)

A baseline that is named before anything ran is compared m times and corrected for m. One that was chosen for the best
level is the best of all: "for m" corrects as if it was named, "for all pairs" is what the runner does. Cells are
topped up as each of the corrections asks. Matrices without a cell that mostly succeeds have no baseline and are left
out: at a rate of 0.6 and one comparison this leaves those in which the chosen cell was lucky, and their error is above
5 %. The two corrections are for rates and for levels, each 5 %.

{families_table()}
## Equivalence at 4 against 4 (TOST within a factor of 1.26)

{equivalence_table()}
## Levels that differ, 4 against 4, one comparison

{power_table()}
## The bootstrap interval of the difference of medians

Stated: 95 %. Values are normal, in powers of ten.

{coverage_table()}
## Ties (accuracies of 20 samples, 4 against 4, equal cells)

SciPy's `method="auto"` takes the normal approximation where values are tied; the runner counts orders. On the whole
both keep their level. But the approximation gives p = 0.013 where four equal values face four equal others, and 2 of 70
orders are as extreme (0.029): it passes a correction for 2 or 3 comparisons that no 4 against 4 should pass.

{ties_table()}"""


def equal_pairs(rate: float, spread: float) -> dict[str, float]:
    random = Random(f"pairs {rate} {spread}")
    labels = Counter(
        compare(Cell(random, rate, spread).outcome, Cell(random, rate, spread).outcome).label.value
        for _ in range(PAIRS)
    )
    different = labels["worse"] + labels["better"] + labels["level-differs"]
    low, high = clopper_pearson(different, PAIRS)
    return {
        "rate": rate,
        "spread": spread,
        "called different": different / PAIRS,
        "interval low": low,
        "interval high": high,
        **{word: labels[word] / PAIRS for word in WORDS},
    }


def called_different(rate: float) -> float:
    """The exact probability that two equal cells of this rate are called different, by rates or else by levels."""
    ends = exactly(rate)
    return sum(
        w1 * w2 * (1.0 if fisher((c1, c2), (c1 + f1, c2 + f2)) <= 0.05 else levels_called_different(c1, c2))
        for (c1, f1), w1 in ends.items()
        for (c2, f2), w2 in ends.items()
    )


@cache
def levels_called_different(n1: int, n2: int) -> float:
    """Of all orders of so many equal levels, the share that is called different."""
    if min(n1, n2) < 4:
        return 0.0
    called = 0
    orders = list(combinations(range(n1 + n2), n1))
    by_u = Counter(sum(ranks) - n1 * (n1 - 1) // 2 for ranks in orders)
    for u, number in by_u.items():
        as_far = sum(k for v, k in by_u.items() if abs(2 * v - n1 * n2) >= abs(2 * u - n1 * n2))
        called += number * (as_far <= 0.05 * len(orders) and abs(2 * u / (n1 * n2) - 1) >= LARGE_EFFECT)
    return called / len(orders)


def equal_table(alike: list[dict[str, float]]) -> str:
    return table(
        ["rate", "spread", "called different", "95 % interval", *WORDS],
        [
            (
                row["rate"],
                row["spread"],
                f"{row['called different']:.2%}",
                f"{row['interval low']:.2%}-{row['interval high']:.2%}",
                *(f"{row[word]:.2%}" for word in WORDS),
            )
            for row in alike
        ],
    )


def families_table() -> str:
    rows = []
    for tests, matrices, rates in ((1, 1500, (0.98, 0.9, 0.6)), (6, 800, (0.98, 0.9, 0.6)), (23, 200, (0.98, 0.9))):
        for rate in rates:
            for words, chosen, named in (
                ("named, for m", False, True),
                ("chosen, for m", True, True),
                ("chosen, for all pairs", True, False),
            ):
                random = Random(f"family {tests} {rate}")
                known = [family(random, rate, tests, chosen=chosen, named=named) for _ in range(matrices)]
                found = [one for one in known if one is not None]
                false = sum(alarm for alarm, _ in found)
                low, high = clopper_pearson(false, len(found))
                share, seeds = f"{false / len(found):.1%}", f"{fmean(seeds for _, seeds in found):.2f}"
                rows.append((tests, rate, words, len(found), share, f"{low:.1%}-{high:.1%}", seeds))
    head = ["m", "rate", "baseline, corrected", "matrices", "any called different", "95 % interval", "seeds a cell"]
    return table(head, rows)


def family(random: Random, rate: float, tests: int, *, chosen: bool, named: bool) -> tuple[bool, float] | None:
    """Whether any cell of a matrix of equal ones is called different, and the mean seeds of a cell."""
    cells = [Cell(random, rate, 0.05) for _ in range(tests + 1)]
    while True:
        outcomes = [cell.outcome for cell in cells]
        found = baseline_of(outcomes).cell if chosen else cells[0].id
        baseline = next((one for one in outcomes if one.id == found), None)
        if baseline is None:
            return None
        lacking = top_up(outcomes, baseline)
        if not any(lacking):
            break
        for cell, more in zip(cells, lacking, strict=True):
            cell.add(more)
    made = comparisons(outcomes, baseline, named=named)
    return any(one.label.different for one in made), fmean(len(cell.trials) for cell in cells)


def levels(random: Random, n: int, spread: float, shift: float = 0.0) -> list[float]:
    return [10 ** random.gauss(LEVEL + shift, spread) for _ in range(n)]


def equivalence_table() -> str:
    rows = []
    for spread, stated in ((0.02, "1.00"), (0.05, "0.57"), (0.1, "0.04")):
        random = Random(f"equivalence {spread}")
        shares = [
            sum(
                difference_of(levels(random, n, spread), levels(random, n, spread, shift)).equivalence_p <= 0.05
                for _ in range(1500)
            )
            / 1500
            for n, shift in ((4, 0.0), (10, 0.0), (4, 0.1))
        ]
        rows.append((spread, f"{shares[0]:.2f}", stated, f"{shares[1]:.2f}", f"{shares[2]:.1%}"))
    return table(
        [
            "spread",
            "found, equal cells",
            "VERDICTS.md",
            "found at 10 against 10",
            "false, 1.26 times apart (at most 5 %)",
        ],
        rows,
    )


def power_table() -> str:
    rows = []
    for spread in (0.05, 0.1, 0.3):
        random = Random(f"power {spread}")
        shares = [
            sum(
                difference_of(levels(random, 4, spread), levels(random, 4, spread, shift)).label in {"lower", "higher"}
                for _ in range(1500)
            )
            / 1500
            for shift in (0.1, 0.3, 1.0)
        ]
        rows.append((spread, *(f"{share:.0%}" for share in shares)))
    return table(["spread", "1.26 times apart", "2 times", "10 times"], rows)


def coverage_table() -> str:
    rows = []
    for n in (4, 7, 10):
        random, covered = Random(f"coverage {n}"), 0
        for _ in range(1000):
            x, y = ([random.gauss(0, 1) for _ in range(n)] for _ in range(2))
            low, high = median_interval(x, y)
            covered += low <= 0 <= high
        low, high = clopper_pearson(covered, 1000)
        rows.append((f"{n} against {n}", f"{covered / 1000:.1%}", f"{low:.1%}-{high:.1%}"))
    return table(["values", "covers", "95 % interval"], rows)


def ties_table() -> str:
    random, trials = Random("ties"), 4000
    rows = []
    for rate in (0.9, 0.97):
        approximate, counted = [], []
        for _ in range(trials):
            x, y = ([sum(random.random() < rate for _ in range(20)) / 20 for _ in range(4)] for _ in range(2))
            approximate.append(mannwhitneyu(x, y, method="auto").pvalue)
            counted.append(mann_whitney(x, y)[0])
        shares = [sum(p <= level for p in ps) / trials for level in (0.05, 0.025) for ps in (approximate, counted)]
        rows.append((f"true accuracy {rate}", *(f"{share:.2%}" for share in shares)))
    return table(["", "SciPy, p <= 0.05", "counted, p <= 0.05", "SciPy, p <= 0.025", "counted, p <= 0.025"], rows)


if __name__ == "__main__":
    main()
