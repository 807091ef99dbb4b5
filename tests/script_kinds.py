"""The kinds of script of `system/kinds/`, each with the verdict that it must get, and the table that is made of them.

`ran` runs one in a folder of its own as a user does; `wrong` says what its outcome lacks; `table` is the docs' part.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from torch_wheel import TORCH, beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from subprocess import CompletedProcess

FOLDER = Path(__file__).parent / "system" / "kinds"
PAGE = Path(__file__).parents[1] / "docs" / "scripts.md"
BEGIN, END = "<!-- kinds: made from tests/system/kinds/kinds.yaml -->\n", "<!-- end of kinds -->\n"
AXES = {
    "keras": {"tensorflow": ["2.15.0"]},
    "tensorflow-1": {"tensorflow": ["1.13.1"], "keras": ["2.2.4"]},
    "keras-3": {"tensorflow": ["2.16.1"], "keras": ["3.3.3"]},
    "backends": {"keras": ["3.13.2"], "python": ["3.11"], "backend": ["tensorflow", "jax", "torch"]},
    "plain": {"numpy": ["1.26.4"]},
    "torch": {"torch": [TORCH]},
    "jax": {"jax": ["0.4.34"]},
    "scikit-learn": {"scikit-learn": ["1.5.2"]},
}
"""What a matrix begins with, by stack: all kinds of one share environments, but for those that ask for packages."""
PACKAGES = {
    "torch": ["numpy", "lightning", "transformers", "accelerate"],
    "jax": ["flax", "optax", "keras"],
    "scikit-learn": ["xgboost-cpu", "lightgbm"],
}
"""What all kinds of a stack ask for."""
WITH_TORCH = {"torch", "backends"}
"""The stacks that need the wheel of PyTorch."""
LINK = "../tests/system/kinds/"
GOOD = {"converges", "settles"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one cell must come to."""

    outcome: str
    flags: Sequence[str] = ()
    says: Sequence[str] = ()
    """Words of the reason."""
    seeds: int = 1
    line: str = ""
    """The file and line of the script that raised."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of script, as kinds.yaml describes it."""

    kind: str
    script: str
    stack: str = "plain"
    axes: Mapping[str, Any] = field(default_factory=dict)
    matrix: Mapping[str, Any] = field(default_factory=dict)
    cells: Sequence[Expected]
    told: Sequence[str] = ()
    """Words that the run says on its way."""
    cheap: bool = False
    docker: bool = False
    """True where its container is looked at in every run, though it is not cheap."""
    long: bool = False

    @property
    def written(self) -> dict[str, Any]:
        """What its matrix says beside the axes of its stack and the number of seeds."""
        named = {} if (FOLDER / self.script).is_dir() else {"script": self.script}
        experiment = {**named, **self.matrix.get("experiment", {})}
        axes = {"axes": dict(self.axes)} if self.axes else {}
        return {**axes, "experiment": experiment, **{k: v for k, v in self.matrix.items() if k != "experiment"}}

    def text(self, *wheels: str) -> str:
        """Its matrix.yaml, with wheel files of its stack."""
        axes = {**AXES[self.stack], **self.axes}
        packages = [*wheels, *PACKAGES.get(self.stack, ()), *self.matrix.get("packages", ())]
        named = {"packages": packages} if packages else {}
        return yaml.safe_dump({"seeds": 1, **self.written, "axes": axes, **named}, sort_keys=False)


def kinds() -> list[Kind]:
    """All of kinds.yaml, in its order."""
    return [_kind(entry) for entry in yaml.safe_load((FOLDER / "kinds.yaml").read_text("utf-8"))]


def _kind(entry: dict[str, Any]) -> Kind:
    names = {one.name for one in fields(Expected)}
    cells = entry.pop("cells", None) or [{name: entry.pop(name) for name in list(entry) if name in names}]
    return Kind(**entry, cells=[Expected(**cell) for cell in cells])


def lay_out(kind: Kind, folder: Path, wheel: Path | None) -> None:
    """Put the script and its matrix into a new folder, as a user has them, with the wheel that its stack needs."""
    source = FOLDER / kind.script
    if source.is_dir():
        shutil.copytree(source, folder)
    else:
        folder.mkdir()
        shutil.copy(source, folder)
    for locks in (FOLDER / "locks", FOLDER.parents[2] / "locks"):
        shutil.copytree(locks, folder / "locks", dirs_exist_ok=True)
    wheels = [beside(folder, wheel)] if wheel and kind.stack in WITH_TORCH else []
    (folder / "matrix.yaml").write_text(kind.text(*wheels))


def wrong(kind: Kind, done: CompletedProcess[str]) -> list[str]:
    """What a run with `--format json` says that the kind does not have, or lacks; empty where it is right."""
    try:
        rows = json.loads(done.stdout)
    except ValueError:
        return [f"ended with {done.returncode} and no table: {done.stderr}"]
    return list(_differences(kind, rows, done))


def _differences(kind: Kind, rows: Sequence[Mapping[str, Any]], done: CompletedProcess[str]) -> Iterator[str]:
    code = int(not any(one.outcome in GOOD for one in kind.cells))
    if done.returncode != code:
        yield f"expected exit code {code}, got {done.returncode}"
    for words in kind.told:
        if words not in done.stderr:
            yield f"nothing is told of {words}"
    if len(rows) != len(kind.cells):
        yield f"expected {len(kind.cells)} cells, got {len(rows)}"
    for expected, row in zip(kind.cells, rows, strict=False):
        yield from _of_cell(expected, row)


def _of_cell(expected: Expected, row: Mapping[str, Any]) -> Iterator[str]:
    seen = {"outcome": row["outcome"], "seeds": row["seeds"], "line": row["script_line"] if expected.line else ""}
    for name, value in seen.items():
        if getattr(expected, name) != value:
            yield f"{name}: expected {getattr(expected, name)}, got {value} ({row['reason']}; {row['exception']})"
    yield from (f"no flag {one} in: {row['flags']}" for one in expected.flags if one not in row["flags"].split())
    yield from (f"the reason lacks {one}: {row['reason']}" for one in expected.says if one not in row["reason"])


def table() -> str:
    """The kinds as the Markdown table of docs/scripts.md."""
    lines = ["| what it is | its matrix says | comes out as |", "| --- | --- | --- |"]
    lines += [
        f"| {one.kind} ([{one.script}]({LINK}{one.script})) | {_snippet(one)} | {_outcomes(one)} |" for one in kinds()
    ]
    return "\n".join(lines) + "\n"


def _snippet(kind: Kind) -> str:
    parts = [
        yaml.safe_dump({name: value}, default_flow_style=True, width=1000, sort_keys=False).strip()[1:-1]
        for name, value in kind.written.items()
        if value != {"script": kind.script}
    ]
    return "<br>".join(f"`{part}`".replace("|", "\\|") for part in parts)


def _outcomes(kind: Kind) -> str:
    return "<br>".join(
        "**" + one.outcome + "**" + "".join(f", `{flag}`" for flag in one.flags) + _quoted(one.says)
        for one in kind.cells
    )


def _quoted(words: Sequence[str]) -> str:
    return f"; the reason has {', '.join(f'“{one}”' for one in words)}" if words else ""
