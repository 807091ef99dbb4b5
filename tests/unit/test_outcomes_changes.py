"""Where outcomes change: neighbours along a version axis, all else equal."""

from __future__ import annotations

from outcomes_made import BUILD, FLAT, GOOD, NAN, OPEN, by_id, founding, line

from runner.outcomes.layout import Change, changes


def test_a_change_is_between_neighbours_of_different_kinds() -> None:
    outcomes = line("tensorflow", ["1.10", "1.2", "1.9", "1.11"], [GOOD, NAN, FLAT, OPEN])
    assert changes(by_id(outcomes), "tensorflow") == (
        Change(axis="tensorflow", before=outcomes[2].id, after=outcomes[0].id),
        Change(axis="tensorflow", before=outcomes[0].id, after=outcomes[3].id),
    )


def test_a_paired_axis_moves_along_and_scripts_have_no_neighbours() -> None:
    outcomes = founding()
    found = changes(by_id(outcomes), "tensorflow")
    assert {change.axis for change in found} == {"tensorflow"}
    assert Change(axis="tensorflow", before=outcomes[1].id, after=outcomes[6].id) in found
    assert outcomes[6].id.get("keras") == "2.10.0"
    assert len(found) == 8
    for change in found:
        assert change.before.get("script") == change.after.get("script")
        assert by_id(outcomes)[change.before].kind is not by_id(outcomes)[change.after].kind


def test_each_version_axis_has_its_own_changes() -> None:
    outcomes = [
        *line("tensorflow", ["1.1", "1.2"], [GOOD, GOOD], keras="2.1", script="a.py"),
        *line("tensorflow", ["1.1", "1.2"], [GOOD, BUILD], keras="2.2", script="a.py"),
        *line("tensorflow", ["1.2"], [NAN], keras="2.2", script="b.py"),
    ]
    assert changes(by_id(outcomes), "tensorflow") == (
        Change(axis="tensorflow", before=outcomes[2].id, after=outcomes[3].id),
        Change(axis="keras", before=outcomes[1].id, after=outcomes[3].id),
    )
