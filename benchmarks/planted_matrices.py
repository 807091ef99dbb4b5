"""Planted matrices: whether few cells show the same changes as all of them, and how many cells that takes.

In each of 300 matrices of six kinds one rule makes cells bad. The full matrix shows every change between neighbours;
`cells: pairwise` has to show the same ones, no more and no less. One kind needs 3 values to meet, and `3-wise` is run
beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import random
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from figures import tell

from runner.matrix.cell_id import CellId
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.sparse import SparseMatrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rule = Callable[[dict[str, int]], bool]
    """Whether a cell is bad, by the places of its values."""

EACH, SEED = 50, 18
TO_REACH, MOST = 0.95, 0.30


def axes(chance: random.Random) -> dict[str, list[str]]:
    """The axes of a matrix of 400 to 3,360 cells."""
    return {
        "tensorflow": [f"2.{n}.0" for n in range(chance.randint(8, 14))],
        "keras": [f"3.{n}.0" for n in range(chance.randint(6, 10))],
        "python": [f"3.{n}" for n in range(8, 8 + chance.randint(3, 4))],
        "import": ["as-written", "keras", "tf.keras"][: chance.randint(2, 3)],
        "script": ["a.py", "b.py"],
    }


def one_border(have: dict[str, int], chance: random.Random) -> Rule:
    axis = chance.choice(["tensorflow", "keras", "python"])
    at, newer = chance.randrange(1, have[axis]), chance.random() < 0.5
    return lambda cell: (cell[axis] >= at) is newer


def interaction(have: dict[str, int], chance: random.Random) -> Rule:
    one, other = chance.sample(["tensorflow", "keras", "python"], 2)
    first, second = one_border_of(one, have, chance), one_border_of(other, have, chance)
    return lambda cell: first(cell) and second(cell)


def two_borders(have: dict[str, int], chance: random.Random) -> Rule:
    one, other = chance.sample(["tensorflow", "keras", "python"], 2)
    first, second = one_border_of(one, have, chance), one_border_of(other, have, chance)
    return lambda cell: first(cell) or second(cell)


def one_border_of(axis: str, have: dict[str, int], chance: random.Random) -> Rule:
    at, newer = chance.randrange(1, have[axis]), chance.random() < 0.5
    return lambda cell: (cell[axis] >= at) is newer


def bad_value(have: dict[str, int], chance: random.Random) -> Rule:
    axis = chance.choice(["tensorflow", "keras", "python"])
    at = chance.randrange(have[axis])
    return lambda cell: cell[axis] == at


def flavour(have: dict[str, int], chance: random.Random) -> Rule:
    border = one_border_of(chance.choice(["tensorflow", "keras"]), have, chance)
    of = chance.randrange(have["import"])
    return lambda cell: cell["import"] == of and border(cell)


def three_axes(have: dict[str, int], chance: random.Random) -> Rule:
    """A script that fails under one import flavour beyond a release: 3 values have to meet."""
    inner, script = flavour(have, chance), chance.randrange(2)
    return lambda cell: cell["script"] == script and inner(cell)


KINDS: dict[str, Callable[[dict[str, int], random.Random], Rule]] = {
    "one axis' border": one_border,
    "an interaction of two axes": interaction,
    "two independent borders": two_borders,
    "a single bad value": bad_value,
    "import flavour and version": flavour,
    "three axes at once": three_axes,
}


def planted(kind: str, number: int) -> tuple[list[CellId], dict[CellId, OutcomeKind]]:
    """The cells of a matrix and what each comes to."""
    chance = random.Random(f"{SEED} {kind} {number}")
    have = axes(chance)
    rule = KINDS[kind]({name: len(values) for name, values in have.items()}, chance)
    outcomes = {}
    for places in itertools.product(*(range(len(values)) for values in have.values())):
        cell = CellId(tuple((name, have[name][place]) for name, place in zip(have, places, strict=True)))
        bad = rule(dict(zip(have, places, strict=True)))
        outcomes[cell] = OutcomeKind.BAD if bad else OutcomeKind.GOOD
    return list(outcomes), outcomes


def searched(matrix: SparseMatrix, outcomes: dict[CellId, OutcomeKind]) -> tuple[dict[CellId, OutcomeKind], int]:
    """The cells that were run, with what they came to, and the number of rounds."""
    ran: dict[CellId, OutcomeKind] = {}
    rounds, wanted = 0, matrix.first
    while wanted:
        ran |= {cell: outcomes[cell] for cell in wanted}
        rounds, wanted = rounds + 1, matrix.further(ran)
    return ran, rounds


def results(ways: int, each: int) -> Iterator[dict[str, object]]:
    for kind in KINDS:
        for number in range(each):
            cells, outcomes = planted(kind, number)
            matrix = SparseMatrix(cells, "tensorflow", ways)
            ran, rounds = searched(matrix, outcomes)
            there, seen = set(matrix.changes(outcomes)), set(matrix.changes(ran))
            yield {
                "kind": kind,
                "cells": len(cells),
                "run": len(ran),
                "share": len(ran) / len(cells),
                "rounds": rounds,
                "flips": len(there),
                "found": len(there & seen),
                "same": there == seen,
            }


def table(ways: int, found: list[dict[str, object]]) -> str:
    groups = defaultdict(list)
    for one in found:
        groups[one["kind"]].append(one)
    groups["all"] = found
    lines = [
        f"### {'pairwise' if ways == 2 else f'{ways}-wise'}",
        "",
        "| planted | matrices | the same flips | flips found | cells run, median | at most | rounds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, own in groups.items():
        shares = sorted(float(str(one["share"])) for one in own)
        same, flips, seen = (sum(int(one[name]) for one in own) for name in ("same", "flips", "found"))  # type: ignore[call-overload]
        rounds = max(int(str(one["rounds"])) for one in own)
        lines.append(
            f"| {kind} | {len(own)} | {same} ({100 * same / len(own):.1f} %) | {seen} of {flips} |"
            f" {100 * shares[len(shares) // 2]:.1f} % | {100 * shares[-1]:.1f} % | at most {rounds} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=EACH)
    parser.add_argument("--ways", type=int, nargs="*", default=[2, 3])
    parser.add_argument("--to", type=Path)
    asked = parser.parse_args()
    parts, took = [], time.process_time()
    for ways in asked.ways:
        found = list(results(ways, asked.each))
        parts.append(table(ways, found))
        same = sum(bool(one["same"]) for one in found) / len(found)
        most = max(float(str(one["share"])) for one in found)
        if ways == 2:
            tell("sparse-flips", sum(not one["same"] for one in found), len(found), "matrices")
            tell("sparse-cells", most, 1.0, "of the cells")
        reached = same >= TO_REACH and most <= MOST
        parts.append(
            f"Asked: the same flips in {TO_REACH:.0%} with at most {MOST:.0%} of the cells:"
            f" {same:.1%} with at most {most:.1%}: {'reached' if reached else 'not reached'}."
        )
        if asked.to:
            lines = "".join(json.dumps(one) + "\n" for one in found)
            (asked.to / f"{ways}-wise.jsonl").write_text(lines)
    took = time.process_time() - took
    when = datetime.now(UTC).date()
    parts.append(f"{when}, {platform.machine()}, CPython {platform.python_version()}; {took:.0f} s of a processor.")
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
