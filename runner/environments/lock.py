"""The packages that a cell needs, and the files that these resolved to: `Environment` and `Lock`, both frozen.

A lock depends on its environment alone, never on other cells or on the order of work.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Layer(enum.Enum):
    """The part of an environment that a package belongs to.

    The base (with its needs, but no axis package) or the rest.
    """

    BASE = "base"
    OVERLAY = "overlay"


_LONGEST_NAME = 120
"""Characters; a file system takes 255, with an ending and what goes around it."""


class Ground(NamedTuple):
    """What an environment stands on: a CPython minor release, in a base image that has a name or in the engine's own.

    Without a CPython it is the one that the named image has.
    """

    python: str
    image: str = ""

    def __str__(self) -> str:
        """`3.7`, `3.7 on cuda-10.0:1`."""
        return f"{self.python} on {self.image}".lstrip() if self.image else self.python


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnPackage:
    """The user's own project as its build backend describes it; no lock names it, since its code changes daily."""

    folder: Path
    name: str
    version: str
    sha256: str
    """Of the pure wheel that is installed, or of the archive that each CPython's is built from: a file of the cache."""
    requires: tuple[str, ...]
    """What it requires (PEP 508), the axes included."""
    requires_python: str
    digest: str
    """SHA-256 over what it does: comments, docstrings and layout of its Python sources are not part of it."""
    modules: tuple[str, ...]
    """The top-level names that it installs."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """CPython + packages that a cell needs: `pins` are the axis packages with exact versions, the base first."""

    pins: tuple[tuple[str, str], ...]
    packages: tuple[str, ...] = ()
    """Further requirements as the lines of a requirements file, sorted: PEP 508, then the hashes of the files that may
    be taken (`--hash=sha256:…`); after `-c` a constraint."""
    python: str | None = None
    """A minor release such as "3.7"; None: the newest that has a wheel for every pinned binary package."""
    backend: str | None = None
    """The backend of Keras for which something is installed; None: none is asked for."""
    flavour: str = "auto"
    """`cpu`, `full` or `auto`: whether tensorflow is installed as tensorflow-cpu where both exist; `gpu` is full with
    what a GPU needs."""
    as_of: str = "release"
    """The releases that the resolver may see: `release` (up to the day after the base came out), `none` (all) or a
    date."""
    dates: tuple[tuple[str, str], ...] = ()
    """Packages with a rule of their own, sorted: `none` or a date, up to which they may be from."""
    indexes: tuple[str, ...] = ()
    """Further package indexes, beside the one that the user's configuration names."""
    platform: str = ""
    """The platform that it is for, `linux/arm64`; empty: that of whatever runs it. No part of its name."""
    base_image: str = ""
    """The name of the base image that it stands on, where the engine has images; empty: the engine's own of its
    CPython. No part of its name or of its lock."""
    own: OwnPackage | None = None
    """The user's own project, where it is installed beside the lock."""

    @property
    def beside(self) -> tuple[str, ...]:
        """What comes from beside the package index, as texts: `own mine, for CPython >=3.8`, `index https://…`."""
        indexes = tuple(f"index {address}" for address in self.indexes)
        if self.own is None:
            return indexes
        wanted = f", for CPython {self.own.requires_python}" if self.own.requires_python else ""
        return (f"own {self.own.name}{wanted}", *indexes)

    @property
    def base(self) -> tuple[str, str]:
        """The pin of the first package axis."""
        return self.pins[0]

    @property
    def time_rules(self) -> tuple[str, ...]:
        """The rules of time that are not the usual one, as texts: `as of 2021-06-30`, `numpy none`."""
        general = (f"as of {self.as_of}",) if self.as_of != "release" else ()
        return general + tuple(f"{name} {rule}" for name, rule in self.dates)

    @cached_property
    def name(self) -> str:
        """The stem of the lock's file name: `tensorflow-1.13.1+keras-2.2.4`.

        Then `+py3.7`, the backend and the flavour where they are asked for, and 8 hex digits of the further
        requirements, of rules of time that are not the usual one, and of what is installed beside. Where that is too
        long, the base and 12 hex digits of all.
        """
        parts = [f"{name}-{version}" for name, version in self.pins]
        parts += [f"py{self.python}"] if self.python else []
        parts += [self.backend] if self.backend else []
        parts += [self.flavour] if self.flavour != "auto" else []
        further = [*self.packages, *self.time_rules, *self.beside]
        if further:
            parts.append(hashlib.sha256("\n".join(further).encode()).hexdigest()[:8])
        name = "+".join(parts)
        if len(name) <= _LONGEST_NAME:
            return name
        return f"{parts[0]}+{len(self.pins) - 1}-pins-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPackage:
    """One exact release with the hashes (`sha256:…`) of the files that may be installed for it."""

    name: str
    version: str
    layer: Layer
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lock:
    """An environment resolved to exact files as of a date; `text` is the whole committed file."""

    environment: Environment
    python: str
    """The CPython minor release that it was resolved for, such as "3.7"."""
    platform: str
    """The platform that it was resolved for: `linux/amd64`."""
    as_of: datetime | None
    """The end of the time that the resolver could see (UTC); None: it saw all."""
    exemptions: tuple[tuple[str, datetime], ...]
    """Packages that were allowed to be newer, and up to when."""
    packages: tuple[LockedPackage, ...]
    text: str = field(repr=False)

    @property
    def ground(self) -> Ground:
        """What its environment stands on."""
        return Ground(self.python, self.environment.base_image)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over CPython, layers, releases, hashes and what the user's own project does.

        Two locks that install the same have the same digest.
        """
        lines = [f"python {self.python}"]
        lines += [f"{p.layer.value} {p.name}=={p.version} {' '.join(sorted(p.hashes))}" for p in self.packages]
        lines += [f"own {self.environment.own.name} {self.environment.own.digest}"] if self.environment.own else []
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    @property
    def image_digest(self) -> str:
        """Its digest where it stands on an image of the engine's own; of two that do not, their images differ."""
        if not self.environment.base_image:
            return self.digest
        return hashlib.sha256(f"{self.digest} on {self.environment.base_image}".encode()).hexdigest()

    def of_layer(self, layer: Layer) -> tuple[LockedPackage, ...]:
        """The packages of one layer, sorted by name."""
        return tuple(sorted((p for p in self.packages if p.layer is layer), key=lambda p: p.name))

    def layer_digest(self, layer: Layer) -> str:
        """SHA-256 over CPython and one layer: environments with the same base digest share their base layer."""
        lines = [f"python {self.python}"]
        lines += [f"{p.name}=={p.version} {' '.join(sorted(p.hashes))}" for p in self.of_layer(layer)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Unresolvable:
    """An environment that cannot be had: a result, with the resolver's own reason."""

    environment: Environment
    reason: str
    passing: bool = False
    """True where the machine or its user stands in the way: the next run may resolve it."""
