"""The contract between probe and runner: the JSON Schema and the reader accept the same lines and refuse the same."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from probe_world import PROBE, validator

from runner.trials.events import parse

SCHEMA = json.loads((PROBE / "events.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
DIGEST = "0123456789abcdef" * 4
EVENTS: dict[str, dict[str, Any]] = {
    "start": {
        "probe": "1",
        "python": "3.7.16",
        "implementation": "cpython",
        "executable": "/env/bin/python",
        "argv": ["python", "train.py"],
        "pid": 7,
        "time": 1.7e9,
    },
    "seeding": {"mode": "seeded", "seed": 3},
    "prelude": {"name": "single-threaded", "state": "applied", "note": "2 calls"},
    "stage": {"stage": "training", "phase": "fit-1"},
    "phase": {
        "name": "fit-1",
        "model": "Model model_1",
        "model_number": 1,
        "architecture": DIGEST,
        "planned_epochs": 10,
        "steps": 3000,
        "initial_weights": DIGEST,
        "weight_norm": 1.5,
    },
    "phase-end": {"name": "fit-1", "final_weights": DIGEST, "weight_norm": "nan", "error": False},
    "epoch": {
        "phase": "fit-1",
        "epoch": 1,
        "logs": {"loss": 0.25, "val_loss": "inf"},
        "time_s": 1.25,
        "learning_rate": 0.1,
        "weight_norm": 1.5,
        "update_norm": 0.5,
        "rss_bytes": 4096,
    },
    "steps": {"phase": "fit-1", "first": 1, "losses": [0.5, "-inf"]},
    "loop": {
        "phase": "batches-1",
        "steps": 2,
        "seconds": 0.5,
        "block": 1,
        "logs": {"loss": [1, 2]},
        "weight_norm": None,
    },
    "evaluation": {
        "kind": "evaluate",
        "round": 0,
        "model": "Model model_1",
        "model_number": 1,
        "phase": "fit-1",
        "logs": {"loss": 0.5},
    },
    "config": {"phase": "fit-1", "what": "optimizer", "config": "{}"},
    "warning": {"phase": "fit-1", "message": "lbfgs failed to converge (status=1)"},
    "exception": {
        "type": "ValueError",
        "message": "no",
        "traceback": "Traceback",
        "file": "train.py",
        "line": 3,
        "source": "fit()",
        "stage": "training",
        "phase": "fit-1",
    },
    "packages": {"packages": {"keras": {"version": "2.2.4", "file": None}}},
    "exit": {"kind": "normal"},
    "unseen": {"argv": ["python", "-I", "train.py"]},
    "probe-error": {"place": "digest", "message": "KeyError: numpy"},
}
WRONG: tuple[object, ...] = (
    None,
    True,
    -1,
    1.5,
    "",
    "nan",
    "x" * 70_000,
    [],
    [None],
    {},
    {"loss": "much"},
    {"a": [0.5]},
)


def is_event(fields: dict[str, Any]) -> bool:
    """Whether the reader takes it; the schema must agree."""
    read = parse(json.dumps(fields).encode()) is not None
    kind = fields.get("event")
    part = validator(kind) if isinstance(kind, str) and kind in EVENTS else VALIDATOR
    assert read == part.is_valid(fields), fields
    return read


def test_the_schema_is_one_and_names_every_event_that_the_reader_knows() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert {part["$ref"].removeprefix("#/$defs/") for part in SCHEMA["oneOf"]} == set(EVENTS)


@pytest.mark.parametrize("kind", EVENTS)
def test_schema_and_reader_agree_on_every_field_of_an_event(kind: str) -> None:
    event = {"event": kind, "t": 0.5, **EVENTS[kind]}
    assert is_event(event)
    assert not is_event({**event, "forged": 1})
    assert [is_event({**event, "process": process}) for process in (7, None, -1, "7")] == [True, True, False, False]
    assert not is_event({**event, "event": "other"})
    for name in event:
        assert not is_event({key: value for key, value in event.items() if key != name})
        verdicts = {is_event({**copy.deepcopy(event), name: wrong}) for wrong in WRONG}
        assert False in verdicts


def test_the_reader_gives_back_what_the_probe_wrote() -> None:
    event = {"event": "epoch", "t": 0.5, **EVENTS["epoch"]}
    parsed = parse(json.dumps(event).encode())
    assert parsed is not None
    assert parsed.model_dump() == {**event, "process": None, "logs": {"loss": 0.25, "val_loss": float("inf")}}
