"""Defaults that differ between two cells, found in their records' configs, and the preludes that make one explicit.

`defaults_that_differ` takes the JSON texts of two records and gives settings; `explicit` takes some of them and
gives a prelude under which classes get the good cell's values wherever the script gives none. Keras 2, Keras 3 and
tf.keras name the same settings differently, and wrap them in records of where they come from: they are compared as
every Keras would write them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from runner import foreign_json
from runner.preludes.prelude import Prelude

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLASS = "class_name"
"""The key of a difference in class."""
STATES = frozenset({"trainable"})
"""Settings that scripts change after an object was made: that they differ is no default, and no constructor sets it."""
_SYNONYMS = {"lr": "learning_rate"}
"""Older names of settings, and what they are called now."""
_PLACEHOLDERS: dict[str, dict[str, Any]] = {
    "warn": {"solver": "liblinear", "multi_class": "ovr", "n_estimators": 10, "cv": 3, "iid": True, "n_splits": 3},
    "auto_deprecated": {"gamma": "auto"},
}
"""Defaults of scikit-learn 0.20 and 0.21 that were about to change, and what they stand for there."""
_BOOKKEEPING = frozenset(
    {"batch_input_shape", "batch_shape", "build_config", "input_dtype", "is_legacy_optimizer", "name", "module"}
    | {"registered_name", "shared_object_id"}
)
"""Settings that tell of an object's origin, shape or name, and not of how it works."""
_SCALINGS = {
    "Glorot": {"scale": 1.0, "mode": "fan_avg"},
    "He": {"scale": 2.0, "mode": "fan_in"},
    "Lecun": {"scale": 1.0, "mode": "fan_in"},
}
_SCALED = re.compile(r"(?P<author>Glorot|He|Lecun)(?P<distribution>Uniform|Normal)")
_FLOAT_DIGITS = 7
"""As many significant digits as a float of 32 bits holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Default:
    """A setting of one class of objects that two cells have differently."""

    class_name: str
    key: str
    good: str | None
    """The good cell's value as JSON text; None where that cell has no such setting, or null for it."""
    bad: str | None
    where: str
    """The first place where it was found, such as `fit-1/model layer 2 (LSTM)`."""

    @property
    def settable(self) -> bool:
        """True where there is a value of the good cell to be set; whether a class takes it is known in the trial."""
        return self.good is not None and self.key != CLASS and self.key not in STATES

    def turned(self) -> Default:
        """The same with the cells changed over: what makes the good cell's objects those of the bad one."""
        return replace(self, good=self.bad, bad=self.good)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Thing:
    """A layer, optimizer or loss out of a config; `rank` is that of its input, where known."""

    class_name: str
    settings: dict[str, Any]
    rank: int | None = None


def defaults_that_differ(good: Mapping[str, str], bad: Mapping[str, str]) -> tuple[Default, ...]:
    """Every setting that differs, or that one side alone has, once a class, in the order of phases and layers.

    `good` and `bad` are records' `configs`: JSON texts by `phase/what`. Texts that can't be read (cut short) are left
    out, and so are settings that are null on one side and absent on the other. A layer that has no counterpart of its
    class is left out; an optimizer or loss of another class is told with the key `class_name`.
    """
    found: dict[tuple[str, str, str | None, str | None], Default] = {}
    for key in sorted(good.keys() & bad.keys(), key=_in_order):
        for one in _differences(key, _read(good[key]), _read(bad[key])):
            found.setdefault((one.class_name, one.key, one.good, one.bad), one)
    return tuple(found.values())


def explicit(*defaults: Default) -> Prelude:
    """The prelude that gives objects of the defaults' classes the good cell's values; raises ValueError without one.

    Of several defaults at once, those that a class does not take are left as they are.
    """
    settings = []
    for default in defaults:
        if not default.settable or default.good is None:
            raise ValueError(f"{default.class_name}.{default.key} has no value of the good cell that could be set")
        keys = [default.key, *(old for old, new in _SYNONYMS.items() if new == default.key)]
        settings.append((default.class_name, keys, default.good))
    one = f"{_words(defaults[0].class_name)}-{_words(defaults[0].key)}" if len(defaults) == 1 else "defaults"
    return Prelude(
        name=f"explicit-{one}",
        source=f"from _runner_tools import explicit_defaults\n\nSETTINGS = {settings!r}  # class, names, JSON\n"
        "explicit_defaults.install(prelude, SETTINGS)\n",
    )


