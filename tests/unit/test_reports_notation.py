"""The short forms that every output shares."""

from __future__ import annotations

import pytest

from runner.reports.notation import distinct_name, duration, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (4.21, "4.2 s"), (185, "3 min 5 s"), (3599.9, "1 h 0 min"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(512, "512 B"), (20_400_000, "20.4 MB"), (1_240_000_000, "1.2 GB"), (3_000_000_000_000, "3000.0 GB")],
)
def test_sizes(size_bytes: int, words: str) -> None:
    assert size(size_bytes) == words


def test_a_cell_is_named_by_what_tells_it_from_the_others() -> None:
    cells = [
        {"tensorflow": "1.13.1", "script": "experiments/a.py"},
        {"tensorflow": "1.13.1", "script": "experiments/b.py"},
    ]
    assert [distinct_name(one, cells) for one in cells] == ["a.py", "b.py"]


def test_a_single_cell_has_its_whole_name() -> None:
    one = {"tensorflow": "1.13.1", "script": "a.py"}
    assert distinct_name(one, [one]) == "tensorflow=1.13.1,script=a.py"
