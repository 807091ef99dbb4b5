"""An account on the terminal: its sentences, then the experiments that each of them rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from runner.reports.notation import ANSWER_KINDS
from runner.reports.terminal.console import STYLES, symbols_for
from runner.reports.untrusted import one_line, stripped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from runner.outcomes.account import Account, Bisection, Counts, SwitchFinding, Tried, Walk


_MOST_BESIDE = 3
"""So many values that all places of a bisection share are shown with each of them."""


def print_account(account: Account, console: Console) -> None:
    """Print an account."""
    console.print(Text("Why?", style="bold"))
    for sentence in account.sentences:
        console.print(Text(f"• {stripped(sentence)}"))
    for sentence in account.unknown:
        console.print(Text(f"? {stripped(sentence)}", style="dim"))
    if account.telling:
        _title(console, "What counts as good and bad")
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
    ran = f"{account.trials} trials ran for it, in {account.seconds:.0f} s."
    evidence = f"This rests on {account.rests_on} trials; {ran}"
    console.print(Text(evidence, style="dim"))


def print_walk(walk: Walk, console: Console) -> None:
    """Print a bisection that was asked for by itself."""
    console.print(Text(f"• {stripped(walk.sentence)}"))
    console.print(Text(f"  {stripped(walk.telling)}", style="dim"))
    print_bisection(walk.bisection, console)
    console.print()
    console.print(Text(f"{walk.trials} trials ran for this, {walk.seconds:.0f} s.", style="dim"))


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
        style = "bold" if one.standing in {"caused by", "goes with"} else "dim"
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
    return f"{counts.good} good, {counts.bad} bad{other} of {counts.trials} trials"
