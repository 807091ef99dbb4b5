"""The cases of tests/system/cases, each explained by experiment: what was asked, what came out, whether that is right.

`python benchmarks/cases.py [NAME…]` writes reports/cases/NAME.md for each, and the table of all in README.md.
Trials are kept in a folder of their own (`--keep FOLDER`), so that it goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measured import REPORTS, commit, provenance, write

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
        *(f"- Advice: {sentence}" for sentence in account["advice"]),
        *([""] if account["advice"] else []),
        f"What was called good and bad: {account['telling'] or 'nothing, the two were not told apart'}.",
        "",
        "Right." if not mistakes else f"Not as expected: {'; '.join(mistakes)}.",
        "",
        (
            f"{_used(account)} trials are counted in the tables of this account; {account['trials']} ran in the call"
            f" that made this page, in {account['seconds']:.0f} s, others were recorded before."
            f" Engine {account['engine']}. {provenance('convergence-matrix')}"
            f" Commit {commit()}."
        ),
    ]
    return "\n".join(lines) + "\n"


def readme(known: Sequence[Case]) -> str:
    rows = [_row(case, stored) for case in known if (stored := REPORTS / FOLDER / f"{case.name}.json").exists()]
    head = "| case | reported as | asked | trials | answer | right | made |\n"
    head += "| --- | --- | --- | ---: | --- | --- | --- |\n"
    return (
        "# Reported behaviour changes, explained\n\n"
        "Each is a small script of our own that does what somebody reported in public; what `explain` must say of it is"
        " in [`tests/system/cases`](../../tests/system/cases). Made by `python benchmarks/cases.py`; the pages say when"
        " and where. `made` has the day and the commit: *an earlier state* is the code of that day, before commits were"
        " noted.\n\n" + head + "".join(rows) + "\n" + (REPORTS / FOLDER / "notes.md").read_text("utf-8")
    )


def _row(case: Case, stored: Path) -> str:
    account = json.loads(stored.read_text("utf-8"))
    asked = f"{case.expected['asked']['good']} against {case.expected['asked']['bad']}"
    answer = " ".join(account["sentences"][1:3]).replace("|", "\\|")
    right = "yes" if not wrong(_as_asked(case, account), account) else "no"
    if "fix" in case.expected and "fixes" not in account:
        right += ", a fix was not asked for"
    named = re.search(r"Commit (\w+)\.", stored.with_suffix(".md").read_text("utf-8"))
    made = f"{account['made_at'][:10]}, {named[1] if named else 'an earlier state'}"
    cells = f"[{case.name}]({case.name}.md)", case.expected["reported"], asked, _used(account), answer, right, made
    return f"| {' | '.join(map(str, cells))} |\n"


def _as_asked(case: Case, account: Mapping[str, Any]) -> Case:
    """The case without what an account of an earlier state was not asked."""
    left_out = set() if "fixes" in account else {"fix"}
    return replace(case, expected={key: value for key, value in case.expected.items() if key not in left_out})


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
