"""The words of a sentence about a matrix: labels said plainly, values of axes joined, cells counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.matrix.axes import AxisKind, axis_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from runner.outcomes.layout import Dimension

_MOST_NAMES = 3
"""Of the values of one axis; of more, what is left out, or their number."""


class Words(NamedTuple):
    """A label as a predicate: of one cell and of many; `subject` is what it is said of."""

    one: str
    many: str
    subject: str = "it"


_PREDICATES = {
    "converges": Words("converges", "converge"),
    "settles": Words("settles", "settle"),
    "undecided": Words("is undecided", "are undecided"),
    "fails (nan)": Words("ends in NaN", "end in NaN", "metric"),
    "fails (diverged)": Words("diverges", "diverge", "metric"),
    "fails (improving)": Words("does not converge in time (improving)", "do not converge in time (improving)"),
    "fails (crashed-training)": Words("crashes in training", "crash in training"),
    "blocked (unresolvable)": Words("can't be installed (unresolvable)", "can't be installed (unresolvable)"),
    "blocked (install-failed)": Words("can't be installed", "can't be installed"),
    "blocked (image-build-failed)": Words("gets no image", "get no image"),
    "blocked (crashed-import)": Words("can't be imported", "can't be imported"),
    "blocked (crashed-build-model)": Words("can't build its model", "can't build their model"),
    "blocked (download-failed)": Words("can't download its data", "can't download their data"),
}


def words_of(label: str, metric: str = "loss") -> Words:
    """The outcome's label in plain words, with the judged metric's name where it is about that."""
    found = _PREDICATES.get(label)
    if found is not None:
        return found._replace(subject=f"the {metric}") if found.subject == "metric" else found
    verb, _, why = label.partition(" (")
    why = f" ({why}" if why else ""
    if verb == "fails":
        return Words(f"does not converge{why}", f"do not converge{why}")
    return Words(f"is {label}", f"are {label}")


def clause(label: str, metric: str) -> str:
    """`the loss ends in NaN`."""
    words = words_of(label, metric)
    return f"{words.subject} {words.one}"


def short_scripts(paths: Iterable[str]) -> dict[str, str]:
    """Each script by its file name, where that tells all of them apart; else by its path."""
    names = {path: path.rpartition("/")[2] for path in paths}
    return names if len(set(names.values())) == len(names) else {path: path for path in names}


def values_in_words(dimension: Dimension, chosen: Collection[str | None]) -> str:
    """Some values of an axis: `import=keras`, `script a.py or b.py`, `keras 2.2 to 2.5`, `every script but a.py`."""
    scripts = short_scripts(str(value or "") for value in dimension.values) if dimension.name == "script" else {}
    inside = [value for value in dimension.values if value in chosen]
    outside = [value for value in dimension.values if value not in chosen]
    name = dimension.name
    if inside == [None]:
        return f"no {name}"
    shown = [scripts.get(value or "", value or f"no {name}") for value in inside]
    places = [dimension.place[value] for value in inside]
    if dimension.ordered and len(inside) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{name} {shown[0]} to {shown[-1]}"
    if len(inside) <= _MOST_NAMES:
        return f"{name}{'=' if axis_kind(name) is AxisKind.IMPORT else ' '}{listed(shown, 'or')}"
    if len(outside) <= _MOST_NAMES:
        left_out = [scripts.get(value or "", value or f"no {name}") for value in outside]
        return f"every {name} but {listed(left_out, 'and')}"
    return f"{len(inside)} of the {len(dimension.values)} values of {name}"


def listed(words: Sequence[str], conjunction: str) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *head, last = words
    return f"{', '.join(head)} {conjunction} {last}" if head else last


def cells_in_words(count: int) -> str:
    """`1 cell`, `12 cells`."""
    return f"{count} cell{'' if count == 1 else 's'}"
