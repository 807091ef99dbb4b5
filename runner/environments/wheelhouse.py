"""Verified files on disk: every file of a lock, its hash checked, source distributions already built to wheels."""

from __future__ import annotations

import csv
import functools
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.environments.file_store import check_space, obtain, present, sha256_of, state_of, stored
from runner.environments.lock import Layer
from runner.environments.own_project import own_wheel
from runner.environments.source_builds import built
from runner.environments.target import machine_of, rank
from runner.errors import BuildFailedError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Lock, LockedPackage


_UNPACKED = 3.9
_BYTECODE = 0.82
_NO_WHEEL = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class LockSizes:
    """The disk space that one lock needs, in bytes; files that several locks share have the same name in each."""

    downloads: Mapping[str, int]
    """By SHA-256, the files that are not on disk."""
    layers: Mapping[str, int]
    """By digest, what is installed: the base's layer and the overlay's."""
    unknown: frozenset[str] = frozenset()
    """By SHA-256, the first of the files of each package that is not on disk and of unknown size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskNeed:
    """The disk space that several locks need together, in bytes, and the files that it does not count."""

    download_bytes: int
    install_bytes: int
    unknown_files: int
    """The number of files to download whose size is not known."""


def sizes_of(lock: Lock, catalog: Catalog) -> LockSizes:
    """About how much a lock needs. Nothing is asked or downloaded: what no cached page tells is unknown."""
    downloads: dict[str, int] = {}
    unknown: set[str] = set()
    layers = dict.fromkeys(Layer, 0)
    for package in lock.packages:
        path = _on_disk(package, lock)
        if path is not None:
            layers[package.layer] += _installed(path)
            continue
        known = catalog.known_sizes(package.name)
        sizes = {text: known[digest] for text in package.hashes if (digest := text.removeprefix("sha256:")) in known}
        if sizes:
            smallest = min(sizes, key=lambda text: sizes[text])
            downloads[smallest] = sizes[smallest]
            layers[package.layer] += round(sizes[smallest] * _UNPACKED)
        else:
            unknown.add(min(package.hashes))
    overlay = f"{lock.digest} {Layer.OVERLAY.value}"
    return LockSizes(
        downloads=downloads,
        layers={lock.layer_digest(Layer.BASE): layers[Layer.BASE], overlay: layers[Layer.OVERLAY]},
        unknown=frozenset(unknown),
    )


def total(sizes: Iterable[LockSizes]) -> DiskNeed:
    """What several locks need together, each shared part counted once."""
    downloads: dict[str, int] = {}
    layers: dict[str, int] = {}
    unknown: set[str] = set()
    for one in sizes:
        downloads |= one.downloads
        layers |= one.layers
        unknown |= one.unknown
    return DiskNeed(
        download_bytes=sum(downloads.values()),
        install_bytes=sum(layers.values()),
        unknown_files=len(unknown - downloads.keys()),
    )


def _on_disk(package: LockedPackage, lock: Lock) -> Path | None:
    """The file that would be installed, where it is on disk; it is not read for this."""
    paths = [path for text in package.hashes if (path := present(text.removeprefix("sha256:")))]
    return min(paths, key=lambda path: _order(path.name, lock), default=None)


def is_fetched(lock: Lock) -> bool:
    """True where all files of a lock seem to be on disk; none is read for this."""
    return all(_on_disk(package, lock) for package in lock.packages)


def _installed(path: Path) -> int:
    """The size of a file once it is installed, with its bytecode."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        return round(path.stat().st_size * _UNPACKED)
    sources = sum(member.file_size for member in members if member.filename.endswith(".py"))
    return sum(member.file_size for member in members) + round(sources * _BYTECODE)


_PARALLEL = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelFile:
    """One wheel on disk with its own SHA-256 (hex), checked."""

    path: Path
    sha256: str
    layer: Layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheelhouse:
    """All wheels that one lock installs, and that of the user's own project."""

    wheels: tuple[WheelFile, ...]


