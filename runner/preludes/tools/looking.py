# Looks, when the script has ended, at the object that a failure named: is it there, what is like it, what does it say?
# Run as a prelude with `QUESTION` before it: the kind (attribute or argument), the owner, the name.

import atexit
import difflib
import inspect
import json
import re
import sys
import warnings

NOTE = 1000
SAID = 500
NEAR = 6
ADVICE = re.compile("deprecat|instead|removed|renamed|replaced|no longer", re.IGNORECASE)


def owners(name):
    """The module of this name; else the classes and functions that the script has, then those that any module has."""
    if name in sys.modules:
        return [sys.modules[name]]
    own = list(vars(sys.modules["__main__"]).values())
    found = [one for value in own for one in (value, type(value)) if named(one, name)]
    if not found:
        modules = [module for module in list(sys.modules.values()) if inspect.ismodule(module)]
        found = [value for module in modules for value in [vars(module).get(name)] if named(value, name)]
    return found


def named(value, name):
    return (inspect.isclass(value) or inspect.isroutine(value)) and getattr(value, "__name__", "") == name


def look(kind, owner, name):
    candidates = owners(owner)
    if not candidates:
        return {"found": False}
    about = candidates[0]
    if kind == "argument":
        there, said, names = argument(about, name)
    else:
        there, said, names = attribute(about, name)
    return {
        "found": True,
        "where": about.__name__ if inspect.ismodule(about) else "%s.%s" % (about.__module__, about.__name__),
        "there": there,
        "said": " ".join(said.split())[:SAID],
        "near": near(name, names),
    }


def attribute(about, name):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            value, there, said = getattr(about, name), True, ""
        except AttributeError as error:
            value, there, said = None, False, advice(str(error), name)
    said = " ".join([said] + [str(one.message) for one in warned])
    if there and not said.strip():
        said = advice_of(value, name)
    return there, said, [one for one in dir(about) if not one.startswith("_")]


def argument(about, name):
    try:
        names = list(inspect.signature(about).parameters)
    except (TypeError, ValueError):
        names = []
    makers = [vars(one).get("__init__") for one in inspect.getmro(about)] if inspect.isclass(about) else [about]
    said = " ".join(filter(None, [advice_of(maker, name) for maker in makers if maker is not None]))
    return name in names, said, [one for one in names if one not in ("self", "args", "kwargs")]


def advice_of(value, name):
    """What a function says in its own texts of being deprecated: messages in its code first, then its docstring."""
    code = getattr(inspect.unwrap(value) if callable(value) else None, "__code__", None)
    texts = [text for text in (code.co_consts if code else ()) if isinstance(text, str)]
    found = [advice(text, name) for text in texts + [getattr(value, "__doc__", None) or ""]]
    return next(filter(None, found), "")


def advice(text, name):
    """A text that gives advice about a name; of a long one the paragraphs that do."""
    parts = [part for part in text.split("\n\n") if ADVICE.search(part) and re.search(r"\b%s\b" % re.escape(name), part)]
    return text if parts and len(text) <= SAID else " ".join(parts)


def near(name, names):
    """Names that are like a name: one is the beginning of the other, or its initials, or they look alike."""
    initials = [one for one in names if "".join(word[:1] for word in one.split("_")) == name]
    begin = [one for one in names if name.startswith(one + "_") or one.startswith(name)]
    alike = difflib.get_close_matches(name, names, NEAR, 0.6)
    return list(dict.fromkeys(one for one in initials + begin + alike if one != name))[:NEAR]


def tell():
    try:
        found = look(*QUESTION)
        while len(json.dumps(found)) > NOTE and (found["said"] or found["near"]):
            found["said"], found["near"] = found["said"][:-50], found["near"][:-1]
        prelude.applied(json.dumps(found))
    except Exception as error:
        prelude.failed(error)


atexit.register(tell)
