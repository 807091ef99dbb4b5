"""Steps before the script begins: the trial's seed is set, and its preludes run.

Each library is seeded right after its import; what the script seeds itself comes later and wins. A prelude is a
source that changes one thing, and says that it did.
"""

import builtins
import os

from .emitter import message_of
from .enclosing_importlib_bootstrap import enclosed
from .own_imports import is_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .emitter import Emitter
    from .watched_imports import Hook

BETWEEN_RANKS = 1000003
NOTE = 1000
"""So many characters of a prelude's note are told."""


def wanted_seed(settings: "dict[str, str]", rank: int) -> "int | None":
    """The seed to set, or None where all is to stay as the script wrote it.

    Ranks draw different numbers, as they do where nobody sets a seed.
    """
    if settings.get("RUNNER_SEEDING") == "as-written":
        return None
    try:
        return int(settings["RUNNER_SEED"]) + rank * BETWEEN_RANKS
    except (KeyError, ValueError):
        return None


def seed_hooks(seed: int, channel: "Emitter") -> "list[Hook]":
    """(module name, hook) for each library that has a global seed."""
    small = seed % 2**31  # what every one of them takes

    def seed_random(module: "Any") -> None:  # Keras 3 draws the seeds of its initializers from it
        if is_standard(module.__file__):
            module.seed(seed)

    def seed_numpy(module: "Any") -> None:
        module.seed(small)

    def seed_torch(module: "Any") -> None:
        module.manual_seed(small)

    def seed_graphs(module: "Any") -> None:
        _after_init(module.Graph, channel.shielded(lambda graph: setattr(graph, "_seed", small)))

    def seed_contexts(module: "Any") -> None:
        _after_init(module.Context, channel.shielded(lambda context: context._set_global_seed(small)))

    found: list[Hook] = [("random", seed_random), ("numpy.random", seed_numpy), ("torch", seed_torch)]
    for tensorflow in ("tensorflow", "tensorflow_core"):
        found.append((tensorflow + ".python.framework.ops", seed_graphs))
        found.append((tensorflow + ".python.eager.context", seed_contexts))
    return found


def _after_init(cls: "Any", act: "Callable[[Any], object]") -> None:
    """Act on each new instance.

    In TensorFlow 1 a graph seed belongs to one graph and is lost with it (`clear_session`); in TensorFlow 2, and under
    eager execution in 1, it belongs to the context.
    """
    cls.__init__ = enclosed(
        cls.__init__, lambda args, kwargs: args[0], lambda instance, result, error: error or act(instance)
    )


class PreludeHandle:
    """The object that a prelude's source sees under the name `prelude`."""

    def __init__(self, name: str, channel: "Emitter", hooks: "list[Hook]") -> None:
        self._name = name
        self._channel = channel
        self._hooks = hooks

    def after_import(self, module: str, function: "Callable[[Any], object]") -> None:
        """Call `function` with the module of this name right after the script, or what it imports, imported it."""

        def call(imported: "Any") -> None:
            try:
                function(imported)
            except Exception as error:
                self.failed(error)

        self._hooks.append((module, call))

    def applied(self, note: str = "") -> None:
        """Report that the change was made; without that, the trial counts as one in which nothing was changed."""
        self._channel.emit("prelude", name=self._name, state="applied", note=str(note)[:NOTE])

    def failed(self, error: Exception) -> None:
        """Report that the change could not be made."""
        note = "%s: %s" % (type(error).__name__, message_of(error))
        self._channel.emit("prelude", name=self._name, state="failed", note=note[:NOTE])


def run_preludes(folder: str, channel: "Emitter") -> "list[Hook]":
    """Run every source in the folder in the order of their names; (module name, hook) for what they wait for."""
    hooks: list[Hook] = []
    for file in sorted(os.listdir(folder)):
        prelude = PreludeHandle(file.split("-", 1)[1][: -len(".py")], channel, hooks)
        try:
            with open(os.path.join(folder, file), encoding="utf-8") as stream:
                code = compile(stream.read(), "<prelude %s>" % file, "exec", dont_inherit=True)
            exec(code, {"__name__": "__prelude__", "__builtins__": builtins, "prelude": prelude})
        except Exception as error:
            prelude.failed(error)
    return hooks
