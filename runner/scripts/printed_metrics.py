"""Patterns of the metrics that a script prints: from its source, or from a line that it printed.

`patterns_in` reads the source of a script and gives what `metrics:` of a matrix takes: a name and a regular expression
with one group. A pattern is offered only where it finds the right number in what the script's own prints would give.
"""

from __future__ import annotations

import ast
import re
import string
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NUMBER = r"[-+]?(?:\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)\b"
"""A printed number, as a regular expression; case does not matter."""
_METRIC = re.compile(
    r"(?<![a-z])(?:loss(?:es)?|acc(?:uracy)?|err(?:or)?|cost|objective|mse|mae|rmse|mape|r2|auc|roc_auc|precision|recall"
    r"|f1|iou|dice|score|classification_rate|perplexity|ppl|bleu|rewards?|psnr|ssim|nll|elbo|kl|mean_absolute_error|mean_squared_error)"
    r"(?![a-z])",
    re.IGNORECASE,
)
"""The words by which a metric is known."""
_PARTS_OF_DATA = frozenset({"train", "training", "val", "valid", "validation", "test", "dev", "eval"})
_LABEL = re.compile(r"([A-Za-z][A-Za-z0-9_./@ -]{0,59}?)(\s*(?:[:=]|->|=>|is)?\s*)\Z")
_COUNTED = re.compile(
    r"\s(?:(?:after|at|in|for|of|on)\s)?(?:the\s)?(?:iter(?:ation)?|epoch|step|batch|round|fold)s?(?:\s?(?:#|number))?\Z",
    re.IGNORECASE,
)
"""What ends a label whose value counts: `Loss after iteration` in "Loss after iteration 100: 0.3"."""
_SIGNS = frozenset({"", ":", "=", ",", "-", "->", "is"})
_AFTER_COUNT = re.compile(r"[^\s:=,]{1,99}(\s?[:=,]\s?|\s)(?=[-+.\d])")
_LABELLED = re.compile(
    rf"(?<![A-Za-z'])([A-Za-z][A-Za-z0-9_ /-]{{0,59}}?)(\s{{0,9}}[:=]\s{{0,9}}|\s)(?={NUMBER})", re.IGNORECASE
)
"""A label in a line that was printed, before its number."""
_BETWEEN = re.compile(r"[,;|()\[\]{}:=\n\t]|\s-+\s|-->?")
"""The marks between what is told of one metric and of the next."""
_PERCENT = re.compile(r"%(?:\(\w+\))?[-+ #0]*(\*|\d*)(?:\.(?:\*|\d+))?[hlL]?([diouxXeEfFgGcrsa%])")
_SPECIAL = re.compile(r"([\\.^$*+?{}\[\]|()])")
_WRITERS = frozenset({"print", "write", "info", "debug", "warning", "log", "echo", "secho"})
_MOST = 20
_MOST_LINES = 400
_LONGEST_SOURCE = 1024**2


@dataclass(frozen=True, kw_only=True)
class _Hole:
    """A place in a printed text that a value fills."""

    source: str
    """The names in the expression, joined by spaces."""
    padded: bool = False


@dataclass(frozen=True, kw_only=True)
class _Label:
    """What stands before a value in a line."""

    text: str
    between: str
    """What stands between it and the value, or the count that it ends with."""
    after: str = ""
    """What stands between that count and the value."""
    starts: bool = False
    """True where the line begins with it."""

    @property
    def name(self) -> str:
        """The metric's name, without what it says of a count."""
        return _name(_COUNTED.sub("", self.text))

    def pattern(self, *, padded: bool = False) -> str:
        """The regular expression that finds the value."""
        head = _escaped(self.text + self.between.rstrip())
        if not self.after:
            blank = r"\s*" if padded else _blank(self.between)
            return rf"{head}{blank}(\S+)"
        gap = r"\s+" if self.after[-1].isspace() else r"\s*"
        before = r"\s*" if self.after[0].isspace() and self.after.strip() else ""
        return rf"{head}\s*\S+?{before}{_escaped(self.after.strip())}{gap}(\S+)"


_Template = tuple["str | _Hole", ...]


