"""What the expressions of a project mean, as far as its sources show: dotted paths of packages, and its own objects.

A path is written as it is reached: `keras.models.Sequential().fit().history` is an attribute of what `fit` of a new
`Sequential` returned. What a call gives is decided later, by the API of a release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import Assignment, ImportAssignment

from runner.check.outline import Outline
from runner.scripts.bindings import Bindings
from runner.scripts.syntax import aliases, bound_name, bound_path, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from libcst.metadata import BaseAssignment

    from runner.scripts.syntax import Syntax

_DEEPEST = 24
_MOST = 12


@dataclass(frozen=True, slots=True)
class External:
    """Something of a package, by the path on which it is reached."""

    path: str


@dataclass(frozen=True, slots=True, eq=False)
class LocalModule:
    """A module of the project, or a package of it, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class LocalFunction:
    """A function or method of the project."""

    source: SourceMeanings
    node: cst.FunctionDef


@dataclass(frozen=True, slots=True)
class LocalClass:
    """A class of the project, or (`made`) an object of it."""

    source: SourceMeanings
    node: cst.ClassDef
    made: bool = False
    above: bool = False
    """True for what `super()` gives: its own methods are not looked at."""


@dataclass(frozen=True, slots=True)
class NoMeaning:
    """None: a name that has it for now."""


Meaning = External | LocalModule | LocalFunction | LocalClass | NoMeaning
Meanings = tuple[Meaning, ...]
"""All that an expression may be; empty where that is not known."""


