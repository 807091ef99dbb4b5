from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_files import loaded, matrix

from runner.errors import UsageError
from runner.matrix.cell_id import CellId
from runner.matrix.cells import cells, expand, select
from runner.matrix.model import Cell

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = ("1.0", "1.1", "2.0", "3.1.4")
AXES = st.dictionaries(
    st.sampled_from(("tensorflow", "keras", "python", "env")),
    st.lists(st.sampled_from(VERSIONS), min_size=1, unique=True),
    min_size=1,
).filter(lambda axes: "env" not in axes or len(axes) > 1)


def values(found: tuple[Cell, ...]) -> list[dict[str, str]]:
    return [dict(cell.id.values) for cell in found]


def test_cells_come_in_the_order_of_the_file_and_the_last_axis_turns_fastest() -> None:
    cells = expand(matrix({"tensorflow": ["1.13.1", "2.10.1"], "keras": ["2.2.4", "2.3.1"]}))
    assert [str(cell.id) for cell in cells] == [
        "tensorflow=1.13.1,keras=2.2.4",
        "tensorflow=1.13.1,keras=2.3.1",
        "tensorflow=2.10.1,keras=2.2.4",
        "tensorflow=2.10.1,keras=2.3.1",
    ]


def test_a_cell_spells_out_what_its_axes_mean() -> None:
    axes = {"python": ["3.7"], "keras": ["2.2.4"], "script": ["a.py"], "env": ["B='x y' C=1"], "tensorflow": ["1.10"]}
    (cell,) = expand(matrix(axes, script=None))
    assert cell == Cell(
        id=CellId.of({"python": "3.7", "keras": "2.2.4", "script": "a.py", "env": "B='x y' C=1", "tensorflow": "1.10"}),
        pins=(("keras", "2.2.4"), ("tensorflow", "1.10")),
        script="a.py",
    )
    assert (cell.python, cell.import_flavour, cell.env) == ("3.7", "as-written", (("B", "x y"), ("C", "1")))


def test_exclude_drops_every_cell_that_matches_also_where_a_version_is_written_otherwise() -> None:
    axes = {"tensorflow": ["2.16.0", "2.17.0"], "keras": ["3.0", "3.1"]}
    assert values(expand(matrix(axes, exclude=[{"tensorflow": "2.16", "keras": "3.0.0"}, {"keras": "3.1"}]))) == [
        {"tensorflow": "2.17.0", "keras": "3.0"}
    ]


def test_include_does_what_the_example_in_github_actions_documentation_does() -> None:
    included = [
        {"env": "COLOR=green"},
        {"env": "COLOR=pink", "keras": "1"},
        {"tensorflow": "1", "python": "3.7"},
        {"tensorflow": "3"},
        {"tensorflow": "3", "keras": "1"},
    ]
    assert values(expand(matrix({"tensorflow": ["1", "2"], "keras": ["1", "2"]}, include=included))) == [
        {"tensorflow": "1", "keras": "1", "env": "COLOR=pink", "python": "3.7"},
        {"tensorflow": "1", "keras": "2", "env": "COLOR=green", "python": "3.7"},
        {"tensorflow": "2", "keras": "1", "env": "COLOR=pink"},
        {"tensorflow": "2", "keras": "2", "env": "COLOR=green"},
        {"tensorflow": "3"},
        {"tensorflow": "3", "keras": "1"},
    ]


def test_an_included_cell_is_in_the_order_of_the_axes_and_its_base_comes_first() -> None:
    cells = expand(
        matrix({"tensorflow": ["1"], "keras": ["1"]}, include=[{"numpy": "1", "keras": "2", "tensorflow": "2"}])
    )
    assert cells[-1].pins == (("tensorflow", "2"), ("keras", "2"), ("numpy", "1"))


def test_an_excluded_combination_can_be_included_again() -> None:
    wanted = {"tensorflow": "1", "keras": "1"}
    cells = expand(matrix({"tensorflow": ["1"], "keras": ["1", "2"]}, exclude=[{"keras": "1"}], include=[wanted]))
    assert values(cells) == [{"tensorflow": "1", "keras": "2"}, wanted]


def test_no_cell_comes_twice() -> None:
    twice = [{"tensorflow": "2"}, {"tensorflow": "1"}, {"tensorflow": "2"}]
    assert values(expand(matrix({"tensorflow": ["1"]}, include=twice))) == [{"tensorflow": "1"}, {"tensorflow": "2"}]


def test_a_matrix_that_is_not_settled_has_no_cells_yet(tmp_path: Path) -> None:
    unsettled = loaded(tmp_path, "axes: {tensorflow: latest}\nexperiment: {script: train.py}\n")
    for ask in (expand, cells):
        with pytest.raises(ValueError, match="has cells only after `settle`"):
            ask(unsettled)


def test_a_later_entry_of_include_wins_where_two_add_to_the_same_cells() -> None:
    included = [{"env": "A=1", "python": "3.7"}, {"keras": "2", "env": "A=2"}]
    assert values(expand(matrix({"tensorflow": ["1"], "keras": ["1", "2"]}, include=included))) == [
        {"tensorflow": "1", "keras": "1", "env": "A=1", "python": "3.7"},
        {"tensorflow": "1", "keras": "2", "env": "A=2", "python": "3.7"},
    ]


