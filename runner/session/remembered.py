"""Comparisons remembered by what was compared: a finished matrix shows them at once, SciPy takes seconds to load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import runner.outcomes
from runner.outcomes.compared import Compared, compared

if TYPE_CHECKING:
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.trials.store import Store


def remembered(judged: JudgedMatrix, store: Store) -> tuple[Compared, ...]:
    """What `compared` says, from the store where it was worked out before."""
    if judged.chosen is None:
        return ()
    key = _key(judged)
    text = store.answer(key)
    if text is None:
        text = json.dumps([asdict(one) for one in compared(judged)])
        store.keep_answer(key, text)
    return tuple(Compared(**one) for one in json.loads(text))


def _key(judged: JudgedMatrix) -> str:
    """A hash of all that the comparisons follow from."""
    digest = hashlib.sha256(_code().encode())
    digest.update(json.dumps([str(judged.chosen), judged.named, judged.reason]).encode())
    for cell in judged.cells:
        trials = [(record.key, verdict.label, repr(verdict.final)) for record, verdict in cell.trials]
        digest.update(json.dumps([str(cell.outcome), cell.flags, trials]).encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    """A hash of the code that compares."""
    digest = hashlib.sha256()
    for file in sorted(Path(runner.outcomes.__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
