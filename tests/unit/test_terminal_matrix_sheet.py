"""What the terminal shows of a matrix: at any width, without colour, and the same facts in every form."""

from __future__ import annotations

import io
import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_made import (
    BUILD,
    FLAKY,
    GOOD,
    IMPORT,
    LONG,
    NAN,
    OPEN,
    OUTCOMES,
    SCRIPTS,
    founding,
    line,
    made,
    result_of,
)
from rich.cells import cell_len
from rich.console import Console

from runner.reports.notation import ASCII_SYMBOLS, SYMBOLS
from runner.reports.terminal.console import fitted
from runner.reports.terminal.grid import MOST_LINES, grid_lines
from runner.reports.terminal.matrix_sheet import print_result

if TYPE_CHECKING:
    from runner.cells.result import CellResult

VERSIONS = [f"1.{minor}.0" for minor in range(30)]
WIDTHS = [60, 80, 120]


def thirty_by_two() -> list[CellResult]:
    keras = [IMPORT] * 2 + [NAN] * 7 + [GOOD] * 21
    tf_keras = [IMPORT] * 4 + [GOOD] * 2 + [OPEN] + [GOOD] * 23
    return [
        *line("tensorflow", VERSIONS, keras, import_="keras"),
        *line("tensorflow", VERSIONS, tf_keras, import_="tf.keras"),
    ]


def thousand(noise: float = 0.0) -> list[CellResult]:
    chance = random.Random(1)
    return [
        made(
            chance.choice(OUTCOMES)
            if chance.random() < noise
            else (NAN if number < 8 and seed % 3 == 0 else BUILD if number > 22 else GOOD),
            {"tensorflow": version, "env": f"N={seed}"},
        )
        for number, version in enumerate(VERSIONS[:25])
        for seed in range(40)
    ]


