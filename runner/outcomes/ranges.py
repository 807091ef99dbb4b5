"""What a matrix says, in one or two sentences made from its outcomes, in ranges of versions.

`With import=keras the loss ends in NaN from tensorflow 1.2 to 1.8; with import=tf.keras it converges from 1.4 on.`
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from runner.outcomes.layout import layout_of
from runner.outcomes.patterns import patterns_of, rows_of
from runner.outcomes.saying import cells_in_words, clause, listed, values_in_words, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.outcomes.cell import Outcome
    from runner.outcomes.layout import Dimension, Layout
    from runner.outcomes.patterns import Box, Pattern, Range

_ALL_FIT = 3
"""So many patterns are all said; of more the `_MOST` that matter most."""
_MOST = 2
_MOST_RANGES = 3
_MOST_PLACES = 3


def sentences(outcomes: Sequence[Outcome], *, base: str = "", metric: str = "loss") -> tuple[str, ...]:
    """What the cells came to; nothing of no cells. `base` is the matrix's base axis, `metric` what is judged."""
    if not outcomes:
        return ()
    labels = Counter(outcome.label for outcome in outcomes)
    if len(labels) == 1:
        return (_alike(outcomes[0].label, len(outcomes), metric),)
    layout = layout_of([outcome.cell for outcome in outcomes], base)
    patterns = patterns_of(layout, outcomes)
    said = _how_many([{outcomes[cell].label for cell in pattern.cells} for pattern in patterns])
    rows_differ = any(sum(1 for _ in rows_of(pattern.box)) < len(layout.rows) for pattern in patterns)
    telling = _Telling(layout, metric, rows_differ=rows_differ)
    parts = [telling.statement(pattern) for pattern in patterns[:said]]
    rest = patterns[said:]
    if rest:
        parts.append(_rest(rest, outcomes, metric))
    return (_sentence("; ".join(parts)),)


def _alike(label: str, count: int, metric: str) -> str:
    if count == 1:
        return _sentence(f"in the only cell {clause(label, metric)}")
    words = words_of(label, metric)
    all_of_them = "both" if count == 2 else f"all {count}"
    return _sentence(f"{all_of_them} cells {words.many}")


def _how_many(labels: Sequence[set[str]]) -> int:
    """How many patterns are said one by one: all if they fit; one more than else if the other cells are alike then."""
    if len(labels) <= _ALL_FIT:
        return len(labels)
    return _ALL_FIT if len(set().union(*labels[_ALL_FIT:])) == 1 < len(set().union(*labels[_MOST:])) else _MOST


def _rest(patterns: Sequence[Pattern], outcomes: Sequence[Outcome], metric: str) -> str:
    """What is said of the cells of all other patterns together."""
    counts = Counter(outcomes[cell].label for pattern in patterns for cell in pattern.cells)
    if len(counts) == 1:
        [(label, count)] = counts.items()
        words = words_of(label, metric)
        return f"the other cell {words.one}" if count == 1 else f"the other {count} cells {words.many}"
    said = [
        f"{cells_in_words(count) if place == 0 else count} {words.one if count == 1 else words.many}"
        for place, (label, count) in enumerate(counts.most_common())
        for words in [words_of(label, metric)]
    ]
    return f"and {len(patterns)} more patterns: {listed(said, 'and')}"


class _Telling:
    """Says one pattern after the other; the line's axis is named with the first range only."""

    def __init__(self, layout: Layout, metric: str, *, rows_differ: bool) -> None:
        self._layout = layout
        self._rows_differ = rows_differ
        self._metric = metric
        self._named = False

    def statement(self, pattern: Pattern) -> str:
        where = where_in_words(self._layout, pattern.box) if self._rows_differ else ""
        what = clause(pattern.label, self._metric)
        line = self._layout.line
        when = "" if line is None else self._when(line, pattern)
        return f"{where} {what}{when}".strip()

    def _when(self, line: Dimension, pattern: Pattern) -> str:
        ends = len(line.values) - 1
        ranges = [] if pattern.whole else list(pattern.ranges)
        unlike = [one for found in pattern.ranges for one in found.unlike]
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
        """What is otherwise within the ranges."""
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


def where_in_words(layout: Layout, box: Box) -> str:
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


def _matching(layout: Layout, box: Box, axes: Sequence[int]) -> int:
    """How many rows have, on these axes, values of the box."""
    chosen = [(axis, frozenset(box[axis])) for axis in axes]
    return sum(all(row[axis] in values for axis, values in chosen) for row in layout.rows)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
