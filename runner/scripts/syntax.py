"""One source file as LibCST reads it: its tree with scopes, parents and the span of each node in the text's bytes.

LibCST is heavy: only what really rewrites imports it.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import (
    BuiltinScope,
    ByteSpanPositionProvider,
    GlobalScope,
    MetadataWrapper,
    Scope,
    ScopeProvider,
)

from runner.scripts.source import Edit, NotRewritableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from libcst.metadata import BaseAssignment

_BLANK = " \t\f\r\n"
_LAST_COMMENTS = re.compile(r"(?:\n[ \t\f\r]*(?:#[^\n]*)?)+\Z")
"""The text that LibCST sometimes loses at the end of a file: blank lines and comments, where no edit stands."""
TOO_DEEP = "an expression in it is nested too deeply"


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftAlone:
    """A use of Keras that stays as it is, though another Keras was asked for; `start` is its place in the bytes."""

    start: int
    use: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceChange:
    """The edits to a part of a file, and the uses in it that stay."""

    edits: tuple[Edit, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()


@lru_cache(maxsize=64)
def syntax_of(text: str, path: str) -> Syntax:
    """The syntax of a source file, which is read once for all flavours. Raises NotRewritableError."""
    return Syntax(text, path)


def joined(changes: Iterable[SourceChange]) -> SourceChange:
    """All changes as one."""
    listed = list(changes)
    return SourceChange(
        edits=tuple(edit for change in listed for edit in change.edits),
        left_alone=tuple(left for change in listed for left in change.left_alone),
    )


class Syntax:
    """The tree of one source file, and where everything stands. Raises NotRewritableError where there is none."""

    def __init__(self, text: str, path: str) -> None:
        self.data = text.encode()
        try:
            tree = _tree(text, path)
            wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
            wrapper.resolve_many((ByteSpanPositionProvider, ScopeProvider))
            self.module = wrapper.module
            self.inventory = Inventory()
            self.module.visit(self.inventory)
            self._spans = wrapper.resolve(ByteSpanPositionProvider)
            self._scopes = wrapper.resolve(ScopeProvider)
        except RecursionError as error:
            raise NotRewritableError(path=path, line=1, reason=TOO_DEEP) from error

    def start(self, node: cst.CSTNode) -> int:
        """Where a node begins, in bytes."""
        return self._spans[node].start

    def end(self, node: cst.CSTNode) -> int:
        """Where a node ends, in bytes."""
        span = self._spans[node]
        return span.start + span.length

    def code(self, node: cst.CSTNode) -> str:
        """A node as it is written."""
        return self.between(self.start(node), self.end(node))

    def between(self, start: int, end: int) -> str:
        """The source from one place up to another."""
        return self.data[start:end].decode()

    def line(self, start: int) -> int:
        """The line of a place, from 1."""
        return len(re.findall(rb"\r\n?|\n", self.data[:start])) + 1

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """The scope that a node stands in."""
        found = self._scopes.get(node)
        return found if isinstance(found, Scope) else None

    def seen_from(self, node: cst.CSTNode, name: str) -> list[BaseAssignment]:
        """The bindings that a name has where a node stands; those of Python itself only where there are no others."""
        scope = self.scope(node)
        found = list(scope[name]) if scope is not None else []
        return [one for one in found if not isinstance(one.scope, BuiltinScope)] or found

    @cached_property
    def shared(self) -> dict[str, list[BaseAssignment]]:
        """The names that are bound for the whole file, with their bindings."""
        scope = self.scope(self.module)
        found: dict[str, list[BaseAssignment]] = {}
        for assignment in scope.assignments if scope is not None else ():
            found.setdefault(assignment.name, []).append(assignment)
        return found

    def is_global(self, assignment: BaseAssignment) -> bool:
        """True where a name is bound for the whole file."""
        return isinstance(assignment.scope, GlobalScope)

    def replacement(self, node: cst.CSTNode, text: str) -> Edit:
        """A node written otherwise."""
        return Edit(start=self.start(node), end=self.end(node), text=text)


class Inventory(cst.CSTVisitor):
    """The result of a walk through a file: every name that it binds or reads, and what scope analysis does not give."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        """Attributes, keywords of calls and the inner names of imports are none."""
        self.captured: set[str] = set()
        """The names that a `match` binds."""
        self.stars: set[str] = set()
        """The modules of which everything is imported."""
        self.lines: dict[cst.CSTNode, cst.SimpleStatementLine | cst.SimpleStatementSuite] = {}
        """The line of each simple statement."""
        self.given: dict[cst.CSTNode, cst.Assign] = {}
        """For each name that `name = …` binds, that statement."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Take up a node; whether what is inside it is to be visited too."""
        match node:
            case cst.Name(value=name):
                self.names.add(name)
            case cst.SimpleStatementLine(body=body) | cst.SimpleStatementSuite(body=body):
                self.lines.update(dict.fromkeys(body, node))
            case cst.Assign(targets=targets):
                self.given.update((target.target, node) for target in targets)
            case cst.MatchAs(name=cst.Name(value=name)) | cst.MatchStar(name=cst.Name(value=name)):
                self.captured.add(name)
            case cst.MatchMapping(rest=cst.Name(value=name)):
                self.captured.add(name)
            case cst.Attribute(value=value) | cst.Arg(value=value):
                value.visit(self)
                return False
            case cst.ImportFrom(names=cst.ImportStar(), module=module, relative=()) if module is not None:
                self.stars.add(dotted(module))
                return False
            case cst.Import() | cst.ImportFrom():
                self.names.update(bound_name(alias, node) for alias in aliases(node))
                return False
            case _:
                pass
        return True


