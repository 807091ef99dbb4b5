from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.matrix.cell_id import CellId

NAMES = st.sampled_from(["tensorflow", "keras", "python", "import", "script", "env", "tf-keras"])
VALUES = st.text(alphabet="ab1.=,\\'\" /-_", max_size=12)


def test_ids_with_the_same_values_are_one_whatever_the_order_of_the_axes() -> None:
    one, other = CellId.of({"keras": "2.2.4", "python": "3.7"}), CellId.of({"python": "3.7", "keras": "2.2.4"})
    assert one == other
    assert hash(one) == hash(other)
    assert {one: "found"}[other] == "found"
    assert one != CellId.of({"keras": "2.2.4"})
    assert str(one) != str(other)


def test_ids_are_in_the_order_of_their_versions() -> None:
    texts = ["tensorflow=2.9", "tensorflow=2.10", "tensorflow=2.10.1"]
    assert [str(one) for one in sorted(map(CellId.parse, sorted(texts)))] == texts
    assert CellId.parse("python=3.9") < CellId.parse("python=3.10")
    assert CellId.parse("env=") < CellId.parse("env=A=1")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"tensorflow": "1.13.1", "keras": "2.2.4"}, "tensorflow=1.13.1,keras=2.2.4"),
        ({"keras": "2.2.4", "env": ""}, "keras=2.2.4,env="),
        ({"env": "A=1,2 B='x y'", "keras": "2.2.4"}, "env=A=1,2 B='x y',keras=2.2.4"),
        ({"env": "A=1,keras=2", "keras": "3"}, r"env=A=1\,keras=2,keras=3"),
    ],
)
def test_an_id_is_printed_as_axis_and_value_and_read_again(values: dict[str, str], text: str) -> None:
    assert str(CellId.of(values)) == text
    assert dict(CellId.parse(text)) == values


@given(st.dictionaries(NAMES, VALUES, min_size=1))
def test_what_is_printed_is_read_again_as_the_same(values: dict[str, str]) -> None:
    assert CellId.parse(str(CellId.of(values))).pairs == tuple(values.items())


@pytest.mark.parametrize("text", ["", "keras", "=2.2.4", ","])
def test_text_without_an_axis_and_its_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no axis and value"):
        CellId.parse(text)


def test_a_version_matches_however_it_is_written_and_other_values_to_the_letter() -> None:
    cell = CellId.of({"tensorflow": "2.16.0", "script": "a.py"})
    assert cell.matches({"tensorflow": "2.16"})
    assert cell.matches({})
    assert not cell.matches({"script": "b.py"})
    assert not cell.matches({"keras": "3"})


def test_of_a_cell_with_many_pins_a_line_of_progress_shows_the_first() -> None:
    few = CellId.of({"keras": "2.2.4", "tensorflow": "1.13.1"})
    assert few.brief == str(few)
    many = CellId.of({"keras": "2.2.4", **{f"package-{number}": "1.0" for number in range(36)}})
    assert many.brief.startswith("keras=2.2.4,package-0=1.0,")
    assert many.brief.endswith(" and 32 more")
