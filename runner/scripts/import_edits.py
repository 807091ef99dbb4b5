"""Imports in another flavour: `import keras` becomes `from tensorflow import keras`, and every name stays bound.

The names that a statement binds, its comments and its lines are kept; a name from another package is imported on the
same line. Calls that import by a literal name are imports too: `importlib.import_module("keras")`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst
import libcst.matchers as m

from runner.scripts.counterparts import NoCounterpart
from runner.scripts.source import Edit
from runner.scripts.syntax import LeftAlone, SourceChange, bound_name, dotted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.scripts.bindings import Bindings, ImportCall
    from runner.scripts.counterparts import Counterparts
    from runner.scripts.syntax import Syntax


@dataclass(frozen=True, kw_only=True, slots=True)
class _Import:
    """One name of a `from … import`: its package (empty where it is a package itself), and what it is bound to."""

    alias: cst.ImportAlias
    package: str
    name: str
    bound: str

    @property
    def code(self) -> str:
        return _as(self.name, self.bound)


def import_change(node: cst.Import, syntax: Syntax, to: Counterparts) -> SourceChange:
    """The change to an `import` statement."""
    edits: list[Edit] = []
    left: list[LeftAlone] = []
    for alias in node.names:
        found = to.of(dotted(alias.name), module=True)
        if isinstance(found, NoCounterpart):
            left.append(LeftAlone(start=syntax.start(alias), use=dotted(alias.name), reason=found.reason))
        package, bound = _package(alias, found, to), bound_name(alias, node)
        if package is None:
            continue
        if package == "tensorflow.keras" and len(node.names) == 1:
            edits += statement_replaced(node, f"from tensorflow import {_as('keras', bound)}", syntax)
        else:
            edits.append(syntax.replacement(alias, _as(package, bound)))
    return SourceChange(edits=tuple(edits), left_alone=tuple(left))


def _package(alias: cst.ImportAlias, found: str | NoCounterpart, to: Counterparts) -> str | None:
    """The package that an `import` names instead; None where it stays."""
    written = dotted(alias.name)
    if alias.asname is not None:
        return found if found != written and isinstance(found, str) else None
    top = written.partition(".")[0]
    if to.place(top) is None:  # binds `tensorflow`: a Keras below it is imported where it is used
        return top if found != written and isinstance(found, str) else None
    root = to.of(top)
    return root if root != top and isinstance(root, str) else None


def from_change(node: cst.ImportFrom, syntax: Syntax, to: Counterparts) -> SourceChange:
    """The change to a `from … import` statement."""
    if node.relative or node.module is None:
        return SourceChange()
    written = dotted(node.module)
    if isinstance(node.names, cst.ImportStar):
        return _star_change(node, node.module, syntax, to)
    imports: list[_Import] = []
    left: list[LeftAlone] = []
    for alias in node.names:
        path = f"{written}.{dotted(alias.name)}"
        found = to.of(path)
        if isinstance(found, NoCounterpart):
            left.append(LeftAlone(start=syntax.start(alias), use=path, reason=found.reason))
            found = path
        package, _, name = found.rpartition(".")
        imports.append(_Import(alias=alias, package=package, name=name, bound=bound_name(alias, node)))
    packages = Counter(one.package for one in imports if one.package)
    if not packages:
        return SourceChange(edits=tuple(statement_replaced(node, _statements(imports), syntax)), left_alone=tuple(left))
    preferred = to.of(written)
    stays = preferred if isinstance(preferred, str) and preferred in packages else packages.most_common(1)[0][0]
    edits = [] if stays == written else [syntax.replacement(node.module, stays)]
    edits += [
        syntax.replacement(one.alias, one.code)
        for one in imports
        if one.package == stays and one.name != dotted(one.alias.name)
    ]
    moved = [one for one in imports if one.package != stays]
    if moved:
        edits.append(Edit(start=syntax.start(node), end=syntax.start(node), text=f"{_statements(moved)}; "))
        edits += _without([one.alias for one in moved], node, node.names, syntax)
    return SourceChange(edits=tuple(edits), left_alone=tuple(left))


def _star_change(node: cst.ImportFrom, module: cst.BaseExpression, syntax: Syntax, to: Counterparts) -> SourceChange:
    written = dotted(module)
    found = to.of(written, module=True)
    if isinstance(found, NoCounterpart):
        return SourceChange(left_alone=(LeftAlone(start=syntax.start(node), use=f"{written}.*", reason=found.reason),))
    return SourceChange(edits=(syntax.replacement(module, found),)) if found != written else SourceChange()


def _statements(imports: Sequence[_Import]) -> str:
    """Imports as statements on one line, one for each package."""
    grouped: dict[str, list[_Import]] = {}
    for one in imports:
        grouped.setdefault(one.package or one.code, []).append(one)
    return "; ".join(
        f"from {package} import {', '.join(one.code for one in group)}" if group[0].package else f"import {package}"
        for package, group in grouped.items()
    )


def _as(name: str, bound: str) -> str:
    return name if name == bound else f"{name} as {bound}"


def _without(
    gone: Sequence[cst.ImportAlias], node: cst.ImportFrom, among: Sequence[cst.ImportAlias], syntax: Syntax
) -> list[Edit]:
    """Take names out of a list of imported ones, which keeps its lines and its comments."""
    edits = []
    for place, alias in enumerate(among):
        comma = alias.comma if isinstance(alias.comma, cst.Comma) else None
        dangling = comma is not None and node.lpar is None and all(later in gone for later in among[place + 1 :])
        start = syntax.start(alias) if alias in gone else syntax.end(alias)
        if alias in gone and comma is None:
            edits.append(syntax.replacement(alias, ""))
        elif comma is not None and (alias in gone or dangling):
            edits.append(Edit(start=start, end=syntax.end(comma) + _space_after(comma), text=""))
    return edits


def _space_after(comma: cst.Comma) -> int:
    """The number of bytes of space that follow a comma in its own line."""
    space = comma.whitespace_after
    return len(space.value) if isinstance(space, cst.SimpleWhitespace) and "\n" not in space.value else 0


def statement_replaced(node: cst.BaseSmallStatement, text: str, syntax: Syntax) -> list[Edit]:
    """A statement written otherwise, on one line; the lines and the comments that it had follow that line."""
    edits = [syntax.replacement(node, text)]
    code = syntax.code(node)
    if "\n" in code:
        comments: dict[int, list[str]] = {}
        for comment in m.findall(node, m.Comment()):
            row = syntax.line(syntax.start(comment)) - syntax.line(syntax.start(node))
            comments.setdefault(max(row, 1), []).append(syntax.code(comment))
        newline = "\r\n" if "\r\n" in code else "\n"
        rows = [newline + " ".join(comments.get(row, [])) for row in range(1, code.count("\n") + 1)]
        place = syntax.start(syntax.inventory.lines[node].trailing_whitespace.newline)
        edits.append(Edit(start=place, end=place, text="".join(rows)))
    return edits


_KERAS_IN_STRING = re.compile(r"""["'](keras|tf_keras|tensorflow(?:\.\w+)*\.keras)\b""")


