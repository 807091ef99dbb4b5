"""The cases of tests/system/cases, each explained by experiment: what was asked, what came out, whether that is right.

`python benchmarks/cases.py [NAME…]` writes reports/cases/NAME.md for each, and the table of all in README.md.
Trials are kept in a folder of their own (`--keep FOLDER`), so that it goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measured import REPORTS, provenance, write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "system"))

from known_cases import Case, cases, explained, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = "cases"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("names", nargs="*", help="the cases; default: all")
    words.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "cases", help="where trials are kept")
    words.add_argument("--engine", default="venv")
    chosen = words.parse_args()
    known = {case.name: case for case in cases()}
    for name in chosen.names or known:
        account = explained(known[name], chosen.keep / name, engine=chosen.engine, timeout_s=4 * 3600)
        write(f"{name}.md", page(known[name], account), folder=FOLDER)
        write(f"{name}.json", json.dumps(account, indent=2) + "\n", folder=FOLDER)
    write("README.md", readme(list(known.values())), folder=FOLDER)


def page(case: Case, account: Mapping[str, Any]) -> str:
    mistakes = wrong(case, account)
    lines = [
        f"# {case.name}",
        "",
        f"Reported as {case.expected['reported']}. {case.expected['about']}",
        "",
        f"    python -m runner explain matrix.yaml {' '.join(case.asked)}",
        "",
        *(f"- {sentence}" for sentence in account["sentences"]),
        "",
        *(f"- Unknown: {sentence}" for sentence in account["unknown"]),
        *([""] if account["unknown"] else []),
        f"What was called good and bad: {account['telling'] or 'nothing, the two were not told apart'}.",
        "",
        "Right." if not mistakes else f"Not as expected: {'; '.join(mistakes)}.",
        "",
        (
            f"{_used(account)} trials are counted in the tables of this account; {account['trials']} ran in the call"
            f" that made this page, in {account['seconds']:.0f} s, others were recorded before. Engine"
            f" {account['engine']}. {provenance('convergence-matrix')}"
        ),
    ]
    return "\n".join(lines) + "\n"


def readme(known: Sequence[Case]) -> str:
    rows = [_row(case, stored) for case in known if (stored := REPORTS / FOLDER / f"{case.name}.json").exists()]
    head = "| case | reported as | asked | trials | answer | right |\n| --- | --- | --- | ---: | --- | --- |\n"
    return (
        "# Reported behaviour changes, explained\n\n"
        "Each is a small script of our own that does what somebody reported in public; what `explain` must say of it is"
        " in [`tests/system/cases`](../../tests/system/cases). Made by `python benchmarks/cases.py`; the pages say when"
        " and where.\n\n" + head + "".join(rows) + "\n" + (REPORTS / FOLDER / "notes.md").read_text("utf-8")
    )


def _row(case: Case, stored: Path) -> str:
    account = json.loads(stored.read_text("utf-8"))
    asked = f"{case.expected['asked']['good']} against {case.expected['asked']['bad']}"
    answer = " ".join(account["sentences"][1:3]).replace("|", "\\|")
    right = "yes" if not wrong(case, account) else "no"
    cells = f"[{case.name}]({case.name}.md)", case.expected["reported"], asked, _used(account), answer, right
    return f"| {' | '.join(map(str, cells))} |\n"


def _used(account: Mapping[str, Any]) -> int:
    """Distinct trials that the account rests on, whether they ran for it or were recorded before."""
    if not account["tried"]:
        return account["good"]["counted"] + account["bad"]["counted"]
    counts = {json.dumps(one["values"], sort_keys=True): one["counts"]["trials"] for one in account["tried"]}
    for walk in account["bisections"]:
        counts |= {json.dumps(one["values"], sort_keys=True): one["counts"]["trials"] for one in walk["places"]}
    switches = [one[key]["trials"] for one in account["switches"] for key in ("on", "reversed_counts") if one[key]]
    return sum(counts.values()) + sum(switches)


if __name__ == "__main__":
    main()
