"""The command `history`, as a user types it: what it keeps of releases that can't be looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from fake_engine import NO_INDEX, FakeEngine, world_of
from packaging.version import Version

from runner.cli.app import run_command_line
from runner.environments.lock import Unresolvable

if TYPE_CHECKING:
    from pathlib import Path

    from runner.environments.lock import Environment


@pytest.mark.parametrize(("passing", "asked_again"), [(True, True), (False, False)])
def test_only_what_the_machine_or_its_user_stood_in_the_way_of_is_looked_at_again(
    passing: bool,
    asked_again: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def resolve(environment: Environment, **_: object) -> Unresolvable:
        asked.append(environment.name)
        return Unresolvable(environment=environment, reason="it must be built", passing=passing)

    released = [SimpleNamespace(version=Version("1.0"), yanked=False, files=())]
    catalog = SimpleNamespace(project=lambda _name: SimpleNamespace(releases=released), connection=NO_INDEX.connection)
    world = replace(world_of(FakeEngine(), catalog), resolve=resolve)
    for _ in range(2):
        assert run_command_line(["history", "ours", "--format", "json"], world) == 1
        (row,) = json.loads(capsys.readouterr().out)
        assert row["remark"] == "not looked at: it must be built"
    assert len(asked) == 1 + asked_again
