"""The beginning: opens the channel, says so, seeds, and gets ready to see imports, training, processes and the end."""

import os

from . import VERSION, children, emitter, ending, preparation, ranks, watched_imports


def start(settings: "dict[str, str]", folder: str, first: str) -> None:
    """Start with the settings that came in the environment, before the script does; `first` names one of them."""
    line = emitter.open_channel(settings["RUNNER_CHANNEL"], VERSION, settings.get(first))
    settings.setdefault(first, str(os.getpid()))
    where = emitter.ScriptProgress(line)
    seed = preparation.wanted_seed(settings, ranks.rank() or 0)
    if line.is_child() and children.is_worker():
        seed = None
    line.emit("seeding", mode="as-written" if seed is None else "seeded", seed=seed)
    hooks = [] if seed is None else preparation.seed_hooks(seed, line)
    hooks += watched_imports.training_hooks(line, where, steps=settings.get("RUNNER_STEPS") == "1")
    hooks += children.install(settings, folder, line)
    hooks += ending.install(line, where)
    finder = watched_imports.install(hooks, line)
    if settings.get("RUNNER_PRELUDES"):
        finder.watch(preparation.run_preludes(settings["RUNNER_PRELUDES"], line))
