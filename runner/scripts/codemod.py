"""Rewrites the sources of a script so that all Keras imports in them mean one Keras.

Takes the texts of the files, gives them back with what was changed and what was left alone. Edits are made in the text,
at the places that LibCST's scope analysis names, and so everything else stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from runner.scripts.bindings import Bindings
from runner.scripts.chains import Rooted, chain_change, names_shared, rooted_change
from runner.scripts.import_edits import call_change, from_change, import_change
from runner.scripts.source import NotRewritableError, edited
from runner.scripts.syntax import TOO_DEEP, SourceChange, joined, syntax_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.scripts.counterparts import Counterparts
    from runner.scripts.syntax import Syntax


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
