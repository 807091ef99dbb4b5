"""Searches on planted faults: how often they are right, how right they say they are, and what they take.

Bisection over 1,000 axes of 100 releases, attribution over 300 matrices with two-axis causes and 100 pairs of locks;
trials against a scan of everything. Pages in reports/investigate/.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise, product
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from measured import provenance, table, write, write_csv
from planted_axes import AXIS, FAULT, Answerer, Cell, Kind, Packages, planted_axis, planted_matrix, true_flips

from runner.investigate.attribute import attribute
from runner.investigate.belief import Evidence
from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.question import AttributeRules, Combination, answered
from runner.outcomes.account import Decision
from runner.outcomes.significance import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.outcomes.account import Bisection


AXES = 1000
STRESS = 150
MATRICES = 300
LOCKS = 100
BUDGET = 160
FOLDER = "investigate"
RULES = BisectRules(fault=FAULT, budget=BUDGET)


def main() -> None:
    begun = time.perf_counter()
    bisections = [bisection(number, number % 3, Kind(), RULES) for number in range(AXES)]
    write_csv("bisect.csv", list(vars(bisections[0])), [list(vars(one).values()) for one in bisections], folder=FOLDER)
    write("bisect.md", bisect_page(bisections), folder=FOLDER)
    matrices = [matrix(number) for number in range(MATRICES)]
    locks = [pair_of_locks(number) for number in range(LOCKS)]
    write_csv("attribute.csv", list(vars(matrices[0])), [list(vars(one).values()) for one in matrices], folder=FOLDER)
    write_csv("packages.csv", list(vars(locks[0])), [list(vars(one).values()) for one in locks], folder=FOLDER)
    write("attribute.md", attribute_page(matrices, locks), folder=FOLDER)
    print(f"{time.perf_counter() - begun:.0f} s")


@dataclass(frozen=True, kw_only=True)
class Bisected:
    """How one bisection of a planted axis went."""

    number: int
    flips: int
    """Planted ones that show: whose both sides have a testable place."""
    right: bool
    """The right number of flips, and each between its two places or, wider, with only ambiguous places in addition."""
    exact: bool
    """Each flip exactly between its two places."""
    all_true: bool
    """Whether all that is told good and bad is so: what the stated probability is of."""
    stated: float
    trials: int
    asked: int
    ending: str
    scan_trials: int
    scan_right: bool


def bisection(number: int, flips: int, kind: Kind, rules: BisectRules) -> Bisected:
    world = planted_axis(Random(f"axis {number} {flips} {kind}"), flips, kind)
    found = answered(bisect(AXIS, rules), world)
    true = true_flips(world.cells)
    steps = [(flip.before, flip.after) for flip in found.flips]
    scan_trials, scan = world.scanned()
    looks = {
        about: Cell(good=scan.get(about, True), rate=0, testable=cell.testable) for about, cell in world.cells.items()
    }
    return Bisected(
        number=number,
        flips=len(true),
        right=is_right(found, true),
        exact=steps == true,
        all_true=all(
            (place.told is Decision.GOOD) is cell.good
            for place, cell in zip(found.places, world.cells.values(), strict=True)
            if cell.testable and place.told in {Decision.GOOD, Decision.BAD}
        ),
        stated=found.probability,
        trials=found.trials,
        asked=found.decisions,
        ending=found.ending.value,
        scan_trials=scan_trials,
        scan_right=true_flips(looks) == true,
    )


def is_right(found: Bisection, true: Sequence[tuple[int, int]]) -> bool:
    if len(found.flips) != len(true):
        return False
    return all(
        flip.before <= before
        and after <= flip.after
        and all(found.places[place].told in {Decision.AMBIGUOUS, Decision.UNTESTABLE} for place in flip.between)
        for flip, (before, after) in zip(found.flips, true, strict=True)
    )


def bisect_page(found: list[Bisected]) -> str:
    right, stated, true = (
        share(one.right for one in found),
        fmean(one.stated for one in found),
        share(one.all_true for one in found),
    )
    within = max(one.trials for one in found) <= BUDGET
    spent, scanned = fmean(one.trials for one in found), fmean(one.scan_trials for one in found)
    apart = max(apart_in(found), *(apart_in([one for one in found if one.flips == flips]) for flips in (0, 1, 2)))
    exact = share(one.exact for one in found)
    worst = min((share(one.right for one in found if one.flips == flips), flips) for flips in (0, 1, 2))
    return f"""# Bisection on planted flips

{provenance()}
Made by `python benchmarks/investigate.py`; every axis is a line of [bisect.csv](bisect.csv).

