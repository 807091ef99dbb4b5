"""The preludes with which the runner looks into a trial, or sets two equal: steps, initial weights, order of data.

Each is a name and a source, as every prelude is; the source calls one of the probe's tools.
"""

from __future__ import annotations

import json
import re
from typing import Any

from runner.errors import UsageError
from runner.preludes.prelude import Prelude

TRACE_FILE = "runner-trace.jsonl"
INITIAL_FILE = "runner-initial-weights.json"
INITIAL_BYTES = 4 * 1024**2
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DTYPE = re.compile(r"b?float\d{2}|u?int\d{1,2}|bool")


def tracing(steps: int = 200) -> Prelude:
    """The prelude that records the first `steps` steps, then those at powers of two: `TRACE_FILE`, `INITIAL_FILE`."""
    return Prelude(name="trace", source=_call("step_trace", "install", int(steps)))


def initial_weights(text: str) -> Prelude:
    """The prelude that sets the initial weights to those of another trial; `text`, its `INITIAL_FILE`, is not trusted.

    Raises UsageError where the text is no such file.
    """
    given = json.dumps(_checked(text), sort_keys=True)
    return Prelude(
        name="initial-weights",
        source="import json\n\nfrom _runner_tools import alignment\n\n"
        f"alignment.set_initial_weights(prelude, json.loads({given!r}))\n",
    )


def fixed_order() -> Prelude:
    """The prelude that has every `fit` cut its batches from the data in the data's own order."""
    return Prelude(name="data-order", source=_call("alignment", "fix_order"))


def looking(kind: str, owner: str, name: str) -> Prelude:
    """The prelude that only asks, when the script has ended, `owner` for an attribute or argument `name`."""
    return Prelude(name="looking", source=_call("lookup", "install", kind, owner, name))


def _call(tool: str, function: str, *arguments: str | int) -> str:
    """The source that calls a function of a tool."""
    given = ", ".join(["prelude", *map(repr, arguments)])
    return f"from _runner_tools import {tool}\n\n{tool}.{function}({given})\n"


def _checked(text: str) -> dict[str, Any]:
    try:
        layers = [
            {
                "class": _text(layer["class"]),
                "name": _text(layer["name"]),
                "weights": [_weight(weight) for weight in layer["weights"]],
            }
            for layer in json.loads(text[:INITIAL_BYTES])["layers"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"The recorded initial weights can't be used: {type(error).__name__}: {error}. A trial with the "
            f"prelude trace writes them to {INITIAL_FILE}, up to 4 MB; take that file as it is."
        ) from error
    return {"layers": layers}


def _weight(weight: dict[str, Any]) -> dict[str, Any]:
    shape, dtype, data = weight["shape"], weight["dtype"], weight["data"]
    if not all(isinstance(length, int) and 0 <= length < 2**31 for length in shape) or len(shape) > 16:
        raise ValueError("a weight's shape is not a list of lengths")
    if not _DTYPE.fullmatch(dtype) or not _BASE64.fullmatch(data):
        raise ValueError("a weight's type or data can't be read")
    return {"role": _text(weight["role"]), "shape": shape, "dtype": dtype, "data": data}


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("a name is not a text of at most 200 characters")
    return value
