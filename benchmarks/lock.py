"""Locking 64 environments from a warm cache against plain `uv pip compile` of the same 64 pairs: prints both.

Ours resolves as of each base's release, with hashes, the base alone and then all; the rival resolves each pair once, as
of today, with hashes. Both are run once before they are measured. Needs the package index, no engine.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from uv import find_uv_bin

from runner.cache import cache_folder
from runner.environments.index.catalog import Catalog
from runner.environments.index.connection import network_settings
from runner.environments.interpreters import HostToolchain, find_interpreters, newest_of
from runner.environments.lock import Environment, Lock
from runner.environments.resolve import resolve

BLOCKS = (
    (("1.13.1", "1.14.0", "1.15.0", "2.0.0"), ("2.1.4", "2.1.5", "2.1.6", "2.2.3", "2.2.4", "2.2.5", "2.3.0", "2.3.1")),
    (
        ("2.16.1", "2.16.2", "2.17.0", "2.17.1"),
        ("3.3.3", "3.4.1", "3.5.0", "3.6.0", "3.7.0", "3.8.0", "3.9.0", "3.10.0"),
    ),
)
PAIRS = [(tensorflow, keras) for bases, overlays in BLOCKS for tensorflow in bases for keras in overlays]
PYTHONS = tuple(dict.fromkeys(one.minor for one in find_interpreters()))


@dataclass
class Timed:
    """A toolchain that keeps how long uv took, each time."""

    within: HostToolchain
    took_s: list[float] = field(default_factory=list)

    @property
    def python_full(self):
        return self.within.python_full

    def uv(self, arguments, *, folder):
        begun = time.perf_counter()
        done = self.within.uv(arguments, folder=folder)
        self.took_s.append(time.perf_counter() - begun)
        return done

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def ours(at_a_time: int) -> tuple[float, list[float], list[Lock]]:
    """All environments locked by a session's means, read afresh: seconds in all, seconds of each uv, the locks."""
    catalog = Catalog()
    toolchains = {python: Timed(HostToolchain(newest_of(python))) for python in PYTHONS}
    environments = [Environment(pins=(("tensorflow", one), ("keras", other))) for one, other in PAIRS]
    begun = time.perf_counter()
    with ThreadPoolExecutor(at_a_time) as pool:
        locks = list(
            pool.map(
                lambda one: resolve(one, catalog=catalog, pythons=PYTHONS, toolchain=toolchains.__getitem__),
                environments,
            )
        )
    took = time.perf_counter() - begun
    catalog.connection.close()
    refused = [lock for lock in locks if not isinstance(lock, Lock)]
    assert not refused, refused
    return took, [one for toolchain in toolchains.values() for one in toolchain.took_s], locks


def plain(pythons: list[str], *options: str) -> float:
    """All pairs by uv alone, one after another, with a cache of its own: seconds in all."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    clean |= network_settings() | {"UV_CACHE_DIR": str(cache_folder() / "uv-of-the-rival")}
    begun = time.perf_counter()
    for (tensorflow, keras), python in zip(PAIRS, pythons, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "wanted.in").write_text(f"tensorflow=={tensorflow}\nkeras=={keras}\n")
            command = [find_uv_bin(), "pip", "compile", "wanted.in", "--output-file", "locked.txt", "--generate-hashes"]
            command += ["--python", newest_of(python).path, "--quiet", *options]
            subprocess.run(command, cwd=folder, env=clean, check=True)
    return time.perf_counter() - begun


def main() -> None:
    first, _, locks = ours(2)
    one, uv_s, alone = ours(1)
    two, _, together = ours(2)
    assert [lock.text for lock in alone] == [lock.text for lock in together] == [lock.text for lock in locks]
    count, found = len(PAIRS), sorted({lock.python for lock in alone})
    print(f"{count} environments: {len(BLOCKS)} blocks of 4 TensorFlow x 8 Keras, CPython {', '.join(found)}")
    print(f"ours, first (cache as it was): {_words(first)}")
    print(f"ours, warm, one at a time:     {_words(one)}; {len(uv_s)} runs of uv took {sum(uv_s):.1f} s of it")
    print(f"ours, warm, two at a time:     {_words(two)}")
    pythons = [lock.python for lock in alone]
    plain(pythons)
    online, offline = plain(pythons), plain(pythons, "--offline")
    print(f"uv pip compile, warm:          {_words(online)}; ratio {online / one:.1f}")
    print(f"uv pip compile --offline:      {_words(offline)}; ratio {offline / one:.1f}")


def _words(took_s: float) -> str:
    return f"{took_s:6.1f} s, {took_s / len(PAIRS):.2f} s each"


if __name__ == "__main__":
    main()