def call_change(call: cst.Call, syntax: Syntax, bindings: Bindings, to: Counterparts) -> SourceChange:
    """The change to a call; none where it imports no Keras."""
    found = bindings.import_call(call)
    if found is not None:
        return _literal_change(found, syntax, to)
    if bindings.import_function(call) is None:
        return SourceChange()
    code = " ".join(syntax.code(call).split())
    put_together = _KERAS_IN_STRING.search(code)
    if put_together is None or to.of(put_together[1]) == put_together[1]:
        return SourceChange()
    return SourceChange(left_alone=(LeftAlone(start=syntax.start(call), use=code, reason="no single literal name"),))


def _literal_change(call: ImportCall, syntax: Syntax, to: Counterparts) -> SourceChange:
    found = to.of(call.name, module=True)
    if found == call.name:
        return SourceChange()
    left = (
        (LeftAlone(start=syntax.start(call.call), use=call.name, reason=found.reason),)
        if isinstance(found, NoCounterpart)
        else ()
    )
    name = _imported(call, found, to)
    if name is None:
        return SourceChange(left_alone=left)
    if call.whole or name != "tensorflow.keras":
        return SourceChange(edits=(_renamed(call, name, syntax),), left_alone=left)
    end = syntax.end(call.call)  # `__import__` returns the first package of a dotted name
    return SourceChange(
        edits=(_renamed(call, "tensorflow", syntax), Edit(start=end, end=end, text=".keras")), left_alone=left
    )


def _imported(call: ImportCall, found: str | NoCounterpart, to: Counterparts) -> str | None:
    """The name that a call imports instead; None where it stays."""
    if call.whole:
        return found if isinstance(found, str) else None
    top = call.name.partition(".")[0]
    if to.place(top) is None:
        return top if isinstance(found, str) else None
    root = to.of(top)
    return found if isinstance(found, str) and root != "tensorflow.keras" else str(root)


def _renamed(call: ImportCall, name: str, syntax: Syntax) -> Edit:
    return syntax.replacement(call.literal, call.literal.value.replace(call.name, name, 1))


def rooted_call(call: ImportCall, syntax: Syntax, to: Counterparts) -> str:
    """The call that gives the Keras that is asked for, where the call itself gave a package around another one."""
    function, quote = syntax.code(call.call.func), call.literal.quote
    if function.endswith("__import__"):
        top, _, below = to.root.partition(".")
        return f"{function}({quote}{top}{quote})" + (f".{below}" if below else "")
    return f"{function}({quote}{to.root}{quote})"
