"""The runner's own preludes, which look into a trial: its steps, its initial weights, its data's order, what it lacks.

Each is a name and a source, as a trial's prelude is; the top of its source in `tools` says what it does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.preludes.prelude import Prelude

TRACE_FILE = "runner-trace.jsonl"
INITIAL_FILE = "runner-initial-weights.json"
INITIAL_BYTES = 4 * 1024**2
_FOLDER = Path(__file__).parent / "tools"
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DTYPE = re.compile(r"b?float\d{2}|u?int\d{1,2}|bool")


def tracing(steps: int = 200) -> Prelude:
    """Records the first `steps` training steps, then those at powers of two, in `TRACE_FILE` and `INITIAL_FILE`."""
    parts = "\n".join(map(_read, ("steps", "reading", "slots", "trace")))
    return Prelude(name="trace", source=f"STEPS = {int(steps)}\n{parts}")


def initial_weights(text: str) -> Prelude:
    """Sets the initial weights to those that another trial recorded; `text`, its `INITIAL_FILE`, is not trusted.

    Raises UsageError where the text is no such file.
    """
    given = json.dumps(_checked(text), sort_keys=True)
    return Prelude(
        name="initial-weights",
        source=f"import json\nINITIAL = json.loads({given!r})\n{_read('steps')}\n{_read('initial_weights')}",
    )


def fixed_order() -> Prelude:
    """Has every `fit` cut its batches from the data in the data's own order."""
    return Prelude(name="data-order", source=_read("data_order"))


def looking(kind: str, owner: str, name: str) -> Prelude:
    """Changes nothing: asks, when the script has ended, the object `owner` for an attribute or argument `name`."""
    return Prelude(name="looking", source=f"QUESTION = {(kind, owner, name)!r}\n{_read('looking')}")


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.py").read_text(encoding="utf-8")


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
        raise ValueError("a shape is none")
    if not _DTYPE.fullmatch(dtype) or not _BASE64.fullmatch(data):
        raise ValueError("a weight's data are none")
    return {"role": _text(weight["role"]), "shape": shape, "dtype": dtype, "data": data}


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("a name is none")
    return value
