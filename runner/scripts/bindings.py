"""The meaning of each name in a source file: scope analysis over imports, and over names given to what is imported.

Takes a name or a call of `import_module`, gives the dotted paths that it may be, and whether it may be anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import Assignment, BuiltinAssignment, ImportAssignment

from runner.scripts.syntax import aliases, bound_name, bound_path

if TYPE_CHECKING:
    from libcst.metadata import BaseAssignment

    from runner.scripts.syntax import Syntax


@dataclass(frozen=True, kw_only=True, slots=True)
class NameChain:
    """A name, or a call that imports, with the attributes that are taken from it: `tf`, then `keras`, then `layers`."""

    base: cst.Name | cst.Call
    attributes: tuple[cst.Attribute, ...]
    """The innermost first."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the attributes."""
        return tuple(attribute.attr.value for attribute in self.attributes)


@dataclass(frozen=True, kw_only=True)
class NameBinding:
    """One statement that gives a name its meaning, or the call that is meant itself."""

    path: str
    statement: cst.BaseSmallStatement | cst.Call
    assignment: BaseAssignment | None = None


@dataclass(frozen=True, kw_only=True)
class Bound:
    """All bindings of a name that are known; `certain` where there are no others."""

    bindings: tuple[NameBinding, ...] = ()
    certain: bool = True


@dataclass(frozen=True, kw_only=True)
class ImportCall:
    """A call that imports by a literal name. Not `whole`: what comes back is the first package of the name."""

    call: cst.Call
    literal: cst.SimpleString
    name: str
    whole: bool

    @property
    def gives(self) -> str:
        """The dotted path of what comes back."""
        return self.name if self.whole else self.name.partition(".")[0]


class Bindings:
    """The meanings of the names of one file."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self._known: dict[BaseAssignment, Bound] = {}

    def chain(self, node: cst.BaseExpression) -> NameChain | None:
        """The chain of names that an expression is; None where it is something else."""
        attributes: list[cst.Attribute] = []
        while isinstance(node, cst.Attribute):
            attributes.insert(0, node)
            node = node.value
        if isinstance(node, cst.Name) or (isinstance(node, cst.Call) and self.import_call(node)):
            return NameChain(base=node, attributes=tuple(attributes))
        return None

    def bound(self, base: cst.Name | cst.Call) -> Bound:
        """The meaning of a name, or of a call that imports, where it is used."""
        if isinstance(base, cst.Call):
            call = self.import_call(base)
            return Bound(bindings=(NameBinding(path=call.gives, statement=base),)) if call else Bound(certain=False)
        found = [self._bound_by(assignment) for assignment in self._syntax.seen_from(base, base.value)]
        certain = base.value not in self._syntax.inventory.captured and all(one.certain for one in found)
        return Bound(
            bindings=tuple(binding for one in found for binding in one.bindings), certain=certain and bool(found)
        )

    def import_call(self, call: cst.Call) -> ImportCall | None:
        """The call as one that imports by a literal name; None where it is none."""
        if not call.args or not isinstance(call.args[0].value, cst.SimpleString):
            return None
        literal = call.args[0].value
        name = literal.evaluated_value
        if not isinstance(name, str) or name.startswith(".") or f"{literal.quote}{name}" not in literal.value:
            return None
        function = self.import_function(call)
        whole = function == "importlib.import_module" or _names_what_it_wants(call)
        return ImportCall(call=call, literal=literal, name=name, whole=whole) if function else None

    def import_function(self, call: cst.Call) -> str | None:
        """`importlib.import_module` or `__import__` where a call is one of it."""
        function = self.chain(call.func) if not isinstance(call.func, cst.Call) else None
        if function is None or isinstance(function.base, cst.Call):
            return None
        known = self._syntax.seen_from(function.base, function.base.value)
        if function.base.value == "__import__" and not function.names:
            return "__import__" if all(isinstance(one, BuiltinAssignment) for one in known) else None
        imported = [_imported(one) if isinstance(one, ImportAssignment) else Bound(certain=False) for one in known]
        paths = {".".join((binding.path, *function.names)) for one in imported for binding in one.bindings}
        certain = all(one.certain for one in imported)
        return "importlib.import_module" if certain and paths == {"importlib.import_module"} else None

    def is_unbound(self, name: cst.Name) -> bool:
        """True where nothing in the file binds a name: it comes from a `from … import *`, or is an error."""
        return not self._syntax.seen_from(name, name.value)

    def _bound_by(self, assignment: BaseAssignment) -> Bound:
        """The meaning that one binding gives to its name; nothing that is certain where it needs itself for that."""
        if assignment not in self._known:
            self._known[assignment] = Bound(certain=False)
            if isinstance(assignment, ImportAssignment):
                self._known[assignment] = _imported(assignment)
            elif isinstance(assignment, Assignment):
                self._known[assignment] = self._given(assignment)
        return self._known[assignment]

    def _given(self, assignment: Assignment) -> Bound:
        """The meaning that `name = …` gives: none for None, else that of the names and imports on its right side."""
        statement = self._syntax.inventory.given.get(assignment.node)
        if statement is None:
            return Bound(certain=False)
        if isinstance(statement.value, cst.Name) and statement.value.value == "None":
            return Bound()
        chain = self.chain(statement.value)
        bound = self.bound(chain.base) if chain is not None else Bound(certain=False)
        if chain is None or not bound.certain:
            return Bound(certain=False)
        bindings = (
            NameBinding(path=".".join((one.path, *chain.names)), statement=statement, assignment=assignment)
            for one in bound.bindings
        )
        return Bound(bindings=tuple(bindings))


def _imported(assignment: ImportAssignment) -> Bound:
    """The meaning that an import gives to its name."""
    statement = assignment.node
    if not isinstance(statement, cst.Import | cst.ImportFrom):
        return Bound(certain=False)
    named = (alias for alias in aliases(statement) if bound_name(alias, statement) == assignment.name)
    paths = {bound_path(alias, statement) for alias in named}
    known = sorted(path for path in paths if path is not None)
    bindings = tuple(NameBinding(path=path, statement=statement, assignment=assignment) for path in known)
    return Bound(bindings=bindings, certain=None not in paths)


def _names_what_it_wants(call: cst.Call) -> bool:
    """True where `__import__` is given names to import from the module, so that it returns the module itself."""
    given = [arg.value for place, arg in enumerate(call.args) if place == 3 and arg.keyword is None]
    given += [arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value == "fromlist"]
    return any(isinstance(value, cst.List | cst.Tuple) and value.elements for value in given)
