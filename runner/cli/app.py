"""The command line as a whole: finds the command, turns errors into one message and the documented exit code."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import typer

from runner.cli import environment, inspect, start, work
from runner.errors import MachineError, RunnerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="convergence-matrix",
    help="One training script, many library versions: where does it converge, where not, and why?",
    epilog="`python -m runner matrix.yaml` runs the whole matrix: a first word that is no command means `run`."
    "\n\nExit codes: 0 all as expected, 1 an expectation failed or nothing was executed, 2 wrong usage or matrix, 3 no engine,"
    " 4 the machine failed, 130 interrupted.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (work, inspect, environment, start):
    group.add_to(app)

INTERRUPTED = 130


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Nothing that the user may cause ends in a traceback."""
    try:
        return _run(with_command(list(arguments)))
    except KeyboardInterrupt:
        _complain("Interrupted. What is finished is kept; the same command goes on from there.")
        return INTERRUPTED
    except RunnerError as error:
        _complain(str(error))
        return error.return_code
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except OSError as error:
        _complain(f"{error.strerror or error}: {error.filename or 'the machine refused'}.")
        return MachineError.return_code


def with_command(arguments: list[str]) -> list[str]:
    """The arguments with `run` before them where their first word is no command."""
    if not arguments or arguments[0] in {"--help", "-h", "--version"}:
        return ["--help"] if arguments == ["-h"] else arguments
    word = arguments[0]
    if word in _commands():
        return arguments
    if not word.startswith("-") and not Path(word).exists() and "." not in word and "/" not in word:
        near = difflib.get_close_matches(word, _commands(), n=1)
        hint = f" Did you mean `{near[0]}`?" if near else f" The commands are {', '.join(_commands())}."
        raise UsageError(f"{word!r} is neither a command nor a matrix file.{hint}")
    return ["run", *arguments]


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, standalone_mode=False, prog_name="python -m runner")
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(f"{error.format_message()}\n")
        return 0
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    return int(code or 0)


def _commands() -> list[str]:
    return [str(info.name or info.callback.__name__) for info in app.registered_commands if info.callback]


def _complain(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
