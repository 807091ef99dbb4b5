"""The parts of the JSON Schema that pydantic's models can't say: what names and values mean, for editors only.

`border` hangs them beside its own shapes; nothing is checked with them when a matrix is loaded.
"""

from __future__ import annotations

from typing import Any

from runner.matrix.axes import IMPORT_FLAVOURS
from runner.matrix.releases import Every

SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}


def _one_or_more(values: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "anyOf": [values, {"type": "array", "items": values, "minItems": 1}],
    }


_ENV_VALUE: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "description": "NAME=value NAME2=value2; an empty text sets nothing"},
        {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": SCALAR,
        },
    ]
}
_VERSION: dict[str, Any] = {"type": ["string", "number"]}
_RANGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "range": {"type": "string", "description": "Versions as PEP 440 compares them: '>=1.7,<2.17'; '*' is all."},
        "every": {
            "enum": [every.value for every in Every],
            "description": "The newest of each minor (or major) release, or each single one. Default: minor.",
        },
        "prereleases": {"type": "boolean", "description": "Whether pre-releases count. Default: false."},
    },
    "required": ["range"],
    "additionalProperties": False,
}
_RESERVED_VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "python": (
        {**_VERSION, "pattern": "^3\\.[0-9]+$", "minimum": 3, "exclusiveMaximum": 4},
        "CPython's minor releases: 3.7. Default: the newest with wheels.",
    ),
    "import": ({"enum": list(IMPORT_FLAVOURS)}, "Which Keras the script's Keras imports mean."),
    "script": ({"type": "string"}, "Training scripts, relative to this file; in place of experiment.script."),
    "prelude": (
        {"type": "string", "examples": ["", "resource-variables", "preludes/mine.py"]},
        "What runs before the script in its process: switches of the catalogue or sources relative to this file.",
    ),
    "env": (_ENV_VALUE, "Environment variables, a set of them as one value."),
}
_NAME_PATTERN = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
AXES: dict[str, Any] = {
    "properties": {name: _one_or_more(*value) for name, value in _RESERVED_VALUES.items()},
    "additionalProperties": _one_or_more(
        {"anyOf": [_VERSION, _RANGE]},
        "Versions of a package; the first package is the base. In place of a version: {range: '>=1.7,<2.17'}, latest "
        "(latest-3 is the latest patch of the third minor release before the newest); for keras and tf-keras era, the "
        "one of each TensorFlow's time.",
    ),
    "propertyNames": {"pattern": _NAME_PATTERN},
    "minProperties": 1,
}
_PARTIAL: dict[str, Any] = {
    "properties": {name: value for name, (value, _) in _RESERVED_VALUES.items()},
    "additionalProperties": _VERSION,
    "propertyNames": {"pattern": _NAME_PATTERN},
}
PARTIAL: dict[str, Any] = {"type": "object", "minProperties": 1, **_PARTIAL}
PARTIALS: dict[str, Any] = {"items": PARTIAL}
EXPECT: dict[str, Any] = {
    "items": {
        "type": "object",
        **_PARTIAL,
        "properties": {
            **_PARTIAL["properties"],
            "outcome": {
                "type": "string",
                "description": "What must come out, such as converges, fails, fails (nan) or blocked (unresolvable).",
                "pattern": "^(converges|settles|fails|flaky|blocked|undecided)( *\\([a-z -]+\\))?$",
            },
        },
        "required": ["outcome"],
    }
}

CONDITIONAL: dict[str, Any] = {
    "type": "object",
    "description": "Packages with their versions, of the cells that meet every condition.",
    "properties": {
        "when": _one_or_more({"type": "string", "examples": ["tensorflow<2.4"]}, "What must hold; all of a list.")
    },
    "additionalProperties": {"type": "string", "examples": ["<1.20", "*"]},
    "minProperties": 1,
}

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_RULE: dict[str, Any] = {"type": "string", "pattern": f"^(release|none|{_DATE})$"}
AS_OF: dict[str, Any] = {
    "anyOf": [
        _RULE,
        {
            "type": "object",
            "properties": {"default": _RULE},
            "additionalProperties": {"type": "string", "pattern": f"^(none|{_DATE})$"},
        },
    ]
}