def _words(name: str) -> str:
    """SimpleRNN as simple-rnn."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", parted.lower()).strip("-")


def _in_order(key: str) -> list[tuple[int, str]]:
    """Sorts fit-2 before fit-10, and a model before its optimizer and loss."""
    phase, _, what = key.partition("/")
    number = re.search(r"\d+$", phase)
    return [(int(number[0]) if number else 0, phase), ({"model": 0, "optimizer": 1}.get(what, 2), what)]


def _read(text: str) -> Any:
    try:
        return foreign_json.loads(text)
    except ValueError:
        return None


def _differences(where: str, good: Any, bad: Any) -> Iterator[Default]:
    if where.endswith("/model"):
        yield from _of_layers(where, list(_layers(good)), list(_layers(bad)))
    elif _is_object(good) and _is_object(bad):
        yield from _of_things(where, _thing(good), _thing(bad))
    elif isinstance(good, list) and isinstance(bad, list):
        for number, (one, other) in enumerate(zip(good, bad, strict=False), start=1):
            yield from _differences(f"{where} {number}", one, other)
    elif isinstance(good, dict) and isinstance(bad, dict):
        for key in sorted(good.keys() & bad.keys()):
            yield from _differences(f"{where} {key}", good[key], bad[key])


def _layers(value: Any) -> Iterator[_Thing]:
    """All layers of a model, those of models and layers inside of it too; inputs have shapes and no defaults."""
    if not _is_object(value) or not isinstance(value["config"], (dict, list)):
        return
    config = value["config"]
    layers = config if isinstance(config, list) else config.get("layers")  # a list: Sequential of Keras before 2.2.3
    if layers is not None:
        for layer in layers:
            yield from _layers(layer)
    elif isinstance(config, dict) and value["class_name"] != "InputLayer":
        inner = {key: one for key, one in config.items() if _is_object(one) and key.endswith("layer")}
        yield _thing({**value, "config": {key: one for key, one in config.items() if key not in inner}})
        for one in inner.values():
            yield from _layers(one)


def _thing(value: dict[str, Any]) -> _Thing:
    config = value["config"] if isinstance(value["config"], dict) else {}
    built = value.get("build_config")
    shape = built.get("input_shape") if isinstance(built, dict) else None
    return _Thing(
        class_name=_class_of(value["class_name"]),
        settings=_settings_of(config),
        rank=len(shape) if isinstance(shape, list) else None,
    )


def _of_layers(where: str, good: list[_Thing], bad: list[_Thing]) -> Iterator[Default]:
    """Layers are matched by kind and order: one that only one side has does not move those after it."""
    kinds = [[thing.class_name for thing in things] for things in (good, bad)]
    for start, other, size in SequenceMatcher(None, kinds[0], kinds[1], autojunk=False).get_matching_blocks():
        for step in range(size):
            place = f"{where} layer {other + step + 1} ({bad[other + step].class_name})"
            yield from _of_things(place, good[start + step], bad[other + step])


def _of_things(where: str, good: _Thing, bad: _Thing) -> Iterator[Default]:
    if good.class_name != bad.class_name:
        names = {"good": json.dumps(good.class_name), "bad": json.dumps(bad.class_name)}
        yield Default(class_name=bad.class_name, key=CLASS, where=where, **names)
        return
    ranks = [thing.rank for thing in (good, bad) if thing.rank is not None]
    for key in sorted(good.settings.keys() | bad.settings.keys()):
        one, other = good.settings.get(key), bad.settings.get(key)
        if key == "axis":
            one, other = _axis(one, ranks), _axis(other, ranks)
        if key == "dtype" and None in {one, other}:
            continue  # not every Keras tells the type of each object
        yield from _of_values(where, bad.class_name, key, one, other)


def _axis(value: Any, ranks: list[int]) -> Any:
    """An axis by its number from the left where the input's rank is known; a list of one is that one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value + ranks[0] if ranks and isinstance(value, int) and value < 0 else value


def _of_values(where: str, class_name: str, key: str, good: Any, bad: Any) -> Iterator[Default]:
    """One setting; of two objects of the same class, the settings in which those differ."""
    if good == bad:
        return
    if _is_object(good) and _is_object(bad) and good[CLASS] == bad[CLASS]:
        for inner in sorted(good["config"].keys() | bad["config"].keys()):
            if not (inner == "dtype" and (inner in good["config"]) != (inner in bad["config"])):
                values = good["config"].get(inner), bad["config"].get(inner)
                yield from _of_values(f"{where} {key}", good[CLASS], inner, *values)
        return
    texts = [None if value is None else json.dumps(value, sort_keys=True) for value in (good, bad)]
    yield Default(class_name=class_name, key=key, good=texts[0], bad=texts[1], where=where)


def _is_object(value: Any) -> bool:
    """True where a JSON value is an object of Keras: its class and its config."""
    return isinstance(value, dict) and {"class_name", "config"} <= set(value)


def _class_of(name: str) -> str:
    """A class's name without what tells versions of the same class apart."""
    return re.sub(r"(Initializer|V\d+)$", "", name)


def _canonical(value: Any) -> Any:
    """A setting's value: rounded to 32 bits, without wrappers, with one class for what has several names."""
    if isinstance(value, float):
        return float(f"{value:.{_FLOAT_DIGITS}g}") if value - value == 0 else value
    if _is_object(value):
        return _canonical_object(value)
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return value


def _settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """The settings among a config's entries, under their present names."""
    return {
        _SYNONYMS.get(key, key): _meant(key, _canonical(value))
        for key, value in config.items()
        if key not in _BOOKKEEPING
    }


def _meant(key: str, value: Any) -> Any:
    return _PLACEHOLDERS[value].get(key, value) if isinstance(value, str) and value in _PLACEHOLDERS else value


def _canonical_object(value: dict[str, Any]) -> Any:
    name, config = _class_of(value["class_name"]), value["config"]
    if not isinstance(config, dict):
        return config  # a function, by its name
    if name.endswith("Policy"):
        return config.get("name")
    return {"class_name": name, "config": _settings_of(config)} if not _known(name) else _known_object(name, config)


def _known(name: str) -> bool:
    return name in {"L1", "L2", "VarianceScaling"} or _SCALED.fullmatch(name) is not None


def _known_object(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Regularizers as L1L2, and what scales by the fans of a layer as VarianceScaling."""
    settings = _settings_of(config)
    if name in {"L1", "L2"}:
        return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **settings}}
    if (scaled := _SCALED.fullmatch(name)) is not None:
        settings |= {**_SCALINGS[scaled["author"]], "distribution": scaled["distribution"].lower()}
    if settings.get("distribution") == "truncated_normal":
        settings["distribution"] = "normal"  # the same, by its older name, which every Keras knows
    return {"class_name": "VarianceScaling", "config": settings}
