"""The findings of a matrix, in one or two sentences made from its outcomes, in ranges of versions.

`With import=keras the loss ends in NaN from tensorflow 1.2 to 1.8; with import=tf.keras it converges from 1.4 on.`
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, assert_never

from runner.matrix.axes import AxisKind, axis_kind
from runner.outcomes.layout import layout_of, patterns_of, rows_of
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.verdict import Label
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.outcomes.layout import Box, Dimension, MatrixLayout, Pattern, Range
    from runner.outcomes.outcome import Outcome

_ALL_FIT = 3
"""So many patterns are all said; of more the `_MOST` that matter most."""
_MOST = 2
_MOST_RANGES = 3
_MOST_PLACES = 3


def sentences(outcomes: Mapping[CellId, Outcome], *, base: str = "", metric: str = "loss") -> tuple[str, ...]:
    """The outcomes of the cells in sentences.

    None for no cells. `base` is the matrix's base axis, `metric` what is judged.
    """
    if not outcomes:
        return ()
    found = set(outcomes.values())
    if len(found) == 1:
        return (_alike(found.pop(), len(outcomes), metric),)
    layout = layout_of(outcomes, base)
    patterns = patterns_of(layout, outcomes)
    said = _how_many([{outcomes[cell] for cell in pattern.cells} for pattern in patterns])
    rows_differ = any(sum(1 for _ in rows_of(pattern.box)) < len(layout.rows) for pattern in patterns)
    statements = _Statements(layout, metric, rows_differ=rows_differ)
    parts = [statements.statement(pattern) for pattern in patterns[:said]]
    rest = patterns[said:]
    if rest:
        parts.append(_rest(rest, outcomes, metric))
    return (_sentence("; ".join(parts)),)


def _alike(outcome: Outcome, count: int, metric: str) -> str:
    if count == 1:
        return _sentence(f"in the only cell {clause(outcome, metric)}")
    predicate = predicate_of(outcome, metric)
    all_of_them = "both" if count == 2 else f"all {count}"
    return _sentence(f"{all_of_them} cells {predicate.many}")


def _how_many(outcomes: Sequence[set[Outcome]]) -> int:
    """The number of patterns that are said one by one.

    All if they fit; one more than else if the other cells are alike then.
    """
    if len(outcomes) <= _ALL_FIT:
        return len(outcomes)
    return _ALL_FIT if len(set().union(*outcomes[_ALL_FIT:])) == 1 < len(set().union(*outcomes[_MOST:])) else _MOST


def _rest(patterns: Sequence[Pattern], outcomes: Mapping[CellId, Outcome], metric: str) -> str:
    """The sentence about the cells of all other patterns together."""
    counts = Counter(outcomes[cell] for pattern in patterns for cell in pattern.cells)
    if len(counts) == 1:
        [(outcome, count)] = counts.items()
        one, many, _ = predicate_of(outcome, metric)
        return f"the other cell {one}" if count == 1 else f"the other {count} cells {many}"
    said = [
        f"{cells_in_words(count) if place == 0 else count} {predicate.one if count == 1 else predicate.many}"
        for place, (outcome, count) in enumerate(counts.most_common())
        for predicate in [predicate_of(outcome, metric)]
    ]
    return f"and {len(patterns)} more patterns: {listed(said, 'and')}"


class _Statements:
    """The statements of one pattern after the other; the line's axis is named with the first range only."""

    def __init__(self, layout: MatrixLayout, metric: str, *, rows_differ: bool) -> None:
        self._layout = layout
        self._rows_differ = rows_differ
        self._metric = metric
        self._named = False

    def statement(self, pattern: Pattern) -> str:
        where = where_in_words(self._layout, pattern.box) if self._rows_differ else ""
        what = clause(pattern.outcome, self._metric)
        line = self._layout.line
        when = "" if line is None else self._when(line, pattern)
        return f"{where} {what}{when}".strip()

    def _when(self, line: Dimension, pattern: Pattern) -> str:
        ends = len(line.values) - 1
        ranges = [] if pattern.whole else list(pattern.ranges)
        unlike = [(place, str(one)) for found in pattern.ranges for place, one in found.unlike]
        missing = [place for found in ranges for place in found.missing]
        words = ""
        if len(ranges) > _MOST_RANGES:
            places = sum(found.last - found.first + 1 for found in ranges) - len(unlike) - len(missing)
            words, missing = f" on {places} of the {len(line.values)} versions of {line.name}", []
            self._named = True
        elif ranges:
            words = f" {listed([self._range(line, found, ends) for found in ranges], 'and')}"
        left_out = [(place, "left out") for place in missing]
        return f"{words}{self._aside(line, [*unlike, *left_out])}"

    def _range(self, line: Dimension, found: Range, ends: int) -> str:
        first, last = line.values[found.first], line.values[found.last]
        name = self._name(line)
        if found.first == found.last:
            return f"on {name}{first}"
        return f"from {name}{first} on" if found.last == ends else f"from {name}{first} to {last}"

    def _aside(self, line: Dimension, found: Sequence[tuple[int, str]]) -> str:
        """The exceptions within the ranges."""
        if not found:
            return ""
        by_word: dict[str, list[str]] = {}
        for place, word in sorted(found):
            by_word.setdefault(word, []).append(str(line.values[place]))
        said = [
            f"{len(values) if len(values) > _MOST_PLACES else self._name(line) + listed(values, 'and')} {word}"
            for word, values in by_word.items()
        ]
        return f" ({', '.join(said)})"

    def _name(self, line: Dimension) -> str:
        name = "" if self._named else f"{line.name} "
        self._named = True
        return name


