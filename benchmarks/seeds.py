"""Sequential seeds against a fixed plan of 10: seeds spent, error rates, intervals, and equal cells called different.

10,000 simulated cells a rate go through the runner's own stopping rule, outcomes and comparisons; what can be
enumerated exactly is put beside it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace
from functools import cache
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from figures import tell
from measured import provenance, table, write, write_csv
from scipy.special import betainc
from simulated import exactly, outcome, play
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from runner.matrix.cell_id import CellId
from runner.outcomes.comparing import compare, comparisons, top_up
from runner.outcomes.outcome import Leaning, OutcomeKind
from runner.outcomes.significance import clopper_pearson, fisher, rate_interval

if TYPE_CHECKING:
    from simulated import Counts

    from runner.outcomes.judged_cell import JudgedCell

RATES = (0.02, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.98)
CELLS = 10_000
FIXED = 10
GRID = [step / 100 for step in range(1, 100)]


def main() -> None:
    begun = time.perf_counter()
    spent = [spending(rate) for rate in RATES]
    alike = [equal_pairs(rate) for rate in RATES]
    write_csv("seeds.csv", list(spent[0]), [list(row.values()) for row in spent])
    write_csv("seeds-equal-pairs.csv", list(alike[0]), [list(row.values()) for row in alike])
    write("seeds.md", page(spent, alike))
    tell("seeds-clear", fmean(row["seeds"] for row in spent if row["rate"] in {0.02, 0.98}), FIXED, "seeds")
    tell("seeds-any", fmean(mean_seeds(rate) for rate in GRID), FIXED, "seeds")
    print(f"{time.perf_counter() - begun:.0f} s")


def page(spent: list[dict[str, float]], alike: list[dict[str, float]]) -> str:
    extreme = fmean(row["seeds"] for row in spent if row["rate"] in {0.02, 0.98})
    clear = fmean(row["seeds"] for row in spent if row["rate"] in {0.02, 0.1, 0.9, 0.98})
    anywhere = fmean(mean_seeds(rate) for rate in GRID)
    worst_size, at = max((size(rate), rate) for rate in GRID)
    called = max(row["called different"] for row in alike)
    return f"""# Seeds: the sequential rule against a fixed plan of {FIXED}

{provenance("scipy", "statsmodels")}
Made by `python benchmarks/seeds.py`; all figures are in [seeds.csv](seeds.csv) and
[seeds-equal-pairs.csv](seeds-equal-pairs.csv). {CELLS:,} simulated cells a rate go through the runner's own rule
(lead 4, cap 10); "exact" is enumerated.

## Seeds spent and errors

Wrong: of a cell that succeeds more often than not, "fails" or "mostly fails", and the other way round. Not told: "coin
flip". The fixed plan always runs {FIXED} and says the same words (a lead of 4 decides); by majority it decides all but
ties. The last column is the shortest fixed plan whose majority is wrong no more often than the sequential rule.

{spending_table(spent)}
- **Asked: at most half the seeds of the fixed plan.** Cells that succeed nearly always or nearly never (rates 0.02 and
  0.98) take {extreme:.1f} seeds, {extreme / FIXED:.0%} of the plan; with rates 0.1 and 0.9 beside them {clear:.1f},
  {clear / FIXED:.0%}: reached. At rates from 0.2 to 0.8 it takes more than half, and over rates spread evenly from 0 to
  1 it takes {anywhere:.1f}, {anywhere / FIXED:.0%}: **not reached there**. Seeds disagree, and the cap is 10 itself.
  Against a fixed plan that is wrong no more often (last column) it takes less than half at every rate but 0.5, where no
  side is right; but such a plan decides every cell, and this rule leaves "not told" at "coin flip".
- **No rule that stops at {FIXED} seeds takes half at equal error**, over rates spread evenly. Each made to decide by
  majority (a tie by a coin), the fixed plan is wrong in {fixed_error():.1%} of cells, this rule in
  {majority_error(ends_evenly()):.1%}. The fewest seeds of any rule at the plan's error, by dynamic programming:
  {fewest_seeds(FIXED):.2f} ({fewest_seeds(FIXED) / FIXED:.0%}) where the cap is {FIXED}, {fewest_seeds(100):.2f}
  ({fewest_seeds(100) / FIXED:.0%}) where it is 100.
- **Stated: 0.4 % wrong at a rate of 0.2 or 0.8.** Measured {row_of(spent, 0.2)["wrong"]:.2%} and
  {row_of(spent, 0.8)["wrong"]:.2%}, exact {errors(0.2, exactly(0.2))[0]:.2%}: within.
