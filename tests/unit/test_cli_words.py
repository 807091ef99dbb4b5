"""How things read on a terminal."""

from __future__ import annotations

import pytest

from runner.cli.words import cell_words
from runner.matrix.model import Cell
from runner.reports.notation import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (4.21, "4.2 s"), (185, "3 min 5 s"), (3599.9, "1 h 0 min"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(512, "512 B"), (20_400_000, "20.4 MB"), (1_240_000_000, "1.2 GB"), (3_000_000_000_000, "3000.0 GB")],
)
def test_sizes(size: int, words: str) -> None:
    assert size(size) == words


def cell(**values: str) -> Cell:
    return Cell(values=values, pins=(("tensorflow", values["tensorflow"]),), script=values["script"])


def test_a_cell_is_named_by_what_tells_it_from_the_others() -> None:
    cells = [cell(tensorflow="1.13.1", script="experiments/a.py"), cell(tensorflow="1.13.1", script="experiments/b.py")]
    assert [cell_words(one, cells) for one in cells] == ["a.py", "b.py"]


def test_a_single_cell_has_its_whole_name() -> None:
    one = cell(tensorflow="1.13.1", script="a.py")
    assert cell_words(one, [one]) == "tensorflow=1.13.1,script=a.py"
