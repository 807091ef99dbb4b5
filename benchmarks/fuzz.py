"""Long rounds of the targets of `tests/unit/test_fuzz.py`: `python benchmarks/fuzz.py --seconds 600 [TARGET…]`.

Inputs that were sound get pieces put in, taken out, doubled or exchanged. Each error that is none of ours is told once,
by its type and place, and its input is kept in `tests/unit/corpus/`, where every run of the tests tries it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "unit"), str(ROOT / "tests")]

from test_fuzz import CORPUS, TARGETS, TOKENS, checked, filled, mutated  # noqa: E402 - what tests share is no package


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--inputs", type=int, default=1_000_000, help="so many a target at most")
    words.add_argument("--seconds", type=float, default=600.0, help="so long a target at most")
    words.add_argument("--seed", type=int, default=time.time_ns())
    words.add_argument("targets", nargs="*", default=list(TARGETS))
    chosen = words.parse_args()
    print("| target | inputs | seconds | found |\n| --- | ---: | ---: | --- |", flush=True)
    for target in chosen.targets:
        number, seconds, found = round_of(target, chosen.inputs, chosen.seconds, random.Random(chosen.seed))
        print(f"| {target} | {number:,} | {seconds:.0f} | {'; '.join(found) or 'nothing'} |", flush=True)


def round_of(target: str, inputs: int, seconds: float, chance: random.Random) -> tuple[int, float, list[str]]:
    """The number of inputs, the seconds that they took, and the errors that were found."""
    run, made = TARGETS[target]
    seeds, found, number, began = made(), dict[str, str](), 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm") as name:
        os.environ["RUNNER_CACHE"] = f"{name}/cache"  # copies of stores are made there
        folder = filled(Path(name))
        while number < inputs and time.monotonic() - began < seconds:
            number += 1
            data = mutated(chance.choice(seeds), steps_of(chance))
            try:
                checked(run, data, folder)
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                last = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
                if place not in found:
                    found[place] = str(error)[:80]
                    kept = CORPUS / target / hashlib.sha256(data).hexdigest()[:12]
                    kept.parent.mkdir(exist_ok=True)
                    kept.write_bytes(data)
    return number, time.monotonic() - began, [f"{place}: {said}" for place, said in found.items()]


def steps_of(chance: random.Random) -> Iterator[tuple[int, int, bytes]]:
    """One to six changes."""
    for _ in range(chance.randrange(1, 7)):
        piece = chance.choice(TOKENS) if chance.random() < 0.7 else chance.randbytes(chance.randrange(7))
        yield chance.randrange(10**6), chance.randrange(40), piece


if __name__ == "__main__":
    main()