{AXES:,} simulated axes of 100 releases: 0, 1 or 2 flips at random places (a third each; two can be neighbours), 0 to
30 % flaky cells that go their own way in 60 to 95 % of their trials, 0 to 20 % untestable cells (scattered, or in
runs), nothing known before. At most {BUDGET} trials a search. Confidence asked for: {RULES.confidence:.0%}.

- **right**: the right number of flips, each where it is; where cells beside a flip stay ambiguous after {RULES.cap}
  trials, or are untestable, the flip is told as a span with just these between.
- **exact**: no ambiguous cell either: the last testable release on one side and the first on the other are named.
- **all true**: everything that was told good or bad is so. This is what the stated probability is of.

{by_flips(found)}
- Asked: the right flips in at least 95 %. {right:.1%}, of {worst[1]} flips {worst[0]:.1%}: {reached(right >= 0.95)}.
  Named to the release in {exact:.1%} ({reached(exact >= 0.95)}, counted so); in the others a flaky cell beside the
  flip succeeds about as often as it fails, and the account says so.
- Asked: within the budget. Most trials of one search {max(one.trials for one in found)} of {BUDGET}: {reached(within)};
  {sum(one.ending == "budget" for one in found)} of {AXES:,} searches came to their end by it.
- Asked: the stated probability within 3 points of the observed. Stated {stated:.1%}; observed {right:.1%} (right),
  {true:.1%} (all true). Of 0, 1 and 2 flips each by itself and of all, the largest distance is
  {100 * apart:.1f} points: {reached(apart <= 0.03)}. It says rather too little: part of its doubt is of a
  third flip, which these axes do not have, and of flips among untestable releases, which do not count.
- Against a scan of all testable releases under the matrix's own rule of seeds: {spent:.0f} trials against
  {scanned:.0f}, {spent / scanned:.0%}. The scan, reading each cell by itself, has the right flips in
  {share(one.scan_right for one in found):.1%}: any flaky cell that looks like the other side is two false flips.

## Stated against observed

{calibration(found)}
## Decisions for one flip between known ends

All places of the flip, no flaky cells; asked: at most log2(n) + 2.

{decisions_table()}
## Other worlds

{STRESS} axes a line, 0, 1 and 2 flips a third each unless said. The method's own assumptions (15 % flaky cells, a
third flip unlikely by a factor of {RULES.further}) are not true of these.

