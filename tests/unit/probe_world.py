"""Runs a script under the probe on any CPython, with tiny packages in the place of the frameworks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from waiting import PATIENCE_S

import runner
from runner.trials.channel import Channel, read_channel

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE = Path(runner.__file__).parent / "probe"
FRAMEWORKS = Path(__file__).parent / "fixtures" / "frameworks"
"""Packages with nothing of Keras, PyTorch and the others but what the probe looks for."""
TORCH_MODEL = """
import torch
class Net(torch.nn.Module):
    def __init__(self, value=8.0):
        super(Net, self).__init__()
        self._parameters['weight'] = torch.Parameter(value)
    def loss(self, value):
        return torch.Tensor(value, [self._parameters['weight']])
net = Net()
"""
"""PyTorch's start of a script: a model of one parameter."""
TRAINS = "import keras, sys\nkeras.models.Model().fit([float(sys.argv[1])])\n"
"""A script that trains for one epoch, with the loss that is its argument."""


@cache
def interpreters() -> dict[str, Path]:
    """The CPythons that the probe is for and that this machine has, by minor release."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": Path(sys.executable)}
    for python in sorted(root.glob("versions/3.*/bin/python")):
        release = re.match(r"3\.(\d+)", python.parents[1].name)
        if release and 6 <= int(release[1]) <= 13:
            found.setdefault(f"3.{release[1]}", python)
    return found


def on_every(*, of: slice = slice(None)) -> pytest.MarkDecorator:
    """Runs a test on every CPython, or on some of them in the order of their releases."""
    names = sorted(interpreters(), key=lambda name: int(name[2:]))[of]
    return pytest.mark.parametrize("python", [interpreters()[name] for name in names], ids=names)


OLDEST_AND_NEWEST = on_every(of=slice(None, None, max(len(interpreters()) - 1, 1)))
EVERY_PYTHON = on_every() if os.environ.get("RUNNER_ALL_PYTHONS") == "1" else OLDEST_AND_NEWEST
"""Every CPython where RUNNER_ALL_PYTHONS=1, as in CI; a child process each is what these tests take their time for."""


@cache
def validator(kind: str) -> Draft202012Validator:
    """Checks an event of a kind against the contract; only that part of it, which is the quicker by far."""
    schema = json.loads((PROBE / "events.schema.json").read_text())
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


@dataclass(frozen=True)
class Told:
    """What a script wrote and what the probe wrote of it."""

    exit_code: int
    out: str
    err: str
    channel: Path

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Every event, held against the schema."""
        events = [json.loads(line) for line in self.channel.read_text().splitlines()]
        for event in events:
            errors = [error.message for error in validator(event["event"]).iter_errors(event)]
            assert not errors, (event, errors)
        return events

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of some kinds, without their time."""
        return [
            {name: value for name, value in event.items() if name not in ("t", "event")}
            for event in self.events
            if event["event"] in kinds
        ]

    def only(self, kind: str) -> dict[str, Any]:
        """The one event of a kind."""
        (event,) = self.of(kind)
        return event

    def read(self) -> Channel:
        """The channel as the runner reads it, with no line that is bad and no fault of the probe's own."""
        assert not self.of("probe-error")
        found = read_channel(self.channel, None)
        assert (found.bad_lines, found.probe_started) == (0, True)
        return found


def run(
    python: Path, folder: Path, script: str, *arguments: str, env: Mapping[str, str] | None = None, probe: bool = True
) -> Told:
    """Run `script` in `folder/work` as a trial, with `folder/site` and the tiny frameworks on its path.

    The channel lies beside the two folders.
    """
    work = folder / "work"
    work.mkdir(exist_ok=True)
    (work / "train.py").write_text(script)
    channel = folder / "channel"
    channel.write_bytes(b"")
    paths = [*([str(PROBE)] if probe else []), str(folder / "site"), str(FRAMEWORKS)]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths),
        **(env or {}),
    }
    if probe:
        variables["RUNNER_CHANNEL"] = str(channel)
    command = [str(python), *(arguments or ("train.py",))]
    done = subprocess.run(
        command, cwd=work, env=variables, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return Told(done.returncode, done.stdout, done.stderr, channel)


def trained(python: Path, folder: Path, script: str, *, out: str = "", env: Mapping[str, str] | None = None) -> Told:
    """What was told of a script that printed `out` and ended well, without a fault of the probe's own."""
    told = run(python, folder, script, env=env)
    assert (told.out, told.err, told.exit_code, told.of("probe-error")) == (out, "", 0, [])
    return told


def raised_later(line: str, *, meanwhile: str) -> str:
    """The end of a script that raises what a line raised, but only after other training has begun."""
    return f"""
try:
    {line}
except Exception as error:
    kept = error
{meanwhile}
raise kept
"""
