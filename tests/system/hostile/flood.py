"""`flood.py KIND FOLDER`: 64 MiB of one kind, read as a trial's and stored as its record; prints peak MB and sizes."""

from __future__ import annotations

import dataclasses
import json
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.trials.channel import read_channel
from runner.trials.record import Record
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 64 * 1024**2
START = {
    "event": "start", "t": 0.0, "probe": "1", "python": "3.11.7", "implementation": "C", "executable": "p", "argv": [],
    "pid": 1, "time": 1.0,
}  # fmt: skip
NO_PHASE = dict.fromkeys(
    ("model", "model_number", "architecture", "planned_epochs", "steps", "initial_weights", "weight_norm")
)
NO_EPOCH = dict.fromkeys(("time_s", "learning_rate", "weight_norm", "update_norm", "rss_bytes"))


def event(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, "t": 0.0, **fields}


def phase(name: str, **fields: Any) -> dict[str, Any]:
    return event("phase", name=name, **NO_PHASE, **fields)


def epochs(names: int, *, fresh: bool) -> Iterator[dict[str, Any]]:
    for n in count(1):
        logs = {f"m{n if fresh else ''}_{i}": 1 / n for i in range(names)}
        yield event("epoch", phase="f", epoch=n, logs=logs, **NO_EPOCH)


def loops() -> Iterator[dict[str, Any]]:
    for n in count(1):
        yield phase(f"loop-{n}")
        logs = {name: [0] * 64 for name in "abc"}
        yield event("loop", phase=f"loop-{n}", steps=1, seconds=1.0, block=1, logs=logs, weight_norm=None)


def children(then: Any) -> Iterator[dict[str, Any]]:
    for n in count(1):
        yield {**START, "process": n}
        yield from then(n)


def warnings() -> Iterator[dict[str, Any]]:
    for n in count(1):
        yield phase(f"loop-{n}")
        yield from (event("warning", phase=f"loop-{n}", message="x" * 1000) for _ in range(10))


FLOODS: dict[str, Any] = {
    "epochs": lambda: epochs(1, fresh=False),
    "wide": lambda: epochs(100, fresh=True),
    "loops": loops,
    "phases": lambda: children(lambda n: (phase(f"loop-{i}", process=n) for i in range(20_000))),
    "packages": lambda: children(
        lambda n: [event("packages", process=n, packages={f"{i}": {"version": "1", "file": None} for i in range(2000)})]
    ),
    "warnings": warnings,
    "evaluations": lambda: (
        event("evaluation", kind="score", round=n, model=None, model_number=None, phase="",
              logs={f"{n}-{i}" + "x" * 150: 0 for i in range(100)})
        for n in count(1)
    ),
    "steps": lambda: (
        phase("loop-1") if n == 0 else event("steps", phase="loop-1", first=n, losses=[0] * 256) for n in count()
    ),
    "configs": lambda: (event("config", phase=f"f{n}", what="model", config="\0" * 10_000) for n in count()),
    "blank": lambda: iter(()),
    "metrics": lambda: ({f"m{n}_{i}": 0 for i in range(100)} for n in count()),
}  # fmt: skip


def main(kind: str, folder: Path) -> None:
    channel, metrics = folder / "channel", folder / "metrics"
    channel.write_text(f"{json.dumps(START)}\n")
    metrics.write_bytes(b"\n" * LIMIT if kind == "blank" else b"")
    size = 0
    with (metrics if kind == "metrics" else channel).open("a") as stream:
        for one in FLOODS[kind]():
            line = json.dumps(one, separators=(",", ":"))
            size += stream.write(f"{line}\n")
            if size > LIMIT:
                break
    told = read_channel(channel, metrics)
    fields = {field.name: getattr(told, field.name) for field in dataclasses.fields(told)}
    del fields["preludes"], fields["probe_errors"], fields["exit"]
    with Store(folder / "records.sqlite") as store:
        store.put(
            Record(
                key="0", cell={"six": "1"}, seed=0, engine="venv", started_at="2026-01-01T00:00:00+00:00", duration_s=1,
                **fields,
            )
        )  # fmt: skip
        kept = store.get(["0"])["0"]
    stored = sum(path.stat().st_size for path in folder.glob("records*"))
    print(peak_mb(), len(kept.epochs), stored)


def peak_mb() -> int:
    """This program's own; what `getrusage` tells begins with the memory of whoever started it."""
    (peak,) = (line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) // 1024


main(sys.argv[1], Path(sys.argv[2]))
