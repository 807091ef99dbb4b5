"""The table of docs/scripts.md is the list of kinds; `RUNNER_ACCEPT=1` writes it anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from fake_index import wheel
from script_kinds import AXES, BEGIN, END, FOLDER, PAGE, Kind, kinds, lay_out, table
from torch_wheel import TORCH

from runner import Matrix
from runner.environments.lock import Environment
from runner.matrix.axes import AxisKind, axis_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def test_the_table_of_kinds_is_made_of_the_list() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    written, end, after = rest.partition(END)
    assert end, "docs/scripts.md has lost the lines that the table stands between"
    if os.environ.get("RUNNER_ACCEPT") == "1":
        PAGE.write_text(before + BEGIN + table() + END + after, "utf-8")
        written = table()
    assert written == table()


def test_no_two_kinds_have_the_same_name() -> None:
    names = [one.kind for one in kinds()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.kind)
def test_the_matrix_of_a_kind_is_without_a_mistake(kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / f"torch-{TORCH}+cpu-py3-none-any.whl"
    file.write_bytes(wheel("torch", f"{TORCH}+cpu"))
    lay_out(kind, tmp_path / "kind", file)
    Matrix.load(tmp_path / "kind" / "matrix.yaml")


def _environments(axes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The names of the locks of a stack, without the digest of what its packages say."""
    pins = tuple((name, values[0]) for name, values in axes.items() if axis_kind(name) is AxisKind.PACKAGE)
    for backend in axes.get("backend", [None]):
        yield Environment(pins=pins, python=next(iter(axes.get("python", [])), None), backend=backend).name


def test_the_lock_of_each_stack_is_committed() -> None:
    names = {name for axes in AXES.values() for name in _environments(axes)}
    own = {path.stem for path in (FOLDER / "locks").iterdir()}
    founding = {path.stem for path in (FOLDER.parents[2] / "locks").iterdir()}
    assert {name for name in names if not any(lock.startswith(name) for lock in own | founding)} == set()
    assert {lock for lock in own if not any(lock.startswith(name) for name in names)} == set()
