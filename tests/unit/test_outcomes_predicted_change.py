"""What is predicted for the cells of a matrix, as the result keeps it: each place once, the worst first."""

from __future__ import annotations

from runner.changes.known import known_changes
from runner.check.findings import Finding, FindingKind
from runner.outcomes.predicted_change import predicted_changes


def finding(kind: FindingKind, path: str, line: int) -> Finding:
    return Finding(
        kind=kind,
        path=path,
        file="train.py",
        line=line,
        column=1,
        package="keras",
        since="3.0.0",
        message="It is so.",
        instead="otherwise",
    )


def test_each_place_is_told_once_with_the_cells_that_it_is_predicted_for() -> None:
    gone = finding(FindingKind.BREAKS, "keras.gone", 7)
    old = finding(FindingKind.DEPRECATED, "keras.old", 2)
    found = predicted_changes([("a" * 12, [old]), ("b" * 12, [old, gone]), ("c" * 12, [gone])], ())
    assert [(one.path, one.cells) for one in found] == [
        ("keras.gone", ("b" * 12, "c" * 12)),
        ("keras.old", ("a" * 12, "b" * 12)),
    ]
    assert [one.is_known for one in found] == [False, False]
    assert (found[0].instead, found[0].source) == ("otherwise", "")


def test_a_known_change_has_its_source_and_the_case_that_proves_it() -> None:
    change = next(one for one in known_changes() if one.source and one.case)
    (found,) = predicted_changes([("a" * 12, [finding(FindingKind.KNOWN, change.name, 3)])], known_changes())
    assert found.is_known
    assert (found.source, found.case) == (change.source, change.case)
