"""A source file's bytes as text that can be edited, and back: its encoding and its byte order mark stay as they are.

An edit replaces a span of the text's UTF-8 bytes, so that whatever is not edited is kept to the byte.
"""

from __future__ import annotations

import codecs
import io
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


class NotRewritableError(UsageError):
    """A source file of the script can't be rewritten to another import flavour; `line` counts from 1."""

    def __init__(self, *, path: str, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(
            f"{path}:{line}: the Keras imports of this file can't be rewritten: {reason}. Use `import: as-written`, or "
            f"write one script per import and an axis named `script`."
        )

    @property
    def why(self) -> str:
        """The place and what is wrong there."""
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceText:
    """The text of a source file, without its byte order mark, and how it becomes bytes again."""

    mark: bytes
    encoding: str
    text: str

    def with_text(self, text: str) -> bytes:
        """The file's bytes with another text."""
        return self.mark + text.encode(self.encoding)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edit:
    """The UTF-8 bytes from `start` up to `end` become `text`."""

    start: int
    end: int
    text: str


def decode(content: bytes, path: str) -> SourceText:
    """The text of a source file. Raises NotRewritableError where its encoding is unknown or it does not keep to it."""
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    body = content[len(mark) :]
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0].removesuffix("-sig")
    except SyntaxError as error:
        raise NotRewritableError(path=path, line=1, reason=str(error)) from error
    try:
        text = body.decode(encoding)
        if text.encode(encoding) != body:
            reason = f"its {encoding} text does not come out as the same bytes again"
            raise NotRewritableError(path=path, line=1, reason=reason)
    except UnicodeError as error:
        line = body.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise NotRewritableError(path=path, line=line, reason=f"it is not {encoding} text") from error
    return SourceText(mark=mark, encoding=encoding, text=text)


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they must not overlap."""
    data = text.encode()
    parts: list[bytes] = []
    done = 0
    for edit in sorted(edits):
        if edit.start < done:
            raise AssertionError(f"{edit} overlaps the one before it")
        parts += [data[done : edit.start], edit.text.encode()]
        done = edit.end
    return b"".join([*parts, data[done:]]).decode()
