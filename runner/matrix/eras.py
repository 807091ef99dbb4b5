"""Which Keras a user had with a TensorFlow: TensorFlow's release and Keras's releases → one of them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

    from runner.matrix.releases import Published

BASES = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")
PACKAGES = ("keras", "tf-keras")
LONGEST_WAIT_DAYS = 30

_ACCEPTED = (((1, 11), "<2.4"), ((1, 12), "<2.2"), ((2, 2), "<2.4"), ((2, 6), "<2.6"), ((2, 16), ""))
"""Below which TensorFlow which Keras is accepted; empty: the same minor release. From the last on: Keras 3.

TensorFlow 1.11 wants keras-preprocessing 1.0.3 or newer, and Keras 2.2.0 to 2.2.2, the newest of then, pin older ones.
"""


def accepted(package: str, tensorflow: Version) -> str:
    """The versions of `keras` or `tf-keras` that a TensorFlow accepts (PEP 440)."""
    minor = (tensorflow.major, tensorflow.minor)
    same = f"=={minor[0]}.{minor[1]}.*"
    if package == "tf-keras":
        return same
    return next((specifiers or same for below, specifiers in _ACCEPTED if minor < below), ">=3")


def of_the_era(package: str, base: Published, releases: Iterable[Published]) -> Published | None:
    """The newest final release that was out by the end of the day after the base's and that the base accepts.

    Up to 30 days later while there is none; None where there is none then either.
    """
    wanted = SpecifierSet(accepted(package, base.version))
    fitting = [release for release in releases if is_final(release) and wanted.contains(release.version)]
    for days in range(1, LONGEST_WAIT_DAYS + 1):
        out = [release for release in fitting if release.uploaded < end_of_day(base.uploaded, days)]
        if out:
            return max(out, key=lambda release: release.version)
    return None


def is_final(release: Published) -> bool:
    """Whether a release is neither a pre-release nor yanked."""
    return not (release.version.is_prerelease or release.yanked)


def end_of_day(when: datetime, days: int) -> datetime:
    """The end (UTC) of the day that comes `days` after a time."""
    return datetime.combine(when.astimezone(UTC).date() + timedelta(days=days + 1), time(), UTC)