def printed(
    cells: list[CellResult], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int = 80
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    print_result(result_of(cells), "table")
    return capsys.readouterr().out


def drawn(cells: list[CellResult], width: int = 80) -> list[str]:
    return [line.plain for line in grid_lines(result_of(cells), width)]


@pytest.mark.parametrize("cells", [founding(), thirty_by_two(), thousand(0.01), thousand(0.5)])
def test_no_line_is_wider_than_the_terminal_and_nothing_depends_on_colour(
    cells: list[CellResult], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_of(cells)
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        print_result(result, "table")
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert max(map(cell_len, out.splitlines())) <= width
        for label in {str(cell.outcome) for cell in cells}:
            count = sum(str(cell.outcome) == label for cell in cells)
            mark = SYMBOLS[next(cell.kind for cell in cells if str(cell.outcome) == label)]
            assert re.search(rf"{re.escape(mark)}[A-Z]? {re.escape(label)}: {count} cells?", out), label


def test_a_matrix_that_fits_has_a_word_in_every_cell_a_crash_its_exception() -> None:
    assert drawn(founding()) == [
        "script by tensorflow          1.13.1       2.10.1       2.16.1",
        "functional_tf_keras.py        ✓ converges  ✓ converges  ✗ TypeError",
        "functional_keras.py           ✗ nan        ✓ converges  ✗ TypeError",
        "sequential_input_tf_keras.py  ✗ TypeError  ✓ converges  ✗ TypeError",
        "sequential_input_keras.py     ✗ TypeError  ✓ converges  ✗ TypeError",
        "sequential_dense_keras.py     ✓ converges  ✓ converges  ✗ TypeError",
        "✓ converges: 7 cells   ✗ breaks (crashed-build-model): 7 cells",
        "✗ fails (nan): 1 cell",
    ]


def test_versions_that_came_to_the_same_share_a_line() -> None:
    assert drawn(thirty_by_two(), 60)[:7] == [
        "tensorflow       keras        tf.keras",
        "1.0.0 to 1.1.0   ✗ import     ✗ import",
        "1.2.0 to 1.3.0   ✗ nan        ✗ import",
        "1.4.0 to 1.5.0   ✗ nan        ✓ converges",
        "1.6.0            ✗ nan        ? undecided",
        "1.7.0 to 1.8.0   ✗ nan        ✓ converges",
        "1.9.0 to 1.29.0  ✓ converges  ✓ converges",
    ]


def test_where_words_do_not_fit_letters_and_numbers_stand_for_them() -> None:
    assert drawn(founding(), 60)[:7] == [
        "tensorflow  1   2   3",
        "1.13.1      ✓C  ✗N  ✗B",
        "2.10.1      ✓C  ✓C  ✓C",
        "2.16.1      ✗B  ✗B  ✗B",
        "1 functional_tf_keras.py, sequential_dense_keras.py",
        "2 functional_keras.py",
        "3 sequential_input_tf_keras.py, sequential_input_keras.py",
    ]


def test_many_rows_that_are_alike_share_a_line() -> None:
    assert drawn(thousand()) == [
        "env by tensorflow          1.0.0        1.8.0        1.23.0",
        "                           to 1.7.0     to 1.22.0    to 1.24.0",
        "N=0, N=3, N=6 and 11 more  ✗ nan        ✓ converges  ✗ TypeError",
        "N=1, N=2, N=4 and 23 more  ✓ converges  ✓ converges  ✗ TypeError",
        "✓ converges: 808 cells   ✗ fails (nan): 112 cells",
        "✗ breaks (crashed-build-model): 80 cells",
    ]


def test_where_nothing_is_alike_cells_are_counted() -> None:
    lines = drawn(thousand(0.5))
    head = lines[0].split()
    assert head[0] == "tensorflow"
    first = dict(zip(head[1:], lines[1].split()[1:], strict=True))
    cells = thousand(0.5)[:40]
    assert lines[1].startswith("1.0.0 ")
    assert first["✗N"] == str(sum(str(cell.outcome) == NAN for cell in cells))
    assert sum(int(count) for count in first.values() if count != ".") == 40


def test_a_cell_that_is_not_there_is_told_from_one_that_is() -> None:
    cells = [outcome for outcome in thirty_by_two() if outcome.values != {"tensorflow": "1.29.0", "import": "keras"}]
    lines = drawn(cells)
    assert lines[-1].endswith(". no such cell")
    assert "1.29.0           .                      ✓ converges" in lines


def test_cells_that_do_not_vary_need_no_matrix() -> None:
    assert grid_lines(result_of(founding()[:1]), 80) == []


def test_without_unicode_there_are_signs_all_the_same() -> None:
    lines = grid_lines(result_of(founding()), 80, ascii_only=True)
    text = "\n".join(line.plain for line in lines)
    assert text.isascii()
    assert "x nan" in text
    assert len(set(ASCII_SYMBOLS.values())) == 4


_CELLS = st.lists(
    st.tuples(
        st.sampled_from(["1.2", "1.10", "1.9", "2.0"]),
        st.sampled_from(["keras", "tf.keras", "as-written"]),
        st.sampled_from(SCRIPTS),
        st.sampled_from(OUTCOMES),
    ),
    unique_by=lambda one: one[:3],
    min_size=1,
)


@given(_CELLS, st.sampled_from([50, 60, 80, 120]))
def test_every_cell_is_drawn_with_its_mark(cells: list[tuple[str, str, str, str]], width: int) -> None:
    cells = [made(cell[3], dict(zip(("tensorflow", "import", "script"), cell, strict=False))) for cell in cells]
    lines = grid_lines(result_of(cells), width)
    assert len(lines) <= MOST_LINES + len(OUTCOMES) + 1
    assert all(line.cell_len <= width for line in lines)
    legend = " ".join(line.plain for line in lines)
    counted = re.findall(r"[✓✗?⊘][A-Z]? (?:[a-z-]+)(?: \([a-z -]+\))?: (\d+) cells?", legend)
    assert not lines or sum(map(int, counted)) == len(cells)


def test_a_terminal_without_colour_gets_none_and_one_with_colour_gets_the_same_words() -> None:
    texts = []
    for colour in (None, "truecolor"):
        out = io.StringIO()
        console = Console(file=out, width=80, color_system=colour, force_terminal=colour is not None)
        for one in grid_lines(result_of(founding()), 80):
            console.print(one)
        texts.append(out.getvalue())
    assert "\x1b" not in texts[0]
    assert "\x1b[32m" in texts[1]
    assert re.sub(r"\x1b\[[\d;]*m", "", texts[1]) == texts[0]


# -- what is said ----------------------------------------------------------------------------------------------------


def test_few_cells_have_a_line_each_where_it_fits_and_many_are_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    roomy = printed(founding(), monkeypatch, capsys, 120)
    assert roomy.splitlines()[0].split() == ["tensorflow", "keras", "script", "outcome", "converged", "why"]
    assert "table --wide" not in roomy
    narrow = printed(founding(), monkeypatch, capsys, 80)
    assert narrow.startswith("script by tensorflow")
    assert "`table --wide` has a line for each cell" in narrow
    assert printed(thirty_by_two(), monkeypatch, capsys, 120).count("1.17.0") == 0


def test_the_sentence_comes_before_the_changes_and_these_before_the_failures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(founding(), monkeypatch, capsys)
    said = [
        "With script functional_keras.py the loss ends in NaN on tensorflow 1.13.1;",
        "Where the outcome changes:",
        "  5 cells   tensorflow 2.10.1 → 2.16.1, keras 2.10.0 → 3.3.3: converges → breaks\n",
        "  1 cell    tensorflow 1.13.1 → 2.10.1, keras 2.2.4 → 2.10.0: fails (nan) →",
        "            functional_keras.py\n",
        "Failures, by reason:",
        "  7 cells   crashed-build-model: TypeError: ",
        "Cells are not compared: nothing converges.",
        "15 cells, 15 trials stored.",
    ]
    places = [out.find(words) for words in said]
    assert -1 not in places
    assert places == sorted(places)


def test_a_long_reason_is_never_cut_without_an_ellipsis(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for width in WIDTHS:
        out = printed(founding(), monkeypatch, capsys, width)
        found = out[out.index("crashed-build-model: TypeError") :]
        lines = found.splitlines()
        reason = " ".join(line.strip() for line in lines[:2])
        assert reason.endswith(" …")
        assert f"crashed-build-model: TypeError: {LONG}".startswith(reason.removesuffix(" …"))


@given(st.text(), st.integers(20, 120))
def test_a_fitted_text_is_whole_or_says_that_it_is_not(text: str, width: int) -> None:
    lines = fitted(text, width)
    assert len(lines) <= 2
    assert all(len(line) <= width for line in lines)
    assert "\x1b" not in "".join(lines)
    whole = "".join("".join(fitted(text, 10**6, most=None)).split())
    shown = "".join("".join(lines).split())
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown.removesuffix("…")))


def test_the_wide_table_has_every_column_and_cuts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_result(result_of(founding()), "table", wide=True)
    head, *lines = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", head) == [
        *("tensorflow", "keras", "script", "outcome", "converged", "95 % interval", "final loss"),
        *("s/epoch", "peak MB", "CPython", "exception"),
    ]
    assert f"TypeError: {LONG.strip()} (script.py:12)" in lines[2]
    assert lines[0].startswith("1.13.1      2.2.4   experiments/functional_tf_keras.py ")


def test_flaky_cells_of_two_sorts_have_letters_of_their_own() -> None:
    other = "flaky (mostly fails)"
    rows = {"x" * 30: [FLAKY, other, FLAKY], "y" * 30: [OPEN, GOOD, BUILD]}
    cells = [one for name, row in rows.items() for one in line("tensorflow", VERSIONS[:3], row, env=f"N={name}")]
    lines = drawn(cells, 50)
    marks = {
        found[1]: found[0] for text in lines for found in re.findall(r"(\S+) ([a-z]+ \([a-z -]+\)|undecided):", text)
    }
    assert len(set(marks.values())) == len(marks) >= 3


def test_what_to_do_about_a_failure_stands_below_the_table_of_a_single_cell_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = result_of([made(IMPORT, {"tensorflow": "1.0.0"})])
    (failure,) = result.failures
    advised = failure.model_copy(update={"advice": "data/train.csv is there, but not under `files:`"})
    print_result(result.model_copy(update={"failures": (advised,)}), "table")
    assert "data/train.csv is there, but not under `files:`" in capsys.readouterr().out
