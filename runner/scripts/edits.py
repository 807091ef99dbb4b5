"""Edits of a source file that a person would make by hand: lines among the imports, an argument of a call, a name.

Each function takes a file's text and gives the edits, none where there is nothing to edit or the file is not Python 3.
What is not edited stays as it is, to the byte.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import libcst as cst
import libcst.matchers as m

from runner.scripts.added_lines import FRAMEWORKS, keras_name, with_names_of
from runner.scripts.bindings import Bindings
from runner.scripts.source import Edit, NotRewritableError
from runner.scripts.syntax import aliases, dotted, syntax_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from runner.scripts.syntax import Syntax

_IDENTIFIERS = {"optimizer": "optimizers", "loss": "losses"}
"""Arguments that take a class by its name, and the module of Keras that has it."""
_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A file with its names resolved."""

    syntax: Syntax
    bindings: Bindings

    @property
    def calls(self) -> Iterator[cst.Call]:
        """Every call, in the order of the file."""
        found = (node for node in m.findall(self.syntax.module, m.Call()) if isinstance(node, cst.Call))
        return iter(sorted(found, key=self.syntax.start))

    def paths(self, node: cst.BaseExpression) -> frozenset[str]:
        """The dotted paths that an expression may be; none where that is not known."""
        chain = self.bindings.chain(node)
        if chain is None:
            return frozenset()
        return frozenset(".".join((one.path, *chain.names)) for one in self.bindings.bound(chain.base).bindings)

    def is_of_framework(self, node: cst.BaseExpression, name: str) -> bool:
        """True where an expression is, by its last name, this class or function, and not one of the user's own."""
        written = _last_name(node)
        paths = self.paths(node)
        if paths:
            return any(path.rpartition(".")[2] == name and path.partition(".")[0] in FRAMEWORKS for path in paths)
        own = isinstance(node, cst.Name) and not self.bindings.is_unbound(node)
        return written == name and not own


@lru_cache(maxsize=32)
def _source(text: str, path: str) -> _Source | None:
    try:
        syntax = syntax_of(text, path)
    except NotRewritableError:
        return None
    return _Source(syntax=syntax, bindings=Bindings(syntax))


# -- arguments -----------------------------------------------------------------------------------------------------


def with_argument(
    text: str, path: str, class_name: str, key: str, value: str, *, older: Collection[str] = ()
) -> list[Edit]:
    """Give every call of a class an argument where it goes by the default, and its present name where it has an older.

    `value` is source. A class that an argument names by a text, such as `optimizer="adadelta"`, becomes a call.
    """
    source = _source(text, path)
    if source is None:
        return []
    value, needed = with_names_of(text, value) if value.startswith("keras.") else (value, [])
    edits = []
    for call in source.calls:
        if source.is_of_framework(call.func, class_name):
            edits += _argument_edits(call, key, value, older, source.syntax)
    edits += _named_by_text(source, text, class_name, f"{key}={value}")
    return [*edits, *needed] if edits else []


def with_call_argument(text: str, path: str, callee: str, key: str, value: str) -> list[Edit]:
    """Give every call of a method (`compile`), a class or the classes of a module (`torch.optim`) this argument."""
    source = _source(text, path)
    if source is None:
        return []
    found = [call for call in source.calls if _is_call_of(source, call, callee)]
    given = [arg for call in found for arg in call.args if arg.keyword is not None and arg.keyword.value == key]
    added = [edit for call in found for edit in _argument_edits(call, key, value, (), source.syntax)]
    return [*added, *(source.syntax.replacement(arg.value, value) for arg in given)]


def _is_call_of(source: _Source, call: cst.Call, callee: str) -> bool:
    if "." in callee:
        return any(
            path.rpartition(".")[0] == callee and path.rpartition(".")[2][0].isupper()
            for path in source.paths(call.func)
        )
    if callee[0].isupper():
        return source.is_of_framework(call.func, callee)
    is_method = isinstance(call.func, cst.Attribute) and call.func.attr.value == callee
    return is_method and not source.paths(call.func)


