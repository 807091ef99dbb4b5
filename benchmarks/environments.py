"""A further environment on the same TensorFlow under `venv`, against `uv pip install` of the same wheels, compiled.

Both sides have all wheels on disk and in uv's cache, and have installed an environment with this TensorFlow before.
Ours has the base once and compiles nothing twice (the wheels' hashes are checked before, once a process); of the rival
are measured `uv venv` and `uv pip install --compile-bytecode` of the same pins. They take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from figures import tell
from uv import find_uv_bin

from runner.cache import cache_folder
from runner.engines.venv.venv_engine import VenvEngine
from runner.environments.cpython_choice import resolve
from runner.environments.index.catalog import Catalog
from runner.environments.index.connection import network_settings
from runner.environments.interpreters import HostToolchain, find_interpreters, newest_of
from runner.environments.lock import Environment, Lock
from runner.environments.wheelhouse import Wheelhouse, fetch

KERAS = ("3.4.1", "3.5.0", "3.6.0", "3.7.0")
TENSORFLOW = "2.16.1"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    catalog, engine = Catalog(), VenvEngine()
    pythons = tuple(dict.fromkeys(one.minor for one in find_interpreters()))
    ours, rival = [], []
    with ExitStack() as left:
        left.callback(catalog.connection.close)
        left.callback(engine.close)
        cache = Path(left.enter_context(tempfile.TemporaryDirectory(dir=cache_folder())))
        for number, keras in enumerate(KERAS):
            lock = resolve(
                Environment(pins=(("tensorflow", TENSORFLOW), ("keras", keras))),
                catalog=catalog,
                pythons=pythons,
                toolchain=lambda python: HostToolchain(newest_of(python)),
            )
            assert isinstance(lock, Lock), lock
            wheels = fetched(lock, catalog)
            assert not engine.find(lock), f"{lock.environment.name} is there already: `clean`"
            begun = time.perf_counter()
            image = engine.make(lock, fetched(lock, catalog), lambda _: None, labels={})
            ours.append(time.perf_counter() - begun)
            left.callback(engine.remove_image, image.reference)
            rival.append(plain(lock, wheels, cache, number))
            print(f"keras {keras}: ours {ours[-1]:.2f} s, uv {rival[-1]:.2f} s", flush=True)
    tell("further-environment", statistics.median(ours[1:]), statistics.median(rival[1:]))


def fetched(lock: Lock, catalog: Catalog) -> Wheelhouse:
    return fetch(lock, catalog=catalog, toolchain=lambda: HostToolchain(newest_of(lock.python)), say=lambda _: None)


def plain(lock: Lock, wheels: Wheelhouse, cache: Path, number: int) -> float:
    """The seconds of `uv venv` and `uv pip install` of the same wheels."""
    folder = cache / f"rival-{number}"
    env = {name: text for name, text in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    env |= network_settings() | {"UV_CACHE_DIR": str(cache / "uv")}
    begun = time.perf_counter()
    python = newest_of(lock.python).path
    subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", python, folder], env=env, check=True)
    command = [find_uv_bin(), "pip", "install", "--quiet", "--compile-bytecode", "--no-index", "--no-deps"]
    command += [f"--python={folder}/bin/python", *(str(wheel.path) for wheel in wheels.wheels)]
    subprocess.run(command, env=env, check=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
