"""The name by which a file reaches the Keras that is asked for, and the import that binds it where the file has none.

The import goes onto the line of the import that the chain began with: lines keep their numbers, and a lazy or
conditional import stays one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import ImportAssignment

from runner.scripts.calls import rooted_call
from runner.scripts.chains import rooted_edits
from runner.scripts.sourcetext import Edit
from runner.scripts.syntax import Change, LeftAlone, aliases, bound_name, bound_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from libcst.metadata import BaseAssignment

    from runner.scripts.bindings import Binding, Bindings
    from runner.scripts.chains import Rooted
    from runner.scripts.counterparts import Counterparts
    from runner.scripts.syntax import Syntax


def rooted_change(
    wishes: Sequence[Rooted], syntax: Syntax, bindings: Bindings, to: Counterparts, *, taken: Collection[str]
) -> Change:
    """The change that gives every chain its name; `taken` are the names that an import must not bind."""
    edits: list[Edit] = []
    named: list[Rooted] = []
    left: list[LeftAlone] = []
    for wish in wishes:
        base = wish.chain.base
        call = bindings.import_call(base) if isinstance(base, cst.Call) else None
        if call is not None:
            edits += rooted_edits(wish, rooted_call(call, syntax, to), syntax)
        elif any(_is_nonlocal(binding, syntax) for binding in wish.bindings):
            reason = f"`{syntax.code(base)}` is nonlocal where it is imported"
            left.append(LeftAlone(start=syntax.start(base), use=syntax.code(wish.chain.attributes[-1]), reason=reason))
        else:
            named.append(wish)
    if named:
        edits += _named_edits(named, syntax, to, taken)
    return Change(edits=tuple(edits), left_alone=tuple(left))


def _named_edits(wishes: Sequence[Rooted], syntax: Syntax, to: Counterparts, taken: Collection[str]) -> Iterator[Edit]:
    """The edits that make chains begin with one name, which an import binds where the file does not."""
    known = _known_name(wishes, syntax, to)
    name = known or _free_name(taken, to)
    if known is None:
        yield from _imports(name, wishes, syntax, to)
    for wish in wishes:
        yield from rooted_edits(wish, name, syntax)


def names_shared(syntax: Syntax, to: Counterparts) -> frozenset[str]:
    """The names that a file binds for all who import `*` from it, without those of the Keras that is asked for."""
    return frozenset(name for name, bindings in syntax.shared.items() if not _all_roots(bindings, syntax, to))


def _imports(name: str, wishes: Sequence[Rooted], syntax: Syntax, to: Counterparts) -> Iterator[Edit]:
    """One import beside each statement that binds what a chain began with."""
    package, _, module = to.root.rpartition(".")
    imported = (module or to.root) if name == (module or to.root) else f"{module or to.root} as {name}"
    text = f"from {package} import {imported}" if package else f"import {imported}"
    statements = {binding.statement: binding for wish in wishes for binding in wish.bindings}
    for statement, binding in statements.items():
        end = syntax.end(statement)
        declared = f"global {name}; " if _is_declared_global(binding, syntax) else ""
        yield Edit(start=end, end=end, text=f"; {declared}{text}")


def _free_name(taken: Collection[str], to: Counterparts) -> str:
    last = to.root.rpartition(".")[2]
    candidates = (last, f"_{last}", *(f"_{last}_{number}" for number in range(2, len(taken) + 4)))
    return next(name for name in candidates if name not in taken)


def _known_name(wishes: Sequence[Rooted], syntax: Syntax, to: Counterparts) -> str | None:
    """A name that the file itself binds to the Keras that is asked for, certainly and before it is used."""
    bases = [wish.chain.base for wish in wishes]
    first = min(syntax.start(base) for base in bases)
    for line in syntax.module.body:
        for statement in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if not isinstance(statement, cst.Import | cst.ImportFrom) or syntax.start(statement) > first:
                continue
            for alias in aliases(statement):
                name = bound_name(alias, statement)
                if _is_root(bound_path(alias, statement), to) and all(
                    _all_roots(syntax.seen_from(base, name), syntax, to) for base in bases
                ):
                    return name
    return None


def _all_roots(assignments: Sequence[BaseAssignment], syntax: Syntax, to: Counterparts) -> bool:
    """Whether a name is the Keras that is asked for by all its bindings, and these hold for the whole file."""
    imports = [one.node for one in assignments if isinstance(one, ImportAssignment) and syntax.is_global(one)]
    return len(imports) == len(assignments) and all(
        _is_root(bound_path(alias, statement), to)
        for assignment, statement in zip(assignments, imports, strict=True)
        if isinstance(statement, cst.Import | cst.ImportFrom)
        for alias in aliases(statement)
        if bound_name(alias, statement) == assignment.name
    )


def _is_root(path: str | None, to: Counterparts) -> bool:
    return path is not None and to.place(path) is not None and to.of(path) == to.root


def _is_declared_global(binding: Binding, syntax: Syntax) -> bool:
    """Whether a statement in a function binds a name of the whole file, by `global`."""
    bound = binding.assignment
    return bound is not None and syntax.is_global(bound) and bound.scope is not syntax.scope(binding.statement)


def _is_nonlocal(binding: Binding, syntax: Syntax) -> bool:
    """Whether a statement binds a name of the function around its own, by `nonlocal`."""
    bound = binding.assignment
    return bound is not None and not syntax.is_global(bound) and bound.scope is not syntax.scope(binding.statement)