def taken_from(text: str, path: str, module: str, names: Collection[str]) -> list[Edit]:
    """Take classes of Keras from another module: `keras.optimizers.SGD` from `keras.optimizers.legacy`."""
    source = _source(text, path)
    if source is None:
        return []
    above, _, inner = module.rpartition(".")
    edits = [
        Edit(start=source.syntax.start(node.attr), end=source.syntax.start(node.attr), text=f"{inner}.")
        for node in m.findall(source.syntax.module, m.Attribute())
        if isinstance(node, cst.Attribute)
        and any(path.endswith(f"{above}.{node.attr.value}") and node.attr.value in names for path in source.paths(node))
    ]
    for node in m.findall(source.syntax.module, m.ImportFrom()):
        if (
            isinstance(node, cst.ImportFrom)
            and node.module is not None
            and source.syntax.code(node.module).endswith(above)
        ):
            imported = {source.syntax.code(alias.name) for alias in aliases(node)}
            end = source.syntax.end(node.module)
            edits += [Edit(start=end, end=end, text=f".{inner}")] if imported and imported <= set(names) else []
    for name in names:
        edits += _named_by_text(source, text, name, "", inner=inner)
    return list(dict.fromkeys(edits))


def positional(text: str, path: str, line: int, key: str) -> list[Edit]:
    """Give the first argument of a call in a line without its name: `SGD(lr=0.1)` becomes `SGD(0.1)`."""
    source = _source(text, path)
    for call in source.calls if source is not None else ():
        first = call.args[0] if call.args else None
        if first is None or first.keyword is None or first.keyword.value != key:
            continue
        if source is not None and source.syntax.line(source.syntax.start(first)) == line:
            return [Edit(start=source.syntax.start(first), end=source.syntax.start(first.value), text="")]
    return []


def renamed_argument(text: str, path: str, callee: str, key: str, new: str) -> list[Edit]:
    """Give an argument of every call of a class, function or method another name."""
    source = _source(text, path)
    if source is None:
        return []
    named = [
        arg.keyword
        for call in source.calls
        for arg in call.args
        if arg.keyword is not None and arg.keyword.value == key and _last_name(call.func) == callee
    ]
    return [source.syntax.replacement(keyword, new) for keyword in named]


def without_argument(text: str, path: str, callee: str, key: str) -> list[Edit]:
    """Leave an argument out of every call of a class, function or method."""
    source = _source(text, path)
    if source is None:
        return []
    edits = []
    for call in source.calls:
        for place, arg in enumerate(call.args):
            if arg.keyword is not None and arg.keyword.value == key and _last_name(call.func) == callee:
                start, end = source.syntax.start(arg), source.syntax.end(arg)
                if place + 1 < len(call.args):
                    end = source.syntax.start(call.args[place + 1])
                elif place:
                    start = source.syntax.end(call.args[place - 1])
                edits.append(Edit(start=start, end=end, text=""))
    return edits


def _last_name(node: cst.BaseExpression) -> str:
    """The name by which something is called: `fit` of `model.fit`."""
    return node.attr.value if isinstance(node, cst.Attribute) else str(getattr(node, "value", ""))


def _argument_edits(call: cst.Call, key: str, value: str, older: Collection[str], syntax: Syntax) -> list[Edit]:
    """The argument added to one call, or renamed in it; none where the call has it, or may have it in `**kwargs`."""
    named = {arg.keyword.value: arg.keyword for arg in call.args if arg.keyword is not None}
    if key in named or any(arg.star == "**" for arg in call.args):
        return []
    for old in older:
        if old in named:
            return [syntax.replacement(named[old], key)]
    if call.args:
        end = syntax.end(call.args[-1])
        return [Edit(start=end, end=end, text=f", {key}={value}")]
    end = syntax.end(call) - 1
    return [Edit(start=end, end=end, text=f"{key}={value}")]


