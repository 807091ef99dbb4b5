"""Reports that were made up, of any size: what a real matrix could have come to, with every kind of outcome.

They are the same for the same arguments, whatever machine makes them.
"""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise, product
from random import Random
from typing import TYPE_CHECKING

from runner.outcomes.result import (
    AxisResult,
    CellResult,
    ComparisonResult,
    ExceptionResult,
    FailureResult,
    IntervalResult,
    LockResult,
    NeighbourChange,
    PackageResult,
    ReproductionCommands,
    Result,
    TrialResult,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KERAS = {
    "1.13.1": "2.2.4",
    "1.14.0": "2.2.5",
    "1.15.5": "2.3.1",
    "2.0.4": "2.3.1",
    "2.1.4": "2.3.1",
    "2.2.3": "2.4.3",
    "2.4.4": "2.4.3",
    "2.6.5": "2.6.0",
    "2.10.1": "2.10.0",
    "2.16.1": "3.3.3",
}
"""The Keras of each TensorFlow's time."""
SCRIPTS = ("functional.py", "sequential_input.py", "sequential_dense.py", "stateful_rnn.py", "subclassed.py")
LIBRARIES = (*(f"library-{one}" for one in "abcdefghijklmnopqrstuvwxyz"), "h5py", "numpy", "protobuf", "scipy")
WORDS = {
    "good": "converges",
    "bad": "fails (nan)",
    "undecided": "flaky (mostly converges)",
    "broken": "breaks (crashed-build-model)",
    "untestable": "blocked (install-failed)",
}
LABELS = {
    "good": "converged",
    "bad": "nan",
    "undecided": "converged",
    "broken": "crashed-build-model",
    "untestable": "install-failed",
}
EXCEPTION = ExceptionResult(
    type="TypeError",
    message='The added layer must be an instance of class Layer. Found: Tensor("input_1:0", shape=(2, 4, 1))',
    traceback='Traceback (most recent call last):\n  File "train.py", line 14, in <module>\n    model.add(Input())\n'
    "TypeError: The added layer must be an instance of class Layer.",
    file="train.py",
    line=14,
    source="model.add(Input(batch_shape=(2, 4, 1)))",
    stage="build-model",
)
DIFF = "--- train.py\n+++ train.py\n@@ -1,2 +1,2 @@\n-import keras\n+from tensorflow import keras\n print('x')\n"
LOG = (
    "\x1b[33mWARNING\x1b[0m: From layers.py:12: colocate_with is deprecated.\n"
    "Epoch 1/12\n\r1/8 [==>.....] - loss: 1.0\r8/8 [==========] - loss: 0.31\n"
)


def report_of_sizes(
    sizes: Mapping[str, int], *, seeds: int = 4, epochs: int = 12, title: str = "made-up", salt: int = 0
) -> Result:
    """A report over axes with so many values each; one whose name is no axis of ours is a made-up package."""
    return made_report(
        {
            name: (SCRIPTS * size)[:size] if name == "script" and size <= len(SCRIPTS) else _versions(size)
            for name, size in sizes.items()
        },
        seeds=seeds,
        epochs=epochs,
        title=title,
        salt=salt,
    )


def era_report(*, salt: int = 0) -> Result:
    """Ten TensorFlows, each with the Keras of its time, five scripts and two import flavours: 100 cells."""
    return made_report(
        {"tensorflow": tuple(KERAS), "keras": (), "script": SCRIPTS, "import": ("keras", "tf.keras")},
        title="stateful-rnn",
        salt=salt,
    )


def made_report(
    axes: Mapping[str, Sequence[str]],
    *,
    seeds: int = 4,
    epochs: int = 12,
    title: str = "made-up",
    salt: int = 0,
) -> Result:
    """A report over these axes; an axis without values follows the first one. `salt` makes another run of it."""
    cells, locks = [], {}
    bases = next(iter(axes.values()))
    early = bases[: max(1, len(bases) * 3 // 10 - salt)]
    for values in _combinations(axes):
        random = Random(f"{values}")
        lock = _lock(values)
        locks[lock[0]] = lock[1]
        kind = _kind(values, next(iter(values.values())) in early, random)
        cells.append(_cell(values, kind, lock[0], random, seeds, epochs))
    return Result(
        runner_version="0.1.0",
        made_at=f"2026-03-{1 + salt:02}T12:00:00+00:00",
        title=title,
        matrix="axes: {}\n",
        axes=tuple(_axis(name, [cell.values[name] for cell in cells]) for name in axes),
        base=next(iter(axes)),
        criterion=("loss < 1e-4",),
        sentences=(
            "With import=keras the loss ends in NaN from tensorflow 1.13.1 to 1.15.5; from 2.0.4 on it converges.",
        ),
        changes=tuple(_changes(axes, cells)),
        baseline=next((cell.id for cell in cells if cell.kind == "good"), ""),
        baseline_reason="the best median final value (1.13e-08) of the cells that mostly succeed",
        cells=tuple(cells),
        failures=_failures(cells),
        locks=locks,
    )


def _combinations(axes: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Every combination; what has no values follows the first axis as Keras follows TensorFlow."""
    free = {name: values for name, values in axes.items() if values}
    found = []
    for combination in product(*free.values()):
        values = dict(zip(free, combination, strict=True))
        found.append({name: values.get(name) or KERAS[combination[0]] for name in axes})
    return found


def _axis(name: str, values: Sequence[str]) -> AxisResult:
    kind = name if name in {"script", "import", "python"} else "package"
    return AxisResult(name=name, kind=kind, values=tuple(dict.fromkeys(values)))  # type: ignore[arg-type]


def _versions(size: int) -> tuple[str, ...]:
    return tuple(f"{1 + i // 10}.{i % 10}.{i % 3}" for i in range(size))


def _kind(values: Mapping[str, str], early: bool, random: Random) -> str:
    """Early bases fail, under one import only where there are several; one script is refused there; a few waver."""
    if random.random() < 0.04:
        return "undecided"
    if values.get("script", "").startswith("sequential_input") and early:
        return "broken"
    if next(iter(values.values())).startswith("2.16"):
        return "untestable" if values.get("import") == "keras" else "broken"
    return "bad" if early and values.get("import", "keras") in {"keras", "1.0.0"} else "good"


def _lock(values: Mapping[str, str]) -> tuple[str, LockResult]:
    packages = {name: value for name, value in values.items() if name not in {"script", "import", "python"}}
    name = "+".join(f"{package}-{version}" for package, version in packages.items())
    base = next(iter(packages.values()), "")
    locked = [
        PackageResult(name=one, version=f"1.{Random(f'{one}{base[:3]}').randrange(20)}.0", layer="base")
        for one in LIBRARIES
    ]
    locked += [
        PackageResult(name=package, version=version, layer="overlay" if i else "base")
        for i, (package, version) in enumerate(packages.items())
    ]
    lock = LockResult(
        name=name, python="3.7", as_of="2019-02-27", packages=tuple(sorted(locked, key=lambda one: one.name))
    )
    return hashlib.sha256(name.encode()).hexdigest(), lock


def _cell(values: dict[str, str], kind: str, lock: str, random: Random, seeds: int, epochs: int) -> CellResult:
    name = ",".join(f"{axis}={value}" for axis, value in values.items())
    labels = [LABELS[kind]] * {"untestable": 1, "broken": min(2, seeds)}.get(kind, seeds)
    if kind == "undecided":
        labels[-1] = "oscillating"
    converged = labels.count("converged")
    trials = tuple(_trial(name, seed, label, random, epochs, kind) for seed, label in enumerate(labels))
    counted = 0 if kind == "untestable" else len(trials)
    finals = sorted(trial.final for trial in trials if trial.final is not None)
    against = {"good": "better", "bad": "worse", "broken": "breaks", "untestable": "blocked"}.get(kind, "inconclusive")
    reasons = {"broken": "TypeError while the model was built", "untestable": "no wheel of tensorflow for CPython 3.7"}
    return CellResult(
        id=hashlib.sha256(name.encode()).hexdigest()[:12],
        values=values,
        outcome=WORDS[kind],
        kind="bad" if kind == "broken" else kind,  # type: ignore[arg-type]
        reason=reasons.get(kind, f"{converged} of {counted} converged"),
        converged=converged,
        counted=counted,
        interval=IntervalResult(low=0.398, high=1.0) if kind == "good" else None,
        flags=("network",) if random.random() < 0.05 else (),
        final=finals[len(finals) // 2] if finals else (math.nan if kind == "bad" else None),
        epoch_s=round(random.uniform(0.2, 0.6), 4),
        peak_memory_bytes=random.randrange(200, 900) * 1_000_000,
        exception=EXCEPTION if kind == "broken" else None,
        failures={"bad": (0,), "broken": (1,), "undecided": (2,), "untestable": (3,)}.get(kind, ()),
        comparison=ComparisonResult(
            label=against, reason=f"succeeds in {converged} of {counted} against 4 of 4", p=0.029
        ),
        python="3.7.17",
        engine="docker",
        image="convergence-matrix/tensorflow:0a1b2c3d4e5f",
        lock=lock,
        imported={package: version for package, version in values.items() if package in {"tensorflow", "keras"}},
        diff=DIFF if values.get("import") == "tf.keras" else "",
        expected="converges" if random.random() < 0.1 else "",
        commands=ReproductionCommands(
            with_runner=(f"convergence-matrix matrix.yaml --only {name}", f"convergence-matrix shell {name}"),
            without_runner=(
                "uv venv --python 3.7 cell",
                "uv pip install --python cell/bin/python --require-hashes -r locks/cell.txt",
                "PYTHONHASHSEED=0 cell/bin/python train.py",
            ),
        ),
        trials=trials,
    )


def _trial(cell: str, seed: int, label: str, random: Random, epochs: int, kind: str) -> TrialResult:
    built = label not in {"crashed-build-model", "install-failed"}
    unbuilt = "install" if label == "install-failed" else "build-model"
    losses = _losses(label, random, epochs) if built else []
    last = losses[-1] if losses else None
    nan = next((epoch for epoch, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    return TrialResult(
        key=hashlib.sha256(f"{cell}{seed}".encode()).hexdigest(),
        seed=seed,
        label=label,
        basis={"converged": "target", "nan": "non-finite", "oscillating": "reversals"}.get(label, "process"),
        reason=f"loss {last:.3g} at the end" if last is not None else "TypeError while the model was built",
        y0=losses[0] if losses else None,
        final=last if last is not None and math.isfinite(last) else None,
        best=min((loss for loss in losses if math.isfinite(loss)), default=None),
        scale=losses[0] if losses else None,
        n=len(losses),
        first_non_finite_epoch=nan,
        first_met_epoch=epochs - 2 if label == "converged" else None,
        planned_epochs=epochs,
        epochs=tuple(range(1, len(losses) + 1)),
        curves={"loss": tuple(losses), "val_loss": tuple(loss * 1.1 for loss in losses)} if losses else {},
        stage="after-training" if built else unbuilt,
        exit_code=0 if built else 1,
        started_at="2026-03-01T10:00:00+00:00",
        duration_s=round(random.uniform(4, 9), 3),
        epoch_s=0.31 if losses else None,
        epoch_seconds=tuple(round(random.uniform(0.28, 0.35), 4) for _ in losses),
        memory_bytes=tuple(300_000_000 + 100_000 * epoch for epoch in range(len(losses))),
        peak_memory_bytes=320_000_000,
        exception=EXCEPTION if label == "crashed-build-model" else None,
        log=LOG if seed == 0 else "",
        log_bytes=len(LOG),
    )


def _losses(label: str, random: Random, epochs: int) -> list[float]:
    if label == "nan":
        breaks = random.randrange(1, epochs)
        return [float(f"{0.3 * 2**i:.5g}") if i < breaks else math.nan for i in range(epochs)]
    if label == "oscillating":
        return [float(f"{0.2 + 0.15 * (i % 2) * random.random():.5g}") for i in range(epochs)]
    end = random.uniform(-8.2, -7.4)
    return [float(f"{0.5 * 10 ** (end * (i / (epochs - 1)) + random.gauss(0, 0.05)):.5g}") for i in range(epochs)]


def _failures(cells: Sequence[CellResult]) -> tuple[FailureResult, ...]:
    reasons = (
        ("nan", "loss is NaN from epoch 2 on", "", ""),
        ("crashed-build-model", f"TypeError: {EXCEPTION.message[:51]}", "TypeError", "build-model"),
        ("oscillating", "loss goes up and down by more than a tenth of its start", "", ""),
        ("install-failed", "no wheel of tensorflow for CPython 3.7", "", "install"),
    )
    return tuple(
        FailureResult(
            label=label,
            reason=reason,
            type=type_,
            message=reason,
            stage=stage,
            frame="keras/engine/sequential.py in add" if type_ else "",
            cells=tuple(cell.id for cell in cells if index in cell.failures),
            trials=sum(trial.label == label for cell in cells for trial in cell.trials),
        )
        for index, (label, reason, type_, stage) in enumerate(reasons)
    )


def _changes(axes: Mapping[str, Sequence[str]], cells: Sequence[CellResult]) -> list[NeighbourChange]:
    """Where neighbours along the first axis differ."""
    first = next(iter(axes))
    lines: dict[tuple[str, ...], list[CellResult]] = {}
    for cell in cells:
        rest = tuple(value for name, value in cell.values.items() if name != first and axes[name])
        lines.setdefault(rest, []).append(cell)
    return [
        NeighbourChange(axis=first, before=one.id, after=other.id)
        for line in lines.values()
        for one, other in pairwise(line)
        if one.kind != other.kind
    ]
