"""What the tests of `runner.matrix` share: matrix files beside scripts, matrices made without a file, and an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from runner.errors import MatrixError
from runner.matrix.axes import axis_kind
from runner.matrix.matrix_file import Matrix, load_matrix
from runner.matrix.mistakes import Position
from runner.matrix.model import Axis, AxisValue, Experiment, Partial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PLACE = Position(line=1, column=1)

SMALLEST = "axes: {tensorflow: [1.13.1]}\nexperiment: {script: train.py}\n"


def written(folder: Path, text: str) -> Path:
    """A matrix file with this text, beside the scripts `train.py` and `sub/other.py`."""
    (folder / "sub").mkdir(exist_ok=True)
    for script in ("train.py", "sub/other.py"):
        (folder / script).touch()
    path = folder / "matrix.yaml"
    path.write_text(text)
    return path


def loaded(folder: Path, text: str) -> Matrix:
    return load_matrix(written(folder, text))


def mistakes_in(folder: Path, text: str) -> list[str]:
    """The mistakes of a matrix file, one a line, without the folder's name."""
    with pytest.raises(MatrixError) as caught:
        loaded(folder, text)
    return refused(folder, caught.value)


def matrix(
    axes: Mapping[str, Sequence[str]],
    *,
    include: Sequence[Mapping[str, str]] = (),
    exclude: Sequence[Mapping[str, str]] = (),
    script: str | None = "train.py",
) -> Matrix:
    return Matrix(
        path=Path("matrix.yaml"),
        axes=tuple(
            Axis(
                name=name,
                kind=axis_kind(name),
                values=tuple(AxisValue(text=text, position=PLACE) for text in texts),
                position=PLACE,
            )
            for name, texts in axes.items()
        ),
        include=tuple(Partial(values=values, position=PLACE) for values in include),
        exclude=tuple(Partial(values=values, position=PLACE) for values in exclude),
        experiment=Experiment(script=script),
    )


@dataclass(frozen=True)
class Release:
    version: Version
    uploaded: datetime
    yanked: bool = False


class FakeIndex:
    """Releases by package: each written as a version, then a day where that matters, then `yanked` where it is."""

    def __init__(self, packages: Mapping[str, Iterable[str]]) -> None:
        self.packages = {name: tuple(map(release, texts)) for name, texts in packages.items()}
        self.asked: list[str] = []

    def __call__(self, name: str) -> tuple[Release, ...] | None:
        self.asked.append(name)
        return self.packages.get(name)


def release(text: str) -> Release:
    """`2.1.0`, `2.1.0 2019-03-01` (noon, UTC), `2.1.0 2019-03-01T23:30 yanked`."""
    version, day, yanked, *_ = *text.split(), "", ""
    moment = f"{day or '2020-01-01'}T12:00" if "T" not in day else day
    return Release(Version(version), datetime.fromisoformat(moment).replace(tzinfo=UTC), yanked=yanked == "yanked")


def refused(folder: Path, error: MatrixError) -> list[str]:
    """The mistakes of a matrix, one a line, without the folder's name."""
    return str(error).replace(f"{folder}/", "").replace(str(folder), "FOLDER").splitlines()
