"""What patterns find in a log, whatever a script wrote into it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest

from runner.engines.job_limits import LogFile
from runner.trials.script_metrics import number_of, search_log, shown_lines

if TYPE_CHECKING:
    from pathlib import Path

ACCURACY = r"accuracy: (\S+)"


def found(tmp_path: Path, log: bytes, pattern: str = ACCURACY) -> tuple[float, ...]:
    path = tmp_path / "log"
    path.write_bytes(log)
    return search_log(path, [pattern])[pattern].values


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.93", 0.93),
        ("93.1%", 93.1),
        ("1e-3,", 0.001),
        ("-1.5E+05;", -1.5e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1,234,567.5", 1234567.5),
        ("0,93", None),
        ("inf", math.inf),
        ("-Infinity)", -math.inf),
        ("tf.Tensor(0.5,", 0.5),
        ("[0.35,", 0.35),
        ("np.float32(0.25)", 0.25),
        ("'0.9'", 0.9),
        ("3/10", None),
        ("2024-01-01", None),
        ("3rd", None),
        ("abc", None),
        ("", None),
        ("nano", None),
        ("(" * 100_000, None),
    ],
)
def test_a_printed_text_is_the_number_that_it_begins_with(text: str, number: float | None) -> None:
    assert number_of(text) == number


def test_nan_is_a_number_that_is_not_finite() -> None:
    assert math.isnan(number_of("nan") or 0.0)
    assert math.isnan(number_of("-NaN,") or 0.0)


def test_a_pattern_takes_its_first_match_of_each_line(tmp_path: Path) -> None:
    log = b"accuracy: 0.1 accuracy: 0.2\nnothing\naccuracy: 0.3\naccuracy: none\n"
    (tmp_path / "log").write_bytes(log)

    printed = search_log(tmp_path / "log", [ACCURACY])[ACCURACY]

    assert printed.values == (0.1, 0.3)
    assert printed.lines == (1, 3)
    assert printed.other == "none"


def test_of_a_progress_bar_only_what_it_ends_with_counts(tmp_path: Path) -> None:
    log = b"\r1/2 accuracy: 0.1\r2/2 accuracy: 0.2\r\n\x08\x08\x08\raccuracy: 0.3\x08\x08\raccuracy: 0.4\r   \r\n"

    assert found(tmp_path, log) == (0.2, 0.4)


def test_colours_and_what_is_not_utf_8_change_nothing(tmp_path: Path) -> None:
    log = (
        b"\x1b[1m\x1b[32maccuracy:\x1b[0m \x1b]0;title\x070.5\n\xff\xfe accuracy: 0.6 \xe2\x9c\x93\n\x1b[accuracy: 0.7"
    )

    assert found(tmp_path, log)[:2] == (0.5, 0.6)


def test_a_log_that_is_not_there_has_been_searched_for_nothing(tmp_path: Path) -> None:
    assert search_log(tmp_path / "none", [ACCURACY]) == {}


HOSTILE = {
    "a single line of 5 MB": b"a" * 5_000_000 + b"\naccuracy: 0.5\n",
    "a single line of numbers": b"accuracy: " + b"1" * 1_000_000,
    "many states of one line": b"\raccuracy: 0.1" * 50_000,
    "escapes that never end": b"\x1b[" + b"0;" * 500_000,
    "many escapes": b"\x1b]" * 400_000,
    "empty lines": b"\n" * 750_000,
    "short lines": b"a\n" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pattern", [ACCURACY, r"(?P<value>(?:\S*\S*)*)x"], ids=["plain", "stars"])
def test_no_log_and_no_pattern_takes_long(tmp_path: Path, name: str, pattern: str) -> None:

    began = time.process_time()

    values = found(tmp_path, HOSTILE[name], pattern)

    assert time.process_time() - began < 4
    assert len(values) <= 100_000


def test_the_place_where_output_was_left_out_is_known(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", 1000) as log:
        log.write(b"accuracy: 0.1\n" + b"x" * 5000 + b"\naccuracy: 0.2\n")

    printed = search_log(tmp_path / "log", [ACCURACY])[ACCURACY]

    assert printed.values == (0.1, 0.2)
    assert printed.lines[0] < printed.cut < printed.lines[1]


def test_lines_are_shortened() -> None:
    assert [len(line) for line in shown_lines(["é".encode() * 100_000])] == [4096]
