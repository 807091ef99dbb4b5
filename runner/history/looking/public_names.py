"""Reads the public names of packages from their live objects: `python public_names.py question.json answer.json`.

The question: `roots` (the packages), `own` (beginnings of the names of modules whose objects are theirs), `modules` (of
modules that are theirs), `skip` (modules that are private, or copies; `*.python`: wherever), `shallow` (modules below
which methods are left out, and modules deeper than one step), `known` (paths that other releases have, which are asked
for even where `dir` does not list them), `arguments` (of other releases, by the name of a class or method).
"""

import contextlib
import importlib
import inspect
import io
import json
import logging
import os
import pkgutil
import re
import sys
import types
import warnings

from deprecation_notices import ON_BEING_GONE, said, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_DEFAULT = 160
NO_MODULES = re.compile(r"^_|^(tests?|testing_utils|conftest|setup|setup_common|integration_test|benchmarks)$|_test$")
KINDS = {"POSITIONAL_ONLY": "p", "KEYWORD_ONLY": "k", "VAR_POSITIONAL": "a", "VAR_KEYWORD": "w"}
OFFERED = object()


class NamesWalk:
    """One walk through the public modules of some packages; `facts` has what was seen, by path."""

    def __init__(self, question: "dict[str, Any]") -> None:
        self.roots: list[str] = list(question["roots"]) or importable(question["package"])
        self.own: tuple[str, ...] = (*self.roots, *question["own"])
        self.theirs: tuple[str, ...] = (*self.roots, *question["modules"])
        self.skip: set[str] = set(question["skip"])
        self.shallow: tuple[str, ...] = tuple(question["shallow"])
        self.listed: bool = question["listed"]
        self.known: dict[str, set[str]] = {}
        for path in question["known"]:
            owner, _, leaf = path.rpartition(".")
            self.known.setdefault(owner, set()).add(leaf)
        self.facts: dict[str, dict[str, Any]] = {}
        self.paths: dict[int, str] = {}
        self.classes: list[tuple[str, type]] = []
        self.entered: dict[int, str] = {}
        self._kept: list[Any] = []
        self._modules: dict[int, str] = {}
        self._waiting: list[tuple[str, Any]] = []
        self._found: dict[int, list[tuple[tuple[bool, bool, int, str], str]]] = {}
        self._met: list[tuple[str, Any, str, bool]] = []

    def walk(self) -> None:
        """Go through all modules, the outer ones first, so that an object's path is its shortest one.

        Of several paths of one length a module has the one that it calls itself.
        """
        for root in self.roots:
            self._waiting.append((root, importlib.import_module(root)))
        _unlimited_notices()
        while self._waiting:
            path, module = min(self._waiting, key=lambda one: (one[0].count("."), one[1].__name__ != one[0]))
            self._waiting.remove((path, module))
            if id(module) in self._modules:
                self.facts[path] = {"t": self._modules[id(module)]}
            else:
                self._modules[id(module)] = path
                self._kept.append(module)
                self.facts[path] = {"k": "module"}
                try:
                    self.facts[path].update(said(module))
                    self._module(path, module)
                except Exception:  # a namespace that raises whatever it is asked for
                    continue
        for number, places in self._found.items():
            self.paths[number] = min(places)[1]
        for path, value, words, is_shallow in self._met:
            try:
                self._object(path, value, words, is_shallow)
            except Exception:  # an object that raises whatever it is asked for
                self.facts[path] = {"k": "value"}
        for path, cls in self.classes:
            self._bases(path, cls)

    def _module(self, path: "str", module: "types.ModuleType") -> None:
        depth = [path.count(".") - one.count(".") for one in self.shallow if (path + ".").startswith(one + ".")]
        try:
            names = {name for name in dir(module) if not name.startswith("_")}
        except Exception:
            names = set()
        inner = self._submodules(path, module) if self.listed and not any(depth) else set()
        for name in sorted(names | inner | self.known.get(path, set())):
            here = "%s.%s" % (path, name)
            if here in self.skip or "*." + name in self.skip or name.startswith("_"):
                continue
            value, words = asked(module, name, here if name in inner else "")
            if value is OFFERED:
                if words:
                    self.facts[here] = {"k": "gone", "d": words}
                continue
            value = _behind(value)
            if inspect.ismodule(value):
                if starts(getattr(value, "__name__", ""), self.theirs) and not any(depth):
                    self._waiting.append((here, value))
                continue
            if type(value).__module__ == "__future__":
                continue
            self._meet(here, value, words, module, bool(depth))

    def _submodules(self, path: "str", module: "Any") -> "set[str]":
        folders = list(getattr(module, "__path__", None) or [])
        if module.__name__ != path:
            return set()
        return {found.name for found in pkgutil.iter_modules(folders) if not NO_MODULES.search(found.name)}

    def _meet(self, path: "str", value: "Any", words: "str", module: "Any", is_shallow: "bool") -> None:
        """Note where an object was met; its own path is where it belongs, and the shortest of these."""
        self._met.append((path, value, words, is_shallow))
        if inspect.isclass(value) or inspect.isroutine(value) or _is_callable_object(value):
            is_passing = not hasattr(module, "__path__") and module.__name__ != getattr(value, "__module__", "")
            place = (is_shallow, is_passing, path.count("."), path)
            self._found.setdefault(id(value), []).append((place, path))

    def _object(self, path: "str", value: "Any", words: "str", is_shallow: "bool") -> None:
        spoken: dict[str, Any] = {"d": words} if words else {}
        is_routine = inspect.isroutine(value) or isinstance(value, types.BuiltinFunctionType)
        if not (inspect.isclass(value) or is_routine or _is_callable_object(value)):
            self.facts[path] = {"k": "value", **spoken}
            return
        home = str(getattr(value, "__module__", "") or "")
        if home and not starts(home, self.own) and (inspect.isclass(value) or inspect.isfunction(value)):
            kind = "class" if inspect.isclass(value) else "function"
            where = "%s.%s" % (home, getattr(value, "__qualname__", "")) if len(home) < 80 else ""
            self.facts[path] = {"k": kind, "t": where, **spoken}
            return
        if self.paths[id(value)] != path:
            self.facts[path] = {"t": self.paths[id(value)], **spoken}
            return
        if inspect.isclass(value):
            self.facts[path] = {"k": "class", **signature_fact(_maker(value), 1), **said(value), **spoken}
            if not is_shallow:
                self.classes.append((path, value))
                self._members(path, value)
        else:
            self.facts[path] = {"k": "function", **signature_fact(value, 0), **said(value), **spoken}

    def _members(self, path: "str", cls: "type") -> None:
        self.entered[id(cls)] = path
        for name, value in list(vars(cls).items()):
            if name.startswith("_") and name != "__call__":
                continue
            fact = member_fact(value)
            if fact is not None:
                self.facts["%s.%s" % (path, name)] = fact

    def _bases(self, path: "str", cls: "type") -> None:
        """Name where inherited members stand; a base without a public path is kept under its own, hidden."""
        line = [one for one in inspect.getmro(cls)[1:] if one is not object and one.__module__ != "builtins"]
        if len(cls.__bases__) == 1:
            line = line[:1]
        bases = []
        for base in line:
            there = self.entered.get(id(base))
            if there is None:
                there = "~%s.%s" % (base.__module__, base.__qualname__)
                self._kept.append(base)
                self.facts[there] = {"k": "class"}
                self._members(there, base)
                self._bases(there, base)
            bases.append(there)
        if bases:
            self.facts[path]["b"] = bases


