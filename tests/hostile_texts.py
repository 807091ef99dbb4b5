"""Texts that a terminal, a CI system, a browser, Markdown or a spreadsheet would obey, and a report full of one."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from made_account import made_account, made_fixes
from made_report import report_of_sizes
from pydantic import ValidationError

from runner.check.findings import FindingKind
from runner.outcomes.predicted_change import PredictedChange
from runner.outcomes.result import ComparisonResult, ReproductionCommands, Result
from runner.reports.past_runs import continued

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOADS = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror='window.hacked=2'>",
    '"><svg onload="window.hacked=3">',
    "' onmouseover='window.hacked=4' x='",
    "javascript:window.hacked=5",
    "</script><script>window.hacked=6</script>",
    "<!--<script>window.hacked=7//--></title></style></textarea><script>window.hacked=7</script>",
    '");window.hacked=8;("',
    "\u2028window.hacked=9\u2029",
    "{{ 7*7 }}{% raw %}${window.hacked=10}",
    "<a href='javascript:window.hacked=11'>x</a><base href='https://evil.example/'>",
    "<iframe srcdoc='<script>parent.hacked=12</script>'></iframe><object data='data:text/html,x'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'><form action=//evil.example><button>",
    "\x1b]52;c;aGFja2Vk\x07\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b31m",
    "\u202egnp.exe\u2066\u200b\ufeff\U000e0041",
    "\n::error file=a.py::hacked\r::set-output name=x::y\n##[error]hacked\n##vso[task.complete]x",
    "=cmd|' /C calc'!A0",
    "\t@SUM(1+1)*cmd|' /C calc'!A0\n+1\n-1",
    "![x](https://evil.example/x.png) [x](javascript:hacked) | x |\n# head\n- [ ] @user `code` <b>b</b> $x$",
    "../../../../etc/passwd\0%2e%2e/" + "x" * 5000,
    "[link=https://evil.example]x[/link][bold]b[/bold][/] \\[red]:smile:",
)
"""A payload for each way that is known; `window.hacked` says in a browser that one of them ran."""
_NAMES = {"script", "loss", "numpy", "library-a"}
"""Names of axes, metrics and packages, which are keys too."""


@cache
def _whole() -> Result:
    """A small report with every part that a report can have."""
    plain = report_of_sizes({"tensorflow": 3, "script": 2, "numpy": 2}, seeds=1, epochs=6)
    account = made_account(fixes=made_fixes())
    commands = ReproductionCommands(with_runner=("run",), without_runner=("uv",))
    cells = [
        cell.model_copy(
            update={
                "accounts": (account.id,),
                "comparison": ComparisonResult(label="worse", reason="r", p=0.01),
                "commands": commands,
                "flags": ("flag",),
                "expected": "converges",
                "as_expected": False,
                "diff": "--- a\n+++ b\n",
                "image": "image",
            }
        )
        for cell in plain.cells
    ]
    predicted = tuple(
        PredictedChange(
            kind=kind,
            path="keras.x",
            file="a.py",
            line=3,
            package="keras",
            since="3",
            message="m",
            cells=(cells[0].id,),
        )
        for kind in FindingKind
    )
    made = plain.model_copy(
        update={
            "cells": tuple(cells),
            "accounts": (account,),
            "advice": ("advice",),
            "complaint": "complaint",
            "control": "control",
            "description": "description",
            "predicted": predicted,
        }
    )
    return continued(made, plain.model_copy(update={"made_at": "2026-02-01T12:00:00+00:00"}))


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))


def _put(data: Any, path: tuple[Any, ...], text: str) -> str:
    """Put a text into a place; what was there."""
    for step in path[:-1]:
        data = data[step]
    before: str = data[path[-1]]
    data[path[-1]] = text
    return before


@cache
def open_places() -> tuple[tuple[Any, ...], ...]:
    """The places of a report that take any text, as the schema has it."""
    data = json.loads(_whole().model_dump_json())
    places = []
    for path in _leaves(data):
        before = _put(data, path, "\x1b<any text>")
        try:
            Result.model_validate(data)
        except ValidationError:
            _put(data, path, before)
        else:
            places.append(path)
            _put(data, path, before)
    return tuple(places)


def hostile_result(text: str) -> Result:
    """A report in which every text that may be any text is this one, names of an axis, a metric and a package too.

    The values of its first axis stay: cells are told apart by them.
    """
    data = json.loads(_whole().model_dump_json())
    for path in open_places():
        if path[:2] != ("axes", 0) and path[-1] not in {"tensorflow", "name"}:
            _put(data, path, text)
    return Result.model_validate(_renamed(data, text))


def _renamed(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {
            text if name in _NAMES else name: text if name == "name" and inner in _NAMES else _renamed(inner, text)
            for name, inner in value.items()
        }
    return [_renamed(inner, text) for inner in value] if isinstance(value, list) else value
