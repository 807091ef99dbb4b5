"""What a package says of a name on being deprecated, or gone: in a docstring, or in a message that its code holds."""

import inspect
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_SAID = 400
DEPRECATED = re.compile(
    r"THIS (?:FUNCTION|CLASS|METHOD|SYMBOL|ARGUMENT)[^.]* IS DEPRECATED\..*"
    r"|SOME ARGUMENTS ARE DEPRECATED.*|^\.\. deprecated::.*|DEPRECATED[:.] .*"
    r"|\b(?:is|are|has been|was) deprecated\b.*",
    re.DOTALL | re.MULTILINE,
)
"""A directive counts at the margin of a docstring only: one that is indented is about an argument."""
SECTION = re.compile(
    r"^(?:# )?(?:Args|Arguments|(?:Other )?Parameters|Attributes|Returns|Examples?):?\s*$", re.MULTILINE
)
ON_BEING_GONE = re.compile("deprecat|removed|renamed|replaced|no longer|instead|moved|expired", re.IGNORECASE)


def said(value: "Any") -> "dict[str, str]":
    """What a function or class says of itself on being deprecated: in its docstring, else in its code."""
    text = _documented(value) or _warned(value)
    return {"d": text} if text else {}


def _warned(value: "Any") -> "str":
    """A message in a function's code that says of the function that it is deprecated."""
    try:
        function = inspect.unwrap(value)
    except Exception:
        return ""
    code, name = getattr(function, "__code__", None), getattr(function, "__name__", "")
    told = [text for text in (code.co_consts if code else ()) if isinstance(text, str) and " " in text]
    texts = [text for text in told if text != getattr(function, "__doc__", None) and "\n\n" not in text]
    about = [text for text in texts if "deprecat" in text and re.search(r"\b%s\b" % re.escape(name), text)]
    return shortened(about[0]) if about else ""


def _documented(value: "Any") -> "str":
    """The deprecation text in a docstring's first lines, or in the block that is for it."""
    doc = getattr(value, "__doc__", None)
    if not isinstance(doc, str) or "deprecat" not in doc.lower():
        return ""
    head = inspect.cleandoc(doc)[:1500]
    found = DEPRECATED.search(head)
    if not found or (found.start() > 400 and not found.group().startswith((".. dep", "THIS"))):
        return ""
    if found.group().startswith(".. dep"):
        return shortened(re.split(r"\n(?=\S)", found.group())[0])
    section = SECTION.search(head)
    if section and section.start() < found.start() and not found.group().startswith(("THIS", "SOME")):
        return ""
    if re.match(r"\b(?:is|are|has|was)", found.group()):
        start = max(at + 2 if at >= 0 else 0 for at in (head.rfind(end, 0, found.start()) for end in ("\n\n", ". ")))
        text = head[start:].split("\n\n")[0]
        if start > 200:
            return ""
    else:
        parts = found.group().split("\n\n")
        text = " ".join(parts[:1] if "Instructions" in parts[0] or len(parts) == 1 else parts[:2])
    return shortened(text)


def shortened(text: "str") -> "str":
    """The words of a text, the first 400 characters."""
    return " ".join(text.split())[:LONGEST_SAID]
