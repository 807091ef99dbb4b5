"""The uses of packages in a script and its local modules: each import, name, call and key, with the path it means.

`uses_of` reads a `Script` once; what its uses come to depends on releases, and is looked up in `stack_api`.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from runner.check.meanings import External, LocalClass, SourceMeanings
from runner.scripts.script import content_of
from runner.scripts.source import decode
from runner.scripts.syntax import Syntax, aliases, bound_name, bound_path, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.check.meanings import Meanings
    from runner.scripts.script import Script

_NO_COLUMNS = frozenset({"loc", "iloc", "at", "iat", "values", "array", "columns", "index", "attrs", "flags", "T"})
"""Attributes of a table that are no columns."""
_LEAVES_TABLES = "().to_"
"""A call that makes something else of a table, of which an element can be given a value: `to_dict`, `to_records`."""


class UseKind(enum.StrEnum):
    """How a path is used."""

    IMPORT = "import"
    NAME = "name"
    CALL = "call"
    KEY = "key"
    """A literal key of a mapping: `history.history['acc']`."""
    ELEMENT = "element"
    """A column of which an element is given a value: `table['a'][rows] = 0`; its path is where the table came from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSpan:
    """A stretch of a file's UTF-8 text."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenArgument:
    """An argument that a call gives."""

    name: str
    """"" for a positional one."""
    span: SourceSpan
    """All of it, without the comma."""
    keyword: SourceSpan | None
    value: str
    """As it is written."""
    value_span: SourceSpan
    meanings: tuple[str, ...]
    """The paths that its value may mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenArguments:
    """All that a call gives."""

    listed: tuple[GivenArgument, ...]
    open_ended: bool
    """True where it gives `*args` or `**kwargs` too."""
    gaps: tuple[SourceSpan, ...]
    """For each argument what goes with it when it is dropped: itself with one comma."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """One use of a package."""

    kind: UseKind
    paths: tuple[str, ...]
    """The path that is used; several where it may be one of them."""
    file: str
    line: int
    column: int
    span: SourceSpan
    chain: SourceSpan
    """Of a call what is called; else as `span`."""
    leaf: SourceSpan
    """The last name of it: of an import the name that is imported, of a key its literal."""
    text: str
    """As it is written."""
    guarded: bool
    """True where the script asks first, is prepared for it to fail, or where it is not reached."""
    call: GivenArguments | None = None
    key: str = ""
    statement: SourceSpan
    """Of an import all of it; else as `span`."""
    module: SourceSpan | None = None
    """Of `from module import name` the module."""
    siblings: tuple[str, ...] = ()
    """Of `from module import …` all paths that the statement imports."""
    bound: str = ""
    """Of an import: the name that it binds."""
    names: int = 0
    """How many names are taken with a dot from what the expression begins with."""
    outer: SourceSpan | None = None
    """Of a call that is the only argument of `model.add(…)`: that call."""
    receiver: str = ""
    """What such an `add` is called on, as it is written; `[` where the call is an element of a list. Of an element
    the table."""
    index: str = ""
    """Of an element its index, as it is written; "" where that is a slice or several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectUses:
    """All uses of a script and its local modules, in the order of the files."""

    uses: tuple[Use, ...]
    texts: dict[str, bytes]
    """The UTF-8 texts of the files that were read, by path."""
    words: frozenset[str]
    """The names, attributes, keywords and literal texts of all files."""


def uses_of(script: Script) -> ProjectUses:
    """The uses in a script. Raises NotRewritableError for a file that is not Python 3."""
    project: dict[str, SourceMeanings] = {}
    by_file: dict[str, SourceMeanings] = {}
    for file in script.sources:
        syntax = Syntax(decode(content_of(script, file), file.path).text, file.path)
        by_file[file.path] = meanings = SourceMeanings(syntax, _module_name(file.path, script.path), project)
        project[meanings.module] = meanings
    read = frozenset(name for meanings in by_file.values() for name in meanings.outline.read)
    uses = [use for path, meanings in by_file.items() for use in _FileUses(path, meanings, read).all()]
    words = frozenset(word for meanings in by_file.values() for word in meanings.outline.words)
    return ProjectUses(
        uses=tuple(uses), texts={path: meanings.syntax.data for path, meanings in by_file.items()}, words=words
    )