{stress_table()}
What is not reached: with the default rules an axis whose ends differ is not searched for a second and third flip once
one is found (that is what at most log2(n) + 2 decisions leave room for), so of three flips usually one is told,
and the stated probability, which takes a third flip for unlikely, is wrong of such axes. `further=1` takes nothing for
unlikely, and finds them at the price in the table. Spans of one or two releases between
releases that are alike are hidden from any search that does not try nearly all of them.
"""


def apart_in(found: list[Bisected]) -> float:
    """How far the stated probability is from what was observed, in either sense."""
    stated = fmean(one.stated for one in found)
    return max(abs(stated - share(one.right for one in found)), abs(stated - share(one.all_true for one in found)))


def by_flips(found: list[Bisected]) -> str:
    groups = [(str(flips), [one for one in found if one.flips == flips]) for flips in (0, 1, 2)]
    return bisected_table([*groups, ("all", found)])


def bisected_table(groups: Iterable[tuple[str, list[Bisected]]]) -> str:
    return table(
        [
            "flips",
            "axes",
            "right",
            "95 % interval",
            "exact",
            "all true",
            "stated",
            "trials",
            "most",
            "releases tried",
            "scan",
        ],
        [
            (
                name,
                len(group),
                f"{share(one.right for one in group):.1%}",
                interval(sum(one.right for one in group), len(group)),
                f"{share(one.exact for one in group):.1%}",
                f"{share(one.all_true for one in group):.1%}",
                f"{fmean(one.stated for one in group):.1%}",
                f"{fmean(one.trials for one in group):.0f}",
                max(one.trials for one in group),
                f"{fmean(one.asked for one in group):.1f}",
                f"{fmean(one.scan_trials for one in group):.0f}",
            )
            for name, group in groups
        ],
    )


def calibration(found: list[Bisected]) -> str:
    edges = (0.0, 0.9699, 0.975, 0.98, 0.99, 1.01)
    rows = []
    for low, high in pairwise(edges):
        group = [one for one in found if low <= one.stated < high]
        if group:
            name = f"{low:.1%} to {min(high, 1):.1%}"
            stated, right, true = (
                fmean(one.stated for one in group),
                share(one.right for one in group),
                share(one.all_true for one in group),
            )
            rows.append((name, len(group), f"{stated:.1%}", f"{right:.1%}", f"{true:.1%}"))
    return table(["stated", "axes", "mean stated", "right", "all true"], rows)


def decisions_table() -> str:
    rows = []
    for n in (2, 3, 5, 8, 16, 33, 64, 100, 128):
        taken = [decisions(n, flip) for flip in range(1, n)]
        rows.append((n, f"{math.log2(n) + 2:.2f}", max(one for one, _ in taken), max(trials for _, trials in taken)))
    return table(["releases", "log2(n) + 2", "most decisions", "most trials"], rows)


def decisions(n: int, flip: int) -> tuple[int, int]:
    """How many releases are tried, and trials run, for one flip between ends that are known."""
    axis = AXIS[:n] if n <= len(AXIS) else tuple(Combination.of({"package": str(one)}) for one in range(n))
    cells = {about: Cell(good=place < flip, rate=float(place < flip)) for place, about in enumerate(axis)}
    known = {axis[0]: Evidence(good=4, trials=4), axis[-1]: Evidence(faults=((FAULT, 4),), trials=4)}
    found = answered(bisect(axis, BisectRules(), known), Answerer(cells=cells, random=Random(0), known=dict(known)))
    if [(one.good, one.bad) for one in found.flips] != [(flip - 1, flip)]:
        raise AssertionError(found)
    return found.decisions, found.trials


def stress_table() -> str:
    thorough = BisectRules(fault=FAULT, further=1.0)
    worlds: list[tuple[str, Kind, BisectRules, Callable[[int], int]]] = [
        ("no flaky, no untestable cells", Kind(flaky=(0, 0), untestable=(0, 0)), RULES, lambda number: number % 3),
        (
            "30 % flaky, 20 % untestable",
            Kind(flaky=(0.3, 0.3), untestable=(0.2, 0.2)),
            RULES,
            lambda number: number % 3,
        ),
        ("flaky cells at 80 to 95 %", Kind(rates=(0.8, 0.95)), RULES, lambda number: number % 3),
        ("flaky cells at 50 to 60 %", Kind(rates=(0.5, 0.6)), RULES, lambda number: number % 3),
        ("every cell flaky at 80 %", Kind(flaky=(1, 1), rates=(0.8, 0.8)), RULES, lambda number: number % 3),
        ("1 trial in 20 slips everywhere", Kind(slip=0.05), RULES, lambda number: number % 3),
        ("three flips", Kind(), RULES, lambda _: 3),
        ("three flips, further=1, no budget", Kind(), thorough, lambda _: 3),
        ("one flip, further=1, no budget", Kind(), thorough, lambda _: 1),
    ]
    return bisected_table(
        (name, [bisection(number, flips(number), kind, rules) for number in range(STRESS)])
        for name, kind, rules, flips in worlds
    )


@dataclass(frozen=True, kw_only=True)
class Attributed:
    """How one attribution of a planted cause went."""

    number: int
    factors: int
    named: bool
    """Whether the planted smallest set is among the causes."""
    only: bool
    """Whether it is the only one."""
    complete: bool
    stated: float
    trials: int
    combinations: int
    scan_trials: int
    scan_combinations: int


def matrix(number: int) -> Attributed:
    factors, cause, world = planted_matrix(Random(f"matrix {number}"), Kind())
    found = answered(attribute(factors, AttributeRules(fault=FAULT)), world)
    named = [frozenset(one.names) for one in found.causes]
    scan_trials, scan = world.scanned()
    return Attributed(
        number=number,
        factors=len(factors),
        named=cause in named,
        only=named == [cause],
        complete=found.complete,
        stated=next((one.probability for one in found.causes), 0.0),
        trials=found.trials,
        combinations=len(found.moves),
        scan_trials=scan_trials,
        scan_combinations=len(scan),
    )


@dataclass(frozen=True, kw_only=True)
class Debugged:
    """How delta debugging between two planted locks went."""

    number: int
    packages: int
    guilty: int
    smallest: int
    """The guilty packages with all that must move with them."""
    in_order: bool
    """Whether the packages came with what they need before them."""
    named: bool
    guilty_named: bool
    """Whether every guilty package is in the set that was named, which may have more."""
    trials: int
    combinations: int
    resolved: int
    """How many combinations could be tried; the others cost a resolution and no trial."""


def pair_of_locks(number: int) -> Debugged:
    world = Packages.planted(Random(f"locks {number}"), Kind(flaky=(0.0, 0.1)), in_order=number % 2 == 0)
    found = answered(attribute(world.factors, AttributeRules(fault=FAULT)), world)
    named = [frozenset(one.names) for one in found.causes]
    return Debugged(
        number=number,
        packages=len(world.names),
        guilty=len(world.guilty),
        smallest=len(world.smallest()),
        in_order=world.in_order,
        named=world.smallest() in named,
        guilty_named=any(world.guilty <= one for one in named),
        trials=found.trials,
        combinations=len(found.moves),
        resolved=sum(one.told is not Decision.UNTESTABLE for one in found.tried),
    )


def attribute_page(found: list[Attributed], locks: list[Debugged]) -> str:
    named, only = share(one.named for one in found), share(one.only for one in found)
    stated = fmean(one.stated for one in found)
    spent, scanned = sum(one.trials for one in found), sum(one.scan_trials for one in found)
    debugged = share(one.named for one in locks)
    return f"""# Attribution on planted causes

