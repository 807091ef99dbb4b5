"""Where a script looks as if it trained: the line of its loop, and whether an exception came after all of it.

A script that reports nothing could report in that loop; one that was ended by an exception after it had trained.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_LEARNS = frozenset({"apply_gradients", "apply", "minimize", "backward", "train_on_batch", "train_step", "partial_fit"})
"""Calls that learn, whatever they are called on."""
_MAY_LEARN = frozenset({"step", "run", "update", "fit"})
"""Calls that learn where nothing surer is there: of an optimizer, of a session, of a model."""
COMPILED = ("while_loop", "fori_loop", "scan")
"""Functions of JAX that run a loop inside of compiled code."""
_COUNTERS = ("epoch", "step", "iter", "batch")
_LONGEST_SOURCE = 1024**2

_Loop = ast.For | ast.AsyncFor | ast.While
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def loop_line(source: bytes) -> tuple[int, str] | None:
    """Line and text of the loop that trains, the innermost one; None where nothing looks like it."""
    tree = _parsed(source)
    if tree is None:
        return None
    loops = [node for node in ast.walk(tree) if isinstance(node, _Loop)]
    for looks_like in (_learns, _may_learn, None, _counts):
        found = [loop for loop in loops if looks_like(loop)] if looks_like else []
        line = _innermost(found).lineno if found else None if looks_like else _compiled_line(tree)
        if line is not None:
            lines = source.decode("utf-8", "replace").splitlines()
            text = lines[line - 1].strip() if line <= len(lines) else ""
            return line, text[:120]
    return None


def _compiled_line(tree: ast.Module) -> int | None:
    """The line of the first loop of JAX that runs inside of compiled code."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in COMPILED]
    return min((node.lineno for node in calls if isinstance(node.func, ast.Attribute)), default=None)


def _parsed(source: bytes) -> ast.Module | None:
    if len(source) > _LONGEST_SOURCE:
        return None
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def came_after(frames: Sequence[tuple[str, int] | None], sources: Mapping[str, bytes]) -> bool:
    """True where an exception was raised after the training that these sources do.

    `frames` are its file and line from the outermost frame on, None for those of other code. No loop that trains may
    stand around one of the lines, and in the innermost frames of the script's own one must stand before it.
    """
    script = _TrainingScript.read(sources)
    own = [frame for frame in frames if frame is not None]
    if script is None or not own or any(frame[0] not in script.trees for frame in own):
        return False
    if any(script.is_in_loop(*frame) for frame in own) or script.learns_itself(*own[-1]):
        return False
    return any(script.follows_training(*frame) for frame in _innermost_own(frames))


def _innermost_own(frames: Sequence[tuple[str, int] | None]) -> list[tuple[str, int]]:
    """The script's own frames after the last time that other code called it."""
    found: list[tuple[str, int]] = []
    for before, frame in zip((None, *frames), frames, strict=False):
        if frame is not None:
            found = [*found, frame] if before is not None else [frame]
    return found