- **Its price, as stated:** a script that succeeds half the time looks unanimous in {unanimous(exactly(0.5)):.1%} of
  cells; with all {FIXED} seeds in {2 * 0.5**FIXED:.1%}. At this error the fixed plan is better.

## Intervals under the stopping rule (exact, worst of rates 0.01 to 0.99)

{intervals_table()}
## Equal cells called different

{CELLS // 2:,} pairs a rate, each the only comparison (Fisher, two-sided, 5 %); levels are in
[comparisons.md](comparisons.md).

{equal_table(alike)}
Asked: at most 5 %. Worst measured {called:.1%}, exact {worst_size:.1%} at a rate of {at}: reached. (VERDICTS.md gives
4.7 %; enumerating this rule with lead 4 and cap 10 gives less.)

A whole matrix of equal cells, topped up as comparisons ask (Holm): how often any cell is called different.

{families_table()}
## Different cells told apart

One comparison, no levels; the fixed plan runs {FIXED} seeds on both sides. Fewer seeds tell less.

{power_table()}"""


def spending(rate: float) -> dict[str, float]:
    random = Random(f"spending {rate}")
    ends = Counter(play(random, rate) for _ in range(CELLS))
    fixed = Counter(fixed_cell(random, rate) for _ in range(CELLS))
    wrong, untold = errors(rate, shares(ends))
    fixed_wrong, fixed_untold = errors(rate, shares(fixed))
    majority, ties = majority_errors(rate, FIXED)
    return {
        "rate": rate,
        "seeds": sum((c + f) * number for (c, f), number in ends.items()) / CELLS,
        "seeds exact": mean_seeds(rate),
        "wrong": wrong,
        "wrong exact": errors(rate, exactly(rate))[0],
        "not told": untold,
        "unanimous": unanimous(shares(ends)),
        "fixed wrong": fixed_wrong,
        "fixed not told": fixed_untold,
        "fixed majority wrong": majority,
        "fixed majority ties": ties,
        "interval covers": covered(rate, shares(ends), clopper_pearson),
    }


def spending_table(spent: list[dict[str, float]]) -> str:
    return table(
        [
            "rate",
            "seeds",
            "of 10",
            "exact",
            "wrong",
            "not told",
            "fixed: wrong",
            "not told",
            "majority: wrong",
            "ties",
            "as seldom wrong",
        ],
        [
            (
                row["rate"],
                f"{row['seeds']:.2f}",
                f"{row['seeds'] / FIXED:.0%}",
                f"{row['seeds exact']:.2f}",
                *(
                    f"{row[name]:.2%}"
                    for name in (
                        *("wrong", "not told", "fixed wrong", "fixed not told"),
                        *("fixed majority wrong", "fixed majority ties"),
                    )
                ),
                same_error(row["rate"]) if row["rate"] != 0.5 else "",
            )
            for row in spent
        ],
    )


def row_of(rows: list[dict[str, float]], rate: float) -> dict[str, float]:
    return next(row for row in rows if row["rate"] == rate)


def fixed_cell(random: Random, rate: float) -> Counts:
    succeeded = sum(random.random() < rate for _ in range(FIXED))
    return succeeded, FIXED - succeeded


def shares(ends: Counter[Counts]) -> dict[Counts, float]:
    return {counts: number / ends.total() for counts, number in ends.items()}


def mean_seeds(rate: float) -> float:
    return sum((c + f) * weight for (c, f), weight in exactly(rate).items())


def errors(rate: float, ends: dict[Counts, float]) -> tuple[float, float]:
    """How much of `ends` is called wrongly (half of it where there is no right side), and how much is not told."""
    wrong = untold = 0.0
    for counts, weight in ends.items():
        leaning = lean(counts)
        if leaning == 0:
            untold += weight
        elif rate != 0.5 and (leaning > 0) != (rate > 0.5):
            wrong += weight
    return wrong, untold


def lean(counts: Counts) -> int:
    """1 where the outcome's label leans to success, -1 to failure, 0 for a coin flip."""
    made = outcome(counts)
    if made.kind is OutcomeKind.UNDECIDED:
        return (
            0
            if made.outcome.reason in {Leaning.NEITHER, Leaning.TOO_FEW}
            else 1
            if "mostly converges" in made.label
            else -1
        )
    return 1 if made.kind is OutcomeKind.GOOD else -1


def fixed_error() -> float:
    """How often the majority of the fixed plan is wrong, over rates spread evenly: each count is as likely."""
    return fmean(posterior_error(c, FIXED - c) for c in range(FIXED + 1))


def majority_error(ends: dict[Counts, float]) -> float:
    return sum(weight * posterior_error(*counts) for counts, weight in ends.items())


def ends_evenly() -> dict[Counts, float]:
    """Where the sequential rule ends, over rates spread evenly."""
    ends: Counter[Counts] = Counter()
    for rate in GRID:
        for counts, weight in exactly(rate).items():
            ends[counts] += weight / len(GRID)
    return dict(ends)


@cache
def posterior_error(c: int, f: int) -> float:
    """The probability that the majority of c and f is wrong, of rates spread evenly before the first trial."""
    below = float(betainc(c + 1, f + 1, 0.5))
    return min(below, 1 - below)


@cache
def fewest_seeds(cap: int) -> float:
    """The fewest seeds in the mean of any rule with this cap that is wrong as seldom as the fixed plan.

    Of all rules those that weigh a wrong decision against the price of a seed are best (Wald and Wolfowitz 1948), and a
    coin between two of them makes what lies between; the price is sought at which they lie about the plan's error.
    """
    cheap, dear = 1e-6, 0.1
    for _ in range(60):
        price = math.sqrt(cheap * dear)
        if priced(price, cap)[1] <= fixed_error():
            cheap = price
        else:
            dear = price
    (_, careful, most), (_, careless, least) = priced(cheap, cap), priced(dear, cap)
    return most - (fixed_error() - careful) / (careless - careful) * (most - least)


def priced(price: float, cap: int) -> tuple[float, float, float]:
    """Cost, error and seeds in the mean of the best rule where a seed costs `price` and a wrong decision 1."""
    best: dict[Counts, tuple[float, float, float]] = {}
    for n in range(cap, -1, -1):
        for c in range(n + 1):
            error = posterior_error(c, n - c)
            best[c, n - c] = (error, error, 0.0)
            if n < cap:
                good = (c + 1) / (n + 2)
                cost, wrong, seeds = (
                    good * one + (1 - good) * other
                    for one, other in zip(best[c + 1, n - c], best[c, n - c + 1], strict=True)
                )
                if price + cost < error:
                    best[c, n - c] = (price + cost, wrong, 1 + seeds)
    return best[0, 0]


def unanimous(ends: dict[Counts, float]) -> float:
    return sum(weight for (c, f), weight in ends.items() if not c or not f)


def majority_errors(rate: float, n: int) -> tuple[float, float]:
    p = max(rate, 1 - rate)
    terms = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    return sum(terms[: (n + 1) // 2]), terms[n // 2] if n % 2 == 0 else 0.0


def same_error(rate: float) -> int:
    """The shortest fixed plan of odd length whose majority is wrong no more often than the sequential rule."""
    allowed = errors(rate, exactly(rate))[0]
    return next(n for n in range(1, 99, 2) if majority_errors(rate, n)[0] <= allowed)


def covered(rate: float, ends: dict[Counts, float], interval) -> float:  # type: ignore[no-untyped-def]
    return sum(weight for (c, f), weight in ends.items() if inside(rate, interval(c, c + f)))


def inside(value: float, interval: tuple[float, float]) -> bool:
    return interval[0] - 1e-12 <= value <= interval[1] + 1e-12


@cache
def wilson(c: int, n: int) -> tuple[float, float]:
    low, high = proportion_confint(c, n, method="wilson")
    return float(low), float(high)


@cache
def newcombe(successes: Counts, counted: Counts) -> tuple[float, float]:
    (c1, c2), (n1, n2) = successes, counted
    low, high = confint_proportions_2indep(c1, n1, c2, n2, method="newcomb")
    return float(low), float(high)


RATE_METHODS = (("Clopper-Pearson, rate (used)", cache(clopper_pearson)), ("Wilson, rate", wilson))
DIFFERENCE_METHODS = (
    ("Newcombe around Clopper-Pearson, difference (used)", cache(rate_interval)),
    ("Newcombe around Wilson, difference", newcombe),
)


def intervals_table() -> str:
    rows = []
    for name, method in RATE_METHODS:
        covers, rate = min((covered(rate, exactly(rate), method), rate) for rate in GRID)
        rows.append((name, f"{covers:.1%}", f"rate {rate}"))
    wide = sorted({*GRID[4::5], *GRID[1::8]})
    pairs = [(one, other) for one in wide for other in wide]
    for name, method in DIFFERENCE_METHODS:
        covers, one, other = min((difference_covered(*pair, method), *pair) for pair in pairs)
        rows.append((name, f"{covers:.1%}", f"rates {one}, {other}"))
    return table(["95 % interval", "covers at least", "at"], rows)


def difference_covered(one: float, other: float, interval) -> float:  # type: ignore[no-untyped-def]
    return sum(
        w1 * w2
        for (c1, f1), w1 in exactly(one).items()
        for (c2, f2), w2 in exactly(other).items()
        if inside(one - other, interval((c1, c2), (c1 + f1, c2 + f2)))
    )


def size(rate: float) -> float:
    """The exact probability that two cells of this rate are called different."""
    ends = exactly(rate)
    return sum(
        w1 * w2
        for (c1, f1), w1 in ends.items()
        for (c2, f2), w2 in ends.items()
        if fisher((c1, c2), (c1 + f1, c2 + f2)) <= 0.05
    )


@cache
def different(one: Counts, other: Counts) -> bool:
    return compare(outcome(one), outcome(other)).label.different


def equal_pairs(rate: float) -> dict[str, float]:
    random = Random(f"pairs {rate}")
    pairs = [(play(random, rate), play(random, rate)) for _ in range(CELLS // 2)]
    called = sum(different(one, other) for one, other in pairs)
    low, high = clopper_pearson(called, len(pairs))
    kinds = sum(outcome(one).kind is not outcome(other).kind for one, other in pairs)
    return {
        "rate": rate,
        "pairs": len(pairs),
        "called different": called / len(pairs),
        "interval low": low,
        "interval high": high,
        "exact": size(rate),
        "outcomes of another kind": kinds / len(pairs),
    }


def equal_table(alike: list[dict[str, float]]) -> str:
    return table(
        ["rate", "called different", "95 % interval", "exact", "outcomes of another kind"],
        [
            (
                row["rate"],
                f"{row['called different']:.2%}",
                f"{row['interval low']:.2%}-{row['interval high']:.2%}",
                f"{row['exact']:.2%}",
                f"{row['outcomes of another kind']:.1%}",
            )
            for row in alike
        ],
    )


def families_table() -> str:
    rows = []
    for tests, matrices in ((1, 4000), (6, 1500), (23, 400)):
        for rate in (0.1, 0.5, 0.8):
            random = Random(f"family {tests} {rate}")
            found = [family(random, rate, tests) for _ in range(matrices)]
            false = sum(alarm for alarm, _ in found)
            low, high = clopper_pearson(false, matrices)
            rows.append(
                (
                    tests,
                    rate,
                    matrices,
                    f"{false / matrices:.2%}",
                    f"{low:.2%}-{high:.2%}",
                    f"{fmean(seeds for _, seeds in found):.2f}",
                )
            )
    return table(["comparisons", "rate", "matrices", "any called different", "95 % interval", "seeds a cell"], rows)


def family(random: Random, rate: float, tests: int) -> tuple[bool, float]:
    """Whether any cell of a matrix of equal ones is called different, and the mean seeds of a cell."""
    counts = [play(random, rate) for _ in range(tests + 1)]
    while True:
        outcomes = [numbered(one, number) for number, one in enumerate(counts)]
        lacking = top_up(outcomes, outcomes[0])
        if not any(lacking):
            break
        counts = [play(random, rate, one, more) for one, more in zip(counts, lacking, strict=True)]
    found = comparisons(outcomes, outcomes[0], named=True)
    return any(one.label.different for one in found), fmean(sum(one) for one in counts)


def numbered(counts: Counts, number: int) -> JudgedCell:
    """A cell of its own: the baseline is told from the others by its id."""
    return replace(outcome(counts), id=CellId.of({"number": str(number)}))


def power_table() -> str:
    rows = []
    for one, other in ((0.98, 0.02), (0.9, 0.1), (0.9, 0.3), (0.9, 0.5)):
        ends = [
            (w1 * w2, c1 + f1 + c2 + f2, fisher((c1, c2), (c1 + f1, c2 + f2)) <= 0.05)
            for (c1, f1), w1 in exactly(one).items()
            for (c2, f2), w2 in exactly(other).items()
        ]
        fixed = sum(
            binomial(c1, one) * binomial(c2, other)
            for c1 in range(FIXED + 1)
            for c2 in range(FIXED + 1)
            if fisher((c1, c2), (FIXED, FIXED)) <= 0.05
        )
        found = sum(weight for weight, _, told in ends if told)
        seeds = sum(weight * n for weight, n, _ in ends)
        rows.append((f"{one} / {other}", f"{found:.1%}", f"{seeds:.1f}", f"{fixed:.1%}", 2 * FIXED))
    return table(["rates", "told apart", "seeds of both", "fixed plan: told apart", "seeds of both"], rows)


def binomial(c: int, rate: float) -> float:
    return math.comb(FIXED, c) * rate**c * (1 - rate) ** (FIXED - c)


if __name__ == "__main__":
    main()
