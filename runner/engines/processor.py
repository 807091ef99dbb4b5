"""The model of a machine's processors, by its name: times are compared only between trials that ran on the same one."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")
_MOST = 120
"""A name is cut there."""
_ASK_S = 10.0


@cache
def processor_model() -> str:
    """The model of this machine's processors; empty where nothing here tells it."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return _name(subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=True).stdout)
        except (OSError, subprocess.SubprocessError):
            return _name(platform.processor())
    try:
        found = model_in(CPUINFO.read_text("utf-8", "replace"))
    except OSError:
        found = ""
    return found or _name(platform.processor())


def model_in(cpuinfo: str) -> str:
    """The model that the text of Linux' `/proc/cpuinfo` tells; empty where it tells none.

    ARM has no name there, but the numbers of who designed it and of the part.
    """
    told: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    if named := told.get("model name") or told.get("cpu model") or told.get("cpu"):
        return _name(named)
    if "CPU part" in told:
        return _name(f"ARM {told.get('CPU implementer', '?')} part {told['CPU part']}")
    return _name(told.get("processor", "") if "vendor_id" in told else "")


def _name(text: str) -> str:
    """One line of printable characters: a container may have said it."""
    return re.sub(r"\s+", " ", "".join(char if char.isprintable() else " " for char in text)).strip()[:_MOST]
