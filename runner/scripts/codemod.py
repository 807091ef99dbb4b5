"""Rewrites the sources of a script so that all Keras imports in them mean one Keras.

Takes the texts of the files, gives them back with what was changed and what was left alone. Edits are made in the text,
at the places that LibCST's scope analysis names, and so everything else stays as it is.

A chain of attributes becomes one in another flavour: `tf.keras.layers.Dense` becomes `keras.layers.Dense`. Where it
needs a name for the Keras that is asked for and the file has none, an import is added to the line of the import that
the chain began with: lines keep their numbers, and a lazy or conditional import stays one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import ImportAssignment

from runner.scripts.bindings import Bindings
from runner.scripts.counterparts import NoCounterpart
from runner.scripts.import_edits import call_change, from_change, import_change, rooted_call
from runner.scripts.source import Edit, NotRewritableError, edited
from runner.scripts.syntax import TOO_DEEP, LeftAlone, SourceChange, aliases, bound_name, bound_path, joined, syntax_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from libcst.metadata import BaseAssignment

    from runner.scripts.bindings import Bound, NameBinding, NameChain
    from runner.scripts.counterparts import Counterparts
    from runner.scripts.syntax import Syntax


@dataclass(frozen=True, kw_only=True)
class Rooted:
    """A chain whose first `depth` attributes lead to a Keras: with its base they become one name, `names` follow it."""

    chain: NameChain
    depth: int
    names: tuple[str, ...]
    bindings: tuple[NameBinding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Below:
    """The base is changed where it is bound; the names that follow it change to these."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Through:
    """The base stays; its first `depth` attributes lead to a Keras, and the names that follow change to these."""

    depth: int
    names: tuple[str, ...]


def chain_change(chain: NameChain, syntax: Syntax, bindings: Bindings, to: Counterparts) -> SourceChange | Rooted:
    """The change to a chain, which is the outermost one in its place."""
    bound = bindings.bound(chain.base)
    outcomes = [_outcome(binding.path, chain.names, to) for binding in bound.bindings]
    meant = {outcome for outcome in outcomes if outcome is not None}
    if not meant:
        return _suspected(chain, bound, syntax, bindings, to)
    outcome = meant.pop()
    if meant or not bound.certain or (isinstance(outcome, _Through) and None in outcomes):
        return _left(chain, f"`{syntax.code(chain.base)}` may be something else as well", syntax)
    if isinstance(outcome, NoCounterpart):
        return _left(chain, outcome.reason, syntax)
    if isinstance(outcome, _Below):
        return SourceChange(edits=tuple(attribute_edits(chain.attributes, outcome.names, syntax)))
    if to.root == "tensorflow.keras" and all(binding.path == "tensorflow" for binding in bound.bindings):
        return SourceChange(edits=tuple(attribute_edits(chain.attributes, ("keras", *outcome.names), syntax)))
    return Rooted(chain=chain, depth=outcome.depth, names=outcome.names, bindings=bound.bindings)


def _outcome(path: str, names: tuple[str, ...], to: Counterparts) -> _Below | _Through | NoCounterpart | None:
    """The new chain if its base stands for `path`; None where nothing does."""
    whole = ".".join((path, *names))
    place, found = to.place(whole), to.of(whole)
    if place is None or found == whole:
        return None
    if to.place(path) is None:
        depth = place.root.count(".") - path.count(".")
        if isinstance(found, NoCounterpart) or depth < 0:
            return found if isinstance(found, NoCounterpart) else NoCounterpart(reason=f"`{path}` is not Keras alone")
        return _Through(depth=depth, names=_below(found, to.root))
    base = to.of(path)
    if isinstance(base, NoCounterpart):  # the base is left alone, and named, where it is bound
        return None
    if isinstance(found, NoCounterpart):
        return found
    below = _below(found, base)
    return None if below == names else _Below(names=below)


