"""Hosts that are not POSIX: the whole package is imported, and commands do what they do, without what those lack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("other_host.py")
ROOT = Path(__file__).parents[2]


def gone_through(folder: Path) -> tuple[dict[str, Any], str]:
    paths = os.pathsep.join([str(ROOT), str(PROGRAM.parent), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "RUNNER_CACHE": str(folder.parent / "cache"), "COLUMNS": "120"}
    environment |= {"RUNNER_CONFIG": str(folder.parent / "config.toml")}
    done = subprocess.run(
        [sys.executable, PROGRAM, folder], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    folder = tmp_path_factory.mktemp("host") / "here"
    return folder, *gone_through(folder)


def test_every_module_is_imported_where_there_is_no_posix(elsewhere: tuple[Path, dict[str, Any], str]) -> None:
    _, came_to, _ = elsewhere
    assert came_to["modules"] > 200
    assert came_to["by_descriptor"] is False


def test_commands_work_where_there_is_no_posix(elsewhere: tuple[Path, dict[str, Any], str]) -> None:
    folder, came_to, said = elsewhere
    codes = {line: code for line, code in came_to["codes"].items() if line != "linked"}
    assert codes.pop("check train.py --to keras==3.3.3") == 1, "what breaks is found"
    assert set(codes.values()) == {0}, said[-3000:]
    assert "Traceback" not in said
    tables = [json.loads((folder / place / "results.json").read_text("utf-8"))["cells"] for place in ("site", "again")]
    assert len(tables[0]) == 4
    assert tables[0] == tables[1]
    assert list((folder / ".runner" / "jobs").iterdir()) == [], "what a trial left is removed"


def test_a_link_is_refused_where_there_is_no_posix(elsewhere: tuple[Path, dict[str, Any], str]) -> None:
    folder, came_to, said = elsewhere
    assert came_to["codes"]["linked"] == 2
    assert ".runner is a link" in said
    assert not (folder / "claim").exists(), "nothing is written where it leads"