def _module_name(path: str, script: str) -> str:
    """The dotted name by which the script imports a file; its own is `__main__`."""
    if path == script:
        return "__main__"
    beside = script.rpartition("/")[0]
    relative = path.removeprefix(f"{beside}/") if beside else path
    return relative.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _FileUses:
    """The uses in one file."""

    def __init__(self, path: str, meanings: SourceMeanings, read: frozenset[str]) -> None:
        self._path = path
        self._meanings = meanings
        self._syntax = meanings.syntax
        self._read = read
        self._lines = _line_starts(self._syntax.data)

    def all(self) -> Iterator[Use]:
        """Every use, in the order of the file."""
        for node in self._meanings.outline.uses:
            match node:
                case cst.Import() | cst.ImportFrom():
                    yield from self._imports(node)
                case cst.Call():
                    yield from self._call(node)
                case cst.Subscript():
                    yield from self._key(node)
                    yield from self._element(node)
                case cst.Attribute():
                    yield from self._attribute(node)
                    yield from self._element(node)
                case _:
                    pass

    def _imports(self, node: cst.Import | cst.ImportFrom) -> Iterator[Use]:
        if (
            isinstance(node, cst.ImportFrom)
            and isinstance(node.names, cst.ImportStar)
            and node.module
            and not node.relative
        ):
            yield self._use(UseKind.IMPORT, node, node.module, (dotted(node.module),), module=self._span(node.module))
        found = [(alias, _imported_path(alias, node)) for alias in aliases(node)]
        paths = tuple(path for _, path in found if path is not None)
        module = node.module if isinstance(node, cst.ImportFrom) else None
        for alias, path in found:
            if path is not None:
                yield self._use(
                    UseKind.IMPORT,
                    node,
                    alias.name,
                    (path,),
                    span=alias,
                    module=self._span(module) if module is not None else None,
                    siblings=paths,
                    bound=bound_name(alias, node),
                )

    def _attribute(self, node: cst.Attribute) -> Iterator[Use]:
        if paths := _paths(self._meanings.of(node)):
            yield self._use(UseKind.NAME, node, node.attr, paths, names=_chained(node))

    def _call(self, node: cst.Call) -> Iterator[Use]:
        paths = _paths(self._callee(node))
        if not paths:
            return
        leaf = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
        given = GivenArguments(
            listed=tuple(self._argument(arg) for arg in node.args if not arg.star),
            open_ended=any(arg.star for arg in node.args),
            gaps=tuple(self._gap(node, index) for index, arg in enumerate(node.args) if not arg.star),
        )
        added = self._meanings.outline.added.get(node)
        receiver = self._syntax.code(added.func.value) if added and isinstance(added.func, cst.Attribute) else ""
        yield self._use(
            UseKind.CALL,
            node,
            leaf,
            paths,
            call=given,
            at=node.func,
            names=_chained(node.func),
            outer=self._span(added) if added is not None else None,
            receiver="[" if node in self._meanings.outline.listed else receiver,
        )

    def _callee(self, node: cst.Call) -> Meanings:
        """What a call calls; of a class of the script what it inherits its constructor from."""
        found = self._meanings.of(node.func)
        if len(found) == 1 and isinstance(one := found[0], LocalClass) and not one.made:
            return () if "__init__" in one.source.outline.classes[one.node].methods else one.source.bases(one.node)
        return found

    def _key(self, node: cst.Subscript) -> Iterator[Use]:
        match node.slice:
            case [cst.SubscriptElement(slice=cst.Index(value=cst.SimpleString() as literal))]:
                key = literal.evaluated_value
                paths = _paths(self._meanings.of(node.value))
                if paths and isinstance(key, str):
                    yield self._use(UseKind.KEY, node, literal, paths, key=key, at=literal)
            case _:
                pass

    def _element(self, node: cst.Subscript | cst.Attribute) -> Iterator[Use]:
        """A column, by its key or as an attribute, of which an element is given a value."""
        outer = self._meanings.outline.elements.get(node)
        match node:
            case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=cst.SimpleString() as leaf))]):
                column = self._syntax.code(leaf)
            case cst.Attribute(attr=leaf) if leaf.value not in _NO_COLUMNS:
                column = f'"{leaf.value}"'
            case _:
                return
        made = self._made(node.value)
        if outer is None or not made or any(_LEAVES_TABLES in path for path in made):
            return
        paths = tuple(dict.fromkeys(path.partition("()")[0] for path in made))
        match outer.slice:
            case [cst.SubscriptElement(slice=cst.Index(value=given))]:
                index = self._syntax.code(given)
            case _:
                index = ""
        table = self._syntax.code(node.value)
        yield self._use(
            UseKind.ELEMENT, outer, node, paths, key=column, outer=self._span(outer), receiver=table, index=index
        )

    def _made(self, node: cst.BaseExpression) -> tuple[str, ...]:
        """The paths of what is made by a call of a package; none where any of it may be something else."""
        paths = _paths(self._meanings.of(node))
        return paths if all(path.endswith("()") for path in paths) else ()

    def _argument(self, arg: cst.Arg) -> GivenArgument:
        value = self._whole(arg.value)
        return GivenArgument(
            name=arg.keyword.value if arg.keyword is not None else "",
            span=self._argument_span(arg),
            keyword=self._span(arg.keyword) if arg.keyword is not None else None,
            value=self._syntax.between(value.start, value.end),
            value_span=value,
            meanings=_paths(self._meanings.of(arg.value)),
        )

    def _gap(self, call: cst.Call, index: int) -> SourceSpan:
        """From the end of the argument before it, or else up to the start of the one after it."""
        own = self._argument_span(call.args[index])
        if index > 0:
            return SourceSpan(start=self._whole(call.args[index - 1].value).end, end=own.end)
        if len(call.args) > 1:
            return SourceSpan(start=own.start, end=self._argument_span(call.args[1]).start)
        return own

    def _argument_span(self, arg: cst.Arg) -> SourceSpan:
        """From its keyword or star to the end of its value."""
        value = self._whole(arg.value)
        start = self._syntax.start(arg.keyword) if arg.keyword is not None else value.start - len(arg.star)
        return SourceSpan(start=start, end=value.end)

    def _whole(self, node: cst.BaseExpression) -> SourceSpan:
        """An expression with the parentheses around it."""
        start = self._syntax.start(node.lpar[0] if node.lpar else node)
        return SourceSpan(start=start, end=self._syntax.end(node.rpar[-1] if node.rpar else node))

    def _use(
        self,
        kind: UseKind,
        node: cst.CSTNode,
        leaf: cst.CSTNode,
        paths: tuple[str, ...],
        *,
        span: cst.CSTNode | None = None,
        at: cst.CSTNode | None = None,
        module: SourceSpan | None = None,
        call: GivenArguments | None = None,
        key: str = "",
        siblings: tuple[str, ...] = (),
        bound: str = "",
        names: int = 0,
        outer: SourceSpan | None = None,
        receiver: str = "",
        index: str = "",
    ) -> Use:
        place = self._meanings.outline.places[node]
        start = self._syntax.start(span or at or node)
        line, column = self._position(start if kind is UseKind.IMPORT else self._syntax.start(leaf))
        return Use(
            kind=kind,
            paths=paths,
            file=self._path,
            line=line,
            column=column,
            span=self._span(span or node),
            chain=self._span(span or at or node),
            leaf=self._span(leaf),
            text=self._syntax.code(span or at or node),
            guarded=place.guarded or self._is_unreached(place.function),
            call=call,
            key=key,
            statement=self._span(node),
            module=module,
            siblings=siblings,
            bound=bound,
            names=names,
            outer=outer,
            receiver=receiver,
            index=index,
        )

    def _is_unreached(self, function: cst.FunctionDef | cst.Lambda | None) -> bool:
        """True in a plain function whose name nothing reads."""
        return (
            isinstance(function, cst.FunctionDef)
            and function not in self._meanings.outline.owners
            and not function.decorators
            and function.name.value not in self._read
        )

    def _span(self, node: cst.CSTNode) -> SourceSpan:
        return SourceSpan(start=self._syntax.start(node), end=self._syntax.end(node))

    def _position(self, start: int) -> tuple[int, int]:
        """Line and column (in characters) of a place in the bytes, both from 1."""
        line = bisect_right(self._lines, start)
        return line, len(self._syntax.between(self._lines[line - 1], start)) + 1


def _line_starts(data: bytes) -> list[int]:
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts[:-1] if len(starts) > 1 else starts


def _paths(meanings: Iterable[object]) -> tuple[str, ...]:
    """The paths of what may be meant; none where any of it is no package's."""
    listed = list(meanings)
    return (
        tuple(one.path for one in listed if isinstance(one, External))
        if all(isinstance(one, External) for one in listed)
        else ()
    )


def _imported_path(alias: cst.ImportAlias, node: cst.Import | cst.ImportFrom) -> str | None:
    return bound_path(alias, node) if isinstance(node, cst.ImportFrom) else dotted(alias.name)


def _chained(node: cst.BaseExpression) -> int:
    """How many attributes a chain ends with."""
    count = 0
    while isinstance(node, cst.Attribute):
        node, count = node.value, count + 1
    return count
