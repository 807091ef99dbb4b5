"""The cases of `cases/`: behaviour changes that somebody reported in public, and the account that each must get.

A case is a folder with a script, a matrix and `expected.yaml`; `explained` runs `explain`, `wrong` says what is wrong.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from command import runner

from runner.outcomes.outcome import Outcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case; `expected` is its `expected.yaml`, whose keys `wrong` describes."""

    name: str
    expected: Mapping[str, Any]

    @property
    def asked(self) -> list[str]:
        """The question, as words after `explain matrix.yaml`."""
        asked = self.expected["asked"]
        return [word for option, text in asked.items() for word in (f"--{option}", str(text))]

    @property
    def cheap(self) -> bool:
        """Whether it takes a minute where its environments are made."""
        return bool(self.expected.get("cheap", False))


def cases() -> list[Case]:
    """All cases, by name."""
    found = sorted(FOLDER.glob("*/expected.yaml"))
    return [Case(name=path.parent.name, expected=yaml.safe_load(path.read_text("utf-8"))) for path in found]


def explained(case: Case, folder: Path, *, engine: str = "venv", timeout_s: float = 3600) -> dict[str, Any]:
    """The account of a case as data, made in a copy of it; what a copy has recorded before is not run again."""
    shutil.copytree(FOLDER / case.name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".runner"))
    fix = ["--fix"] if "fix" in case.expected else []
    words = ["explain", "matrix.yaml", *case.asked, *fix, "--engine", engine, "--format", "json"]
    done = runner(folder, *words, timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr
    account: dict[str, Any] = json.loads(done.stdout)
    return account


def wrong(case: Case, account: Mapping[str, Any]) -> list[str]:
    """What an account says that the case does not have, or the other way round; empty where it is right.

    `real`: whether there is a difference. `causes`: the sets of axes that make it. `components`: the packages that do
    it where an axis brought them along. `flips`: [axis, before, after] of all walks. `switches`: the standing of some.
    `said`: words that some sentence must have; `unsaid`: words that none may have. `fix`: what must be seen to work, or
    `none`: its `kind`, texts that its sentence `says`, and that its `patch` has, its `requirements`, and `good`: cells
    in which it must have come out good, as AXIS=VALUE,….
    """
    return list(_differences(case.expected, account))


def _differences(expected: Mapping[str, Any], account: Mapping[str, Any]) -> Iterator[str]:
    for key, seen in _seen(account).items():
        if key in expected and expected[key] != seen:
            yield f"{key}: expected {expected[key]}, got {seen}"
    standings = {one["name"]: one["standing"] for one in account["switches"]}
    for name, standing in expected.get("switches", {}).items():
        if standings.get(name) != standing:
            yield f"switch {name}: expected {standing}, got {standings.get(name)}"
    sentences = " ".join((*account["sentences"], *account["unknown"], account["telling"]))
    yield from (f"nothing says: {words}" for words in expected.get("said", ()) if words not in sentences)
    yield from (f"something says: {words}" for words in expected.get("unsaid", ()) if words in sentences)
    if "fix" in expected:
        yield from _fix_differences(expected["fix"], account["fixes"])


def _fix_differences(expected: Mapping[str, Any] | str, fixes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    working = [one for one in fixes if one["standing"] == "works"]
    if expected == "none" or isinstance(expected, str) or not working:
        tried = [f"{one['says']}: {one['standing']}" for one in fixes]
        if working or expected != "none":
            yield f"fix: expected {expected}, got {tried}"
        return
    best = working[0]
    for key in ("kind", "requirements"):
        if key in expected and expected[key] != best[key]:
            yield f"fix {key}: expected {expected[key]}, got {best[key]} ({best['sentence']})"
    for key, text in (("says", best["sentence"]), ("patch", best["diff"])):
        yield from (f"fix {key}: {words} is not in {text}" for words in expected.get(key, ()) if words not in text)
    for named in expected.get("good", ()):
        wanted = dict(part.split("=", 1) for part in named.split(","))
        cells = [one for one in best["cells"] if wanted.items() <= one["values"].items()]
        if not cells or any(Outcome.parse(one["after"]).kind is not OutcomeKind.GOOD for one in cells):
            yield f"fix: {named} is not good with it: {best['sentence']}"


def _seen(account: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "real": account["real"],
        "causes": [_names(cause) for cause in account["causes"]],
        "components": [_names(inner) for cause in account["causes"] for inner in cause["components"]],
        "flips": [list(flip) for walk in account["bisections"] for flip in _flips(walk)],
    }


def _names(cause: Mapping[str, Any]) -> list[str]:
    return sorted(one["name"] for one in cause["factors"])


def _flips(walk: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    axis, places = walk["axis"], walk["places"]
    for flip in walk["flips"]:
        yield axis, places[flip["before"]]["values"][axis], places[flip["after"]]["values"][axis]
