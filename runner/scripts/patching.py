"""A patch: some of a script's files as they would be after an edit. What runs with it is a script of its own digest.

The user's files stay as they are; the patched script has a diff that `patch -p1` and `git apply` take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.scripts.rewriting import with_texts
from runner.scripts.script import content_of, imported_names
from runner.scripts.source import decode, edited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.scripts.script import Script
    from runner.scripts.source import Edit


@dataclass(frozen=True, slots=True)
class Patch:
    """The whole texts of the files that it changes, by their POSIX paths in the matrix's folder, sorted."""

    texts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, script: Script, edits: Mapping[str, Iterable[Edit]]) -> Patch:
        """The patch that makes edits in a script, by file; edits that overlap are refused with AssertionError."""
        before = texts_of(script)
        after = {path: edited(before[path], some) for path, some in edits.items()}
        return cls(tuple(sorted((path, text) for path, text in after.items() if text != before[path])))

    def after(self, earlier: Patch) -> Patch:
        """This patch, made on top of an earlier one, as one from the files as they are."""
        return Patch(tuple(sorted({**dict(earlier.texts), **dict(self.texts)}.items())))

    def __bool__(self) -> bool:
        return bool(self.texts)


UNPATCHED = Patch()
"""The patch that changes nothing."""


def texts_of(script: Script) -> dict[str, str]:
    """The texts of a script's Python sources, as they run. Raises UsageError where a file has changed meanwhile."""
    return {file.path: decode(content_of(script, file), file.path).text for file in script.sources}


def patched(script: Script, patch: Patch) -> Script:
    """The script with the texts of a patch; itself where it has none of its files, or has those texts already."""
    contents = {file.path: content_of(script, file) for file in script.sources}
    after = {path: text for path, text in patch.texts if path in contents}
    sources = {path: decode(contents[path], path) for path in after}
    local = {name for content in contents.values() for name in imported_names(content)} - script.imports
    return with_texts(script, sources, after, local=frozenset(local))


def lines_changed(diff: str) -> int:
    """The number of lines with something on them that a unified diff adds, or takes away where it adds fewer."""
    signs = [
        line[0]
        for line in diff.splitlines()
        if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"} and line[1:].strip()
    ]
    return max(signs.count("+"), signs.count("-"))
