"""Process time of loading the shipped histories and of looking names up, against parsing all lines once.

With `--table` it prints the tables of docs/history.md instead.
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import sys
import time
from typing import TYPE_CHECKING

from runner.history.api import SHIPPED, History
from runner.history.particulars import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 9
LOOKUPS = 2000
OF_A_SCRIPT = frozenset({"keras", "tensorflow", "numpy", "scikit-learn"})


def main() -> None:
    if sys.argv[1:] == ["--table"]:
        _tell_table()
        return
    files = sorted(SHIPPED.glob("*.gz"))
    contents = [file.read_bytes() for file in files]
    print(f"{len(files)} packages, {sum(map(len, contents)) / 1e6:.2f} MB as they are shipped")
    for file, content in zip(files, contents, strict=True):
        history = History(gzip.decompress(content))
        print(f"  {file.stem}: {len(history.releases)} releases, {sum(1 for _ in history.paths())} names")
    loading = _median_ms(lambda: [History(gzip.decompress(one)) for one in contents])
    script = [one for file, one in zip(files, contents, strict=True) if file.stem in OF_A_SCRIPT]
    loading_few = _median_ms(lambda: [History(gzip.decompress(one)) for one in script])
    print(f"load those of a script that imports {', '.join(sorted(OF_A_SCRIPT))}: {loading_few:.1f} ms")
    parsing = _median_ms(lambda: [_parsed(gzip.decompress(one)) for one in contents])
    print(f"load all: {loading:.1f} ms; with every line parsed: {parsing:.1f} ms ({parsing / loading:.0f} times that)")
    _tell_lookups([History(gzip.decompress(one)) for one in contents])


def _tell_table() -> None:
    histories = [History(gzip.decompress(file.read_bytes())) for file in sorted(SHIPPED.glob("*.gz"))]
    print("| package | releases that were looked at | names, with those of older releases |\n| --- | --- | --- |")
    for one in histories:
        state = state_of(one.package)
        releases = ", ".join(f"{release}{'' if one.state(release) == state else '*'}" for release in one.releases)
        print(f"| {one.package} | {releases} | {sum(1 for _ in one.paths()):,} |")
    print("\n| release | why it was not looked at |\n| --- | --- |")
    for one in histories:
        for release, reason in sorted(one.unseen.items()):
            print(f"| {one.package} {release} | {reason} |")


def _tell_lookups(histories: list[History]) -> None:
    chance = random.Random(16)
    asked = [
        (chance.choice(list(one.paths())), one) for one in histories for _ in range(LOOKUPS // len(histories) // 40)
    ]
    begun = time.process_time()
    for path, history in asked:
        for release in history.releases:
            history.name(path, release)
    spent = time.process_time() - begun
    number = sum(len(history.releases) for _, history in asked)
    print(f"a name in a release: {spent / number * 1e6:.0f} us, the mean of {number}")


def _parsed(content: bytes) -> dict[str, object]:
    lines = content.decode().splitlines()[1:]
    return {line.split("\t", 1)[0]: json.loads(line.split("\t", 1)[1]) for line in lines}


def _median_ms(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return statistics.median(spent) * 1000


if __name__ == "__main__":
    main()
