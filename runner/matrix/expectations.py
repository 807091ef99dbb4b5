"""The words that `expect:` may use for outcomes (docs/verdicts.md), and the canonical form of what a user writes."""

from __future__ import annotations

from runner.matrix.mistakes import RefusedError, nearest, quoted

OUTCOME_LABELS: dict[str, tuple[str, ...]] = {
    "converges": (),
    "settles": (),
    "fails": ("improving", "plateaued", "diverged", "nan", "oscillating", "crashed-training"),
    "flaky": ("mostly converges", "mostly settles", "mostly fails", "coin flip"),
    "blocked": (
        "unresolvable",
        "image-build-failed",
        "install-failed",
        "download-failed",
        "crashed-import",
        "crashed-build-model",
    ),
    "undecided": (),
}
"""The outcomes of a cell, and what may stand in brackets after each: mostly the trial label that its trials have."""

MEANT = {
    **{label: f"{word} ({label})" for word, labels in OUTCOME_LABELS.items() for label in labels},
    "converged": "converges",
    "settled": "settles",
    **dict.fromkeys(("timeout", "out-of-memory", "too-short", "no-metrics", "unknown"), "undecided"),
}
"""The outcome that goes with a trial label; the last five are not counted, so they leave a cell undecided."""


def outcome_words(text: str) -> str:
    """An outcome as the runner writes it: `fails`, `fails (nan)`; `unresolvable` is short for `blocked (unresolvable)`.

    Raises RefusedError for a word that is not an outcome, naming the nearest one.
    """
    before, bracket, rest = text.partition("(")
    closed = rest.rstrip().endswith(")")
    word, label = (before.strip(), rest.rstrip()[:-1].strip()) if bracket and closed else (text.strip(), None)
    if word == "unresolvable" and label is None:
        return MEANT[word]
    if label is None and word in OUTCOME_LABELS:
        return word
    if label is not None and label in OUTCOME_LABELS.get(word, ()):
        return f"{word} ({label})"
    meant = MEANT.get(word if label is None else label)
    if meant:
        raise RefusedError(f"{quoted(text)} is not an outcome", f"did you mean {quoted(meant)}?")
    choices = [f"{word} ({known})" for known in OUTCOME_LABELS.get(word, ())] or list(OUTCOME_LABELS)
    raise RefusedError(f"{quoted(text)} is not an outcome", nearest(text, choices))
