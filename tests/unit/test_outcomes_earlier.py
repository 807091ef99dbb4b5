"""A result held against an earlier one: by tests, corrected over all cells, and by what is not a matter of chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.matrix.cell_id import CellId
from runner.outcomes.earlier import CellEvidence, Earlier, EarlierLabel, held_against
from runner.outcomes.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


def evidence(converged: int, counted: int = 4, level: float = 1e-6, **changes: Any) -> CellEvidence:
    outcome = "converges" if converged == counted else "fails (nan)" if not converged else "flaky (coin flip)"
    values = {
        "outcome": Outcome.parse(outcome),
        "finals": tuple(level * (1 + seed / 1000) for seed in range(converged)),
        "scale": 1.0,
        "runs": frozenset({(f"{converged}-{level}", "2026")}),
    }
    return CellEvidence(converged=converged, counted=counted, **{**values, **changes})


BROKEN = CellEvidence(
    outcome=Outcome.parse("breaks (crashed-import)"),
    converged=0,
    counted=2,
    reason="ImportError: no lstm",
    runs=frozenset({("k", "t")}),
)


def held(now: Mapping[str, CellEvidence], then: Mapping[str, CellEvidence], **others: Any) -> tuple[Earlier, ...]:
    """Two results of cells that differ in one axis."""

    def cells(found: Mapping[str, CellEvidence]) -> dict[CellId, CellEvidence]:
        return {CellId.of({"six": name}): evidence for name, evidence in found.items()}

    return held_against(cells(now), cells(then), **others)


def one(now: CellEvidence | None, then: CellEvidence | None, **others: Any) -> Earlier:
    [found] = held({"x": now} if now else {}, {"x": then} if then else {}, **others)
    return found


def test_a_cell_that_fails_now_and_converged_is_worse_and_the_other_way_round_better() -> None:
    worse = one(evidence(0), evidence(4))
    assert (worse.label, worse.notable) == (EarlierLabel.WORSE, True)
    assert worse.reason == "fails (nan), was converges; 0 of 4 trials succeed, were 4 of 4 (p = 0.029)"
    assert one(evidence(4), evidence(0)).label is EarlierLabel.BETTER


def test_one_trial_less_is_no_finding() -> None:
    found = one(evidence(3), evidence(4))
    assert found.label is EarlierLabel.INCONCLUSIVE
    assert found.notable
    assert "were 4 of 4 (p = 1)" in found.reason


def test_many_cells_are_corrected_for_and_what_is_missing_is_said() -> None:
    now = {f"{i}": evidence(4) for i in range(10)}
    then = dict(now)
    now = {name: replace(found, runs=frozenset({(name, "later")})) for name, found in now.items()}
    now["3"] = evidence(0)
    found = {one.cell.get("six"): one for one in held(now, then)}
    assert found["3"].label is EarlierLabel.INCONCLUSIVE
    assert "p = 0.029, 0.29 among 10 cells" in found["3"].reason
    assert found["3"].reason.endswith("not sure yet: 2 more trials of this cell would make it")
    now["3"] = evidence(0, 6)
    assert {one.cell.get("six"): one for one in held(now, then)}["3"].label is EarlierLabel.WORSE


def test_an_earlier_result_of_one_trial_can_make_nothing_sure_and_that_is_said() -> None:
    now = {"x": evidence(0), **{f"{i}": evidence(4, level=2e-6) for i in range(9)}}
    then = {"x": evidence(1, 1), **{f"{i}": evidence(4) for i in range(9)}}
    found = held(now, then)[0]
    assert found.label is EarlierLabel.INCONCLUSIVE
    assert found.reason.endswith("not sure: the earlier result has too few trials of it")


def test_copies_are_not_asked_for_more() -> None:
    found = one(evidence(0, 1, copies=True), evidence(4))
    assert (found.label, found.seeds_needed) == (EarlierLabel.INCONCLUSIVE, 0)
    assert found.reason.endswith("its trials are copies of one, whatever the seed: no test can tell more")


@given(st.integers(1, 6), st.integers(4, 8), st.integers(1, 20))
def test_as_many_trials_as_are_asked_for_make_it_sure_and_one_less_does_not(n: int, of: int, cells: int) -> None:
    others = {f"{i}": replace(evidence(4), runs=frozenset({(f"{i}", "now")})) for i in range(cells - 1)}
    then = {name: evidence(4) for name in others} | {"x": evidence(of, of)}

    def with_trials(count: int) -> Earlier:
        return held({"x": evidence(0, count), **others}, then)[0]

    needed = with_trials(n).seeds_needed
    if needed:
        assert with_trials(n + needed).label is EarlierLabel.WORSE
        assert with_trials(n + needed - 1).label is EarlierLabel.INCONCLUSIVE


def test_levels_are_told_apart_shown_the_same_or_left_open() -> None:
    assert one(evidence(4, level=1e-3), evidence(4)).label is EarlierLabel.LEVEL_DIFFERS
    same = one(evidence(4, level=1.001e-6), evidence(4))
    assert (same.label, same.notable) == (EarlierLabel.EQUIVALENT, False)
    wide = evidence(4, finals=(1e-8, 1e-6, 1e-4, 1e-2), runs=frozenset())
    assert one(wide, evidence(4)).label is EarlierLabel.INCONCLUSIVE


def test_levels_of_other_metrics_or_of_other_starts_are_not_compared() -> None:
    assert one(evidence(4, level=1e-3, metric="mae"), evidence(4)).level is None
    assert one(evidence(4, level=1e-3, start=500.0), evidence(4, start=1.0)).level is None
    assert one(evidence(4, level=1e-3, start=2.0), evidence(4, start=1.0)).level is not None


def test_the_very_same_trials_are_equivalent_however_few_they_are() -> None:
    few = evidence(1, 1)
    found = one(few, few)
    assert (found.label, found.reason) == (EarlierLabel.EQUIVALENT, "the very same trials: converges")
    judged_otherwise = replace(few, outcome=Outcome.parse("settles"))
    assert one(judged_otherwise, few).label is EarlierLabel.INCONCLUSIVE


def test_what_breaks_now_is_worse_without_a_test_and_its_exception_says_why() -> None:
    assert one(BROKEN, evidence(4)).label is EarlierLabel.WORSE
    assert one(BROKEN, evidence(4)).reason == "breaks (crashed-import), was converges: ImportError: no lstm"
    assert one(evidence(4), BROKEN).label is EarlierLabel.BETTER
    assert one(BROKEN, evidence(0)).label is EarlierLabel.INCONCLUSIVE
    assert one(replace(BROKEN, runs=frozenset()), BROKEN).label is EarlierLabel.EQUIVALENT
    assert one(replace(BROKEN, outcome=Outcome.parse("blocked (unresolvable)")), BROKEN).notable


def test_cells_that_one_side_lacks_are_new_or_gone() -> None:
    assert (one(evidence(4), None).label, one(None, evidence(4)).label) == (EarlierLabel.NEW, EarlierLabel.GONE)
    assert one(evidence(4), None).reason == "converges; not in the earlier result"
    assert one(None, evidence(4)).reason == "converges; not in the matrix any more"


def test_results_of_other_criteria_are_not_compared() -> None:
    found = one(evidence(0), evidence(4), obstacle="judged by another rule")
    assert (found.label, found.reason) == (
        EarlierLabel.INCONCLUSIVE,
        "fails (nan), was converges; judged by another rule",
    )


counts = st.integers(1, 8).flatmap(lambda n: st.integers(0, n).map(lambda c: evidence(c, n)))


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=6))
def test_to_turn_the_two_results_round_turns_the_labels_round(pairs: list[tuple[CellEvidence, CellEvidence]]) -> None:
    turned = {EarlierLabel.WORSE: EarlierLabel.BETTER, EarlierLabel.BETTER: EarlierLabel.WORSE}
    now = {f"{i}": replace(a, runs=frozenset({("a", "1")})) for i, (a, _) in enumerate(pairs)}
    then = {f"{i}": replace(b, runs=frozenset({("b", "2")})) for i, (_, b) in enumerate(pairs)}
    there, back = held(now, then), held(then, now)
    assert [turned.get(one.label, one.label) for one in there] == [one.label for one in back]
    assert all(one.reason for one in there)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_cells_come_in_the_order_of_the_result_and_what_is_gone_last(order: tuple[str, str]) -> None:
    found = held(dict.fromkeys(order, evidence(4)), {"gone": evidence(4), "a": evidence(4)})
    assert [one.cell.get("six") for one in found] == [*order, "gone"]
