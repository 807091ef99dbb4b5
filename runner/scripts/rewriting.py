"""The import flavour of a script: the same script and local modules, with every Keras import meaning one Keras.

Takes a script as it was read, gives one whose digest is that of what runs, with its diff and what was left alone.
"""

from __future__ import annotations

import difflib
import hashlib
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

from runner.code_digest import code_digest
from runner.errors import UsageError
from runner.scripts.bindings import Bindings
from runner.scripts.chains import Rooted, chain_change, names_shared, rooted_change
from runner.scripts.counterparts import ALIASES, ROOTS, Counterparts
from runner.scripts.import_edits import call_change, from_change, import_change
from runner.scripts.script import content_of, imported_names
from runner.scripts.syntax import TOO_DEEP, NotRewritableError, SourceChange, decode, edited, joined, syntax_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.scripts.script import Script
    from runner.scripts.syntax import SourceText, Syntax


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewritten:
    """A file's new text, and the uses in it that stay, as `path:line: use (reason)`."""

    text: str
    left_alone: tuple[str, ...]


def rewrite(texts: Mapping[str, str], to: Counterparts) -> dict[str, Rewritten]:
    """The texts of a script's files, by path, in another flavour. Raises NotRewritableError."""
    files = {path: syntax_of(text, path) for path, text in texts.items()}
    shared = {path: names_shared(syntax, to) for path, syntax in files.items()}
    found = {}
    for path, syntax in files.items():
        elsewhere = [names for other, names in shared.items() if other != path]
        try:
            change = _change(syntax, to, taken=syntax.inventory.names.union(*elsewhere))
        except RecursionError as error:
            raise NotRewritableError(path=path, line=1, reason=TOO_DEEP) from error
        left = sorted(change.left_alone, key=lambda one: one.start)
        found[path] = Rewritten(
            text=edited(texts[path], change.edits),
            left_alone=tuple(f"{path}:{syntax.line(one.start)}: {one.use} ({one.reason})" for one in left),
        )
    return found


def _change(syntax: Syntax, to: Counterparts, *, taken: set[str]) -> SourceChange:
    """All that changes in a file."""
    collector = _Collector(syntax, to)
    syntax.module.visit(collector)
    return joined([*collector.changes, rooted_change(collector.wishes, syntax, collector.bindings, to, taken=taken)])


class _Collector(cst.CSTVisitor):
    """Walks a file and collects the changes to its imports, calls and chains."""

    def __init__(self, syntax: Syntax, to: Counterparts) -> None:
        super().__init__()
        self.syntax, self.to = syntax, to
        self.bindings = Bindings(syntax)
        self.changes: list[SourceChange] = []
        self.wishes: list[Rooted] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Collect the change to a node; whether what is inside it is to be visited too."""
        match node:
            case cst.Import():
                self.changes.append(import_change(node, self.syntax, self.to))
                return False
            case cst.ImportFrom():
                self.changes.append(from_change(node, self.syntax, self.to))
                return False
            case cst.Call():
                self.changes.append(call_change(node, self.syntax, self.bindings, self.to))
                return True
            case cst.Attribute():
                return self._visit_attribute(node)
            case _:
                return True

    def _visit_attribute(self, node: cst.Attribute) -> bool:
        """Take the outermost attribute of a chain; a call that it begins with is visited unless it is replaced."""
        chain = self.bindings.chain(node)
        if chain is None:
            return True
        change = chain_change(chain, self.syntax, self.bindings, self.to)
        if isinstance(change, Rooted):
            self.wishes.append(change)
            return False
        self.changes.append(change)
        if isinstance(chain.base, cst.Call):
            chain.base.visit(self)
        return False


FLAVOURS = ("as-written", *ROOTS)


def rewritten(script: Script, flavour: str) -> Script:
    """The script in an import flavour, one of `FLAVOURS`; itself where that is `as-written`.

    A file that can't use Keras is not even parsed. Raises NotRewritableError for one that may and is not Python 3, and
    UsageError where a file has changed since it was read or a local module hides the Keras that is meant.
    """
    if flavour == "as-written":
        return script
    if flavour not in FLAVOURS:
        raise UsageError(f"{flavour!r} is not an import flavour. There are: {', '.join(FLAVOURS)}.")
    from runner.scripts.rewriting import rewrite  # noqa: PLC0415 - LibCST is heavy, most runs rewrite nothing

    contents = {file.path: content_of(script, file) for file in script.files}
    to = _counterparts(script, contents, flavour)
    sources = {path: decode(content, path) for path, content in contents.items() if _may_use_keras(content)}
    results = rewrite({path: source.text for path, source in sources.items()}, to)
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
        left_alone=tuple(line for result in results.values() for line in result.left_alone),
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
