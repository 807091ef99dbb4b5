"""The corpus of import forms: `forms.txt`, and the scripts in `tutorials/`, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FLAVOURS = ("keras", "tf.keras", "tf_keras")
ROOTS = {"keras": "keras", "tf.keras": "tensorflow.keras", "tf_keras": "tf_keras"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a form becomes in a flavour: its text, and what is left alone, as `line: use (reason)`."""

    text: str
    left_alone: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of import as a script writes it."""

    title: str
    source: str
    expected: dict[str, Expected]


def forms() -> list[Form]:
    """The forms of `forms.txt`: `==== title`, the source, then `---- flavours` and what it becomes in them.

    `(the same)` stands for the source; lines that begin with `! ` say what is left alone.
    """
    return [_form(block) for block in re.split(r"^==== ", (HERE / "forms.txt").read_text(), flags=re.MULTILINE)[1:]]


def tutorials() -> dict[str, str]:
    """The scripts in the styles of public tutorials, by name."""
    return {path.stem: path.read_text() for path in sorted((HERE / "tutorials").glob("*.txt"))}


def _form(block: str) -> Form:
    head, *sections = re.split(r"^---- ", block, flags=re.MULTILINE)
    title, _, source = head.partition("\n")
    expected: dict[str, Expected] = {}
    for section in sections:
        flavours, _, body = section.partition("\n")
        lines = body.splitlines(keepends=True)
        text = "".join(line for line in lines if not line.startswith("! "))
        left_alone = tuple(line[2:].rstrip("\n") for line in lines if line.startswith("! "))
        for flavour in flavours.split(", "):
            expected[flavour] = Expected(text=source if text == "(the same)\n" else text, left_alone=left_alone)
    return Form(title=title, source=source, expected=expected)
