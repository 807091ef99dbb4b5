"""What a user can do about the exception that ended a trial, in the words of the matrix: a record → sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.trials.record import FileTrouble, Record, ScriptException


def advice(record: Record) -> tuple[str, ...]:
    """Where a notebook raised, and what to write into the matrix so that the exception does not come again."""
    found = record.exception
    if found is None:
        return ()
    return tuple(
        line
        for line in (
            f"in {found.file}, cell {found.cell}, line {found.line}" if found.cell is not None else "",
            "" if record.file_trouble is None else _of_file(record.file_trouble),
            *_of_import(found),
        )
        if line
    )


def _of_file(found: FileTrouble) -> str:
    match found.trouble:
        case "not-given":
            return _not_given(found)
        case "elsewhere":
            mapped = f"`data: [{{{found.lies}: {found.sought.removeprefix('./')}}}]`"
            return f"{found.lies} is given, but the script looks in the working directory: {mapped} puts it there too"
        case "not-reached":
            folder = found.lies.removesuffix("/__init__.py").rpartition("/")[0] or "."
            return f"{found.lies} is there, but Python does not look in its folder: `env: {{PYTHONPATH: {folder}}}`"
        case "read-only":
            return (
                f"{found.lies} is under `data:`, which is mounted read-only: put it under `files:` to have a copy that "
                "can be written, or write somewhere else"
            )
        case _:
            assert_never(found.trouble)


def _not_given(found: FileTrouble) -> str:
    there = f"{found.lies} is there, but not under `files:` or `data:`"
    if found.sought.startswith("/"):
        return f"{there}; a trial has its own copy of the folder, so name it by its path from there"
    sought = found.sought.removeprefix("./")
    if "/" not in found.lies or sought == found.lies or ".." in sought or not found.lies.endswith(f"/{sought}"):
        return there
    return f"{there}: `data: [{{{found.lies}: {sought}}}]` puts it where the script looks"


def _of_import(found: ScriptException) -> Iterator[str]:
    relative = "attempted relative import with no known parent" in found.message or "__main__.__main__" in found.message
    if relative and found.file and found.file.endswith(".py") and "/" in found.file:
        module = found.file.removesuffix(".py").replace("/", ".")
        yield f"it imports relatively: `module: {module}` in place of `script:` runs it in its package"
