"""What a matrix says: sentences that are true of every cell, in ranges that hold in the data."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes_made import BUILD, FLAKY, FLAT, GOOD, IMPORT, LABELS, NAN, OPEN, by_id, founding, line, made

from runner.matrix.versions import parsed
from runner.outcomes.layout import boxes, dimensions_of, layout_of, patterns_of, rows_of
from runner.outcomes.ranges import sentences

if TYPE_CHECKING:
    from random import Random

    from runner.outcomes.judged_cell import JudgedCell

TEN = [f"1.{minor}" for minor in range(11)]


def said(outcomes: list[JudgedCell], **options: str) -> str:
    return " ".join(sentences(by_id(outcomes), base="tensorflow", **options))


def test_two_imports_that_differ_are_told_in_ranges_of_versions() -> None:
    keras = line("tensorflow", TEN[2:9], [NAN] * 7, import_="keras")
    tf_keras = line("tensorflow", TEN[4:], [GOOD, GOOD, OPEN, GOOD, GOOD, GOOD, GOOD], import_="tf.keras")
    assert said(keras + tf_keras) == (
        "With import=keras the loss ends in NaN; with import=tf.keras it converges (tensorflow 1.6 undecided)."
    )
    later = line("tensorflow", TEN[9:], [GOOD, GOOD], import_="keras")
    assert said(keras + later + tf_keras) == (
        "With import=keras the loss ends in NaN from tensorflow 1.2 to 1.8; "
        "with import=tf.keras it converges (1.6 undecided); with import=keras it converges from 1.9 on."
    )


def test_the_founding_matrix_is_told_worst_first_and_keras_is_no_axis_of_its_own() -> None:
    assert said(founding()) == (
        "With script functional_keras.py the loss ends in NaN on tensorflow 1.13.1; "
        "with every script it crashes while its model is built on 2.16.1; "
        "with script sequential_input_tf_keras.py or sequential_input_keras.py it crashes while its model is built "
        "on 1.13.1; "
        "the other 7 cells converge."
    )


def test_an_axis_that_changes_nothing_is_not_spoken_of() -> None:
    outcomes = [one for seed in "12" for one in line("tensorflow", TEN[:3], [NAN, GOOD, GOOD], env=f"N={seed}")]
    assert said(outcomes) == "The loss ends in NaN on tensorflow 1.0; it converges from 1.1 on."


def test_versions_go_by_their_number_whatever_the_order_of_the_file() -> None:
    outcomes = line("tensorflow", ["1.10", "1.9", "1.2"], [GOOD, NAN, NAN])
    assert said(outcomes) == "The loss ends in NaN from tensorflow 1.2 to 1.9; it converges on 1.10."


def test_where_all_is_alike_that_is_all_that_is_said() -> None:
    assert said(founding()[5:10]) == "All 5 cells converge."
    assert said(line("tensorflow", TEN[:2], [NAN, NAN])) == "Both cells end in NaN."
    assert said(line("tensorflow", TEN[:1], [NAN]), metric="val_loss") == "In the only cell the val_loss ends in NaN."
    assert sentences({}) == ()


def test_what_a_range_does_not_cover_is_named() -> None:
    outcomes = line("tensorflow", TEN[:5], [GOOD, FLAKY, GOOD, NAN, NAN], script="a.py")
    gap = line("tensorflow", [TEN[0], TEN[2], TEN[3]], [FLAT, FLAT, IMPORT], script="b.py")
    assert said(outcomes + gap) == (
        "With script a.py the loss ends in NaN from tensorflow 1.3 on; "
        "with script b.py it does not converge (plateaued) from 1.0 to 1.2 (1.1 left out); "
        "and 2 more patterns: 2 cells converge, 1 crashes at import and 1 is flaky (neither leads)."
    )


def test_more_undecided_cells_than_decided_ones_are_no_aside() -> None:
    labels = [GOOD, *[OPEN] * 3, GOOD, NAN]
    assert said(line("tensorflow", TEN[:6], labels)) == (
        "The loss ends in NaN on tensorflow 1.5; it is undecided from 1.1 to 1.3; it converges on 1.0 and on 1.4."
    )


def test_alternating_cells_are_counted_and_not_listed() -> None:
    outcomes = line("tensorflow", TEN, [GOOD, NAN] * 5 + [GOOD])
    assert said(outcomes) == (
        "The loss ends in NaN on 5 of the 11 versions of tensorflow; "
        "it converges on 6 of the 11 versions of tensorflow."
    )


def test_of_many_patterns_the_two_that_matter_most_are_said() -> None:
    labels = {"a": [NAN, GOOD, GOOD], "b": [NAN, NAN, GOOD], "c": [GOOD, BUILD, IMPORT], "d": [GOOD, GOOD, FLAT]}
    outcomes = [one for name, row in labels.items() for one in line("tensorflow", TEN[:3], row, env=f"N={name}")]
    assert said(outcomes) == (
        "With env N=b the loss ends in NaN from tensorflow 1.0 to 1.1; with env N=a the loss ends in NaN on 1.0; "
        "and 7 more patterns: 6 cells converge, 1 does not converge (plateaued), "
        "1 crashes while its model is built and 1 crashes at import."
    )


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("012", "With keras 2.0 to 2.2 "),
        ("02", "With keras 2.0 or 2.2 "),
        ("0135", "With every keras but 2.2 and 2.4 "),
        ("02468", "With 5 of the 10 values of keras "),
    ],
)
def test_many_values_of_an_axis_are_told_as_a_range_as_what_is_left_out_or_as_a_number(chosen: str, words: str) -> None:
    values = 6 if "but" in words else 10
    outcomes = [
        one
        for minor in range(values)
        for one in line("tensorflow", TEN, [NAN if str(minor) in chosen else GOOD] * 11, keras=f"2.{minor}")
    ]
    assert said(outcomes).startswith(words)


# -- whatever the cells are ------------------------------------------------------------------------------------------

VERSIONS = ("1.2", "1.10", "1.9", "2.0", "1.10.1")


@st.composite
def matrices(draw: st.DrawFn) -> list[JudgedCell]:
    """Cells of a product with gaps, of a paired axis, of an axis that only some cells have; a label each."""
    axes = {
        "tensorflow": VERSIONS[: draw(st.integers(1, 5))],
        "import": ("keras", "tf.keras")[: draw(st.integers(1, 2))],
        "numpy": ("1.9", "1.10", "1.8")[: draw(st.integers(1, 3))],
        "script": ("x/a.py", "x/b.py", "y/a.py")[: draw(st.integers(1, 3))],
    }
    cells = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    cells = draw(st.lists(st.sampled_from(cells), min_size=1, unique_by=lambda cell: tuple(cell.items())))
    paired, lacking, few = draw(st.booleans()), draw(st.booleans()), draw(st.integers(1, len(LABELS)))
    for cell in cells:
        if paired:
            cell["keras"] = f"2.{VERSIONS.index(cell['tensorflow']) // 2}"
        if lacking and cell["script"] == "x/a.py":
            del cell["script"]
    return [made(draw(st.sampled_from(LABELS[:few])), cell) for cell in cells]


@given(matrices())
def test_every_cell_is_in_one_pattern_and_its_ranges_hold(outcomes: list[JudgedCell]) -> None:
    found = by_id(outcomes)
    layout = layout_of(found, "tensorflow")
    patterns = patterns_of(layout, found)
    assert sorted(cell for pattern in patterns for cell in pattern.cells) == sorted(found)
    for pattern in patterns:
        rows = [layout.rows[row] for row in rows_of(pattern.box)]
        for row, one in itertools.product(rows, pattern.ranges):
            unlike = dict(one.unlike)
            for place in range(one.first, one.last + 1):
                assert (place in one.missing) is (place not in row)
                if place in row:
                    assert found[row[place]] == unlike.get(place, pattern.outcome)
            assert {one.first, one.last}.isdisjoint((*unlike, *one.missing))


@given(matrices())
def test_axes_that_are_left_out_are_determined_by_one_that_stays(outcomes: list[JudgedCell]) -> None:
    cells = [one.id for one in outcomes]
    kept = [dimension.name for dimension in dimensions_of(cells, "tensorflow")]
    assert len({tuple(cell.get(name) for name in kept) for cell in cells}) == len(cells)
    for name in {name for cell in cells for name in cell.values} - set(kept):
        column = [cell.get(name) for cell in cells]
        determined = any(
            len({(cell.get(other), value) for cell, value in zip(cells, column, strict=True)})
            == len({cell.get(other) for cell in cells})
            for other in kept
        )
        assert determined or len(set(column)) == 1


@given(st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from("12"))))
def test_boxes_have_each_row_once_and_no_other(rows: set[tuple[str, str, str]]) -> None:
    assert sorted(row for box in boxes(sorted(rows)) for row in rows_of(box)) == sorted(rows)


TWO_AXES = st.dictionaries(
    st.tuples(st.sampled_from(VERSIONS), st.sampled_from(["keras", "tf.keras"])),
    st.sampled_from([GOOD, NAN, IMPORT, OPEN]),
    min_size=2,
)


@given(TWO_AXES, st.randoms())
def test_the_order_of_the_cells_changes_no_pattern(labels: dict[tuple[str, str], str], random: Random) -> None:
    found = []
    for pairs in (list(labels.items()), random.sample(list(labels.items()), len(labels))):
        outcomes = [made(label, {"tensorflow": version, "import": flavour}) for (version, flavour), label in pairs]
        patterns = patterns_of(layout_of(by_id(outcomes), "tensorflow"), by_id(outcomes))
        found.append({frozenset(pattern.cells) for pattern in patterns})
    assert found[0] == found[1]


_WORDS = {"it converges": GOOD, "the loss ends in NaN": NAN, "it crashes at import": IMPORT, "it is undecided": OPEN}
_STATEMENT = re.compile(
    r"^(?:with (?P<where>import=\S+|every import) )?(?P<what>" + "|".join(_WORDS) + r")(?P<when>.*)$"
)
_RANGE = re.compile(r"(?:on (?P<only>[\d.]+)|from (?P<first>[\d.]+) (?:to (?P<last>[\d.]+)|on))(?=$|[ ,])")


@given(TWO_AXES)
def test_what_is_said_is_true_of_the_cells(labels: dict[tuple[str, str], str]) -> None:
    """Read the sentence as a person would, and look every claim up."""
    outcomes = [made(label, {"tensorflow": version, "import": flavour}) for (version, flavour), label in labels.items()]
    text = said(outcomes)
    if len(set(labels.values())) == 1:
        assert text.startswith(("All ", "Both "))
        return
    claimed: dict[tuple[str, str], str] = {}
    for part in f"{text[0].lower()}{text[1:-1]}".split("; "):
        counted = re.match(r"(?:the other|and \d+ more patterns?:) ", part)
        if counted:
            cells = len(labels) - len(claimed)
            numbers = [int(number) for number in re.findall(r"\b\d+", part[counted.end() :])] or [1]
            assert sum(numbers) == cells if "other" not in part else numbers in ([cells], [1])
            break
        found = _STATEMENT.match(part.replace("tensorflow ", ""))
        assert found, part
        within, _, aside = found["when"].partition(" (")
        asides = re.findall(r"\d[\d.]*\d", aside)
        for (version, flavour), label in labels.items():
            if found["where"] in {None, "every import", f"import={flavour}"} and _is_within(version, within.strip()):
                if version in asides:
                    assert label == OPEN
                else:
                    assert label == _WORDS[found["what"]], part
                assert claimed.setdefault((version, flavour), part) == part, "said twice"
    else:
        assert claimed.keys() == labels.keys()


def _is_within(version: str, words: str) -> bool:
    number = parsed(version)
    ranges = list(_RANGE.finditer(words))
    counted = re.match(r"on \d+ of the \d+ versions", words)
    assert not words or ranges or counted, words
    return not words or any(
        number == parsed(one["only"])
        if one["only"]
        else parsed(one["first"]) <= number and (one["last"] is None or number <= parsed(one["last"]))
        for one in ranges
    )
