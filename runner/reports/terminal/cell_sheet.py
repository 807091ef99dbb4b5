"""One cell, or one account, on the terminal: all that is known of it, from its outcome to how to see it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from runner.outcomes.account import SwitchStanding
from runner.plurals import counted
from runner.reports.notation import ANSWER_KINDS, cell_name, figure, interval
from runner.reports.terminal.console import STYLES, fitted, symbols_for
from runner.reports.untrusted import one_line, stripped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from runner.outcomes.account import Account, Bisection, Counts, SwitchFinding, Tried, Walk
    from runner.outcomes.result import CellResult, ExceptionResult, Result, TrialResult


_TRACEBACK_LINES = 12
_HELPING = {SwitchStanding.CAUSED_BY, SwitchStanding.WAY_ROUND, SwitchStanding.GOES_WITH, SwitchStanding.PARTIAL}


def print_cell(result: Result, console: Console) -> None:
    """Print the first cell of a result; commands are never wrapped, so that they can be copied."""
    cell = result.told(result.cells[0])
    console.print(Text(stripped(cell_name(cell)), style="bold"), soft_wrap=True)
    console.print(Text(f"{symbols_for(console)[cell.kind]} {cell.told}", style=STYLES[cell.kind]))
    for title, lines in _sections(result, cell):
        found = list(lines)
        if found:
            console.print()
            console.print(Text(title, style="bold"))
        for line in found:
            is_command = line.startswith("$ ")
            for part in [f"  {line}"] if is_command else _within(line, console.width):
                console.print(Text(part), soft_wrap=is_command)


def _within(line: str, width: int) -> list[str]:
    """A line below its title; what follows its first two columns hangs below them."""
    text = line.lstrip(" ")
    indent = " " * (2 + len(line) - len(text))
    return fitted(text, width, indent=indent, hanging=f"{indent}  ", most=None)


def _sections(result: Result, cell: CellResult) -> Iterator[tuple[str, Iterator[str]]]:
    yield "Why", _why(result, cell)
    yield "Verdicts, by seed", (line for trial in cell.trials for line in _verdict(trial))
    if cell.exception is not None:
        yield "Exception", _exception(cell.exception)
    yield "Environment", _environment(result, cell)
    yield "Changes to the script", iter(stripped(cell.diff).splitlines())
    if cell.commands is not None:
        yield "Reproduce it with this tool", (f"$ {line}" for line in cell.commands.with_runner)
        yield "Reproduce it without this tool", (f"$ {line}" for line in cell.commands.without_runner)


def _why(result: Result, cell: CellResult) -> Iterator[str]:
    yield cell.reason
    if cell.interval is not None:
        yield f"Its success rate lies between {interval(cell, ' and ')} (95 % interval)."
    if cell.flags:
        yield f"Flags: {', '.join(cell.flags)}."
    if cell.comparison is not None:
        yield f"Against the baseline: {cell.comparison.label}: {cell.comparison.reason}."
        if cell.comparison.time:
            yield f"Time, {cell.comparison.time}."
    if cell.expected:
        yield f"Expected: {cell.expected}; {'met' if cell.as_expected else 'missed'}."
    if result.criterion:
        yield f"Judged by: {', '.join(result.criterion)}."


def _verdict(trial: TrialResult) -> Iterator[str]:
    yield f"{trial.seed}: {trial.label}, by the rule `{trial.basis}`"
    yield f"  {trial.reason}"
    figures = {"first": trial.y0, "final": trial.final, "best": trial.best, "scale S": trial.scale}
    known = [f"{name} {figure(value, 4)}" for name, value in figures.items() if value is not None]
    if known:
        yield f"  {trial.metric}: {', '.join(known)}; {trial.n} values judged"
    places = {
        "not finite from epoch": trial.first_non_finite_epoch,
        "not finite from step": trial.first_non_finite_step,
        "met its target in epoch": trial.first_met_epoch,
    }
    if any(place is not None for place in places.values()):
        yield f"  {', '.join(f'{name} {place}' for name, place in places.items() if place is not None)}"
    if trial.thinned:
        yield f"  {trial.thinned}"
    if trial.flags:
        yield f"  flags: {', '.join(trial.flags)}"


def _exception(exception: ExceptionResult) -> Iterator[str]:
    yield f"{exception.type}: {exception.message}"
    yield f"in the stage {exception.stage}{f', phase {exception.phase}' if exception.phase else ''}"
    if exception.file is not None:
        source = f": {exception.source.strip()}" if exception.source else ""
        cell = "" if exception.cell is None else f"cell {exception.cell}, "
        yield f"{exception.file}, {cell}line {exception.line}{source}"
    lines = stripped(exception.traceback).splitlines()
    if len(lines) > _TRACEBACK_LINES:
        yield f"… {counted(len(lines) - _TRACEBACK_LINES, 'line')} of the traceback left out; `logs` has them all"
    yield from (f"  {line}" for line in lines[-_TRACEBACK_LINES:])


def _environment(result: Result, cell: CellResult) -> Iterator[str]:
    lock = result.locks.get(cell.lock)
    if cell.python or cell.engine:
        runtime = f" on {cell.base_image}" if cell.base_image else ""
        runtime += f", runtime {cell.runtime}" if cell.runtime else ""
        runtime += f", emulating {cell.emulated}" if cell.emulated else ""
        network = ", with a network" if cell.network else ""
        yield f"CPython {cell.python or 'none'} under {cell.engine or 'no engine'}{runtime}{network}"
    if cell.imported:
        yield f"Imported: {', '.join(f'{name} {version}' for name, version in cell.imported.items())}"
    if lock is None:
        yield "It has no lock."
        return
    seen = f"as of {lock.as_of}" if lock.as_of else "from the whole index"
    yield f"Lock {lock.name} ({cell.lock[:12]}): {len(lock.packages)} packages {seen}"
    if cell.image:
        yield f"Image {cell.image}"


_MOST_BESIDE = 3
"""So many values that all places of a bisection share are shown with each of them."""


def print_account(account: Account, console: Console) -> None:
    """Print an account."""
    console.print(Text("Why?", style="bold"))
    for sentence in account.sentences:
        console.print(Text(f"• {stripped(sentence)}"))
    for sentence in account.unknown:
        console.print(Text(f"? {stripped(sentence)}", style="dim"))
    if account.advice:
        _print_advice(account, console)
    if account.telling:
        _title(console, "What passes and what fails")
        console.print(Text(stripped(account.telling)))
    if len(account.tried) > 2:
        _title(console, "Which axis")
        console.print(_tried(account.tried, console))
    for bisection in account.bisections:
        print_bisection(bisection, console)
    if account.switches:
        _title(console, "Which mechanism")
        console.print(_switches(account.switches))
    console.print()
    ran = f"{counted(account.trials, 'trial')} ran for it, in {account.seconds:.0f} s."
    evidence = f"This rests on {counted(account.rests_on, 'trial')}; {ran}"
    console.print(Text(evidence, style="dim"))


def _print_advice(account: Account, console: Console) -> None:
    """Print what to do, and the change that was seen to work; its lines are not wrapped, so that they can be copied."""
    _title(console, "What to do")
    for sentence in account.advice:
        console.print(Text(f"• {stripped(sentence)}"))
    if account.fixes and account.fixes[0].works and account.fixes[0].diff:
        console.print()
        for line in stripped(account.fixes[0].diff).splitlines():
            console.print(Text(f"  {line}"), soft_wrap=True)


def print_walk(walk: Walk, console: Console) -> None:
    """Print a bisection that was asked for by itself."""
    console.print(Text(f"• {stripped(walk.sentence)}"))
    console.print(Text(f"  {stripped(walk.telling)}", style="dim"))
    print_bisection(walk.bisection, console)
    console.print()
    console.print(Text(f"{counted(walk.trials, 'trial')} ran for this, {walk.seconds:.0f} s.", style="dim"))


def print_bisection(bisection: Bisection, console: Console) -> None:
    """Print where along an axis the outcome flips: every place that was tried, and the sides of each flip."""
    _title(console, f"Which release of {bisection.axis}")
    sides = {place for flip in bisection.flips for place in (flip.before, flip.after)}
    shown = [place for number, place in enumerate(bisection.places) if place.counts.trials or number in sides]
    still = set.intersection(*(set(place.values.items()) for place in bisection.places))
    if len(still) > _MOST_BESIDE:
        console.print(
            Text(f"everywhere the same: {len(still)} values, packages that are pinned among them", style="dim")
        )
        shown = [one.model_copy(update={"values": dict(one.values.items() - still)}) for one in shown]
    console.print(_tried(shown, console))


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _tried(tried: Sequence[Tried], console: Console) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for one in tried:
        values = ",".join(f"{axis}={value or 'none'}" for axis, value in one.values.items())
        table.add_row(_answer(one.told, console), Text(values, overflow="fold"), Text(_counts(one.counts), style="dim"))
    return table


def _switches(switches: Sequence[SwitchFinding]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for one in switches:
        style = "bold" if one.standing in _HELPING else "dim"
        table.add_row(Text(one.standing, style=style), Text(one.name), Text(_counts(one.on), style="dim"))
    return table


def _answer(answer: str, console: Console) -> Text:
    kind = ANSWER_KINDS[answer]
    return Text(f"{symbols_for(console)[kind]} {answer}", style=STYLES[kind])


def _counts(counts: Counts) -> str:
    if counts.reason:
        return one_line(counts.reason, 80)
    if not counts.trials:
        return "not tried"
    other = f", {counts.other} otherwise" if counts.other else ""
    return f"{counts.good} pass, {counts.bad} fail{other} of {counted(counts.trials, 'trial')}"
