"""A digest of what source code does: equal for sources that differ only in comments, docstrings, blank lines or layout.

It is taken over the text of the tokens, not over a tree: `ast.dump` and `ast.unparse` differ between the CPythons that
the runner itself may run on (3.11 to 3.14), tokens do not once an f-string is put together again, and most code whose
grammar is older than the runner's own still has tokens.
"""

from __future__ import annotations

import hashlib
import io
import token
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SILENT = frozenset({token.COMMENT, token.NL, token.ENCODING, token.ENDMARKER, token.TYPE_COMMENT})
_LAYOUT = {token.NEWLINE: "\n", token.INDENT: "\t", token.DEDENT: "\b"}
_OPENING = frozenset(
    kind for name in ("FSTRING_START", "TSTRING_START") if (kind := getattr(token, name, None)) is not None
)
_CLOSING = frozenset(
    kind for name in ("FSTRING_END", "TSTRING_END") if (kind := getattr(token, name, None)) is not None
)
_READERS_OF_DOCSTRINGS = frozenset({"__doc__", "docopt", "doctest", "getdoc", "getsource", "getsourcelines"})
"""Names whose use makes a docstring part of what the code does."""


def code_digest(source: bytes) -> str:
    """SHA-256 (hex) over the tokens of Python code without comments, blank lines, layout and docstrings.

    Docstrings count where the code reads them (`__doc__`, docopt). Bytes that are not Python count as they are.
    """
    digest = hashlib.sha256()
    try:
        statements = list(_statements(source))
    except (tokenize.TokenError, SyntaxError, ValueError):
        digest.update(b"bytes\0" + source)
        return digest.hexdigest()
    reads_docstrings = any(text in _READERS_OF_DOCSTRINGS for statement in statements for text in statement)
    for statement in statements:
        if reads_docstrings or not _is_bare_string(statement):
            for text in statement:
                encoded = text.encode("utf-8", "surrogatepass")
                digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()


def _statements(source: bytes) -> Iterator[list[str]]:
    """The texts of the tokens by logical line; what indents or dedents before a line is a line of its own."""
    lines = io.BytesIO(source).readlines()
    statement: list[str] = []
    for kind, text in _tokens(source, lines):
        if kind in {token.INDENT, token.DEDENT}:
            yield [_LAYOUT[kind]]
            continue
        statement.append(_LAYOUT.get(kind, text))
        if kind == token.NEWLINE:
            yield statement
            statement = []
    if statement:
        yield statement


def _tokens(source: bytes, lines: list[bytes]) -> Iterator[tuple[int, str]]:
    """(kind, text) of the tokens that count; an f-string is one token, as it is for CPython 3.11."""
    encoding = "utf-8"
    depth, begin = 0, (0, 0)
    for found in tokenize.tokenize(io.BytesIO(source).readline):
        if found.type == token.ENCODING:
            encoding = found.string
        if found.type == token.ERRORTOKEN:
            raise SyntaxError(found.string)
        if found.type in _OPENING:
            begin = begin if depth else found.start
            depth += 1
        elif found.type in _CLOSING:
            depth -= 1
            if not depth:
                yield token.STRING, _between(lines, encoding, begin, found.end)
        elif not depth and found.type not in _SILENT:
            yield found.type, found.string


def _between(lines: list[bytes], encoding: str, begin: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one (line, column) to another."""
    texts = [line.decode(encoding) for line in lines[begin[0] - 1 : end[0]]]
    texts[-1] = texts[-1][: end[1]]
    texts[0] = texts[0][begin[1] :]
    return "".join(texts)


def _is_bare_string(statement: list[str]) -> bool:
    """Whether a statement is nothing but strings, none of which is evaluated: a docstring, or one that nobody reads."""
    texts = statement[:-1] if statement and statement[-1] == "\n" else statement
    return bool(texts) and all(_is_plain_string(text) for text in texts)


def _is_plain_string(text: str) -> bool:
    prefix, quote, _ = text.partition('"') if text.endswith('"') else text.partition("'")
    return bool(quote) and prefix.lower() in {"", "r", "u", "b", "br", "rb"}