class SourceMeanings:
    """The meanings in one file of a project."""

    def __init__(self, syntax: Syntax, module: str, project: Mapping[str, SourceMeanings]) -> None:
        self.syntax = syntax
        self.module = module
        """Its dotted name."""
        self.outline = Outline(syntax.module)
        self._project = project
        self._bindings = Bindings(syntax)
        self._known: dict[cst.CSTNode, Meanings] = {}

    def of(self, node: cst.BaseExpression, depth: int = 0) -> Meanings:
        """The meanings of an expression."""
        if node not in self._known:
            self._known[node] = ()
            if depth < _DEEPEST:
                self._known[node] = _distinct(self._meanings(node, depth + 1))
        return self._known[node]

    def shared(self, name: str) -> Meanings:
        """The meanings of a name that the file binds for all."""
        found: list[Meaning] = []
        for assignment in self.syntax.shared.get(name, []):
            meanings = self._assigned(assignment, 1)
            if not meanings:
                return ()
            found += meanings
        return _distinct(found)

    def _meanings(self, node: cst.BaseExpression, depth: int) -> Iterable[Meaning]:  # noqa: PLR0911 - one a case
        match node:
            case cst.Name(value="None"):
                return (NoMeaning(),)
            case cst.Name():
                return self._named(node, depth)
            case cst.Attribute(value=value, attr=cst.Name(value=name)):
                return self._attributes(self.of(value, depth), name, depth)
            case cst.Call(func=cst.Name(value="super")):
                return self._super(node)
            case cst.Call(func=func):
                imported = self._bindings.import_call(node)
                if imported is not None:
                    return self._imported(imported.gives)
                return self._results(self.of(func, depth), depth)
            case cst.IfExp(body=body, orelse=orelse):
                return self._all((body, orelse), depth)
            case cst.NamedExpr(value=value) | cst.Await(expression=value):
                return self.of(value, depth)
            case _:
                return ()

    def _all(self, nodes: Iterable[cst.BaseExpression | None], depth: int) -> Iterable[Meaning]:
        """The meanings of several expressions; none where one of them is not known."""
        found: list[Meaning] = []
        for node in nodes:
            meanings = () if node is None else self.of(node, depth)
            if not meanings:
                return ()
            found += [one for one in meanings if not isinstance(one, NoMeaning)]
        return found

    def _named(self, node: cst.Name, depth: int) -> Iterable[Meaning]:
        assignments = self._in_force(node, self.syntax.seen_from(node, node.value))
        if not assignments and self._bindings.is_unbound(node):
            return tuple(External(f"{module}.{node.value}") for module in sorted(self.syntax.inventory.stars))
        found: list[Meaning] = []
        for assignment in assignments:
            meanings = self._assigned(assignment, depth)
            if not meanings:
                return ()
            found += meanings
        return found

    def _in_force(self, node: cst.Name, assignments: list[BaseAssignment]) -> list[BaseAssignment]:
        """The bindings that a name can have where it is read: from the last one on that surely came before it."""
        place = self.outline.places.get(node)
        if place is None or len(assignments) < 2:
            return assignments
        start = self.syntax.start(node)
        scope = self.syntax.scope(node)
        if any(one.scope is not scope or not isinstance(one, Assignment | ImportAssignment) for one in assignments):
            return assignments
        earlier = [one for one in assignments if isinstance(one, Assignment) and self._bound_at(one) < start]
        earlier.sort(key=self._bound_at)
        for index in range(len(earlier) - 1, -1, -1):
            where = self._block_of(earlier[index])
            if where == place.blocks[: len(where)]:
                return list(earlier[index:])
        return list(earlier) or assignments

    def _bound_at(self, assignment: Assignment) -> int:
        """Where a binding has been made: at the end of its statement."""
        statement = self.syntax.inventory.given.get(assignment.node)
        return self.syntax.end(statement if statement is not None else assignment.node)

    def _block_of(self, assignment: Assignment) -> tuple[int, ...]:
        place = self.outline.places.get(assignment.node)
        return place.blocks if place is not None else (-1,)

    def _assigned(self, assignment: BaseAssignment, depth: int) -> Iterable[Meaning]:  # noqa: PLR0911 - as above
        """The meanings that one binding gives to its name."""
        node = assignment.node if isinstance(assignment, Assignment | ImportAssignment) else None
        match node:
            case cst.Import() | cst.ImportFrom():
                paths = self._import_paths(node, assignment.name)
                return [one for path in paths for one in self._imported(path)]
            case cst.FunctionDef():
                return (LocalFunction(self, node),) if not node.decorators else ()
            case cst.ClassDef():
                return (LocalClass(self, node),)
            case cst.Param():
                return self._passed(node, depth)
            case cst.Name() if node in self.syntax.inventory.given:
                return self.of(self.syntax.inventory.given[node].value, depth)
            case cst.Name() if node in self.outline.managed:
                return self.of(self.outline.managed[node], depth)
            case _:
                return ()

    def _import_paths(self, node: cst.Import | cst.ImportFrom, name: str) -> list[str]:
        found = []
        for alias in aliases(node):
            if bound_name(alias, node) != name:
                continue
            path = bound_path(alias, node)
            if path is None and isinstance(node, cst.ImportFrom):
                path = self.absolute(len(node.relative), dotted(node.module) if node.module else "", dotted(alias.name))
            if path is not None:
                found.append(path)
        return found

    def absolute(self, level: int, module: str, name: str) -> str:
        """The dotted path of what a relative import names."""
        above = self.module.split(".")[: -level or None]
        return ".".join((*above, *([module] if module else []), name))

    def _imported(self, path: str) -> Meanings:
        """The meaning of an absolute dotted path: in the project where it has such a module, else in a package."""
        top = path.partition(".")[0]
        if not any(name == top or name.startswith(f"{top}.") for name in self._project):
            return (External(path),)
        names = path.split(".")
        for length in range(len(names), 0, -1):
            module = ".".join(names[:length])
            if module in self._project and length < len(names):
                meanings = self._project[module].shared(names[length])
                for name in names[length + 1 :]:
                    meanings = tuple(self._attributes(meanings, name, 1))
                return meanings
        return (LocalModule(path),)

    def _attributes(self, owners: Meanings, name: str, depth: int) -> Iterable[Meaning]:
        found: list[Meaning] = []
        for owner in owners:
            match owner:
                case External(path):
                    found.append(External(f"{path}.{name}"))
                case LocalModule(module):
                    inner = self._imported(f"{module}.{name}")
                    if not inner:
                        return ()
                    found += inner
                case LocalClass():
                    meanings = owner.source.attribute_of(owner, name, depth)
                    if not meanings:
                        return ()
                    found += meanings
                case NoMeaning():
                    pass
                case LocalFunction():
                    return ()
        return found

    def attribute_of(self, owner: LocalClass, name: str, depth: int) -> Iterable[Meaning]:
        """An attribute of a class of this file: its own, else that of what it inherits from."""
        outline = self.outline.classes[owner.node]
        if not owner.above:
            if name in outline.methods:
                method = outline.methods[name]
                if any(
                    isinstance(one.decorator, cst.Name) and one.decorator.value == "property"
                    for one in method.decorators
                ):
                    return self._all(self.outline.returns[method], depth)
                return (LocalFunction(self, method),)
            if name in outline.attributes:
                return self._all(outline.attributes[name], depth)
        found: list[Meaning] = []
        for base in self.bases(owner.node, depth):
            match base:
                case External(path):
                    found.append(External(f"{path}{'()' if owner.made else ''}.{name}"))
                case LocalClass():
                    found += base.source.attribute_of(LocalClass(base.source, base.node, owner.made), name, depth)
                case _:
                    return ()
        return found

    def bases(self, node: cst.ClassDef, depth: int = 0) -> Meanings:
        """What a class inherits from; empty where one of it is not known."""
        listed = [self.of(arg.value, depth) for arg in node.bases]
        known = [one for meanings in listed for one in meanings if one != External("object")]
        return () if any(not meanings for meanings in listed) or len(known) > len(listed) else tuple(known)

    def _super(self, node: cst.Call) -> Iterable[Meaning]:
        place = self.outline.places.get(node)
        return (LocalClass(self, place.owner, made=True, above=True),) if place and place.owner else ()

    def _results(self, functions: Meanings, depth: int) -> Iterable[Meaning]:
        """The meanings of what a call gives."""
        found: list[Meaning] = []
        for function in functions:
            match function:
                case External(path):
                    found.append(External(f"{path}()"))
                case LocalClass(source, node, made=False):
                    found.append(LocalClass(source, node, made=True))
                case LocalFunction(source, node):
                    meanings = tuple(source.returned(node, depth))
                    if not meanings:
                        return ()
                    found += meanings
                case _:
                    return ()
        return found

    def returned(self, node: cst.FunctionDef, depth: int) -> Iterable[Meaning]:
        """The meanings of what a function of this file returns."""
        return self._all(self.outline.returns[node], depth)

    def _passed(self, parameter: cst.Param, depth: int) -> Iterable[Meaning]:
        """The meanings of what a function is given for a parameter: `self`, or what all calls in this file pass."""
        function = self.outline.parameters.get(parameter)
        if function is None:
            return ()
        owner = self.outline.owners.get(function)
        positional = [*function.params.posonly_params, *function.params.params]
        index = positional.index(parameter) if parameter in positional else -1
        if owner is not None and index == 0:
            return (LocalClass(self, owner, made=True),)
        calls = self.outline.calls_by_name.get(function.name.value, [])
        passed = [_argument(call, parameter.name.value, index - (owner is not None)) for call in calls]
        given = [one if one is not None else parameter.default for one in passed]
        return self._all(given, depth) if calls else ()


def _argument(call: cst.Call, name: str, index: int) -> cst.BaseExpression | None:
    """What a call passes for a parameter; None where it does not."""
    if any(arg.star for arg in call.args):
        return None
    named = next((arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value == name), None)
    positional = [arg.value for arg in call.args if arg.keyword is None]
    return named if named is not None else positional[index] if 0 <= index < len(positional) else None


def _distinct(meanings: Iterable[Meaning]) -> Meanings:
    found = tuple(dict.fromkeys(meanings))
    known = tuple(one for one in found if not isinstance(one, NoMeaning)) or found
    return known if len(known) <= _MOST else ()
