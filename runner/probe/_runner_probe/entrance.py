"""The way in: the settings that the engine gave, and a world for the script in which nothing is seen of them.

The engine puts the probe's folder first on PYTHONPATH and names the record channel in RUNNER_CHANNEL. `os.environ` has
neither any more when the script's first line runs. The environment that the operating system keeps for the process
has them still, so that the Python processes that the script starts find the probe too, and hide it likewise.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETTINGS = ("RUNNER_PROBE", "RUNNER_CHANNEL", "RUNNER_SEED", "RUNNER_SEEDING", "RUNNER_STEPS", "RUNNER_PRELUDES")
FIRST = "RUNNER_FIRST_PROCESS"
"""Names the process that the trial began with; missing in that process itself, unless it replaced itself (`exec`)."""


def enter(folder: str) -> None:
    """Start the probe that lies in `folder`, leave no trace of it, and go on with the next sitecustomize."""
    settings = {name: os.environ[name] for name in (*SETTINGS, FIRST) if name in os.environ}
    _hide(folder)
    if settings.get("RUNNER_CHANNEL"):
        _start(settings, folder)
    sys.path[:] = [entry for entry in sys.path if not _is_same(entry, folder)]
    _chain()


def _is_same(entry: str, folder: str) -> bool:
    return bool(entry) and os.path.abspath(entry) == folder


def _hide(folder: str) -> None:
    """Take all of it out of `os.environ`, and of nothing else."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [entry for entry in entries if not _is_same(entry, folder)]
    data, encode = os.environ._data, os.environ.encodekey  # type: ignore[attr-defined]
    for name in (*SETTINGS, FIRST):
        data.pop(encode(name), None)
    if any(others):
        data[encode("PYTHONPATH")] = os.fsencode(os.pathsep.join(others))
    else:
        data.pop(encode("PYTHONPATH"), None)


def _start(settings: "dict[str, str]", folder: str) -> None:
    try:
        from . import own_imports

        os.putenv(FIRST, settings.get(FIRST, str(os.getpid())))
        own = own_imports.OwnImports(folder)
        own.load(own_imports.NEEDED + (own_imports.NEEDED_BY_TOOLS if settings.get("RUNNER_PRELUDES") else ()))
        sys.meta_path.insert(0, own)  # for the tools, which preludes import
        try:
            from . import beginning

            beginning.start(settings, folder, FIRST)
        finally:
            sys.meta_path.remove(own)
    except Exception:
        # Without a channel there is nobody to tell: a trial whose probe never said that it started is `unknown`.
        pass


def _chain() -> None:
    """Run the next sitecustomize on sys.path in this one's place; what it raises is reported by `site`, as ever."""
    finder: Any = sys.modules["_frozen_importlib_external"]
    spec = finder.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        bootstrap: Any = sys.modules["_frozen_importlib"]
        module = bootstrap.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)
