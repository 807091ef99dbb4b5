"""Traces as the prelude `trace` writes them, made by training a small linear network in plain Python."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from typing import Any

from runner.investigate.trace import Trace, parse_trace

START = {"kernel": [0.5, -0.25], "bias": [0.125]}


@dataclass(frozen=True, kw_only=True)
class Made:
    """What may be planted in a training of (x . kernel + bias) * scale, the factor being a layer of its own."""

    rate: float = 0.1
    wrong: str = ""
    """A weight that gets half of its update."""
    names: tuple[str, str] = ("dense", "scaling")
    reversed: bool = False
    """Whether the model lists its layers the other way round."""
    noise: float = 0.0
    """A relative rounding error of every number."""
    seed: int = 1
    order: int = 0
    """How far the data are rotated."""
    start: float = 0.0
    """What is added to the first weight at the start."""
    slots: tuple[str, ...] = ()
    broken: int = 0
    """The step from which everything is NaN."""
    steps: int = 40
    sampled: tuple[int, ...] = field(default_factory=tuple)
    """The steps that are recorded, unless all."""
    seen: bool = True
    """Whether the batches can be seen."""
    gradients: str = ""
    """"right" or "doubled", where they are recorded."""


def made(**what: Any) -> Trace:
    return parse_trace(written(Made(**what)))


def written(made: Made) -> str:
    """The text of the trace."""
    draw = random.Random(made.seed)
    blur = lambda value: value * (1 + made.noise * draw.uniform(-1, 1))  # noqa: E731
    weights = {
        "kernel": [START["kernel"][0] + made.start, START["kernel"][1]],
        "bias": [*START["bias"]],
        "scale": [1.5],
    }
    layers = [
        _layer("Dense", made.names[0], ("kernel", [2]), ("bias", [1])),
        _layer("Scaling", made.names[1], ("scale", [1])),
    ]
    if made.reversed:
        layers.reverse()
    order = [weight["role"] for layer in layers for weight in layer["weights"]]
    slots = [{"kind": kind, "weight": place} for kind in made.slots for place in range(3)]
    lines: list[dict[str, Any]] = [
        {"kind": "header", "version": 1, "optimizer": "SGD", "loss": "mse", "layers": layers, "states": []},
        {"kind": "initial", "weights": [_tensor(weights[role]) for role in order]},
        {"kind": "slots", "slots": slots},
    ]
    data = random.Random(7)
    rows = [[data.uniform(-1, 1), data.uniform(-1, 1)] for _ in range(made.steps)]
    for step in range(1, made.steps + 1):
        place = (step - 1 + made.order) % made.steps
        before = {role: list(values) for role, values in weights.items()}
        output, loss = _step(weights, rows[place], made, blur)
        if made.broken and step >= made.broken:
            output = loss = math.nan
            weights = {role: [math.nan] * len(values) for role, values in weights.items()}
        if made.sampled and step not in made.sampled:
            continue
        updates = {
            role: [after - old for after, old in zip(weights[role], before[role], strict=True)] for role in order
        }
        lines.append(
            {
                "kind": "step",
                "step": step,
                "batch": [f"x{place}", f"y{place}"] if made.seen else None,
                "learning_rate": made.rate,
                "loss": loss,
                "outputs": [_tensor([output])],
                "weights": [_tensor(weights[role]) for role in order],
                "updates": [_tensor(updates[role]) for role in order],
                "gradients": _gradients(made, [updates[role] for role in order]),
                "slots": [_tensor(updates[order[slot["weight"]]]) for slot in slots],
                "states": [],
            }
        )
    lines.append({"kind": "summary"})
    return "".join(json.dumps(line) + "\n" for line in lines)


def _gradients(made: Made, updates: list[list[float]]) -> list[dict[str, list[float]] | None] | None:
    """Those that made the updates; the last weight has none."""
    if not made.gradients:
        return None
    factor = -(2.0 if made.gradients == "doubled" else 1.0) / made.rate
    return [*(_tensor([factor * one for one in update]) for update in updates[:-1]), None]


def _step(weights: dict[str, list[float]], row: list[float], made: Made, blur: Any) -> tuple[float, float]:
    kernel, (bias,), (scale,) = weights["kernel"], weights["bias"], weights["scale"]
    hidden = blur(sum(x * k for x, k in zip(row, kernel, strict=True)) + bias)
    error = blur(hidden * scale) - (row[0] - 2 * row[1])
    gradients = {
        "kernel": [2 * error * scale * x for x in row],
        "bias": [2 * error * scale],
        "scale": [2 * error * hidden],
    }
    for role, gradient in gradients.items():
        rate = made.rate * (0.5 if role == made.wrong else 1.0)
        weights[role] = [blur(w - blur(rate * g)) for w, g in zip(weights[role], gradient, strict=True)]
    return blur(hidden * scale), blur(error * error)


def _layer(kind: str, name: str, *weights: tuple[str, list[int]]) -> dict[str, Any]:
    return {
        "class": kind,
        "name": name,
        "weights": [{"role": role, "shape": shape, "dtype": "float32"} for role, shape in weights],
    }


def _tensor(values: list[float]) -> dict[str, list[float]]:
    return {"values": values}
