"""Surroundings that nobody wishes for: pipes in place of files, a HOME that is none, output that nobody takes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from runner.cache import cache_folder
from runner.cli.app import run_command_line
from runner.cli.parameters import configuration
from runner.environments.index.connection import _pip_files
from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.reports.terminal.console import output_console
from runner.reports.terminal.streams import GuardedConsole

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

HEAD = "experiment: {{script: a.py{}}}\naxes: {{keras: [2.2.4]}}\ncriterion: loss < 1\n{}"
WHEEL = "x-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("experiment", "rest", "pipe"),
    [
        (", data: [pipe]", "", "pipe"),
        ("", "requirements: [pipe]\n", "pipe"),
        ("", "requirements: [r.txt]\n", "pipe"),
        ("", f"packages: [./{WHEEL}]\n", WHEEL),
        ("", "", "a.py"),
        ("", "", "matrix.yaml"),
    ],
)
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(
    experiment: str, rest: str, pipe: str, tmp_path: Path
) -> None:
    for name, text in (("a.py", ""), ("r.txt", "-r pipe\n"), ("matrix.yaml", HEAD.format(experiment, rest))):
        if name != pipe:
            (tmp_path / name).write_text(text)
    os.mkfifo(tmp_path / pipe)
    with pytest.raises(UsageError, match=r"no plain file|there is no (data|script)"):
        Matrix.load(tmp_path / "matrix.yaml")


def test_a_configuration_that_can_not_be_there_is_none_and_a_pipe_or_an_endless_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_CONFIG", "/dev/null/.config/config.toml")  # as where HOME is /dev/null
    assert configuration() == {}
    os.mkfifo(tmp_path / "pipe")
    for place in (str(tmp_path / "pipe"), "/dev/zero"):
        monkeypatch.setenv("RUNNER_CONFIG", place)
        with pytest.raises(UsageError, match="it is no plain file"):
            configuration()


def test_a_home_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(UsageError, match="there is no such user here"):
        cache_folder()
    monkeypatch.setenv("XDG_CONFIG_HOME", "~nobody-of-this-name")
    assert _pip_files()


class Closed:
    """A stream whose reader has gone."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self.fileno = stream.fileno

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_output_that_nobody_reads_is_an_interruption_and_no_expectation_that_failed() -> None:
    with pytest.raises(BrokenPipeError):
        GuardedConsole(file=Closed(sys.__stderr__)).print("text")  # type: ignore[arg-type]


def test_a_terminal_without_columns_still_shows_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    output_console().print("text")
    assert capsys.readouterr().out == "text\n"


def test_a_current_folder_that_was_removed_is_named_as_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run_command_line(["doctor"]) == 4
    assert "the current folder was removed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("experiment", "axis"),
    [(", args: [{}]", ""), (", env: {{A: {}}}", ""), ("", ", args: ['{}']"), ("", ", env: [{{A: {}}}]")],
)
def test_what_no_program_can_be_started_with_is_a_mistake_of_the_matrix(
    experiment: str, axis: str, tmp_path: Path
) -> None:
    (tmp_path / "a.py").touch()
    path = tmp_path / "matrix.yaml"
    for length, fits in ((90_000, True), (140_000, False)):
        parts = (text.format("x" * length) for text in (experiment, axis))
        path.write_text(
            "experiment: {{script: a.py{}}}\naxes: {{keras: [2.2.4]{}}}\ncriterion: loss < 1\n".format(*parts)
        )
        if fits:
            Matrix.load(path)
        else:
            with pytest.raises(UsageError, match="is longer than 100,000 bytes"):
                Matrix.load(path)
