"""2,000 series by the formulas of the conformance cases, other seeds, lengths, scales: how many keep their label?

Noise is Gaussian with a share of the starting loss S as its spread; of series with a target it is that share of each
value, because noise of the size of S would lift a loss of 1e-5 above its target, and no rule could be blamed.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from formulas import FORMULAS, Shape, Values
from measured import provenance, table, write, write_csv

from runner.matrix.criterion import Comparison, parse
from runner.outcomes.judge import JudgingTerms, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = json.loads((Path(__file__).parents[1] / "tests" / "unit" / "verdict_cases.json").read_text())["series"]
SERIES = 2000
LEVELS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
MILD = 0.005
ASKED = 0.97


@dataclass(frozen=True, kw_only=True)
class Result:
    case: str
    expected: str
    found: str


def main() -> None:
    assert set(FORMULAS) == {case["name"] for case in CASES}
    by_level = {level: [generated(number, level) for number in range(SERIES)] for level in LEVELS}
    shares = {level: kept(results) for level, results in by_level.items()}
    holds = [level for level in LEVELS if all(shares[lower] >= ASKED for lower in LEVELS if lower <= level)]
    write_csv(
        "series.csv",
        ["noise", "case", "expected", "found", "series"],
        [
            (level, *key, number)
            for level, results in by_level.items()
            for key, number in sorted(Counter((r.case, r.expected, r.found) for r in results).items())
        ],
    )
    write("series.md", page(by_level, shares, holds))


def page(by_level: dict[float, list[Result]], shares: dict[float, float], holds: list[float]) -> str:
    reached = "reached" if shares[MILD] >= ASKED else "not reached"
    fails = min((level for level in LEVELS if level not in holds), default=math.inf)
    by_noise = [(f"{level:.2%}", f"{share:.1%}") for level, share in shares.items()]
    return f"""# Generated series: how many keep their label

{provenance()} Made by `python benchmarks/series.py`; all counts are in
[series.csv](series.csv).

{SERIES:,} series a noise level from the formulas of the {len(CASES)} conformance cases (`benchmarks/formulas.py`):
other seeds, half to four times the length (the shape is stretched; oscillations keep their period in epochs), scales
from 1e-6 to 1e6. Noise is Gaussian, its spread a share of the starting loss S; of series with a target a share of each
value. It comes on top of the noise that some cases have by themselves.

Asked: at least {ASKED:.0%} with mild noise ({MILD:.1%} of S). Found: **{shares[MILD]:.1%}**, {reached}. It holds up to
{max(holds, default=0):.2%} of S and no longer at {fails:.2%}.

{table(["noise, share of S", "keep their label"], by_noise)}
From 5 % of S on a leg of noise is as long as the 10 % of S that R5 counts as a turn: long series become oscillating,
as VERDICTS.md says.

## Confusion matrix with mild noise ({MILD:.1%} of S); rows: expected

{confusion(by_level[MILD])}
## Cases that lose their label most often

{worst(by_level)}
`growing-oscillation` ends at 2.6 times its start where its length is odd, and far below it where it is even: R3 calls
the first diverged, which is no error. `noise-around-zero` has its first value, and so S, close to zero: now and then it
ends at more than twice its start. `noisy-flat-tail` has noise of 2 % of S by itself and as few as 15 epochs.
"""


def generated(number: int, noise: float) -> Result:
    """One series; its case, length, scale and seed depend on its number alone, so that levels of noise are compared."""
    case = CASES[number % len(CASES)]
    formula, random = FORMULAS[case["name"]], Random(number)
    n = len(case["series"]) if formula.lengths is None else random.randint(*formula.lengths)
    scale = 10 ** random.uniform(-6, 6)
    shape = Shape(n=n, base=formula.base, random=random)
    values = formula.make(shape)
    arguments = dict(case["judge"])
    if formula.steps is not None:
        arguments["steps"] = formula.steps(shape)
    if "planned" in arguments:
        arguments["planned"] = 2 * n
    clean = judge(values, JudgingTerms(**arguments))
    spread = noise * (clean.scale or 0.0)
    relative = noise if "target" in arguments else 0.0
    values = noisy(values, random, relative=relative, spread=0.0 if relative else spread)
    if "steps" in arguments:
        arguments["steps"] = scaled(noisy(arguments["steps"], random, relative=0.0, spread=spread), scale)
    found = judge(scaled(values, scale), JudgingTerms(**in_units(arguments, scale)))
    return Result(case=case["name"], expected=case["label"], found=found.label.value)


def noisy(values: Values, random: Random, *, relative: float, spread: float) -> Values:
    return [
        value + random.gauss(0, 1) * (spread + relative * abs(value))
        if value is not None and math.isfinite(value)
        else value
        for value in values
    ]


def scaled(values: Sequence[float | None], scale: float) -> Values:
    return [None if value is None else scale * value for value in values]


def in_units(arguments: dict[str, Any], scale: float) -> dict[str, Any]:
    """The terms of `judge` with all that is in the metric's units scaled."""
    changed = dict(arguments)
    for name in ("ref", "ref_scale"):
        if name in changed:
            changed[name] *= scale
    if "target" in changed:
        target = parse(changed["target"])
        changed["target"] = Comparison(
            metric=target.metric, operator=target.operator, target=scale * target.target, within=target.within
        )
    return changed


def kept(results: Sequence[Result]) -> float:
    return sum(result.expected == result.found for result in results) / len(results)


def confusion(results: Sequence[Result]) -> str:
    counts = Counter((result.expected, result.found) for result in results)
    rows, columns = sorted({e for e, _ in counts}), sorted({f for _, f in counts})
    return table(["", *columns], [(row, *(counts[row, column] or "" for column in columns)) for row in rows])


def worst(by_level: dict[float, list[Result]]) -> str:
    shown = (0.0, MILD, 0.01, 0.02, 0.05)
    lost = {
        level: Counter(result.case for result in by_level[level] if result.expected != result.found) for level in shown
    }
    number = Counter(result.case for result in by_level[MILD])
    most = sorted(number, key=lambda case: -lost[MILD][case] - lost[0.01][case] / 1000)[:14]
    return table(
        ["case", "label", *(f"lost at {level:.1%}" for level in shown)],
        [
            (
                case,
                next(one["label"] for one in CASES if one["name"] == case),
                *(f"{lost[level][case]} of {number[case]}" for level in shown),
            )
            for case in most
        ],
    )


if __name__ == "__main__":
    main()
