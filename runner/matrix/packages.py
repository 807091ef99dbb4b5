"""The sections `packages:` and `base_image:`: what every cell has, or the cells that meet a condition."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from runner.matrix.axes import BACKENDS, AxisKind, axis_kind, axis_name, check
from runner.matrix.mistakes import RefusedError, quoted
from runner.matrix.model import Condition, NamedBase, Requirement
from runner.matrix.nodes import Text
from runner.matrix.versions import in_range, specifiers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement as Parsed

    from runner.matrix.axis_reader import AxisReader
    from runner.matrix.declaration import BaseImageSection, PackageEntry

_FILES = (".txt", ".toml", ".yml", ".yaml")
"""The ends of the names of files that `requirements:` takes."""


def read_packages(node: tuple[PackageEntry, ...], axes: Collection[str], reader: AxisReader) -> tuple[Requirement, ...]:
    """The requirements of the list `packages:`; mistakes are noted. A package that is one of the `axes` is one."""
    found: dict[Requirement, None] = {}
    for entry in node:
        if isinstance(entry, Text):
            try:
                found[_requirement(entry, (), axes, reader)] = None
            except RefusedError as error:
                reader.mistakes.refuse(error, entry.position)
        else:
            found.update(dict.fromkeys(_with_conditions(entry, axes, reader)))
    return tuple(found)


def read_base_images(entries: tuple[Text | BaseImageSection, ...], reader: AxisReader) -> tuple[NamedBase, ...]:
    """The base images of `base_image:`, in their order; mistakes are noted."""
    found: list[NamedBase] = []
    rest = None
    for entry in entries:
        name, when = (entry, ()) if isinstance(entry, Text) else (entry.image, entry.when)
        if rest is not None:
            message = f"no cell gets as far as {quoted(name)}: {quoted(rest)} has no when"
            reader.mistakes.add(name.position, message, "write what is for the rest last")
        rest = rest if when else name
        found.append(NamedBase(image=str(name), when=read_conditions(when, reader)))
    return tuple(found)


def _with_conditions(
    entry: Mapping[Text, Text | tuple[Text, ...]], axes: Collection[str], reader: AxisReader
) -> Iterator[Requirement]:
    written = next((value for key, value in entry.items() if key == "when"), ())
    when = read_conditions((written,) if isinstance(written, Text) else written, reader)
    packages = [(key, value) for key, value in entry.items() if key != "when" and isinstance(value, Text)]
    if not packages:
        place = next(iter(entry)).position
        reader.mistakes.add(place, "this entry names no package", 'such as {numpy: "<1.20", when: "tensorflow<2.4"}')
    for key, value in packages:
        try:
            yield _requirement(_joined(key, value), when, axes, reader)
        except RefusedError as error:
            reader.mistakes.refuse(error, key.position)


def _joined(key: Text, value: Text) -> str:
    """A package's name and its versions as one requirement; a wheel file as it is."""
    if key.endswith(".whl") and value in {"", "*"}:
        return key
    named = parsed_requirement(key)
    if named.specifier or named.marker:
        raise RefusedError(f"{quoted(key)} is more than a package's name", "write its versions after the colon")
    try:
        return f"{key}{specifiers(value)}"
    except RefusedError as error:
        raise RefusedError(error.message, error.hint, position=value.position) from None


def read_conditions(written: tuple[Text, ...], reader: AxisReader) -> tuple[Condition, ...]:
    """The conditions of `when:`; mistakes are noted."""
    found: dict[Condition, None] = {}
    for text in written:
        try:
            found[_condition(text, reader)] = None
        except RefusedError as error:
            reader.mistakes.refuse(error, text.position, "when")
    return tuple(found)


def _condition(text: Text, reader: AxisReader) -> Condition:
    word, sign, value = (part.strip() for part in text.partition("=="))
    if sign and word == AxisKind.BACKEND.value:
        reader.require_axis(word)
        check(AxisKind.BACKEND, value, reader.folder)
        return Condition(axis=word, specifiers=f"=={value}")
    try:
        written = parsed_requirement(text)
    except RefusedError:
        written = None
    if written is None or written.extras or written.marker or written.url or not written.specifier:
        raise RefusedError(f"{quoted(text)} is not a condition on an axis", "write it like tensorflow<2.4")
    axis = reader.require_axis(written.name)
    if axis_kind(axis) not in {AxisKind.PACKAGE, AxisKind.PYTHON}:
        hint = "only packages and python have; of a backend: backend==torch"
        raise RefusedError(f"the axis {quoted(axis)} has no versions to compare", hint)
    return Condition(axis=axis, specifiers=str(written.specifier))


