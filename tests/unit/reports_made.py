"""Reports as `runner.session.results` makes them, made short; and texts as a hostile script prints them."""

from __future__ import annotations

from typing import Any

from runner.outcomes.result import (
    AxisResult,
    CellResult,
    ComparisonResult,
    ExceptionResult,
    FailureResult,
    IntervalResult,
    NeighbourChange,
    ReproductionCommands,
    Result,
    TrialResult,
)

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a | b \\| c \\",
    "]]> <![CDATA[ &amp; &#124; %0A::error::x",
    "\x00\x07\x1b[31mred\x1b[0m\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\ufffe\ud800",
    "\u202egnp.exe\u2066\u200b",
    "[click](javascript:alert(1)) ![x](http://evil.example/y.png) <http://evil.example>",
    "https://evil.example www.evil.example me@evil.example @octocat #1 `code` **bold** ~~gone~~ $x$",
    "line one\r\nline two\n\n# heading\n- item\n::error file=x::y",
    "1. one",
    "```\nfence",
    "\u2028::warning::y\x85z",
)


def exception(message: str = "bad shape", **changes: Any) -> ExceptionResult:
    values = {"type": "ValueError", "file": "a.py", "line": 7, "stage": "build-model", "traceback": f"Trace: {message}"}
    return ExceptionResult(**{**values, "message": message, **changes})


def trial(label: str = "converged", seed: int = 0, **changes: Any) -> TrialResult:
    values: dict[str, Any] = {
        "key": f"{label}-{seed}",
        "seed": seed,
        "label": label,
        "basis": "target",
        "reason": "as it is",
        "final": 1e-6 * (seed + 1),
        "y0": 1.0,
        "scale": 1.0,
        "n": 3,
        "curves": {"loss": (1.0, 1e-6 * (seed + 1))},
        "stage": "after-training",
        "exit_code": 0,
        "started_at": "2026-01-01T00:00:00+00:00",
        "duration_s": 1.5,
    }
    return TrialResult(**{**values, **changes})


def cell(number: int = 1, *, outcome: str = "converges", kind: str = "good", **changes: Any) -> CellResult:
    good = kind == "good"
    label = "converged" if good else "nan"
    values: dict[str, Any] = {
        "id": f"{number:012x}",
        "values": {"six": f"1.{number}.0", "script": "a.py"},
        "outcome": outcome,
        "kind": kind,
        "reason": "4 of 4 counted trials succeeded",
        "converged": 4 if good else 0,
        "counted": 4 if kind in {"good", "bad"} else 0,
        "interval": IntervalResult(low=0.4, high=1.0) if good else None,
        "final": 2.5e-6 if good else None,
        "as_expected": kind != "bad",
        "commands": ReproductionCommands(with_runner=("convergence-matrix matrix.yaml --only x",), without_runner=()),
        "trials": tuple(trial(label, seed) for seed in range(4)) if kind in {"good", "bad"} else (),
    }
    return CellResult(**{**values, **changes})


def report(*cells: CellResult, **changes: Any) -> Result:
    known = cells or (
        cell(1),
        cell(2, outcome="fails (nan)", kind="bad", comparison=ComparisonResult(label="worse", reason="r")),
    )
    axes = {name: tuple(dict.fromkeys(one.values[name] for one in known)) for name in known[0].values}
    values: dict[str, Any] = {
        "runner_version": "0.1.0",
        "made_at": "2026-01-02T03:04:05+00:00",
        "title": "here",
        "matrix": "axes: {}\n",
        "axes": tuple(
            AxisResult(name=name, kind="script" if name == "script" else "package", values=texts)
            for name, texts in axes.items()
        ),
        "base": "six",
        "criterion": ("loss < 0.0001",),
        "baseline": known[0].id,
        "baseline_reason": "named",
        "cells": known,
    }
    return Result(**{**values, **changes})


def hostile_report(text: str) -> Result:
    """A report in which everything that a script, a resolver or a file name can say is this text."""
    raised = exception(text, type=text, file=text or "a.py", traceback=text)
    bad = cell(
        1,
        outcome="blocked (download-failed)",
        kind="untestable",
        values={"six": "1.1.0", "script": text},
        reason=text,
        exception=raised,
        diff=text,
        trials=(trial("download-failed", log=text, exception=raised, message=text),),
    )
    failing = cell(
        2, outcome="fails (nan)", kind="bad", values={"six": "1.2.0", "script": text}, reason=text, exception=raised
    )
    failing = failing.model_copy(update={"trials": (trial("nan", log=text),)})
    return report(
        cell(3, flags=(text,)),
        bad,
        failing,
        title=text,
        complaint=text,
        sentences=(text,),
        baseline_reason=text,
        control=text,
        changes=(NeighbourChange(axis="six", before=bad.id, after=failing.id),),
        failures=(
            FailureResult(label="nan", reason=text, type=text, message=text, cells=(bad.id, failing.id), trials=2),
        ),
    )