@dataclass(frozen=True, kw_only=True)
class _TrainingScript:
    """The parsed sources by path, and what in them trains."""

    trees: dict[str, ast.Module]
    trains: Callable[[_Loop], bool]
    learning: frozenset[str]
    """The names of what learns when it is called, a step or more."""
    training: frozenset[str]
    """The names of what trains as a whole when it is called."""

    @classmethod
    def read(cls, sources: Mapping[str, bytes]) -> _TrainingScript | None:
        trees = {path: tree for path, source in sources.items() if (tree := _parsed(source)) is not None}
        nodes = [node for tree in trees.values() for node in ast.walk(tree)]
        loops = [node for node in nodes if isinstance(node, _Loop)]
        functions = [node for node in nodes if isinstance(node, _Function)]
        surely, maybe = (_with_callers(names, functions) for names in (_LEARNS, _LEARNS | _MAY_LEARN))
        if not loops:
            return cls(trees=trees, trains=lambda _: False, learning=maybe, training=maybe)
        ways: tuple[tuple[Callable[[_Loop], bool], frozenset[str]], ...] = (
            (lambda loop: bool(_called(loop) & surely), surely),
            (lambda loop: bool(_called(loop) & maybe), maybe),
            (_counts, frozenset()),
            (lambda _: True, frozenset()),
        )
        trains, learning = next(way for way in ways if any(map(way[0], loops)))
        whole = {one.name for one in functions if any(isinstance(n, _Loop) and trains(n) for n in ast.walk(one))}
        return cls(trees=trees, trains=trains, learning=learning, training=_with_callers(whole, functions))

    def is_in_loop(self, path: str, line: int) -> bool:
        """True where a loop of the same function that trains is around a line."""
        return any(_has_line(one, line) for one in self._statements(path, line) if self._trains(one))

    def learns_itself(self, path: str, line: int) -> bool:
        """True where the statement at a line learns."""
        names = self.learning | self.training
        return any(_has_line(one, line) and bool(_calls(one) & names) for one in self._statements(path, line))

    def follows_training(self, path: str, line: int) -> bool:
        """True where a line comes after what trains in its function."""
        before = (one for one in self._statements(path, line) if (one.end_lineno or one.lineno) < line)
        return any(self._trains(one) or bool(_calls(one) & self.training) for one in before)

    def _trains(self, statement: ast.stmt) -> bool:
        """True for a loop that trains, or has a call in it that does."""
        return isinstance(statement, _Loop) and (self.trains(statement) or bool(_called(statement) & self.training))

    def _statements(self, path: str, line: int) -> Iterator[ast.stmt]:
        """The loops and single statements of the function that a line is in."""
        return _statements(_scope(self.trees[path], line).body)


def _with_callers(names: frozenset[str] | set[str], functions: Iterable[_Function]) -> frozenset[str]:
    """The names, and those of all functions that call one of them, directly or through one another."""
    found, waiting = set(names), list(functions)
    while callers := [one for one in waiting if _calls(one) & found]:
        found |= {one.name for one in callers}
        waiting = [one for one in waiting if one not in callers]
    return frozenset(found)


def _scope(tree: ast.Module, line: int) -> ast.Module | _Function:
    """The innermost function that has a line; the module where none has."""
    around = [node for node in ast.walk(tree) if isinstance(node, _Function) and _has_line(node, line)]
    return max(around, key=lambda node: node.lineno, default=tree)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The loops and the single statements of a body, out of `if`, `with` and `try`; not those of functions in it."""
    for statement in body:
        if isinstance(statement, _Function | ast.ClassDef):
            continue
        inner = [] if isinstance(statement, _Loop) else [*_bodies(statement)]
        yield from _statements(inner) if inner else (statement,)


def _bodies(statement: ast.stmt) -> Iterator[ast.stmt]:
    for part in ast.iter_child_nodes(statement):
        if isinstance(part, ast.stmt):
            yield part
        elif isinstance(part, ast.ExceptHandler | ast.match_case):
            yield from part.body


def _has_line(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _innermost(loops: list[_Loop]) -> _Loop:
    """The first loop that has none of the others in it."""
    inside = {id(node) for loop in loops for node in ast.walk(loop) if node is not loop}
    around = {id(loop) for loop in loops if any(id(other) in inside and _has(loop, other) for other in loops)}
    return next(loop for loop in loops if id(loop) not in around)


def _has(loop: _Loop, other: _Loop) -> bool:
    return any(node is other for node in ast.walk(loop) if node is not loop)


def _learns(loop: _Loop) -> bool:
    return bool(_called(loop) & _LEARNS)


def _may_learn(loop: _Loop) -> bool:
    return bool(_called(loop) & _MAY_LEARN)


def _counts(loop: _Loop) -> bool:
    """True where the loop counts epochs or steps."""
    head = loop.test if isinstance(loop, ast.While) else ast.Tuple(elts=[loop.target, loop.iter], ctx=ast.Load())
    names = [node.id.lower() for node in ast.walk(head) if isinstance(node, ast.Name)]
    return any(counter in name for name in names for counter in _COUNTERS)


def _called(loop: _Loop) -> set[str]:
    return {name for part in loop.body for name in _calls(part)}


def _calls(part: ast.AST) -> set[str]:
    calls = (node.func for node in ast.walk(part) if isinstance(node, ast.Call))
    return {name for call in calls if (name := _name(call))}


def _name(called: ast.expr) -> str:
    """The last name of what is called."""
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
