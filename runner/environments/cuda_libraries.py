"""The CUDA libraries that a TensorFlow needs on a GPU: what was tested with which (`cuda_builds.toml`), what brings it.

From 2.14 on the extra `and-cuda` installs the libraries; PyTorch's own wheels require theirs. Before, they are no
packages: they must be in the base image.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

FOR_GPUS: Final = "gpu"
"""The flavour of environments whose trials have GPUs: `full`, with the libraries that a package can bring."""
WITH_EXTRA: Final = Version("2.14")
"""The first TensorFlow with the extra."""
_EXTRAS = (("tensorflow", WITH_EXTRA, "[and-cuda]"), ("jax", Version("0.4.30"), "[cuda12]"))
_NAMES = ("tensorflow", "tensorflow-gpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class CudaBuild:
    """One row of the table: the minor release of TensorFlow, the first and the last CPython, CUDA and cuDNN."""

    tensorflow: str
    pythons: tuple[str, str]
    cuda: str
    cudnn: str


@functools.cache
def cuda_builds() -> tuple[CudaBuild, ...]:
    """The rows of `cuda_builds.toml`, the newest first."""
    rows = tomllib.loads(Path(__file__).with_name("cuda_builds.toml").read_text("utf-8"))["tensorflow"]
    return tuple(
        CudaBuild(tensorflow=name, pythons=tuple(row["cpython"]), cuda=row["cuda"], cudnn=row["cudnn"])
        for name, row in rows.items()
    )


def cuda_build(tensorflow: str) -> CudaBuild | None:
    """The row of a release; None where the table has none, as of one that is newer than it."""
    version = parsed(tensorflow)
    minor = f"{version.major}.{version.minor}" if version else ""
    return next((row for row in cuda_builds() if row.tensorflow == minor), None)


def is_built_for_gpus(version: Version) -> bool:
    """True where the distribution `tensorflow` itself has what runs on a GPU: else `tensorflow-gpu` has."""
    return version >= Version("2.1") or (version.major, version.minor) == (1, 15)


def cuda_extra(name: str, version: Version) -> str:
    """The extra that brings the CUDA libraries of a release, in brackets; empty where it has none."""
    return {name: extra for name, since, extra in _EXTRAS if version >= since}.get(name, "")


def needs_base_image(pins: Mapping[str, str]) -> str:
    """Why the packages of a cell alone bring no CUDA, in words; empty where they do."""
    pinned = next((pins[name] for name in _NAMES if name in pins), None)
    version = parsed(pinned) if pinned else None
    if version is None or version >= WITH_EXTRA:
        return ""
    row = cuda_build(str(version))
    libraries = f"CUDA {row.cuda} and cuDNN {row.cudnn}" if row else "a CUDA of its time"
    return f"no package brings TensorFlow {version} the {libraries} that it needs on a GPU"