def starts(name: "str", beginnings: "tuple[str, ...]") -> "bool":
    """True where a dotted name is one of these, or below one."""
    return any((name + ".").startswith(one + ".") for one in beginnings)


def importable(package: "str") -> "list[str]":
    """The names that a distribution is imported by, from the list of its files."""
    found: set[str] = set()
    for folder in sys.path:
        for info in os.listdir(folder) if os.path.isdir(folder) else ():
            name = info[: -len(".dist-info")].rpartition("-")[0] if info.endswith(".dist-info") else ""
            if re.sub(r"[-_.]+", "-", name).lower() == package:
                with open(os.path.join(folder, info, "RECORD")) as record:
                    found.update(line.split(",")[0] for line in record)
    modules = {
        re.sub(r"\.(py|so|[^/]*\.so)$", "", path.split("/")[0]) for path in found if path.endswith((".py", ".so"))
    }
    return sorted(name for name in modules if name.isidentifier() and not name.startswith("_"))


class Notices(logging.Handler):
    """What TensorFlow logs when an attribute is asked for that is called otherwise now."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: "logging.LogRecord") -> None:
        """Keep the lines of a message that give advice, without where the attribute was asked for."""
        lines = str(record.getMessage()).splitlines()
        self.texts += [re.sub(r"^From \S+:\d+: ", "", line) for line in lines if ON_BEING_GONE.search(line)]


NOTICES = Notices()


def _unlimited_notices() -> None:
    """Have TensorFlow 1.14 and later say of every renamed attribute that it is, and not only of a module's first."""
    logging.getLogger("tensorflow").addHandler(NOTICES)
    for name in ("module_wrapper", "deprecation_wrapper"):
        wrapper: Any = sys.modules.get("tensorflow.python.util." + name)
        if hasattr(wrapper, "_PER_MODULE_WARNING_LIMIT"):
            wrapper._PER_MODULE_WARNING_LIMIT = sys.maxsize