def _tree(text: str, path: str) -> cst.Module:
    """The tree of a source, whose nodes stand where the text has them."""
    complaint = _complaint(text, path)
    try:
        for without_end in (f"{text.rstrip(_BLANK)}\n", _LAST_COMMENTS.sub("\n", f"{text.rstrip(_BLANK)}\n")):
            tree = cst.parse_module(without_end)
            if tree.code == without_end:
                return tree
    except cst.ParserSyntaxError as error:
        line, reason = complaint or (error.raw_line, "it is not Python 3")
        raise NotRewritableError(path=path, line=line, reason=reason) from error
    raise NotRewritableError(path=path, line=1, reason="LibCST loses some of its form feeds or comments")


def _complaint(text: str, path: str) -> tuple[int, str] | None:
    """The complaint of this Python about a source; a newer one may allow it, and so LibCST decides.

    Raises NotRewritableError for what nests more deeply than any Python takes: LibCST would end the whole process.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except SyntaxError as error:
        if "too many nested" in error.msg:
            raise NotRewritableError(path=path, line=error.lineno or 1, reason=TOO_DEEP) from error
        return error.lineno or 1, f"it is not Python 3 ({error.msg})"
    except ValueError as error:
        return 1, f"it is not Python 3 ({error})"
    except (RecursionError, MemoryError) as error:
        raise NotRewritableError(path=path, line=1, reason=TOO_DEEP) from error
    return None


def dotted(node: cst.BaseExpression) -> str:
    """The dotted name that an import statement gives, without the spaces that may be in it."""
    match node:
        case cst.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr.value}"
        case cst.Name(value=name):
            return name
        case _:
            raise AssertionError(f"{type(node).__name__} in an import")


def aliases(statement: cst.Import | cst.ImportFrom) -> Sequence[cst.ImportAlias]:
    """The names that an import names; none for `*`."""
    return () if isinstance(statement.names, cst.ImportStar) else statement.names


def bound_name(alias: cst.ImportAlias, statement: cst.Import | cst.ImportFrom) -> str:
    """The name that an import binds: `keras` of `import keras.layers`, `L` of `import keras.layers as L`."""
    if alias.asname is not None:
        return dotted(alias.asname.name) if isinstance(alias.asname.name, cst.Name) else ""
    written = dotted(alias.name)
    return written.partition(".")[0] if isinstance(statement, cst.Import) else written


def bound_path(alias: cst.ImportAlias, statement: cst.Import | cst.ImportFrom) -> str | None:
    """The dotted path of what an import binds its name to; None for a relative one."""
    written = dotted(alias.name)
    if isinstance(statement, cst.Import):
        return written if alias.asname is not None else written.partition(".")[0]
    if statement.relative or statement.module is None:
        return None
    return f"{dotted(statement.module)}.{written}"
