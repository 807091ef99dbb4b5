"""Time to a right answer: `explain` on the known cases, by the last commit and by an earlier one, in turn.

`python benchmarks/answers.py --before COMMIT --downloads CACHE [NAME…]` writes reports/answers/; other cases stay there
as they are. Each side has a cache of its own with the same downloads and no environment; of a
case both sides run one after the other, the side that begins changes from case to case. An answer is right where the
account has what the case's `expected.yaml` says and both sides can say (`real`, `causes`, `flips`): their wording
differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from measured import REPORTS, commit, provenance, table, write, write_csv

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "system"))

from known_cases import FOLDER as CASES
from known_cases import Case, cases, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).parents[1]
FOLDER = "answers"
HEAD = ("case", "side", "commit", "seconds", "processor_seconds", "trials", "right")
SIDES = ("before", "now")
_COMPARED = ("real", "causes", "flips")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One run of `explain`; `processor_s` is of all its processes."""

    case: str
    side: str
    commit: str
    seconds: float
    processor_s: float
    trials: int
    mistakes: tuple[str, ...]

    @property
    def row(self) -> tuple[object, ...]:
        """A line of the CSV."""
        right = "yes" if not self.mistakes else "; ".join(self.mistakes)
        return self.case, self.side, self.commit, round(self.seconds, 1), round(self.processor_s, 1), self.trials, right


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("names", nargs="*", help="the cases; default: all")
    words.add_argument("--before", required=True, help="the commit to compare with")
    words.add_argument("--downloads", type=Path, required=True, help="a cache whose downloads both sides use")
    chosen = words.parse_args()
    known = {case.name: case for case in cases()}
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory(prefix="answers-") as folder:
        sides = {side: Path(folder) / side for side in SIDES}
        commits = {"before": chosen.before, "now": commit()}
        try:
            for side in SIDES:
                git("worktree", "add", "--detach", str(sides[side]), commits[side])
            for number, name in enumerate(chosen.names or known):
                for side in sorted(sides, reverse=bool(number % 2)):
                    copy = Path(folder) / f"{name}-{side}"
                    answer = asked(known[name], side, sides[side], copy, chosen.downloads)
                    answers.append(replace(answer, commit=commits[side]))
                    print(*answers[-1].row, flush=True)
        finally:
            for sources in sides.values():
                git("worktree", "remove", "--force", str(sources))
    asked_now = {one.case for one in answers}
    answers = sorted([*(one for one in kept() if one.case not in asked_now), *answers], key=lambda one: one.case)
    write_csv("answers.csv", HEAD, [one.row for one in answers], folder=FOLDER)
    write("README.md", page(answers, chosen.before), folder=FOLDER)


def kept() -> list[Answer]:
    """The answers of earlier runs."""
    file = REPORTS / FOLDER / "answers.csv"
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        Answer(
            case=row["case"],
            side=row["side"],
            commit=row["commit"],
            seconds=float(row["seconds"]),
            processor_s=float(row["processor_seconds"]),
            trials=int(row["trials"]),
            mistakes=() if row["right"] == "yes" else (row["right"],),
        )
        for row in rows
    ]


def git(*words: str) -> None:
    """One command of git on this repository."""
    subprocess.run(["git", *words], cwd=REPOSITORY, check=True, capture_output=True)


def asked(case: Case, side: str, sources: Path, folder: Path, downloads: Path) -> Answer:
    """Ask for the account of a case with the sources of one side, with nothing recorded and no environment made."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    for kept in downloads.iterdir():
        if kept.name not in {"environments", "charts"}:
            (cache / kept.name).symlink_to(kept)
    copy = folder / case.name
    shutil.copytree(CASES / case.name, copy, ignore=shutil.ignore_patterns(".runner"))
    env = {**os.environ, "PYTHONPATH": str(sources), "RUNNER_CACHE": str(cache)}
    command = [sys.executable, "-m", "runner", "explain", "matrix.yaml", *case.asked, "--engine", "venv", "--format"]
    times, began = os.times(), time.monotonic()
    done = subprocess.run([*command, "json"], cwd=copy, env=env, capture_output=True, text=True, check=False)
    took, after = time.monotonic() - began, os.times()
    if done.returncode:
        raise SystemExit(f"{case.name}, {side}: {done.stderr[-2000:]}")
    account: dict[str, Any] = json.loads(done.stdout)
    expected = {key: value for key, value in case.expected.items() if key in _COMPARED}
    _remove(cache / "environments")
    return Answer(
        case=case.name,
        side=side,
        commit="",
        seconds=took,
        processor_s=after.children_user + after.children_system - times.children_user - times.children_system,
        trials=account["trials"],
        mistakes=tuple(wrong(Case(name=case.name, expected=expected), account)),
    )


def _remove(folder: Path) -> None:
    for inner, _, _ in os.walk(folder):
        Path(inner).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def page(answers: Sequence[Answer], before: str) -> str:
    head = ("case", "trials before", "now", "share", "processor s before", "now", "share", "s before", "now")
    pairs = list(_pairs(answers))
    rows = [(*_row(then, now), *_rights(then, now), now.commit) for then, now in pairs]
    return (
        "# Time to a right answer\n\n"
        "`explain` on the known cases (`tests/system/cases`), `venv` engine, nothing recorded, every environment made"
        f" anew, all downloads there; before: commit `{before}`. Both sides ran one after the other, other work on the"
        " machine beside them: seconds hold as little, processor time (of all processes) and the number of trials do"
        " not depend on it. Right: the account has what `expected.yaml` asks of both sides.\n\n"
        f"{table((*head, 'right before', 'right now', 'measured at'), rows)}\n{_medians(pairs)}"
        f" {provenance('convergence-matrix')}\n\n{(REPORTS / FOLDER / 'notes.md').read_text('utf-8')}"
    )


def _pairs(answers: Sequence[Answer]) -> Iterator[tuple[Answer, Answer]]:
    """Both answers of each case that has both."""
    for case in dict.fromkeys(one.case for one in answers):
        then, now = ([one for one in answers if (one.case, one.side) == (case, side)] for side in SIDES)
        if then and now:
            yield then[0], now[0]


def _row(then: Answer, now: Answer) -> Iterator[object]:
    yield then.case
    yield from (then.trials, now.trials, f"{now.trials / then.trials:.2f}")
    yield from (round(then.processor_s), round(now.processor_s), f"{now.processor_s / then.processor_s:.2f}")
    yield from (round(then.seconds), round(now.seconds))


def _rights(*answers: Answer) -> Iterator[str]:
    yield from ("no" if one.mistakes else "yes" for one in answers)


def _medians(pairs: Sequence[tuple[Answer, Answer]]) -> str:
    """The medians of both sides over the cases, and what the one is of the other."""
    figures = []
    for what, key in (("trials", "trials"), ("s of processor time", "processor_s"), ("s", "seconds")):
        then, now = (median(getattr(pair[side], key) for pair in pairs) for side in (0, 1))
        figures.append(f"{then:.0f} and {now:.0f} {what} ({now / then:.2f})")
    return f"Medians of the {len(pairs)} cases, before and now: {', '.join(figures)}."


if __name__ == "__main__":
    main()