@given(st.data())
def test_values_that_go_with_some_values_of_the_base_come_with_those_alone_in_the_products_order(
    data: st.DataObject,
) -> None:
    plain = matrix({"python": ["3.7", "3.8"], "tensorflow": ["1.0", "2.0"], "keras": ["1.0", "1.1"], "numpy": ["1.0"]})
    beside = st.none() | st.frozensets(st.sampled_from(["1.0", "2.0"]), min_size=1)
    pairs = {text: data.draw(beside) for text in ("1.0", "1.1")}
    axes = [
        replace(axis, values=tuple(replace(value, beside=pairs[value.text]) for value in axis.values))
        if axis.name == "keras"
        else axis
        for axis in plain.axes
    ]
    assert values(expand(replace(plain, axes=tuple(axes)))) == [
        cell for cell in values(expand(plain)) if cell["tensorflow"] in (pairs[cell["keras"]] or {cell["tensorflow"]})
    ]


def test_a_matrix_without_a_script_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="the matrix names no script: neither its experiment nor an axis does"):
        expand(matrix({"tensorflow": ["1"]}, script=None))


def test_a_large_matrix_expands_whole() -> None:
    many = matrix(
        {
            "tensorflow": [f"1.{i}" for i in range(20)],
            "keras": [f"2.{i}" for i in range(25)],
            "numpy": [f"1.{i}" for i in range(40)],
        },
        exclude=[{"keras": "9.9"}, {"tensorflow": "9.9", "keras": "2.1"}],
        include=[{"tensorflow": "1.1", "python": "3.7"}],
    )
    assert len(expand(many)) == 20_000


@given(st.data())
def test_without_include_the_cells_are_the_product_minus_what_is_excluded(data: st.DataObject) -> None:
    axes = {name: [f"A={v}" for v in vs] if name == "env" else vs for name, vs in data.draw(AXES).items()}
    partial = st.fixed_dictionaries({}, optional={name: st.sampled_from(texts) for name, texts in axes.items()})
    excludes = data.draw(st.lists(partial.filter(bool), max_size=3))
    product = [dict(zip(axes, texts, strict=True)) for texts in itertools.product(*axes.values())]
    left = [cell for cell in product if not any(exclude.items() <= cell.items() for exclude in excludes)]
    assert values(expand(matrix(axes, exclude=excludes))) == left


@given(st.data())
def test_include_never_changes_an_axis_value_and_every_entry_is_in_some_cell(data: st.DataObject) -> None:
    axes = {"tensorflow": ["1.0", "2.0"], "keras": ["1.0", "1.1"]}
    names = st.sampled_from(("tensorflow", "keras", "python", "numpy"))
    entries = data.draw(st.lists(st.dictionaries(names, st.sampled_from(VERSIONS), min_size=1), max_size=4))
    cells = expand(matrix(axes, include=entries))
    product = [dict(zip(axes, texts, strict=True)) for texts in itertools.product(*axes.values())]
    assert [{name: cell.id.values[name] for name in axes} for cell in cells[: len(product)]] == product
    if entries:
        assert any(cell.id.matches(entries[-1]) for cell in cells)
    assert len({str(cell.id) for cell in cells}) == len(cells)


CELLS = expand(
    matrix(
        {
            "tensorflow": ["1.13.1", "2.10.1"],
            "keras": ["2.2.4", "2.3"],
            "script": ["a.py", "b.py"],
            "env": ["", "A=1,2"],
        },
        exclude=[{"tensorflow": "2.10.1", "keras": "2.3"}],
    )
)


@pytest.mark.parametrize(
    ("only", "count"),
    [
        ("keras=2.2.4", 8),
        ("keras=2.2.4|2.3.0", 12),
        ("Keras=2.3.0,script=./a.py", 2),
        ("tensorflow = 1.13.1 , script = a.py|b.py", 8),
        ("env=", 6),
        ("tensorflow=1.13.1,keras=2.3,script=b.py,env=A=1,2", 1),
    ],
)
def test_only_selects_the_cells_that_it_names(only: str, count: int) -> None:
    assert len(select(CELLS, only)) == count


def test_the_name_of_each_cell_selects_that_cell_alone() -> None:
    assert [select(CELLS, str(cell.id)) for cell in CELLS] == [(cell,) for cell in CELLS]


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("kears=2.2.4", "--only kears=2.2.4: there is no axis 'kears' (did you mean 'keras'?)"),
        ("keras=2.2.5", "--only keras=2.2.5: the axis 'keras' has no value '2.2.5' (did you mean '2.2.4'?)"),
        ("script=a.py|c.px", "--only script=a.py|c.px: the axis 'script' has no value 'c.px' (possible: a.py, b.py)"),
        ("2.2.4", "--only 2.2.4: '2.2.4' names no axis and value (write it like keras=2.2.4)"),
        ("", "--only : '' names no axis and value (write it like keras=2.2.4)"),
        (
            "keras=2.3,keras=2.2.4",
            "--only keras=2.3,keras=2.2.4: the axis 'keras' appears twice (several values: keras=A|B)",
        ),
        ("tensorflow=2.10.1,keras=2.3", "--only tensorflow=2.10.1,keras=2.3: no cell has these values together"),
    ],
)
def test_only_says_what_it_can_not_find(only: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(CELLS, only)
    assert str(caught.value) == message
