"""What `--fail-on` obeys, and a report held against an earlier one."""

from __future__ import annotations

from reports_made import cell, exception, report, trial

from runner.matrix.cell_id import CellId
from runner.outcomes.earlier import against, evidence
from runner.outcomes.result import ComparisonResult
from runner.session.results import FailOn, broken

FAILS = {"outcome": "fails (nan)", "kind": "bad"}
WORSE = ComparisonResult(label="worse", reason="0 of 4 against 4 of 4")


def test_worse_means_than_the_baseline_or_than_before_where_an_earlier_result_is_given() -> None:
    made = report(cell(1), cell(2, **FAILS, comparison=WORSE))
    assert broken(made, [FailOn.WORSE]) == (
        "worse than the baseline: six=1.2.0,script=a.py fails (nan): 0 of 4 against 4 of 4",
    )
    assert broken(made, [FailOn.WORSE], against(made, made)) == ()
    [line] = broken(made, [FailOn.WORSE], against(made, report(cell(1), cell(2))))
    assert line.startswith("worse than before: six=1.2.0,script=a.py: fails (nan), was converges; ")


def test_flaky_and_crash_name_the_cells_that_are() -> None:
    flaky = cell(2, outcome="flaky (neither leads)", kind="undecided", reason="why", converged=2, counted=4)
    crashed = cell(
        3,
        outcome="breaks (crashed-import)",
        kind="bad",
        exception=exception(),
        trials=(trial("crashed-import"),),
    )
    made = report(cell(1), flaky, crashed)
    assert broken(made, [FailOn.FLAKY]) == ("flaky: six=1.2.0,script=a.py flaky (2 of 4): why",)
    assert broken(made, [FailOn.CRASH]) == (
        "crash: six=1.3.0,script=a.py breaks (crashed-import): ValueError: bad shape",
    )
    assert len(broken(made, [FailOn.CRASH, FailOn.FLAKY, FailOn.CRASH])) == 2
    assert broken(made, [FailOn.NOT_GOOD]) == (
        "not good: six=1.2.0,script=a.py flaky (2 of 4): why",
        f"not good: six=1.3.0,script=a.py breaks (crashed-import): {crashed.reason}",
    )
    assert broken(made, []) == ()


def test_what_the_matrix_expects_breaks_nothing() -> None:
    expected = cell(2, **FAILS, comparison=WORSE, expected="fails", as_expected=True, trials=(trial("crashed-import"),))
    made = report(cell(1), expected)
    assert broken(made, list(FailOn)) == ()
    assert broken(made, list(FailOn), against(made, report(cell(1), cell(2)))) == ()


def test_cells_are_matched_by_their_axis_values_in_any_order() -> None:
    turned = cell(1, values={"script": "a.py", "six": "1.1.0"}, id="f" * 12)
    [found] = against(report(cell(1)), report(turned))
    assert (found.name, found.label) == ("six=1.1.0,script=a.py", "equivalent")


def test_a_cell_that_was_not_looked_at_is_not_gone() -> None:
    earlier = report(cell(1), cell(2), cell(3))
    found = against(report(cell(1)), earlier, {CellId.of({"six": f"1.{n}.0", "script": "a.py"}) for n in (1, 2)})
    assert [(one.name, one.label) for one in found] == [
        ("six=1.1.0,script=a.py", "equivalent"),
        ("six=1.3.0,script=a.py", "gone"),
    ]


def test_reports_of_other_criteria_are_not_compared() -> None:
    [found] = against(report(cell(1, **FAILS)), report(cell(1), criterion=()))
    assert found.label == "inconclusive"
    assert "judged by loss < 0.0001 now, by the shape of loss then" in found.reason


def test_copies_of_a_trial_are_one_observation() -> None:
    copies = tuple(trial(seed=0, key=f"{n}") for n in range(4))
    copies = tuple(one.model_copy(update={"seed": n}) for n, one in enumerate(copies))
    assert evidence(cell(1, trials=copies, converged=1, counted=1)).finals == (1e-6,)
    assert len(evidence(cell(1)).finals) == 4
    assert len(evidence(cell(1, trials=tuple(trial(seed=n, curves={}, final=1.0) for n in range(4)))).finals) == 4
