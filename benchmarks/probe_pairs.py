"""The processor time of a training with the probe and without it, in pairs; runs under the trial's own CPython (3.6).

`python probe_pairs.py TRAINING STEPS PAIRS EPOCH FIRST` runs the file TRAINING, whose `make()` gives a training of its
own, `train(steps)`. Two are made: one with the probe's wrappers in place, one with all of them taken out of classes
and modules, the first one by FIRST. They take turns; before each, the wrappers are put back or taken out. Prints the
seconds of each pair, and of a bare epoch of EPOCH steps where that is not 0.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

WARMING = 3


def wrappers():
    """(owner, name, wrapper) of all that the probe has put around methods and functions by now."""
    found = {}
    for module in list(sys.modules.values()):
        for value in [module, *list(getattr(module, "__dict__", {}).values())]:
            # Not isinstance and getattr: TensorFlow and six have things that import when they are asked.
            if value is module or issubclass(type(value), type):
                for name, one in list(getattr(value, "__dict__", {}).items()):
                    place = around_step(one) or (value, name, one)
                    if str(type(one).__module__).startswith("sklearn.") and hasattr(one, "fn"):
                        place = one, "fn", one.fn  # what scikit-learn has under a condition only
                    if is_wrapper(place[2]):
                        found[id(place[0]), place[1]] = place
    return list(found.values())


def around_step(one):
    """The place of the probe's wrapper in what PyTorch has put around a step since; None elsewhere."""
    if type(one) is not type(is_wrapper) or not str(one.__module__).startswith("torch.optim."):
        return None
    inner = vars(one).get("__wrapped__")
    if is_wrapper(one) or not is_wrapper(inner):
        return None
    return next((cell, "cell_contents", inner) for cell in one.__closure__ if cell.cell_contents is inner)


def is_wrapper(one):
    function = one.__func__ if type(one) is staticmethod else one
    if type(function) is not type(is_wrapper) or "__wrapped__" not in vars(function):
        return False
    return function.__code__.co_filename.endswith("enclosing_importlib_bootstrap.py")


def put(found, probe):
    for owner, name, one in found:
        if probe:
            setattr(owner, name, one)
        elif type(one) is staticmethod:
            setattr(owner, name, staticmethod(one.__func__.__wrapped__))
        else:
            setattr(owner, name, one.__wrapped__)


def seconds(train, steps):
    began = time.process_time()
    train(steps)
    return time.process_time() - began


def main():
    file, (steps, pairs, epoch, first) = sys.argv[1], map(int, sys.argv[2:])
    warnings.simplefilter("ignore")
    # One processor: time that threads spend waiting for each other is no one's.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    script = {"__name__": "__main__"}
    exec(compile(Path(file).read_text(), file, "exec"), script)
    found, trains = wrappers(), {}
    for probe in (bool(first), not first):
        put(found, probe)
        trains[probe] = script["make"]()
        for _ in range(WARMING):  # builds, traces, and finds out what a step is
            trains[probe](steps)
        if probe:
            found = wrappers()
    told = []
    for number in range(pairs):
        took = {}
        for probe in (False, True) if number % 2 else (True, False):
            put(found, probe)
            trains[probe](max(1, steps // 10))  # a class that was changed is slower at first
            took[probe] = seconds(trains[probe], steps)
        told.append([took[False], took[True]])
    put(found, False)
    bare = sorted(seconds(trains[False], epoch) for _ in range(3))[1] if epoch else None
    put(found, True)
    watched = WARMING * steps + pairs * (steps + max(1, steps // 10))
    print(json.dumps({"pairs": told, "epoch": bare, "steps": watched, "calls": WARMING + 2 * pairs}))


main()