def _below(path: str, above: str) -> tuple[str, ...]:
    """The names that lead from one path to another."""
    return tuple(path.split(".")[above.count(".") + 1 :])


def _left(chain: NameChain, reason: str, syntax: Syntax) -> SourceChange:
    """A chain that stays as it is, and is named."""
    use = ".".join((" ".join(syntax.code(chain.base).split()), *chain.names))
    return SourceChange(left_alone=(LeftAlone(start=syntax.start(chain.base), use=use, reason=reason),))


def _suspected(chain: NameChain, bound: Bound, syntax: Syntax, bindings: Bindings, to: Counterparts) -> SourceChange:
    """Name what looks like TensorFlow's Keras, but comes from where this file does not show."""
    if to.flavour == "tf.keras" or not isinstance(chain.base, cst.Name):
        return SourceChange()
    names, packages = (chain.base.value, *chain.names), {one.path.partition(".")[0] for one in bound.bindings}
    hidden = "tensorflow" not in packages and (not bound.certain or packages & to.local)
    is_tensorflow = hidden and {("tf", "keras"), ("tensorflow", "keras")} & set(pairwise(names))
    is_keras = names[0] == "keras" and "tensorflow" in syntax.inventory.stars and bindings.is_unbound(chain.base)
    if is_tensorflow or is_keras:
        return _left(chain, f"this file does not show what `{names[0]}` is", syntax)
    return SourceChange()


def rooted_edits(rooted: Rooted, base: str, syntax: Syntax) -> list[Edit]:
    """The edits that make `base` the beginning of a chain."""
    gone, kept = rooted.chain.attributes[: rooted.depth], rooted.chain.attributes[rooted.depth :]
    edits = [syntax.replacement(rooted.chain.base, base), *_without(gone, syntax)]
    return edits + attribute_edits(kept, rooted.names, syntax)


def attribute_edits(attributes: Sequence[cst.Attribute], names: Sequence[str], syntax: Syntax) -> list[Edit]:
    """The edits that make attributes those of other names; what both begin and end with stays as it is."""
    old = [attribute.attr.value for attribute in attributes]
    new = list(names)
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    replaced, names = attributes[first : len(old) - last], new[first : len(new) - last]
    if not names:
        return _without(replaced, syntax)
    if not replaced:
        place = syntax.start(attributes[first].attr)
        return [Edit(start=place, end=place, text="".join(f"{name}." for name in names))]
    return [syntax.replacement(replaced[0].attr, ".".join(names)), *_without(replaced[1:], syntax)]


def _without(attributes: Sequence[cst.Attribute], syntax: Syntax) -> list[Edit]:
    """Take attributes out of a chain, which keeps its lines."""
    edits = []
    for attribute in attributes:
        after = syntax.between(syntax.end(attribute.dot), syntax.start(attribute.attr))
        text = after if "\n" in after else ""
        edits.append(Edit(start=syntax.start(attribute.dot), end=syntax.end(attribute.attr), text=text))
    return edits


def rooted_change(
    wishes: Sequence[Rooted], syntax: Syntax, bindings: Bindings, to: Counterparts, *, taken: Collection[str]
) -> SourceChange:
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
    return SourceChange(edits=tuple(edits), left_alone=tuple(left))


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
    """True where a name is the Keras that is asked for by all its bindings, and these hold for the whole file."""
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


def _is_declared_global(binding: NameBinding, syntax: Syntax) -> bool:
    """True where a statement in a function binds a name of the whole file, by `global`."""
    bound = binding.assignment
    return bound is not None and syntax.is_global(bound) and bound.scope is not syntax.scope(binding.statement)


def _is_nonlocal(binding: NameBinding, syntax: Syntax) -> bool:
    """True where a statement binds a name of the function around its own, by `nonlocal`."""
    bound = binding.assignment
    return bound is not None and not syntax.is_global(bound) and bound.scope is not syntax.scope(binding.statement)


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
