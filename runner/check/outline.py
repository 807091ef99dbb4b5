"""The outline of one source file: its functions, classes, blocks and guards, as the meaning of its names needs them.

Made in one walk over the tree that `runner.scripts.syntax` reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Sequence

_CATCHES = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "TypeError", "ValueError", "Exception"})
_ASKS_FOR_A_VERSION = re.compile(
    r"version|hasattr|TYPE_CHECKING|\bpy[23]\b|python[23]|\bis_?tf|tf_?2|backend\(\)|find_spec|is_gpu_available|image_data_format"
    r"|image_dim_ordering|executing_eagerly",
    re.IGNORECASE,
)
"""What a test mentions that asks which world the script is in."""
_LEAVES = (
    cst.BaseParenthesizableWhitespace,
    cst.AssignEqual,
    cst.Comma,
    cst.Comment,
    cst.Dot,
    cst.EmptyLine,
    cst.Float,
    cst.Integer,
    cst.Newline,
    cst.TrailingWhitespace,
)
"""Nodes in which nothing is named."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where a node stands: in which blocks, function and class."""

    blocks: tuple[int, ...]
    function: cst.FunctionDef | cst.Lambda | None
    owner: cst.ClassDef | None
    guarded: bool
    """True where the script itself asks first, or is prepared for it to fail."""


@dataclass(kw_only=True)
class ClassOutline:
    """A class of the script: its methods, and what is given to the attributes of its objects."""

    methods: dict[str, cst.FunctionDef] = field(default_factory=dict)
    attributes: dict[str, list[cst.BaseExpression | None]] = field(default_factory=dict)
    """By name, the right sides of `self.name = …`, and of `name = …` in its body; None for any other binding."""


