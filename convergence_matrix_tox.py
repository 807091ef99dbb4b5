"""The tox plugin: with `matrix.yaml` beside a `tox.ini`, one tox environment per version combination of it.

`tox list` shows them and `tox -e keras2.2.4-tf1.13.1` runs the cells of one; a plain `tox` runs none of them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tox.config.loader.memory import MemoryLoader
from tox.config.types import Command
from tox.plugin import impl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tox.config.sets import ConfigSet
    from tox.session.state import State

FILE = "matrix.yaml"
_NEEDS = ("lark", "packaging", "yaml")
"""What reading a matrix imports."""
_SHOWING = frozenset({"list", "l", "config", "c"})


class CombinationPlugin:
    """What tox calls; it names the environments only after it was told where the project is."""

    def __init__(self) -> None:
        self._combinations: Mapping[str, str] = {}

    @impl
    def tox_extend_envs(self) -> Iterator[str]:
        """The names of the environments: tox reads them when it selects some, which is after all else."""
        yield from self._combinations

    @impl
    def tox_add_core_config(self, core_conf: ConfigSet, state: State) -> None:
        """Find the combinations of the project's matrix, and say what each of their environments runs."""
        root: Path = core_conf["tox_root"]
        self._combinations = _combinations(root, _chosen(state)) if (root / FILE).is_file() else {}
        further = state.conf.pos_args(root) or ()
        for name, only in self._combinations.items():
            state.conf.memory_seed_loaders[name] = [_loader(root, only, further)]


def _chosen(state: State) -> tuple[str, ...]:
    """The environments that tox was asked for; ALL where it shows them."""
    chosen = getattr(state.conf.options, "env", None)
    showing = state.conf.options.command in _SHOWING or bool(chosen and chosen.is_all)
    return ("ALL",) if showing else tuple(chosen or ())


def _combinations(root: Path, chosen: tuple[str, ...]) -> Mapping[str, str]:
    """Environment name to what `--only` takes; none where the matrix can't be read, which is told in one line."""
    if not (_is_installed() or all(map(importlib.util.find_spec, _NEEDS))):
        return {}  # tox itself lacks the `requires` of tox.ini: it makes itself an environment and asks again
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "runner.cli.tox_environments", root / FILE, *chosen],
        cwd=root,
        env=os.environ | ({} if _is_installed() else {"PYTHONPATH": str(Path(__file__).parent)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode == 0:
        found: Mapping[str, str] = json.loads(asked.stdout)
        return found
    why = (asked.stderr.strip() or f"exit code {asked.returncode}").splitlines()[-1]
    sys.stderr.write(f"convergence-matrix: no tox environments of {FILE}: {why}\n")
    return {}


def _loader(root: Path, only: str, further: tuple[str, ...]) -> MemoryLoader:
    words = ["-m", "runner", FILE, "--only", only, "--fail-on", "not-good", *further]
    described = f"the cells of {only.replace(',', ', ')}, by convergence-matrix"
    if not _is_installed():  # a checkout's own tox: the project's environment has what the command needs
        return MemoryLoader(description=described, commands_pre=[], commands=[Command(["python", *words])])
    return MemoryLoader(
        base=[],  # nothing of the project's [testenv]: the cells have environments of their own
        description=described,
        skip_install=True,
        pass_env=["*"],
        change_dir=root,
        allowlist_externals=[sys.executable],
        commands=[Command([sys.executable, "-P", *words])],
    )


def _is_installed() -> bool:
    try:
        importlib.metadata.distribution("convergence-matrix")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


plugin = CombinationPlugin()
