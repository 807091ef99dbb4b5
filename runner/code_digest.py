"""A digest of what source code does: equal for sources that differ only in comments, docstrings, blank lines or layout.

It is taken over the text of the tokens, which are cut by one expression here: `ast` and `tokenize` dump and cut code
differently in each CPython that the runner itself may run on (3.11 to 3.14), and a key must not depend on that. Code
whose grammar is older or newer than the runner's own has tokens all the same.
"""

from __future__ import annotations

import hashlib
import io
import re
import tokenize
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    r"""
    (?P<string>
        (?P<prefix> [rRbBuUfFtT]{0,2} )
        (?: \"{3} (?: [^\\] | \\. )*? \"{3} | '{3} (?: [^\\] | \\. )*? '{3}
          | " (?: [^"\\\n] | \\. )* " | ' (?: [^'\\\n] | \\. )* ' )
    )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<space> [ \t\f]+ | \\\n )
    | (?P<number> \.?\d (?: [\w.] | (?<=[eE]) [+-] )* )
    | (?P<word> \w+ )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_READERS_OF_DOCSTRINGS = frozenset({"__doc__", "docopt", "doctest", "getdoc", "getsource", "getsourcelines"})
"""Names whose use makes a docstring part of what the code does."""
_LAYOUT = frozenset({"comment", "newline"})
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def code_digest(source: bytes) -> str:
    """SHA-256 (hex) over the tokens of Python code without comments, blank lines, layout and docstrings.

    Docstrings count where the code reads them (`__doc__`, docopt). Bytes that can't be decoded, and code with an
    f-string that has its own quotes inside (Python 3.12), count as they are.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        statements = list(_statements(source.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")))
    except (SyntaxError, ValueError, LookupError):
        return hashlib.sha256(b"bytes\0" + source).hexdigest()
    reads_docstrings = any(text in _READERS_OF_DOCSTRINGS for _, texts, _ in statements for text in texts)
    digest = hashlib.sha256()
    indents = [0]
    for indent, texts, is_bare_string in statements:
        if is_bare_string and not reads_docstrings:
            continue
        while indents[-1] > indent:
            indents.pop()
            digest.update(b"<")
        if indent > indents[-1]:
            indents.append(indent)
            digest.update(b">")
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        digest.update(b"%b;" % b"".join([b"%d:%b" % (len(one), one) for one in encoded]))
    return digest.hexdigest()


def _statements(text: str) -> Iterator[tuple[int, list[str], bool]]:
    """(indentation, texts of the tokens, whether it is nothing but strings) of each logical line that has any."""
    indent = depth = 0
    texts: list[str] = []
    is_bare, is_at_start = True, True
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match[0]
        if kind == "space":
            indent = len(found.expandtabs(8)) if is_at_start and found != "\\\n" else indent
        elif kind == "newline" and not depth:
            if texts:
                yield indent, texts, is_bare
            texts, indent, is_bare, is_at_start = [], 0, True, True
        elif kind not in _LAYOUT:
            is_plain = kind == "string" and _is_plain(match["prefix"], found)
            depth = max(0, depth + _DEPTH[found]) if found in _DEPTH else depth
            is_bare = is_bare and is_plain
            is_at_start = False
            texts.append(found)
    if texts:
        yield indent, texts, is_bare


def _is_plain(prefix: str, string: str) -> bool:
    """True where a string is not evaluated; raises ValueError for one that is and ends before its braces are closed."""
    if not set(prefix) & set("fFtT"):
        return True
    if string.count("{") != string.count("}"):
        raise ValueError("an f-string with its own quotes inside")
    return False