def _requirement(text: str, when: tuple[Condition, ...], axes: Collection[str], reader: AxisReader) -> Requirement:
    """A requirement; a wheel file of a package that is an axis is for the cells of its version.

    One of a backend is for the cells of that backend.
    """
    if not text.endswith(".whl") or "@" in text:
        return Requirement(text=_canonical(text, axes), when=when)
    wheel, line = named_wheel(text, reader.folder)
    if wheel.name not in axes:
        backend = wheel.name if wheel.name in BACKENDS and AxisKind.BACKEND.value in axes else ""
        ours = (Condition(axis=AxisKind.BACKEND.value, specifiers=f"=={backend}"),) if backend else ()
        return Requirement(text=line, when=(*when, *ours))
    own = Condition(axis=wheel.name, specifiers=f"=={wheel.version}")
    known = reader.known.get(wheel.name)
    if known is not None and not any(in_range(value, own.specifiers) for value in known):
        hint = f"its values are {', '.join(known)}"
        raise RefusedError(f"{quoted(text)} is of no version of the axis {quoted(wheel.name)}", hint)
    return Requirement(text=line, when=(*when, own))


def _canonical(text: str, axes: Collection[str]) -> str:
    """A requirement as the resolver takes it (PEP 508), its name normalised."""
    if text.startswith("-"):
        raise RefusedError(
            f"{quoted(text)} is an option, not a package", "the runner's own settings go to the resolver"
        )
    if text.endswith(_FILES):
        raise RefusedError(f"{quoted(text)} is a file, not a package", f"write requirements: [{text}]")
    requirement = parsed_requirement(text)
    if requirement.url:
        raise RefusedError(f"{quoted(text)} names an address or a path", "packages come from the package index")
    requirement.name = axis_name(requirement.name)
    if requirement.name in axes:
        raise RefusedError(f"{quoted(requirement.name)} is an axis already", "leave it out here")
    return str(requirement)


class WheelName(NamedTuple):
    """What the name of a wheel file says of it."""

    name: str
    version: str
    """Without what tells builds of it apart: 2.1.0 for 2.1.0+cpu."""


def named_wheel(text: str, folder: Path) -> tuple[WheelName, str]:
    """A wheel file of the project by its path from the matrix's folder, and the line of an environment that names it.

    Raises RefusedError for what is none.
    """
    wheel = _wheel_name(text)
    return wheel, f"{wheel.name} @ {PurePosixPath(text).as_posix()}#sha256={_digest(text, wheel, folder)}"


def _wheel_name(text: str) -> WheelName:
    """What the path of a wheel file of the project says of it."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415 - most matrices name none

    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "://" in text or re.search(r"[\s#]", text):
        raise RefusedError(
            f"{quoted(text)} is not inside the matrix's folder", "such as ./wheels/x-1.0-py3-none-any.whl"
        )
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        hint = "it says name, version and what it fits: x-1.0-py3-none-any.whl"
        raise RefusedError(f"{quoted(path.name)} is not the name of a wheel", hint) from None
    return WheelName(name=name, version=version.public)


def _digest(text: str, wheel: WheelName, folder: Path) -> str:
    """The SHA-256 of a wheel file, in hex."""
    if (folder / text).is_fifo():  # which would be waited for
        raise RefusedError(f"{quoted(text)} is no plain file")
    try:
        with (folder / text).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            is_wheel = zipfile.is_zipfile(file)
    except FileNotFoundError:
        got = f"pip download {wheel.name}=={wheel.version} --no-deps -d {PurePosixPath(text).parent}"
        hint = f"one that an index has is got by `{got}`; `--index-url` names the index of another build"
        raise RefusedError(f"there is no file {quoted(text)}", hint) from None
    except OSError as error:
        raise RefusedError(f"{quoted(text)} can't be read: {error.strerror}") from None
    if not is_wheel:
        raise RefusedError(f"{quoted(text)} is not a wheel", "it is no zip archive")
    return digest


def parsed_requirement(text: str) -> Parsed:
    """A requirement (PEP 508). Raises RefusedError for what is none."""
    from packaging.requirements import Requirement as Parsed  # noqa: PLC0415 - most matrices name none

    try:
        found = Parsed(text)
        for bound in found.specifier:
            bound.contains("0")  # its version is read no sooner, and may be none
    except ValueError:
        raise RefusedError(
            f"{quoted(text)} is not a requirement (PEP 508)", "write it like scikit-learn>=0.20"
        ) from None
    return found
