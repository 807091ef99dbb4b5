"""The CUDA libraries that a TensorFlow needs on a GPU: what was tested with which, as data, and what brings them.

From the tables of tested builds in TensorFlow's install guide (Linux, GPU). From 2.14 on the extra `and-cuda` installs
the libraries; PyTorch's own wheels require theirs. Before, they are no packages: they must be in the base image.
"""

from __future__ import annotations

from dataclasses import dataclass
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


TESTED: Final = tuple(
    CudaBuild(tensorflow=tensorflow, pythons=(first, last), cuda=cuda, cudnn=cudnn)
    for tensorflow, first, last, cuda, cudnn in (
        ("2.19", "3.9", "3.12", "12.5", "9.3"),
        ("2.18", "3.9", "3.12", "12.5", "9.3"),
        ("2.17", "3.9", "3.12", "12.3", "8.9"),
        ("2.16", "3.9", "3.12", "12.3", "8.9"),
        ("2.15", "3.9", "3.11", "12.2", "8.9"),
        ("2.14", "3.9", "3.11", "11.8", "8.7"),
        ("2.13", "3.8", "3.11", "11.8", "8.6"),
        ("2.12", "3.8", "3.11", "11.8", "8.6"),
        ("2.11", "3.7", "3.10", "11.2", "8.1"),
        ("2.10", "3.7", "3.10", "11.2", "8.1"),
        ("2.9", "3.7", "3.10", "11.2", "8.1"),
        ("2.8", "3.7", "3.10", "11.2", "8.1"),
        ("2.7", "3.7", "3.9", "11.2", "8.1"),
        ("2.6", "3.6", "3.9", "11.2", "8.1"),
        ("2.5", "3.6", "3.9", "11.2", "8.1"),
        ("2.4", "3.6", "3.8", "11.0", "8.0"),
        ("2.3", "3.5", "3.8", "10.1", "7.6"),
        ("2.2", "3.5", "3.8", "10.1", "7.6"),
        ("2.1", "3.5", "3.7", "10.1", "7.6"),
        ("2.0", "3.3", "3.7", "10.0", "7.4"),
        ("1.15", "3.3", "3.7", "10.0", "7.4"),
        ("1.14", "3.3", "3.7", "10.0", "7.4"),
        ("1.13", "3.3", "3.7", "10.0", "7.4"),
        ("1.12", "3.3", "3.6", "9", "7"),
        ("1.11", "3.3", "3.6", "9", "7"),
        ("1.10", "3.3", "3.6", "9", "7"),
        ("1.9", "3.3", "3.6", "9", "7"),
        ("1.8", "3.3", "3.6", "9", "7"),
        ("1.7", "3.3", "3.6", "9", "7"),
        ("1.6", "3.3", "3.6", "9", "7"),
        ("1.5", "3.3", "3.6", "9", "7"),
    )
)
"""The newest first."""


def cuda_build(tensorflow: str) -> CudaBuild | None:
    """The row of a release; None where the table has none, as of one that is newer than it."""
    version = parsed(tensorflow)
    minor = f"{version.major}.{version.minor}" if version else ""
    return next((row for row in TESTED if row.tensorflow == minor), None)


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
