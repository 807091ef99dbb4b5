"""Chains of attributes in another flavour: `tf.keras.layers.Dense` becomes `keras.layers.Dense`.

Where that takes a name for the Keras that is asked for, the change is a wish for one, which insertion.py grants.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from runner.scripts.counterparts import Missing
from runner.scripts.sourcetext import Edit
from runner.scripts.syntax import Change, LeftAlone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.scripts.bindings import Binding, Bindings, Bound, Chain
    from runner.scripts.counterparts import Counterparts
    from runner.scripts.syntax import Syntax


@dataclass(frozen=True, kw_only=True)
class Rooted:
    """A chain whose first `depth` attributes lead to a Keras: with its base they become one name, `names` follow it."""

    chain: Chain
    depth: int
    names: tuple[str, ...]
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Below:
    """The base is changed where it is bound; the names that follow it change to these."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Through:
    """The base stays; its first `depth` attributes lead to a Keras, and the names that follow change to these."""

    depth: int
    names: tuple[str, ...]


def chain_change(chain: Chain, syntax: Syntax, bindings: Bindings, to: Counterparts) -> Change | Rooted:
    """The change to a chain, which is the outermost one in its place."""
    bound = bindings.bound(chain.base)
    outcomes = [_outcome(binding.path, chain.names, to) for binding in bound.bindings]
    meant = {outcome for outcome in outcomes if outcome is not None}
    if not meant:
        return _suspected(chain, bound, syntax, bindings, to)
    outcome = meant.pop()
    if meant or not bound.certain or (isinstance(outcome, _Through) and None in outcomes):
        return _left(chain, f"`{syntax.code(chain.base)}` may be something else as well", syntax)
    if isinstance(outcome, Missing):
        return _left(chain, outcome.reason, syntax)
    if isinstance(outcome, _Below):
        return Change(edits=tuple(attribute_edits(chain.attributes, outcome.names, syntax)))
    if to.root == "tensorflow.keras" and all(binding.path == "tensorflow" for binding in bound.bindings):
        return Change(edits=tuple(attribute_edits(chain.attributes, ("keras", *outcome.names), syntax)))
    return Rooted(chain=chain, depth=outcome.depth, names=outcome.names, bindings=bound.bindings)


def _outcome(path: str, names: tuple[str, ...], to: Counterparts) -> _Below | _Through | Missing | None:
    """What becomes of a chain if its base stands for `path`; None where nothing does."""
    whole = ".".join((path, *names))
    place, found = to.place(whole), to.of(whole)
    if place is None or found == whole:
        return None
    if to.place(path) is None:
        depth = place.root.count(".") - path.count(".")
        if isinstance(found, Missing) or depth < 0:
            return found if isinstance(found, Missing) else Missing(reason=f"`{path}` is not Keras alone")
        return _Through(depth=depth, names=_below(found, to.root))
    base = to.of(path)
    if isinstance(base, Missing):  # the base is left alone, and named, where it is bound
        return None
    if isinstance(found, Missing):
        return found
    below = _below(found, base)
    return None if below == names else _Below(names=below)


def _below(path: str, above: str) -> tuple[str, ...]:
    """The names that lead from one path to another."""
    return tuple(path.split(".")[above.count(".") + 1 :])


def _left(chain: Chain, reason: str, syntax: Syntax) -> Change:
    """A chain that stays as it is, and is named."""
    use = ".".join((" ".join(syntax.code(chain.base).split()), *chain.names))
    return Change(left_alone=(LeftAlone(start=syntax.start(chain.base), use=use, reason=reason),))


def _suspected(chain: Chain, bound: Bound, syntax: Syntax, bindings: Bindings, to: Counterparts) -> Change:
    """Name what looks like TensorFlow's Keras, but comes from where this file does not show."""
    if to.flavour == "tf.keras" or not isinstance(chain.base, cst.Name):
        return Change()
    names, packages = (chain.base.value, *chain.names), {one.path.partition(".")[0] for one in bound.bindings}
    hidden = "tensorflow" not in packages and (not bound.certain or packages & to.local)
    is_tensorflow = hidden and {("tf", "keras"), ("tensorflow", "keras")} & set(pairwise(names))
    is_keras = names[0] == "keras" and "tensorflow" in syntax.inventory.stars and bindings.is_unbound(chain.base)
    if is_tensorflow or is_keras:
        return _left(chain, f"this file does not show what `{names[0]}` is", syntax)
    return Change()


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