def fetch(
    lock: Lock, *, catalog: Catalog, toolchain: Callable[[], Toolchain], say: Callable[[str], None]
) -> Wheelhouse:
    """Every file of a lock, ready to install: from the cache, else downloaded in parallel, sources built to wheels.

    Needs no index where all files are cached. Raises MachineError (index, disk), BuildFailedError where a source
    distribution can't be built or two wheels hold different files of the same name.
    """
    with ThreadPoolExecutor(_PARALLEL) as pool:
        here = dict(zip(lock.packages, pool.map(_cached, lock.packages, [lock] * len(lock.packages)), strict=True))
        missing = [package for package, path in here.items() if path is None]
        wanted = dict(zip(missing, pool.map(lambda package: best_file(package, lock, catalog), missing), strict=True))
        check_space(sum(file.size_bytes or 0 for file in wanted.values()))
        ordered = sorted(missing, key=lambda package: -(wanted[package].size_bytes or 0))
        paths = pool.map(lambda package: obtain(wanted[package], catalog.connection, say), ordered)
        files = {package: path for package, path in here.items() if path} | dict(zip(ordered, paths, strict=True))
        wheels = tuple(
            pool.map(
                lambda package: _wheel(
                    package, files[package], python=lock.python, catalog=catalog, toolchain=toolchain, say=say
                ),
                lock.packages,
            )
        )
    if own := lock.environment.own:
        path = own_wheel(own, lock.python, toolchain, say)
        wheels = (*wheels, WheelFile(path=path, sha256=sha256_of(path), layer=Layer.OVERLAY))
    refuse_overlaps(wheel.path for wheel in wheels)
    return Wheelhouse(wheels=wheels)


def _cached(package: LockedPackage, lock: Lock) -> Path | None:
    """The best file of a package among those on disk."""
    paths = [path for text in package.hashes if (path := stored(text.removeprefix("sha256:")))]
    return min(paths, key=lambda path: _order(path.name, lock), default=None)


def best_file(package: LockedPackage, lock: Lock, catalog: Catalog) -> IndexFile:
    """The best file of a package among those that the index has and the lock takes. Raises MachineError for none."""
    project = catalog.project(package.name)
    release = project.release(package.version) if project else None
    files = [file for file in (release.files if release else ()) if f"sha256:{file.sha256}" in package.hashes]
    if not files:
        raise MachineError(
            f"The index no longer has the file of {package.name} {package.version} that lock {lock.environment.name}"
            " names. Name an index that has it in UV_DEFAULT_INDEX, or make the lock anew with `lock --upgrade`."
        )
    return min(files, key=lambda file: _order(file.filename, lock))


def to_compile(lock: Lock, names: Collection[str], catalog: Catalog) -> tuple[LockedPackage, ...]:
    """Those of a lock's packages with these names that come as sources, though other releases have compiled wheels."""
    return tuple(
        package
        for package in lock.packages
        if package.name in names
        and not best_file(package, lock, catalog).is_wheel
        and any(file.is_wheel and not file.filename.endswith("-any.whl") for file in _all_files(package, catalog))
    )


def _all_files(package: LockedPackage, catalog: Catalog) -> Iterator[IndexFile]:
    project = catalog.project(package.name)
    yield from (file for release in (project.releases if project else ()) for file in release.files)


def _order(filename: str, lock: Lock) -> tuple[int, str]:
    order = rank(filename, lock.python, machine_of(lock.platform))
    return (_NO_WHEEL if order is None else order, filename[::-1])


def _wheel(
    package: LockedPackage,
    file: Path,
    *,
    python: str,
    catalog: Catalog,
    toolchain: Callable[[], Toolchain],
    say: Callable[[str], None],
) -> WheelFile:
    sha256 = file.parent.name
    if file.suffix != ".whl":
        file = built(
            file,
            sha256=sha256,
            uploaded=lambda: _uploaded(package, sha256, catalog),
            python=python,
            toolchain=toolchain,
            say=say,
        )
        sha256 = sha256_of(file)
    return WheelFile(path=file, sha256=sha256, layer=package.layer)


def _uploaded(package: LockedPackage, sha256: str, catalog: Catalog) -> datetime:
    project = catalog.project(package.name)
    release = project.release(package.version) if project else None
    for file in release.files if release else ():
        if file.sha256 == sha256:
            return file.uploaded
    raise MachineError(
        f"The index no longer says when {package.name} {package.version} came out; its source can't be built."
    )


def refuse_overlaps(wheels: Iterable[Path]) -> None:
    """Raise BuildFailedError where two wheels put different content under the same name: one would break the other."""
    owners: dict[str, tuple[str, Path]] = {}
    for wheel in wheels:
        for name, digest in _record(wheel, state_of(wheel)):
            other_digest, other = owners.setdefault(name, (digest, wheel))
            if other is not wheel and other_digest != digest:
                raise BuildFailedError(
                    "install",
                    f"{other.name} and {wheel.name} both install {name}, with different content: one would break the"
                    " other. Leave one of them out.",
                )


@functools.cache
def _record(wheel: Path, _: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """(file, hash) as a wheel lists itself, its own dist-info left out; read once a process while it stays as it is."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
            text = archive.read(name).decode()
    except (zipfile.BadZipFile, StopIteration, UnicodeDecodeError) as error:
        raise BuildFailedError("install", f"{wheel.name} is not a wheel: it lists no files.") from error
    rows = csv.reader(io.StringIO(text))
    return tuple((row[0], row[1]) for row in rows if len(row) == 3 and ".dist-info/" not in row[0])
