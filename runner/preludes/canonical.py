"""Configs as every Keras would write them: takes what `get_config` gave as JSON, gives values that can be compared.

Keras 2, Keras 3 and tf.keras name the same things differently, and wrap them in records of where they come from.
"""

from __future__ import annotations

import re
from typing import Any

SYNONYMS = {"lr": "learning_rate"}
"""Older names of settings, and what they are called now."""
_BOOKKEEPING = frozenset(
    {"batch_input_shape", "batch_shape", "build_config", "input_dtype", "is_legacy_optimizer", "name", "module"}
    | {"registered_name", "shared_object_id"}
)
"""What tells of an object's origin, shape or name, and not of how it works."""
_SCALINGS = {
    "Glorot": {"scale": 1.0, "mode": "fan_avg"},
    "He": {"scale": 2.0, "mode": "fan_in"},
    "Lecun": {"scale": 1.0, "mode": "fan_in"},
}
_SCALED = re.compile(r"(?P<author>Glorot|He|Lecun)(?P<distribution>Uniform|Normal)")
_FLOAT_DIGITS = 7
"""As many significant digits as a float of 32 bits holds."""


def is_object(value: Any) -> bool:
    """Whether a JSON value is an object of Keras: its class and its config."""
    return isinstance(value, dict) and {"class_name", "config"} <= set(value)


def class_of(name: str) -> str:
    """A class's name without what tells versions of the same class apart."""
    return re.sub(r"(Initializer|V\d+)$", "", name)


def canonical(value: Any) -> Any:
    """A setting's value: rounded to 32 bits, without wrappers, with one class for what has several names."""
    if isinstance(value, float):
        return float(f"{value:.{_FLOAT_DIGITS}g}") if value - value == 0 else value
    if is_object(value):
        return _object(value)
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    return value


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """The settings among a config's entries, under their present names."""
    return {SYNONYMS.get(key, key): canonical(value) for key, value in config.items() if key not in _BOOKKEEPING}


def _object(value: dict[str, Any]) -> Any:
    name, config = class_of(value["class_name"]), value["config"]
    if not isinstance(config, dict):
        return config  # a function, by its name
    if name.endswith("Policy"):
        return config.get("name")
    return {"class_name": name, "config": settings_of(config)} if not _known(name) else _known_object(name, config)


def _known(name: str) -> bool:
    return name in {"L1", "L2", "VarianceScaling"} or _SCALED.fullmatch(name) is not None


def _known_object(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Regularizers as L1L2, and what scales by the fans of a layer as VarianceScaling."""
    settings = settings_of(config)
    if name in {"L1", "L2"}:
        return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **settings}}
    if (scaled := _SCALED.fullmatch(name)) is not None:
        settings |= {**_SCALINGS[scaled["author"]], "distribution": scaled["distribution"].lower()}
    if settings.get("distribution") == "truncated_normal":
        settings["distribution"] = "normal"  # the same, by its older name, which every Keras knows
    return {"class_name": "VarianceScaling", "config": settings}
