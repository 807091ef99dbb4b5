"""The GPUs of a machine: which there are, which of them this process may use, and how a trial is told of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA is told which devices there are for a process; an empty one: none."""
_ASK_S = 30.0
_COMMAND = ("nvidia-smi", "--query-gpu=uuid,name", "--format=csv,noheader")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One GPU: `id` names it to CUDA and to a container engine alike, `model` to a person."""

    id: str
    model: str


def gpus_of_this_machine(environ: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs that this process may use, as the driver lists them; those of CUDA_VISIBLE_DEVICES where that is set.

    Raises MachineError where there is no driver, or no device that it may use.
    """
    command = shutil.which(_COMMAND[0], path=environ.get("PATH"))
    if command is None:
        raise MachineError(
            "`resources: gpus` needs an NVIDIA GPU, and this machine has no driver (no `nvidia-smi` on the PATH)."
            " Install one, run on another machine, or leave `gpus` out: then trials run on processors."
        )
    try:
        asked = subprocess.run([command, *_COMMAND[1:]], capture_output=True, text=True, timeout=_ASK_S, check=False)
        said, failed = asked.stdout, (asked.stderr or asked.stdout) if asked.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said, failed = "", str(error)
    if failed:
        reason = failed.strip().splitlines()[0][:200] if failed.strip() else "it gives no reason"
        raise MachineError(f"`resources: gpus` needs an NVIDIA GPU, and the driver of this machine fails: {reason}.")
    found = usable(listed(said), environ.get(VISIBLE))
    if not found:
        allowed = f", and {VISIBLE} allows none of them" if environ.get(VISIBLE) is not None else ""
        raise MachineError(f"`resources: gpus` needs an NVIDIA GPU; `nvidia-smi` lists {said.count('GPU-')}{allowed}.")
    return found


def listed(text: str) -> tuple[Gpu, ...]:
    """The GPUs in what `nvidia-smi` prints, a line each: `GPU-…, NVIDIA A100`."""
    found = (line.partition(",") for line in text.splitlines() if line.startswith("GPU-"))
    return tuple(Gpu(id=one.strip(), model=" ".join(model.split())) for one, _, model in found)


def usable(gpus: Sequence[Gpu], visible: str | None) -> tuple[Gpu, ...]:
    """Those of a machine's GPUs that CUDA_VISIBLE_DEVICES leaves, in its order, as a batch system or a user sets it.

    By number or by the beginning of their ids; as CUDA does, nothing is taken after a name that means none.
    """
    if visible is None:
        return tuple(gpus)
    found: list[Gpu] = []
    for name in filter(None, (part.strip() for part in visible.split(","))):
        if name.startswith("MIG-"):  # a part of one, which nothing lists with its model
            found.append(Gpu(id=name, model="MIG device"))
        elif name.isdecimal() and int(name) < len(gpus):
            found.append(gpus[int(name)])
        elif fitting := [one for one in gpus if one.id.startswith(name)]:
            found.append(fitting[0])
        else:
            break
    return tuple(dict.fromkeys(found))


def has_driver(environ: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> bool:
    """True where a process that is told nothing of devices could find a GPU of NVIDIA's; nothing is started."""
    return shutil.which(_COMMAND[0], path=environ.get("PATH")) is not None or any(
        found for name in ("nvidia[0-9]*", "dxg") for found in devices.glob(name)
    )


def model_of(gpus: Sequence[Gpu]) -> str:
    """The kind of device that a trial had: `NVIDIA A100`, `2 x NVIDIA A100`; empty where it had none."""
    models = [one.model for one in gpus]
    counts = [(model, models.count(model)) for model in dict.fromkeys(models)]
    return " + ".join(model if number == 1 else f"{number} x {model}" for model, number in counts)