def where_in_words(layout: MatrixLayout, box: Box) -> str:
    """The rows of a box, by as few axes as tell them from all other rows: `with import=keras`; or empty."""
    needed = list(range(len(box)))
    for axis in range(len(box)):
        fewer = [one for one in needed if one != axis]
        if _matching(layout, box, fewer) == sum(1 for _ in rows_of(box)):
            needed = fewer
    said = [values_in_words(layout.others[axis], box[axis]) for axis in needed]
    if not said and box:
        said = [f"every {listed([other.name for other in layout.others], 'and')}"]
    return f"with {listed(said, 'and')}" if said else ""


def _matching(layout: MatrixLayout, box: Box, axes: Sequence[int]) -> int:
    """The number of rows that have, on these axes, values of the box."""
    chosen = [(axis, frozenset(box[axis])) for axis in axes]
    return sum(all(row[axis] in values for axis, values in chosen) for row in layout.rows)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


_MOST_NAMES = 3
"""Of the values of one axis; of more, what is left out, or their number."""


class Predicate(NamedTuple):
    """An outcome as a predicate: of one cell and of many; `subject` is what it is said of."""

    one: str
    many: str
    subject: str = "it"


def predicate_of(outcome: Outcome, metric: str = "loss") -> Predicate:
    """The outcome in plain words, with the judged metric's name where it is about that."""
    match outcome.kind:
        case OutcomeKind.GOOD:
            settles = outcome.reason is Label.SETTLED
            return Predicate("settles", "settle") if settles else Predicate("converges", "converge")
        case OutcomeKind.UNDECIDED:
            return Predicate(f"is {outcome}", f"are {outcome}")
        case OutcomeKind.BAD:
            return _breaking(outcome) if outcome.breaks else _failing(outcome, metric)
        case OutcomeKind.UNTESTABLE:
            return _blocked(outcome)
        case _:
            assert_never(outcome.kind)


def _failing(outcome: Outcome, metric: str) -> Predicate:
    match outcome.reason:
        case Label.NAN:
            return Predicate("ends in NaN", "end in NaN", f"the {metric}")
        case Label.DIVERGED:
            return Predicate("diverges", "diverge", f"the {metric}")
        case Label.IMPROVING:
            return Predicate("does not converge in time (improving)", "do not converge in time (improving)")
        case Label.MISSED:
            return Predicate("misses its criterion", "miss their criterion")
        case reason:
            return Predicate(f"does not converge ({reason})", f"do not converge ({reason})")


def _breaking(outcome: Outcome) -> Predicate:
    match outcome.reason:
        case Label.CRASHED_IMPORT:
            one, many = "crashes at import", "crash at import"
        case Label.CRASHED_AT_START:
            one, many = "crashes at its start", "crash at their start"
        case Label.CRASHED_BUILD_MODEL:
            one, many = "crashes while its model is built", "crash while their model is built"
        case Label.CRASHED_TRAINING:
            one, many = "crashes in training", "crash in training"
        case Label.CRASHED_AFTER_TRAINING:
            one, many = "crashes after training", "crash after training"
        case Label.TIMEOUT:
            one, many = "does not end in time", "do not end in time"
        case Label.OUT_OF_MEMORY:
            one, many = "runs out of memory", "run out of memory"
        case _:
            one, many = f"is {outcome}", f"are {outcome}"
    return Predicate(one, many)


def _blocked(outcome: Outcome) -> Predicate:
    match outcome.reason:
        case Label.UNRESOLVABLE:
            one = many = "can't be installed (unresolvable)"
        case Label.INSTALL_FAILED:
            one = many = "can't be installed"
        case Label.IMAGE_BUILD_FAILED:
            one, many = "gets no image", "get no image"
        case Label.DOWNLOAD_FAILED:
            one, many = "can't download its data", "can't download their data"
        case _:
            one, many = f"is {outcome}", f"are {outcome}"
    return Predicate(one, many)


def clause(outcome: Outcome, metric: str) -> str:
    """`the loss ends in NaN`."""
    predicate = predicate_of(outcome, metric)
    return f"{predicate.subject} {predicate.one}"


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
    return counted(count, "cell")
