"""The words that `expect:` may use for outcomes, as VERDICTS.md has them; a user's words → their canonical form."""

from __future__ import annotations

import re

from runner.matrix.mistakes import RefusedError, nearest, quoted

OUTCOME_LABELS: dict[str, tuple[str, ...]] = {
    "converges": (),
    "settles": (),
    "fails": ("improving", "plateaued", "diverged", "nan", "oscillating", "crashed-training"),
    "flaky": ("mostly converges", "mostly fails", "coin flip"),
    "blocked": (
        "unresolvable",
        "image-build-failed",
        "install-failed",
        "download-failed",
        "crashed-import",
        "crashed-build-model",
    ),
    "undecided": ("timeout", "out-of-memory", "too-short", "no-metrics", "unknown"),
}
"""The label of a cell, and what may stand in brackets after it: the trial label that most of its trials have."""

_FORM = re.compile(r"\s*([^()]*?)\s*(?:\(\s*([^()]*?)\s*\))?\s*")


def outcome_words(text: str) -> str:
    """An outcome as the runner writes it: `fails`, `fails (nan)`.

    Raises RefusedError for a word that is no outcome, naming the nearest that is.
    """
    match = _FORM.fullmatch(text[:200])
    word, label = (match[1], match[2]) if match else (text, None)
    if word not in OUTCOME_LABELS:
        raise RefusedError(f"{quoted(text)} is no outcome", nearest(*_meant(word, label)))
    if label is None:
        return word
    if label not in OUTCOME_LABELS[word]:
        others = [f"{other} ({label})" for other, labels in OUTCOME_LABELS.items() if label in labels]
        choices = [f"{word} ({known})" for known in OUTCOME_LABELS[word]] or [word]
        hint = f"did you mean {quoted(others[0])}?" if others else nearest(f"{word} ({label})", choices)
        raise RefusedError(f"{quoted(text)} is no outcome", hint)
    return f"{word} ({label})"


def _meant(word: str, label: str | None) -> tuple[str, list[str]]:
    """A wrong word and what it is compared with: all outcomes, those with its label, or the one its own label has."""
    if label is not None:
        with_label = [f"{outcome} ({label})" for outcome, labels in OUTCOME_LABELS.items() if label in labels]
        return f"{word} ({label})", with_label or list(OUTCOME_LABELS)
    bare = [f"{outcome} ({word})" for outcome, labels in OUTCOME_LABELS.items() if word in labels]
    return (bare[0], bare) if bare else (word, list(OUTCOME_LABELS))
