"""The probe's own imports: standard modules of its own, from the interpreter's own place, unseen by the script.

A script may have a `json.py` or a `tokenize.py` beside it. It imports that one, as it would without the probe, and the
probe never does, nor does what the probe uses of the standard library. So all of it is loaded before the script's
folder is searched, and taken out of `sys.modules` again; the probe's modules, and those that were loaded for it, have
an import function among their builtins that finds it still.
"""

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKAGES = ("_runner_probe", "_runner_tools")
NEEDED = (
    *("atexit", "dis", "fcntl", "functools", "gc", "hashlib", "inspect", "itertools", "json", "operator", "pickle"),
    *("re", "resource", "time", "traceback", "types", "weakref"),
    *("ast", "contextlib", "linecache", "textwrap", "tokenize", "warnings", "_colorize"),
)
"""What the probe imports, then what the standard library imports late, where the probe calls it."""
NEEDED_BY_TOOLS = ("base64", "difflib", "zlib")
"""What the preludes' tools import besides."""
LIBRARY = os.path.dirname(os.__file__)
PLACES = (LIBRARY, os.path.join(LIBRARY, "lib-dynload"))
_bootstrap: "Any" = sys.modules["_frozen_importlib_external"]
_imp: "Any" = sys.modules["_imp"]


def is_standard(file: str) -> bool:
    """True for a file of the standard library."""
    beyond = file[len(LIBRARY) :].split(os.sep)[1:2]
    return file.startswith(LIBRARY + os.sep) and beyond[0] not in ("site-packages", "dist-packages")


class OwnImports:
    """Loads the probe's own modules, as a finder on `sys.meta_path`, and finds them again, as an import function."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._modules: dict[str, Any] = {}
        self._is_loading = False
        self._import: Any = builtins.__import__
        self._builtins = dict(vars(builtins), __import__=self.find)

    def load(self, names: "tuple[str, ...]") -> None:
        """Load standard modules, and leave `sys.modules` as it was; what this CPython lacks is left out."""
        others = {name: module for name, module in sys.modules.items() if _is_anothers(name, module)}
        for name in others:
            del sys.modules[name]
        before = set(sys.modules)
        self._is_loading = True
        try:
            for name in names:
                try:
                    self.find(name)
                except ImportError:
                    pass
        finally:
            self._is_loading = False
            loaded = set(sys.modules) - before
            # never the script's own module, which would outlive its time
            self._modules = {name: sys.modules[name] for name in loaded | before if _is_librarys(name)}
            for name in loaded:
                if not _is_built_in(name):
                    del sys.modules[name]
            sys.modules.update(others)

    def find(
        self,
        name: str,
        importer: "Any" = None,
        local: "Any" = None,
        fromlist: "Any" = (),
        level: int = 0,
    ) -> "Any":
        """Import for the probe's modules, and for those that were loaded for it: what `__import__` is elsewhere.

        C code that imports while one of them runs (it gives a list) is the script's: NumPy's, or `_pickle`.
        """
        if type(fromlist) is list:
            return self._import(name, importer, local, fromlist, level)
        full = _absolute(name, importer, level) if level else name
        found = None if self._is_loading else self._modules.get(full)
        if found is not None:
            return found if fromlist else self._modules[full.partition(".")[0]]
        sys.meta_path.insert(0, self)  # several threads may do so at once
        try:
            return self._import(name, importer, local, fromlist, level)
        finally:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """The spec of one of the probe's own modules; None for all others, which other finders find."""
        root = name.partition(".")[0]
        if root in PACKAGES:
            places = path or [self._folder]
        elif self._is_loading and not _is_built_in(name):
            places = path or PLACES
        else:
            return None
        spec = _bootstrap.PathFinder.find_spec(name, places)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: "Any") -> None:
        """Give the module that a loader runs these builtins."""
        run = loader.exec_module

        def exec_module(module: "Any") -> None:
            module.__dict__["__builtins__"] = self._builtins
            run(module)

        loader.exec_module = exec_module


def _is_anothers(name: str, module: "Any") -> bool:
    """True for a module that is imported by now and is neither the probe's nor standard: a file of the user's path."""
    file = getattr(module, "__dict__", {}).get("__file__")
    return isinstance(file, str) and name.partition(".")[0] not in PACKAGES and not is_standard(file)


def _is_librarys(name: str) -> bool:
    """True for what is neither the probe's nor the script's."""
    return name.partition(".")[0] not in (*PACKAGES, "__main__", "sitecustomize")


def _is_built_in(name: str) -> bool:
    """True for what the interpreter holds itself: no file of that name is ever found before it."""
    root = name.partition(".")[0]
    return root in sys.builtin_module_names or _imp.is_frozen(root)


def _absolute(name: str, importer: "Any", level: int) -> str:
    """The full name of what the module with these globals imports relatively."""
    package: str = importer["__package__"]
    for _ in range(level - 1):
        package = package.rpartition(".")[0]
    return package + "." + name if name else package