class Outline(cst.CSTVisitor):
    """The result of the walk."""

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self.places: dict[cst.CSTNode, Place] = {}
        """Of every name, attribute, call, subscript and import."""
        self.uses: list[cst.CSTNode] = []
        """Calls, subscripts, imports and the outermost attributes, in the order of the file."""
        self.returns: dict[cst.FunctionDef, list[cst.BaseExpression | None]] = {}
        self.owners: dict[cst.FunctionDef, cst.ClassDef] = {}
        """The class of each method."""
        self.parameters: dict[cst.Param, cst.FunctionDef] = {}
        self.classes: dict[cst.ClassDef, ClassOutline] = {}
        self.managed: dict[cst.CSTNode, cst.BaseExpression] = {}
        """For each name that `with … as name` binds, what is entered."""
        self.read: set[str] = set()
        """The names that are read anywhere, attributes too."""
        self.calls_by_name: dict[str, list[cst.Call]] = {}
        """The calls of plain names and of attributes, by their last name."""
        self.added: dict[cst.Call, cst.Call] = {}
        """For each call that is the only argument of `x.add(…)`, that call."""
        self.elements: dict[cst.CSTNode, cst.Subscript] = {}
        """What is subscripted where an element of it is given a value (`t["a"]` of `t["a"][i] = 1`): that subscript."""
        self.listed: set[cst.CSTNode] = set()
        """The calls that are elements of lists."""
        self.words: set[str] = set()
        """The words of the file: its names, attributes, keywords and texts."""
        self._module = module
        self._blocks: list[int] = []
        self._functions: list[cst.FunctionDef | cst.Lambda] = []
        self._owners: list[cst.ClassDef | None] = [None]
        self._guards = 0
        self._number = 0
        self._inner: set[cst.CSTNode] = set()
        """Attributes that are part of a longer chain, are called, or are given a value."""
        self._defining: set[cst.CSTNode] = set()
        """The names that `def` gives."""
        self._guarding: set[cst.CSTNode] = set()
        self._transparent: set[cst.CSTNode] = set()
        self._version_names: set[str] = set()
        """Names that were given the answer of such a test."""
        module.visit(self)

    def on_visit(self, node: cst.CSTNode) -> bool:  # noqa: C901, PLR0912 - one branch a kind of node
        """Take up a node before what is in it."""
        self._guards += node in self._guarding
        if isinstance(node, _LEAVES):
            return False
        self._place(node)
        match node:
            case cst.FunctionDef():
                self._enter_function(node)
            case cst.Lambda():
                self._functions.append(node)
            case cst.ClassDef():
                self.classes[node] = ClassOutline()
                self._owners.append(node)
            case cst.IndentedBlock() | cst.SimpleStatementSuite() if node not in self._transparent:
                self._number += 1
                self._blocks.append(self._number)
            case cst.With(body=body, items=items):
                self._transparent.add(body)
                self.managed.update(
                    (item.asname.name, item.item)
                    for item in items
                    if item.asname and isinstance(item.asname.name, cst.Name)
                )
            case cst.Try(body=body, handlers=handlers) if any(_catches(one) for one in handlers):
                self._guarding.update((body, *(one.body for one in handlers)))
            case cst.If(test=test) if self._asks(test):
                self._guarding.update((node.body, *([node.orelse] if node.orelse is not None else [])))
            case cst.IfExp(test=test) if self._asks(test):
                self._guarding.update((node.body, node.orelse))
            case cst.BooleanOperation(left=left) if self._asks(left):
                self._guarding.add(node.right)
            case cst.Assign(targets=targets, value=value):
                self._assigned(targets, value)
            case cst.Call(func=cst.Attribute(attr=cst.Name(value="add")), args=[cst.Arg(value=cst.Call() as inner)]):
                self.added[inner] = node
            case cst.List(elements=elements):
                self.listed.update(one.value for one in elements)
            case cst.SimpleString() if isinstance(text := node.evaluated_value, str):
                self.words.add(text)
            case cst.Return(value=value) if self._functions and isinstance(self._functions[-1], cst.FunctionDef):
                self.returns[self._functions[-1]].append(value)
            case _:
                pass
        return not isinstance(node, cst.Name | cst.SimpleString)

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Close a node."""
        node = original_node
        self._guards -= node in self._guarding
        match node:
            case cst.FunctionDef():
                self._functions.pop()
                self._owners.pop()
            case cst.Lambda():
                self._functions.pop()
            case cst.ClassDef():
                self._owners.pop()
            case cst.IndentedBlock() | cst.SimpleStatementSuite() if node not in self._transparent:
                self._blocks.pop()
            case _:
                pass

    def _place(self, node: cst.CSTNode) -> None:
        match node:
            case cst.Attribute(value=value):
                if isinstance(value, cst.Attribute):
                    self._inner.add(value)
                if node not in self._inner:
                    self.uses.append(node)
                self.read.add(node.attr.value)
            case cst.AssignTarget(target=target) | cst.AugAssign(target=target):
                self._written(target)
                return
            case cst.Call(func=func):
                self.uses.append(node)
                if isinstance(func, cst.Name | cst.Attribute):
                    self._inner.add(func)
                    name = func.value if isinstance(func, cst.Name) else func.attr.value
                    self.calls_by_name.setdefault(name, []).append(node)
            case cst.Subscript() | cst.Import() | cst.ImportFrom():
                self.uses.append(node)
            case cst.Name(value=name):
                self.words.add(name)
                if node not in self._defining:
                    self.read.add(name)
            case _:
                return
        self.places[node] = Place(
            blocks=tuple(self._blocks),
            function=self._functions[-1] if self._functions else None,
            owner=next((one for one in reversed(self._owners) if one is not None), None),
            guarded=self._guards > 0,
        )

    def _written(self, target: cst.BaseExpression) -> None:
        match target:
            case cst.Attribute():
                self._inner.add(target)
            case cst.Subscript(value=value):
                self.elements[value] = target
            case _:
                pass

    def _enter_function(self, node: cst.FunctionDef) -> None:
        self._defining.add(node.name)
        owner = self._owners[-1]
        if owner is not None:
            self.owners[node] = owner
            self.classes[owner].methods[node.name.value] = node
        self._functions.append(node)
        self._owners.append(None)
        self.returns[node] = []
        parameters = node.params
        for parameter in (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params):
            self.parameters[parameter] = node

    def _assigned(self, targets: Sequence[cst.AssignTarget], value: cst.BaseExpression) -> None:
        for target in (one.target for one in targets):
            self._give(target, value)

    def _give(self, target: cst.BaseExpression, value: cst.BaseExpression | None) -> None:
        match target:
            case cst.Name(value=name):
                if value is not None and self._asks(value) and not isinstance(value, cst.Call):
                    self._version_names.add(name)
                if (owner := self._owners[-1]) is not None:
                    self.classes[owner].attributes.setdefault(name, []).append(value)
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
                owner = next((one for one in reversed(self._owners) if one is not None), None)
                if owner is not None:
                    self.classes[owner].attributes.setdefault(name, []).append(value)
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                for element in elements:
                    self._give(element.value, None)
            case _:
                pass

    def _asks(self, test: cst.BaseExpression) -> bool:
        text = self._module.code_for_node(test)
        return bool(_ASKS_FOR_A_VERSION.search(text)) or text in self._version_names


def _catches(handler: cst.ExceptHandler) -> bool:
    """True where a handler catches what a name or argument that is not there raises."""
    if handler.type is None:
        return True
    types = handler.type
    listed = [element.value for element in types.elements] if isinstance(types, cst.Tuple) else [types]
    return any(isinstance(one, cst.Name) and one.value in _CATCHES for one in listed)
