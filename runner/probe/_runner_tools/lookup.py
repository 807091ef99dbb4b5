"""A look, when the script has ended, at the object that a failure named: whether it is there, and what is like it."""

import atexit
import builtins
import difflib
import inspect
import json
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

NOTE = 1000
SAID = 500
NEAR = 6
ADVICE = re.compile("deprecat|instead|removed|renamed|replaced|no longer", re.IGNORECASE)


def _owners(name: "Any") -> "Any":
    """The module of this name; else the classes and functions that the script has, then those that any module has."""
    if name in sys.modules:
        return [sys.modules[name]]
    own: list[Any] = list(vars(sys.modules["__main__"]).values())
    found = [one for value in own for one in (value, type(value)) if _named(one, name)]
    if not found:
        modules: list[Any] = list(sys.modules.values())
        found = [vars(one).get(name) for one in modules if inspect.ismodule(one) and _named(vars(one).get(name), name)]
    return found


def _named(value: "Any", name: "Any") -> "Any":
    return (inspect.isclass(value) or inspect.isroutine(value)) and getattr(value, "__name__", "") == name


def _look(kind: "Any", owner: "Any", name: "Any") -> "Any":
    candidates = _owners(owner)
    if not candidates:
        return {"found": False}
    about = candidates[0]
    if kind == "argument":
        there, said, names = _argument(about, name)
    else:
        there, said, names = _attribute(about, name)
    return {
        "found": True,
        "where": about.__name__ if inspect.ismodule(about) else "%s.%s" % (about.__module__, about.__name__),
        "there": there,
        "said": " ".join(said.split())[:SAID],
        "near": _near(name, names),
    }


def _attribute(about: "Any", name: "Any") -> "Any":
    warnings: Any = builtins.__import__("warnings")  # the script's: what others warn of is recorded there
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            value, there, said = getattr(about, name), True, ""
        except AttributeError as error:
            value, there, said = None, False, _advice(str(error), name)
    said = " ".join([said] + [str(one.message) for one in warned])
    if there and not said.strip():
        said = _advice_of(value, name)
    return there, said, [one for one in dir(about) if not one.startswith("_")]


def _argument(about: "Any", name: "Any") -> "Any":
    try:
        names = list(inspect.signature(about).parameters)
    except (TypeError, ValueError):
        names = []
    makers = [vars(one).get("__init__") for one in inspect.getmro(about)] if inspect.isclass(about) else [about]
    said = " ".join(filter(None, [_advice_of(maker, name) for maker in makers if maker is not None]))
    return name in names, said, [one for one in names if one not in ("self", "args", "kwargs")]


def _advice_of(value: "Any", name: "Any") -> "Any":
    """A function's own advice on being deprecated: messages in its code first, then its docstring."""
    code = getattr(inspect.unwrap(value) if callable(value) else None, "__code__", None)
    texts = [text for text in (code.co_consts if code else ()) if isinstance(text, str)]
    found = [_advice(text, name) for text in [*texts, getattr(value, "__doc__", None) or ""]]
    return next(filter(None, found), "")


def _advice(text: "Any", name: "Any") -> "Any":
    """A text that gives advice about a name; of a long one the paragraphs that do."""
    parts = [
        part for part in text.split("\n\n") if ADVICE.search(part) and re.search(r"\b%s\b" % re.escape(name), part)
    ]
    return text if parts and len(text) <= SAID else " ".join(parts)


def _near(name: "Any", names: "Any") -> "Any":
    """Names that are like a name: one is the beginning of the other, or its initials, or they look alike."""
    initials = [one for one in names if "".join(word[:1] for word in one.split("_")) == name]
    begin = [one for one in names if name.startswith(one + "_") or one.startswith(name)]
    alike = difflib.get_close_matches(name, names, NEAR, 0.6)
    return list(dict.fromkeys(one for one in initials + begin + alike if one != name))[:NEAR]


def install(prelude: "PreludeHandle", kind: str, owner: str, name: str) -> None:
    """Ask `owner` for the attribute or argument (`kind`) `name` when the script has ended; the note is the answer."""

    def tell() -> None:
        try:
            found = _look(kind, owner, name)
            while len(json.dumps(found)) > NOTE and (found["said"] or found["near"]):
                found["said"], found["near"] = found["said"][:-50], found["near"][:-1]
            prelude.applied(json.dumps(found))
        except Exception as error:
            prelude.failed(error)

    atexit.register(tell)
