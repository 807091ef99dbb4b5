"""The line of a script that looks like its training loop: where a script that reports nothing could report."""

from __future__ import annotations

import ast

_LEARNS = frozenset({"apply_gradients", "apply", "minimize", "backward", "train_on_batch", "train_step", "partial_fit"})
"""Calls that learn, whatever they are called on."""
_MAY_LEARN = frozenset({"step", "run", "update", "fit"})
"""Calls that learn where nothing surer is there: of an optimizer, of a session, of a model."""
_COUNTERS = ("epoch", "step", "iter", "batch")
_LONGEST_SOURCE = 1024**2

_Loop = ast.For | ast.AsyncFor | ast.While


def loop_line(source: bytes) -> tuple[int, str] | None:
    """Line and text of the loop that trains, the innermost one; None where nothing looks like it."""
    if len(source) > _LONGEST_SOURCE:
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    loops = [node for node in ast.walk(tree) if isinstance(node, _Loop)]
    for looks_like in (_learns, _may_learn, _counts):
        found = [loop for loop in loops if looks_like(loop)]
        if found:
            loop = _innermost(found)
            lines = source.decode("utf-8", "replace").splitlines()
            text = lines[loop.lineno - 1].strip() if loop.lineno <= len(lines) else ""
            return loop.lineno, text[:120]
    return None


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
    calls = (node.func for part in loop.body for node in ast.walk(part) if isinstance(node, ast.Call))
    return {call.attr if isinstance(call, ast.Attribute) else call.id for call in calls if isinstance(call, _NAMED)}


_NAMED = (ast.Attribute, ast.Name)
