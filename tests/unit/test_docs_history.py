"""docs/history.md names the releases that are in the data, what looked at them, and why others are not there."""

from __future__ import annotations

import re
from pathlib import Path

from runner.history.api import SHIPPED, History, load
from runner.history.particulars import SHIPPED_PACKAGES, state_of

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text("utf-8")


def shipped() -> list[History]:
    found = [load(file.stem) for file in sorted(SHIPPED.glob("*.gz"))]
    return [one for one in found if one is not None]


def test_the_page_has_every_release_and_says_which_other_programs_looked_at() -> None:
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    told = {package: (releases.split(", "), int(names.replace(",", ""))) for package, releases, names in rows}
    assert told == {
        one.package: (
            [f"{release}{'' if one.state(release) == state_of(one.package) else '*'}" for release in one.releases],
            sum(1 for _ in one.paths()),
        )
        for one in shipped()
    }, "`python benchmarks/history.py --table` prints what is so"
    assert set(told) <= set(SHIPPED_PACKAGES)


def test_the_page_says_why_a_release_was_not_looked_at() -> None:
    rows = re.findall(r"^\| ([a-z0-9-]+) ([\w.]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(
        (one.package, str(release), reason) for one in shipped() for release, reason in one.unseen.items()
    )