def asked(owner: "Any", name: "str", importable: "str") -> "tuple[Any, str]":
    """The attribute of a module, OFFERED where there is none, and what the package says when it is asked for it."""
    NOTICES.texts.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            value = getattr(owner, name)
        except AttributeError as error:
            value, words = _imported(importable), _beside_the_usual(str(error))
        except Exception:
            value, words = _imported(importable), ""
        else:
            words = ""
    spoken = [*(str(one.message) for one in warned), *NOTICES.texts]
    told = [text for text in spoken if name in text and ON_BEING_GONE.search(text)]
    return value, shortened(words or (told[0] if told else ""))


def _beside_the_usual(text: "str") -> "str":
    """What an AttributeError says, where that is more than that there is no such attribute."""
    more = re.sub(r"^module '[^']*' has no attribute '[^']*'", "", text)
    return text if ON_BEING_GONE.search(more) else ""


def _imported(path: "str") -> "Any":
    if not path:
        return OFFERED
    try:
        return importlib.import_module(path)
    except BaseException:
        return OFFERED


def _behind(value: "Any") -> "Any":
    """The module for which an object stands that is none itself: `tf.contrib` of TensorFlow 1.0."""
    if inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value):
        return value
    try:
        name = getattr(value, "__name__", None)
    except Exception:
        return value
    return sys.modules.get(name, value) if isinstance(name, str) and "." in name else value


def _is_callable_object(value: "Any") -> "bool":
    """True for what is called like a function without being one: a ufunc, a wrapped method."""
    try:
        return callable(value) and hasattr(value, "__name__") and hasattr(value, "__doc__")
    except Exception:
        return False


def member_fact(value: "Any") -> "dict[str, Any] | None":
    """What is kept of a member of a class."""
    if isinstance(value, (staticmethod, classmethod)):
        return {"k": "method", **signature_fact(value.__func__, isinstance(value, classmethod)), **said(value.__func__)}
    if inspect.isclass(value):
        return {"k": "class", **signature_fact(_maker(value), 1), **said(value)}
    if inspect.isroutine(value) or inspect.ismethoddescriptor(value):
        return {"k": "method", **signature_fact(value, 1), **said(value)}
    if isinstance(value, property) or inspect.isdatadescriptor(value):
        return {"k": "property", **said(value)}
    if _is_callable_object(value):
        return {"k": "method", **signature_fact(value, 1), **said(value)}
    return {"k": "value"}


def _maker(cls: "type") -> "Any":
    """What a class is called through: `__init__`, unless only `__new__` says what it takes."""
    init: Any = cls.__init__  # type: ignore[misc]
    new: Any = cls.__new__
    if init is object.__init__ and new is not object.__new__:
        return new
    return init


def signature_fact(function: "Any", left_out: "int") -> "dict[str, Any]":
    """The parameters of a callable without its first ones; nothing where they are not known."""
    if function is object.__init__:
        return {"p": []}
    kept = parameters_of(function)
    return {} if kept is None else {"p": list(kept[int(left_out) :])}


def parameters_of(function: "Any") -> "list[Any] | None":
    """The parameters of a callable, through all that wraps it."""
    for _ in range(20):
        inner = getattr(function, "_original_function", None) or getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    try:
        found = inspect.signature(_safe(function)).parameters.values()
    except Exception:
        return None
    return [_parameter(one) for one in found]


def _safe(function: "Any") -> "Any":
    """A function of Cython over several types, as one of Python: older ones end the process when they are asked."""
    if type(function).__name__ != "fused_cython_function":
        return function
    return types.FunctionType(function.__code__, {}, function.__name__, function.__defaults__)


def _parameter(one: "inspect.Parameter") -> "Any":
    kind = KINDS.get(one.kind.name, "e")
    default = None if one.default is one.empty else stable(one.default)
    if kind != "e":
        return [one.name, default, kind]
    return one.name if default is None else [one.name, default]


def stable(value: "Any") -> "str":
    """The source text of a default, the same in every process."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return "%s.%s" % (getattr(value, "__module__", ""), getattr(value, "__qualname__", ""))
    if isinstance(value, (set, frozenset)):
        text = "{%s}" % ", ".join(sorted(map(stable, value)))
    else:
        try:
            text = repr(value)
        except Exception:
            text = "<%s>" % type(value).__name__
    text = re.sub(r" (?:object )?at 0x[0-9a-fA-F]+", "", text)
    return " ".join(text.split())[:LONGEST_DEFAULT]


def main(question_path: "str", answer_path: "str") -> None:
    """Answer a question: the facts by path."""
    with open(question_path) as file:
        question = json.load(file)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.setrecursionlimit(10000)
    walk = NamesWalk(question)
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        walk.walk()
        if question["arguments"] is not None:
            import argument_trials

            argument_trials.Trials(walk, question["arguments"]).run()
    with open(answer_path, "w") as file:
        json.dump(walk.facts, file, sort_keys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
