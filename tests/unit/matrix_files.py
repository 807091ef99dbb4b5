"""What the tests of `runner.matrix` share: matrix files in a folder with scripts, and matrices made without a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.errors import MatrixError
from runner.matrix.load import load
from runner.matrix.model import Axis, AxisValue, Experiment, Matrix, Partial, Position, axis_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    return load(written(folder, text))


def mistakes_in(folder: Path, text: str) -> list[str]:
    """The mistakes of a matrix file, one a line, without the folder's name."""
    with pytest.raises(MatrixError) as caught:
        loaded(folder, text)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "FOLDER").splitlines()


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
