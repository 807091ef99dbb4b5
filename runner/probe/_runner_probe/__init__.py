"""The probe: rides along in a trial and reports what the training did, as JSON lines ("events") in the record channel.

Stdlib only, CPython 3.6 to 3.14. `start` takes the settings that came in the environment. What an event holds is
said in `events.schema.json` beside this package; the runner reads it with `runner.trials.channel`.
"""

VERSION = "3"


def start(settings: "dict[str, str]", folder: str) -> None:
    """Open the channel, say so, seed, and get ready to see imports, training, further processes and the end."""
    import os

    from . import emitter, entrance

    line = emitter.open_channel(settings["RUNNER_CHANNEL"], VERSION, settings.get(entrance.FIRST))
    settings.setdefault(entrance.FIRST, str(os.getpid()))

    from . import children, ending, preparation, ranks, watched_imports

    where = emitter.ScriptProgress(line)
    seed = preparation.wanted_seed(settings, ranks.rank() or 0)
    if line.is_child() and children.is_worker():
        seed = None
    line.emit("seeding", mode="as-written" if seed is None else "seeded", seed=seed)
    hooks = watched_imports.training_hooks(line, where, steps=settings.get("RUNNER_STEPS") == "1")
    hooks.extend(children.install(settings, folder, line))
    if seed is not None:
        line.shielded(preparation.seed_random)(seed)
        hooks.extend(preparation.seed_hooks(seed, line))
    if settings.get("RUNNER_PRELUDES"):
        hooks.extend(preparation.run_preludes(settings["RUNNER_PRELUDES"], line))
    hooks.extend(ending.install(line, where))
    watched_imports.install(hooks, line)
