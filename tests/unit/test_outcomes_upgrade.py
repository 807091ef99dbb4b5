"""Upgrade advice: it names stacks that ran and were good, as they are or with a fix that ran there, and no others."""

from __future__ import annotations

import pytest
from made_account import made_account

from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.tried_fix import Fix, FixCell, FixKind, FixStanding, fix_sentence
from runner.outcomes.upgrade import upgrade_advice

GOOD, BAD, UNTESTABLE, UNDECIDED = OutcomeKind.GOOD, OutcomeKind.BAD, OutcomeKind.UNTESTABLE, OutcomeKind.UNDECIDED
STACKS = {"1.13.1": "2.2.4", "2.10.1": "2.10.0", "2.16.1": "3.3.3"}


def cells(kinds: dict[str, OutcomeKind], **way: str):
    return [({"tensorflow": version, "keras": STACKS[version], **way}, kind) for version, kind in kinds.items()]


def fix(
    works: dict[str, bool], *, diff: str = "--- a/a\n+++ b/a\n+x = 1\n+y = 2\n", touched: bool = True, **way: str
) -> Fix:
    return Fix(
        kind=FixKind.EDIT,
        says="x",
        because="y",
        diff=diff,
        lines=2,
        requirements=() if diff else ("numpy<1.24",),
        standing=FixStanding.WORKS,
        cells=tuple(
            FixCell(
                values={"tensorflow": version, "keras": STACKS[version], **way},
                role="other",
                before="fails (nan)",
                after="converges" if good else "fails (nan)",
                touched=touched,
            )
            for version, good in works.items()
        ),
    )


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (
            {"1.13.1": GOOD, "2.10.1": GOOD, "2.16.1": BAD},
            ["This script works unchanged up to TensorFlow 2.10.1 (Keras 2.10.0)."],
        ),
        (
            {"1.13.1": BAD, "2.10.1": GOOD, "2.16.1": BAD},
            ["This script works unchanged up to TensorFlow 2.10.1 (Keras 2.10.0), though not with 1.13.1."],
        ),
        (
            dict.fromkeys(STACKS, GOOD),
            ["This script works unchanged in all releases that were run, up to TensorFlow 2.16.1 (Keras 3.3.3)."],
        ),
        (
            dict.fromkeys(STACKS, BAD),
            ["This script works unchanged in no stack of this matrix, from TensorFlow 1.13.1 to 2.16.1."],
        ),
        ({"1.13.1": GOOD, "2.10.1": UNTESTABLE, "2.16.1": UNDECIDED}, []),
        (
            {"1.13.1": GOOD, "2.10.1": BAD, "2.16.1": UNTESTABLE},
            ["This script works unchanged up to TensorFlow 1.13.1 (Keras 2.2.4)."],
        ),
    ],
)
def test_the_newest_stack_that_was_seen_good_is_named(kinds: dict[str, OutcomeKind], said: list[str]) -> None:
    assert list(upgrade_advice(cells(kinds), ["tensorflow", "keras"])) == said


def test_a_fix_takes_it_as_far_as_it_was_run_and_no_further() -> None:
    kinds = {"1.13.1": GOOD, "2.10.1": BAD, "2.16.1": BAD}

    def advice(*fixes: Fix) -> str:
        (said,) = upgrade_advice(cells(kinds), ["tensorflow"], [made_account().model_copy(update={"fixes": fixes})])
        return said

    unchanged = "This script works unchanged up to TensorFlow 1.13.1 (Keras 2.2.4)"
    assert advice() == f"{unchanged}."
    assert (
        advice(fix({"2.10.1": True})) == f"{unchanged}; with the 2-line patch up to TensorFlow 2.10.1 (Keras 2.10.0)."
    )
    both = advice(fix({"2.10.1": True}), fix({"2.10.1": True, "2.16.1": True}, diff=""))
    assert both == f"{unchanged}; with the requirement numpy<1.24 up to TensorFlow 2.16.1 (Keras 3.3.3)."
    assert advice(fix({"2.16.1": False})) == f"{unchanged}."
    assert advice(fix({"2.16.1": True}, touched=False)) == f"{unchanged}."
    assert advice(fix({"2.16.1": True}, script="another.py")) == f"{unchanged}."
    (cell,) = (earlier := fix({"2.16.1": True})).cells
    of_another_axis = cell.model_copy(update={"values": {"keras": "3.3.3"}})
    assert advice(earlier.model_copy(update={"cells": (of_another_axis,)})) == f"{unchanged}."


def test_a_release_that_a_fix_mends_is_told_with_it() -> None:
    kinds = {"1.13.1": BAD, "2.10.1": BAD, "2.16.1": GOOD}
    text = "This script works unchanged up to TensorFlow 2.16.1 (Keras 3.3.3), though not with 1.13.1 and 2.10.1"
    told = []
    for fixes in ((fix({"1.13.1": True}),), (fix({"1.13.1": True, "2.10.1": True}),), (fix({"1.13.1": False}),), ()):
        account = made_account().model_copy(update={"fixes": fixes})
        told.append(upgrade_advice(cells(kinds), ["tensorflow"], [account])[0].removeprefix(text))
    assert told == [" (it does with the 2-line patch: 1.13.1).", " (it does with the 2-line patch).", ".", "."]


def test_ways_of_running_it_are_told_apart_and_those_alike_together() -> None:
    whole, part = {"1.13.1": GOOD, "2.10.1": GOOD}, {"1.13.1": GOOD, "2.10.1": BAD}
    made = [*cells(whole, script="in/a.py"), *cells(part, script="in/b.py"), *cells(whole, script="in/c.py")]
    assert list(upgrade_advice(made, ["tensorflow"])) == [
        "Each of a.py and c.py works unchanged in all releases that were run, up to TensorFlow 2.10.1 (Keras 2.10.0).",
        "b.py works unchanged up to TensorFlow 1.13.1 (Keras 2.2.4).",
    ]


def test_it_goes_along_the_first_package_that_varies() -> None:
    one = [
        ({"tensorflow": "2.10.1", "keras": version}, kind) for version, kind in {"3.0.0": BAD, "3.0.5": GOOD}.items()
    ]
    assert upgrade_advice(one, ["tensorflow", "keras"]) == (
        "This script works unchanged up to Keras 3.0.5, though not with 3.0.0.",
    )
    assert upgrade_advice(one[:1], ["tensorflow", "keras"]) == ()


def test_a_sentence_on_a_fix_names_no_cell_that_it_was_not_run_in_as_mended() -> None:
    made = fix({"2.10.1": True, "1.13.1": True, "2.16.1": True})
    bad, good, other = made.cells
    shown = (bad, good.model_copy(update={"before": "converges"}), other.model_copy(update={"after": ""}))
    sentence = fix_sentence(made.model_copy(update={"cells": shown}))
    assert "it was not run in tensorflow 2.16.1" in sentence
    assert "it leaves tensorflow 1.13.1 with keras 2.2.4 as it was" in sentence


@pytest.mark.parametrize(("ways", "named"), [(12, 12), (13, 4), (400, 4)])
def test_of_many_ways_of_running_it_the_first_are_named(ways: int, named: int) -> None:
    whole = {"1.13.1": GOOD, "2.10.1": GOOD}
    (said,) = upgrade_advice([one for n in range(ways) for one in cells(whole, script=f"s{n}.py")], ["tensorflow"])
    assert said.startswith("Each of s0.py, s1.py")
    assert said.count(".py") == named
    assert (f" and {ways - 4} more works unchanged in all releases" in said) == (named < ways)
