"""Where outcomes change: neighbours along a version axis, all else equal."""

from __future__ import annotations

from outcomes_made import BUILD, FLAT, GOOD, NAN, OPEN, founding, line

from runner.outcomes.layout import Change, changes


def test_a_change_is_between_neighbours_of_different_kinds() -> None:
    outcomes = line("tensorflow", ["1.10", "1.2", "1.9", "1.11"], [GOOD, NAN, FLAT, OPEN])
    assert changes(outcomes, "tensorflow") == (
        Change(axis="tensorflow", before=2, after=0),
        Change(axis="tensorflow", before=0, after=3),
    )


def test_a_paired_axis_moves_along_and_scripts_have_no_neighbours() -> None:
    outcomes = founding()
    found = changes(outcomes, "tensorflow")
    assert {change.axis for change in found} == {"tensorflow"}
    assert Change(axis="tensorflow", before=1, after=6) in found
    assert outcomes[6].cell["keras"] == "2.10.0"
    assert len(found) == 8
    for change in found:
        assert outcomes[change.before].cell["script"] == outcomes[change.after].cell["script"]
        assert outcomes[change.before].kind is not outcomes[change.after].kind


def test_each_version_axis_has_its_own_changes() -> None:
    outcomes = [
        *line("tensorflow", ["1.1", "1.2"], [GOOD, GOOD], keras="2.1", script="a.py"),
        *line("tensorflow", ["1.1", "1.2"], [GOOD, BUILD], keras="2.2", script="a.py"),
        *line("tensorflow", ["1.2"], [NAN], keras="2.2", script="b.py"),
    ]
    assert changes(outcomes, "tensorflow") == (
        Change(axis="tensorflow", before=2, after=3),
        Change(axis="keras", before=1, after=3),
    )
