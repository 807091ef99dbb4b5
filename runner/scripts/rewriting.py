"""The import flavour of a script: the same script and local modules, with every Keras import meaning one Keras.

Takes a script as it was read, gives one whose digest is that of what runs, with its diff and what was left alone.
"""

from __future__ import annotations

import difflib
import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.code_digest import code_digest
from runner.errors import UsageError
from runner.scripts.counterparts import ALIASES, ROOTS, Counterparts
from runner.scripts.script import content_of, imported_names
from runner.scripts.source import NotRewritableError, decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.scripts.script import Script
    from runner.scripts.source import SourceText


FLAVOURS = ("as-written", *ROOTS)


def rewritten(script: Script, flavour: str) -> Script:
    """The script in an import flavour, one of `FLAVOURS`; itself where that is `as-written`.

    A file that can't use Keras is not even parsed. Raises NotRewritableError for one that may and is not Python 3, and
    UsageError where a file has changed since it was read or a local module hides the Keras that is meant.
    """
    if flavour == "as-written":
        return script
    if flavour not in FLAVOURS:
        raise UsageError(f"Imports can't be made to mean {flavour!r}. They can mean: {', '.join(FLAVOURS)}.")
    from runner.scripts.codemod import rewrite  # noqa: PLC0415 - LibCST is heavy, most runs rewrite nothing

    contents = {file.path: content_of(script, file) for file in script.sources}
    to = _counterparts(script, contents, flavour)
    sources = {path: decode(content, path) for path, content in contents.items() if _may_use_keras(content)}
    try:
        results = rewrite({path: source.text for path, source in sources.items()}, to)
    except NotRewritableError as error:
        place = script.cell_of(error.line) if error.path == script.path else None
        if place is None:
            raise
        raise NotRewritableError(path=f"{error.path}, cell {place[0]}", line=place[1], reason=error.reason) from error
    changed = {
        path: sources[path].with_text(result.text)
        for path, result in results.items()
        if result.text != sources[path].text
    }
    imports = {name for path, content in contents.items() for name in imported_names(changed.get(path, content))}
    return replace(
        script,
        files=tuple(
            replace(
                file,
                sha256=hashlib.sha256(changed[file.path]).hexdigest(),
                code=code_digest(changed[file.path]),
                rewritten=changed[file.path],
            )
            if file.path in changed
            else file
            for file in script.files
        ),
        imports=frozenset(imports - to.local),
        diff="".join(_diff(path, sources[path], results[path].text) for path in changed),
        left_alone=tuple(script.in_cells(line) for result in results.values() for line in result.left_alone),
    )


def _may_use_keras(content: bytes) -> bool:
    """True where a file names Keras, or TensorFlow and one of its modules that are Keras."""
    return b"keras" in content or (b"tensorflow" in content and any(name.encode() in content for name in ALIASES))


def _counterparts(script: Script, contents: Mapping[str, bytes], flavour: str) -> Counterparts:
    """The names of a flavour, as this script sees them: what is one of its own modules is no Keras."""
    imported = {name for content in contents.values() for name in imported_names(content)}
    local = frozenset(imported - script.imports)
    package = ROOTS[flavour].partition(".")[0]
    if package in local:
        raise UsageError(
            f"{script.path} has a module of its own named {package}, which hides the package: its imports can't be "
            f"rewritten to {flavour}. Rename that module, or use `import: as-written`."
        )
    return Counterparts(flavour=flavour, local=local)


def _diff(path: str, source: SourceText, after: str) -> str:
    """A unified diff that `patch -p1` and `git apply` take."""
    mark = source.mark.decode()
    lines = difflib.unified_diff(_lines(mark + source.text), _lines(mark + after), f"a/{path}", f"b/{path}")
    return "".join(_ended(line) for line in lines)


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline="\n"))


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