def patterns_in(source: str | bytes) -> dict[str, str]:
    """The metrics that a script prints, by name, each with the pattern that finds it; in the order of the script.

    At most 20, and none where the source is not Python.
    """
    if len(source) > _LONGEST_SOURCE:
        return {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines = [line for template in _templates(tree) for line in _lines(template)][:_MOST_LINES]
    found: dict[str, str] = {}
    for line in lines:
        for position, part in enumerate(line):
            if isinstance(part, _Hole) and len(found) < _MOST:
                _offer(found, line, position, lines)
    return found


def pattern_for(line: str, wanted: str = "") -> tuple[str, str] | None:
    """Name and pattern of a metric in a line that was printed, the one nearest to a `wanted` name; None without any.

    A label that has the words of the wanted name gets that name, unless it says that it is of other data.
    """
    found = [
        label
        for match in _LABELLED.finditer(line[:1000])
        if _METRIC.search(match[1]) or (wanted and _words(wanted) <= _words(match[1]))
        if (label := _printed_label(match, line)) is not None
    ]
    if not found:
        return None
    meant = _words(wanted)
    label = max(found, key=lambda one: len(meant & _words(one.text)))
    words = _words(label.text)
    same = meant and meant <= words and not (words - meant) & _PARTS_OF_DATA
    return wanted if same else label.name, label.pattern()


def _printed_label(match: re.Match[str], line: str) -> _Label | None:
    """The label of a number in a line; None where it only counts, and no other number comes after it."""
    text = _label_of(match[1])
    if not _COUNTED.search(text):
        return _Label(text=text, between=match[2])
    value = _AFTER_COUNT.match(line, match.end())
    return None if value is None else _Label(text=text, between=match[2], after=value[1])


def _offer(found: dict[str, str], line: _Template, position: int, lines: Sequence[_Template]) -> None:
    """Add the pattern of one hole, where there is one that finds it and nothing else."""
    hole = line[position]
    assert isinstance(hole, _Hole)  # noqa: S101 - what it is called with
    label = _label_before(line, position)
    if label is None or not (_METRIC.search(label.text) or _METRIC.search(hole.source)):
        return
    text = label.pattern(padded=hole.padded)
    for pattern in (text, rf"\b{text}", *([rf"^{text}"] if label.starts else [])):
        if _finds(pattern, line, position, lines):
            name = (
                label.name if _METRIC.search(label.name) else _name(f"{label.text} {_METRIC.findall(hole.source)[0]}")
            )
            _keep(found, name, pattern)
            return


def _label_before(line: _Template, position: int) -> _Label | None:
    """The label of a hole; of one behind a count that has a label the same; None of the count itself."""
    before = _text_at(line, position - 1)
    match = _LABEL.search(before)
    text = _label_of(match[1]) if match else ""
    if match and text:
        starts = position == 1 and before.lstrip() == text + match[2].lstrip("\n")
        return None if _COUNTED.search(text) else _Label(text=text, between=match[2], starts=starts)
    counted = _LABEL.search(_text_at(line, position - 3)) if position >= 3 and before.strip() in _SIGNS else None
    if counted and _COUNTED.search(text := _label_of(counted[1])):
        return _Label(text=text, between=counted[2], after=before)
    return None


def _text_at(line: _Template, position: int) -> str:
    part = line[position] if position >= 0 else ""
    return part if isinstance(part, str) else ""


def _keep(found: dict[str, str], name: str, pattern: str) -> None:
    if name and pattern not in found.values():
        free = (name if not number else f"{name}_{number + 1}" for number in count())
        found[next(one for one in free if one not in found)] = pattern


def _finds(pattern: str, line: _Template, position: int, lines: Sequence[_Template]) -> bool:
    """True where a pattern gives the hole's number in its own line, and in other lines only what has the same label."""
    compiled = re.compile(pattern)
    match = compiled.search(_filled(line))
    if match is None or not match[1].startswith(_value(position)):
        return False
    label = line[position - 1]
    for other in lines:
        hit = compiled.search(_filled(other)) if other is not line else None
        if hit is None:
            continue
        right = [number for number, part in enumerate(other) if number and other[number - 1] == label and part != label]
        if not any(hit[1].startswith(_value(number)) for number in right):
            return False
    return True


def _filled(line: _Template) -> str:
    return "".join(part if isinstance(part, str) else _value(number) for number, part in enumerate(line))


def _value(position: int) -> str:
    return f"0.{position + 1001}"


def _label_of(text: str) -> str:
    """The last part of a text that stands before a value."""
    return _BETWEEN.split(text)[-1].strip(" -")


def _name(label: str) -> str:
    """A label as the name of a metric: `Test accuracy` is `test_accuracy`."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_").lstrip("0123456789_")


def _words(text: str) -> frozenset[str]:
    return frozenset(filter(None, re.split(r"[^a-z0-9]+", text.lower())))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _blank(between: str) -> str:
    """The pattern of the space that ends a label."""
    blanks = len(between) - len(between.rstrip())
    return " " * blanks if blanks < 2 else r"\s+"


# -- what the script writes ------------------------------------------------------------------------------------------


def _templates(tree: ast.AST) -> Iterator[_Template]:
    """The texts that calls of `print`, of loggers and of `write` give, each with holes for its values."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node.func) in _WRITERS]
    for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        args = [one for one in call.args if not isinstance(one, ast.Starred)]
        if not args:
            continue
        if _called(call.func) == "print":
            yield _joined(args, _separator(call))
        elif len(args) > 1 and (text := _constant(args[0])) is not None:
            yield tuple(_percent(text, args[1:]))  # a logger fills in its arguments by itself
        else:
            yield tuple(_parts(args[0]))


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _separator(call: ast.Call) -> str:
    given = next((one.value for one in call.keywords if one.arg == "sep"), None)
    return " " if given is None else _constant(given) or " "


def _joined(args: Sequence[ast.expr], separator: str) -> _Template:
    parts: list[str | _Hole] = []
    for number, arg in enumerate(args):
        parts += [separator, *_parts(arg)] if number else _parts(arg)
    return tuple(parts)


def _lines(template: _Template) -> Iterator[_Template]:
    """The lines of a template, neighbouring texts joined."""
    line: list[str | _Hole] = []
    for part in template:
        if isinstance(part, _Hole):
            line.append(part)
            continue
        first, *others = part.split("\n")
        _append(line, first.rpartition("\r")[2])
        for text in others:
            yield tuple(line)
            line = []
            _append(line, text)
    yield tuple(line)


def _append(line: list[str | _Hole], text: str) -> None:
    if line and isinstance(line[-1], str):
        line[-1] += text
    else:
        line.append(text)


def _parts(node: ast.expr) -> Iterator[str | _Hole]:
    """The texts and holes of an expression that is printed."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=values):
            for value in values:
                yield from _parts(value)
        case ast.FormattedValue(value=value, format_spec=spec):
            yield _hole(value, padded=_is_padded(spec))
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() as text), right=right):
            yield from _percent(text, right.elts if isinstance(right, ast.Tuple) else [right])
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            yield from _parts(left)
            yield from _parts(right)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format"), args=args):
            yield from _format(text, args, node.keywords)
        case _:
            yield _hole(node)


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _hole(node: ast.expr, *, padded: bool = False) -> _Hole:
    inner = list(ast.walk(node))
    names = [one.id for one in inner if isinstance(one, ast.Name)]
    names += [one.attr for one in inner if isinstance(one, ast.Attribute)]
    names += [text for one in inner if isinstance(one, ast.expr) and (text := _constant(one))]
    return _Hole(source=" ".join(names), padded=padded)


def _is_padded(spec: ast.expr | None) -> bool:
    text = "" if not isinstance(spec, ast.JoinedStr) else "".join(_constant(one) or "9" for one in spec.values)
    return _has_width(text)


def _has_width(spec: str) -> bool:
    return bool(re.match(r"(?:.?[<>=^])?[-+ ]?[#0]*[1-9]", spec))


def _percent(text: str, values: Sequence[ast.expr]) -> Iterator[str | _Hole]:
    left = iter(values)
    end = 0
    for match in _PERCENT.finditer(text):
        yield text[end : match.start()]
        end = match.end()
        if match[2] == "%":
            yield "%"
            continue
        value = next(left, None)
        yield _Hole(source="", padded=bool(match[1])) if value is None else _hole(value, padded=bool(match[1]))
    yield text[end:]


def _format(text: str, args: Sequence[ast.expr], keywords: Iterable[ast.keyword]) -> Iterator[str | _Hole]:
    named = {one.arg: one.value for one in keywords if one.arg}
    numbers = count()
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        return
    for literal, field, spec, _ in fields:
        yield literal
        if field is None:
            continue
        key = re.split(r"[.\[]", field)[0] or str(next(numbers))
        value = args[int(key)] if key.isdigit() and int(key) < len(args) else named.get(key)
        padded = _has_width(spec or "")
        yield _Hole(source=key, padded=padded) if value is None else _hole(value, padded=padded)
