"""The command line as a whole: finds the command, turns errors into one message and the documented exit code."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.metadata
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import api_check, environment, exporting, history, inspect, start, why, work
from runner.errors import CrowdedError, MachineError, RunnerError, StoppedError
from runner.reports.terminal.streams import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.laboratory.equipment import World


COMMANDS = (
    *work.COMMANDS,
    *why.COMMANDS,
    *api_check.COMMANDS,
    *inspect.COMMANDS,
    *exporting.COMMANDS,
    *environment.COMMANDS,
    *history.COMMANDS,
    *start.COMMANDS,
)
_NO_COMMAND = 2


def run_command_line(arguments: Sequence[str], world: World | None = None) -> int:
    """Run one command; its exit code. Nothing that the user may cause ends in a traceback.

    `world` opens engine and package index when a command needs them; by default the real ones.
    """
    words = with_command(list(arguments))
    if words is None:
        return _NO_COMMAND
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):  # as Ctrl-C: jobs are stopped, what is finished is kept
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    with guarded():
        try:
            _program()(words, prog_name="convergence-matrix", obj=world)
        except SystemExit as end:  # the way in which typer ends every command
            return end.code if isinstance(end.code, int) else 0
    return 0


def application() -> typer.Typer:
    """All commands as one program."""
    app = typer.Typer(
        name="convergence-matrix",
        help="One training script, many library versions: where does it converge, where not, and why?",
        epilog="`convergence-matrix matrix.yaml` runs the whole matrix: `run` is meant where no command is named."
        "\n\nA cell is one combination of the values in the matrix, such as keras=2.2.4,import=keras. A trial is one"
        " run of a cell with one seed. A prelude is a source that runs before the script and changes one thing;"
        " a switch is a prelude that comes with this tool."
        "\n\nExit codes: 0 all as expected; 1 an expectation failed, --fail-on found something, nothing was executed,"
        " no cell is good or most are undecided, `check` found what breaks; 2 wrong usage or matrix; 3 no engine;"
        " 4 the machine failed; 130 interrupted.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_whole)
    for command in COMMANDS:
        app.command(name_of(command))(ending_with_code(command))
    return app


def _whole(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda asked: _tell_version() if asked else None,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """The options that belong to no command."""


def _tell_version() -> None:
    sys.stdout.write(f"convergence-matrix {importlib.metadata.version('convergence-matrix')}\n")
    raise typer.Exit


@functools.cache
def _program() -> Callable[..., object]:
    """The program that parses and runs the words of a command line; to make it takes longer than many a command."""
    return typer.main.get_command(application())


def name_of(command: Callable[..., int]) -> str:
    """The words that a user types: `lock diff` is one command of two words, `open` would hide Python's own."""
    return command.__name__.rstrip("_").replace("_", " ")


def with_command(arguments: list[str]) -> list[str] | None:
    """The arguments with `run` before them where their first word is no command; None where it is no file either."""
    names = [name_of(command) for command in COMMANDS]
    if not arguments or arguments[0] in {"--help", "-h", "--version"}:
        return ["--version" if "--version" in arguments[:1] else "--help"]
    if " ".join(arguments[:2]) in names:
        return [" ".join(arguments[:2]), *arguments[2:]]
    word = arguments[0]
    if word in names:
        return arguments
    if word.endswith((".py", ".ipynb")):
        _complain(f"{word} is a script, not a matrix. `init {word}` writes a matrix for it.")
        return None
    if not word.startswith("-") and not Path(word).exists() and "." not in word and "/" not in word:
        near = difflib.get_close_matches(word, names, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"The commands are {', '.join(names)}."
        _complain(f"{word!r} is neither a command nor a matrix file. {hint}")
        return None
    return ["run", *arguments]


def ending_with_code(command: Callable[..., int]) -> Callable[..., None]:
    """A command that ends with its exit code, whatever happens in it."""

    @functools.wraps(command)
    def run(*arguments: object, **options: object) -> None:
        raise typer.Exit(_exit_code(functools.partial(command, *arguments, **options)))

    return run


def _exit_code(call: Callable[[], int]) -> int:
    try:
        return call()
    except KeyboardInterrupt:
        _complain(str(StoppedError()))
        return StoppedError.return_code
    except RunnerError as error:
        _complain(str(error))
        return error.return_code
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return StoppedError.return_code
    except (OSError, RuntimeError) as error:
        if crowded := CrowdedError.behind(error):
            _complain(str(crowded))
            return crowded.return_code
        if not isinstance(error, OSError):
            raise
        _complain(f"{error.strerror or error}: {error.filename or _refused()}.")
        return MachineError.return_code


def _refused() -> str:
    """What was asked for in vain where the system names no file."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return "the current folder was removed; change to another one (`cd`)"
    return "the machine refused"


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # where nobody takes it the exit code says it
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")