def _named_by_text(source: _Source, text: str, class_name: str, argument: str, *, inner: str = "") -> list[Edit]:
    """`optimizer="adadelta"` as `optimizer=keras.optimizers.Adadelta(…)`, by the name that the script has for Keras."""
    edits = []
    for call in source.calls:
        for arg in call.args:
            module = _module_of(call, arg)
            if module and isinstance(arg.value, cst.SimpleString) and _is_named(arg.value, class_name):
                below = f"{module}.{inner}" if inner else module
                reference, needed = keras_name(text, f"{below}.{class_name}")
                edits.append(source.syntax.replacement(arg.value, f"{reference}({argument})"))
                edits += needed
    return list(dict.fromkeys(edits))


def _module_of(call: cst.Call, arg: cst.Arg) -> str:
    """The module of Keras whose class an argument may name by a text; "" for other arguments."""
    if arg.keyword is None:
        first = call.args[0] is arg and isinstance(call.func, cst.Attribute) and call.func.attr.value == "compile"
        return "optimizers" if first else ""
    name = arg.keyword.value
    kind = name.rpartition("_")[2]
    return _IDENTIFIERS.get(name) or (f"{kind}s" if kind in {"initializer", "regularizer", "constraint"} else "")


def _is_named(literal: cst.SimpleString, class_name: str) -> bool:
    value = literal.evaluated_value
    return isinstance(value, str) and _WORDS.sub("", value.lower()) == class_name.lower()


# -- names -----------------------------------------------------------------------------------------------------------


def replaced_name(text: str, path: str, owner: str, name: str, template: str) -> list[Edit]:
    """Put something else in the place of an attribute that is gone, wherever the file uses it.

    `template` is source: another name of the same owner (`infer`), or what stands for the whole expression (`bool`,
    `np.argmax(model.predict(x), axis=-1)`, in which `model` and `x` are what the call is made on and with).
    """
    source = _source(text, path)
    if source is None:
        return []
    template, needed = (template, []) if template.isidentifier() else with_names_of(text, template)
    edits: list[Edit] = []
    calls = {call.func: call for call in source.calls}
    for node in m.findall(source.syntax.module, m.Attribute(attr=m.Name(name))):
        if isinstance(node, cst.Attribute) and _may_be(source, node, owner, name):
            made = _written(source.syntax, node, calls.get(node), template)
            if made is None:
                return []
            edits.append(made)
    edits += _imported_otherwise(source, owner, name, template)
    return [*edits, *needed] if edits else []


def _imported_otherwise(source: _Source, owner: str, name: str, new: str) -> list[Edit]:
    """`from owner import name` as `from owner import new as name`."""
    found = [
        alias
        for node in m.findall(source.syntax.module, m.ImportFrom(module=m.DoNotCare()))
        if isinstance(node, cst.ImportFrom) and node.module is not None and dotted(node.module) == owner
        for alias in aliases(node)
        if source.syntax.code(alias.name) == name
    ]
    if not new.isidentifier():
        return []
    return [
        source.syntax.replacement(alias.name, new if alias.asname is not None else f"{new} as {name}")
        for alias in found
    ]


def _may_be(source: _Source, node: cst.Attribute, owner: str, name: str) -> bool:
    """True where an attribute may be the one of a module, or of an object of a class that the file does not show."""
    paths = source.paths(node)
    if not paths:
        return owner.partition(".")[0] not in FRAMEWORKS or "." not in owner
    return any(path == f"{owner}.{name}" or path.endswith(f".{owner}.{name}") for path in paths)


def _written(syntax: Syntax, node: cst.Attribute, call: cst.Call | None, template: str) -> Edit | None:
    """One use written otherwise; None where the template needs a call and there is none."""
    if template.isidentifier() and template not in vars(builtins):
        return syntax.replacement(node.attr, template)
    tree = ast.parse(template, mode="eval").body
    names = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}
    if not names & {"model", "x"}:
        return syntax.replacement(node, template)
    if call is None or not call.args or call.args[0].keyword is not None:
        return None
    given = {
        "model": syntax.code(node.value),
        "x": syntax.between(syntax.start(call.args[0]), syntax.end(call.args[-1])),
    }
    text = re.sub(r"(?<![\w.])(model|x)(?!\w)", lambda found: given[found[1]], template)
    return Edit(start=syntax.start(call), end=syntax.end(call), text=text)