{provenance()}
Made by `python benchmarks/investigate.py`; every matrix is a line of [attribute.csv](attribute.csv), every pair of
locks one of [packages.csv](packages.csv).

## Two axes that act only together

{MATRICES} planted matrices of 3 to 8 axes with two values each. Two axes turn the outcome bad, only together. 0 to
30 % of all combinations are flaky (60 to 95 %), 0 to 20 % untestable; both cells and the cause itself are testable.

{attributed_table(found)}
- Asked: the smallest set named in at least 95 %. {named:.1%}: {reached(named >= 0.95)}. As the only one {only:.1%};
  otherwise a flaky combination looked bad or ambiguous, which adds a set or keeps one from being found.
- Stated probability {stated:.1%}, observed {named:.1%}: {abs(stated - named) * 100:.1f} points apart.
- Trials against a scan of all testable combinations under the matrix's own rule of seeds: {spent / scanned:.0%}
  ({spent / len(found):.0f} against {scanned / len(found):.0f}). With few axes nearly everything has to be tried.

## Packages between two locks

{LOCKS} planted pairs of locks that differ in 10 to 60 packages; 1 to 3 of them act only together. A fifth of the new
versions need another one's new version, or nothing resolves. 0 to 10 % of the combinations are flaky.

{locks_table(locks)}
The smallest set that resolves is named in {debugged:.1%}, all guilty packages (perhaps with others that could not be
told apart) in {share(one.guilty_named for one in locks):.1%}.
"""


def attributed_table(found: list[Attributed]) -> str:
    rows = []
    for axes in (*range(3, 9), None):
        group = [one for one in found if axes in {None, one.factors}]
        spent, scanned = fmean(one.trials for one in group), fmean(one.scan_trials for one in group)
        rows.append(
            (
                axes or "all",
                len(group),
                f"{share(one.named for one in group):.1%}",
                interval(sum(one.named for one in group), len(group)),
                f"{share(one.only for one in group):.1%}",
                f"{share(one.complete for one in group):.1%}",
                f"{fmean(one.stated for one in group):.1%}",
                f"{fmean(one.combinations for one in group):.1f}",
                f"{fmean(one.scan_combinations for one in group):.1f}",
                f"{spent:.0f}",
                f"{scanned:.0f}",
                f"{spent / scanned:.0%}",
            )
        )
    head = ["axes", "matrices", "named", "95 % interval", "as the only one", "called complete", "stated"]
    return table([*head, "combinations", "scan", "trials", "scan", "share"], rows)


def locks_table(locks: list[Debugged]) -> str:
    rows = []
    for guilty, in_order in product((1, 2, 3), (True, False)):
        group = [one for one in locks if (one.guilty, one.in_order) == (guilty, in_order)]
        rows.append(
            (
                guilty,
                "needs first" if in_order else "any",
                len(group),
                f"{fmean(one.packages for one in group):.0f}",
                f"{share(one.named for one in group):.1%}",
                f"{share(one.guilty_named for one in group):.1%}",
                f"{fmean(one.combinations for one in group):.0f}",
                f"{fmean(one.resolved for one in group):.0f}",
                f"{fmean(one.trials for one in group):.0f}",
            )
        )
    head = ["guilty", "order", "pairs", "packages", "smallest set named", "guilty ones named"]
    return table([*head, "combinations", "that resolve", "trials"], rows)


def share(flags: Iterable[bool]) -> float:
    return fmean(map(float, flags))


def interval(number: int, n: int) -> str:
    low, high = clopper_pearson(number, n)
    return f"{low:.1%}-{high:.1%}"


def reached(is_so: bool) -> str:
    return "reached" if is_so else "**not reached**"


if __name__ == "__main__":
    main()
