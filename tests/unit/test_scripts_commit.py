"""Which commit a project's files are of: git's own answer for what is committed, none for anything else."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from runner.scripts.commit import commit_of

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(params=["sha1", "sha256"])
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    git(tmp_path, "init", "-q", f"--object-format={request.param}")
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    (folder / "*.py").write_text("a name that is a pattern\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "a study")
    return folder


def test_files_that_stand_in_the_commit_as_they_are_have_its_name(project):
    head = git(project, "rev-parse", "HEAD")
    assert commit_of(project, ["train.py"]) == head
    assert commit_of(project, ["*.py", "train.py"]) == head


def test_what_was_changed_or_never_committed_has_none(project):
    (project / "new.py").write_text("")
    assert commit_of(project, ["train.py", "new.py"]) == ""
    (project / "train.py").write_text("print(2)\n")
    assert commit_of(project, ["train.py"]) == ""
    git(project, "add", ".")
    assert commit_of(project, ["train.py"]) == "", "it is staged, and in no commit"


def test_without_a_repository_or_a_commit_there_is_none(tmp_path):
    (tmp_path / "train.py").write_text("")
    assert commit_of(tmp_path, ["train.py"]) == ""
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path, ["train.py"]) == ""
    assert commit_of(tmp_path, ["not-there.py"]) == ""


def test_nothing_that_a_strangers_repository_configures_is_run(project):
    ran = project.parent / "ran"
    program = project.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    (project / ".gitattributes").write_text("*.py filter=f diff=f\n")
    for key in (
        "core.fsmonitor",
        "filter.f.clean",
        "filter.f.smudge",
        "diff.f.textconv",
        "diff.external",
        "core.pager",
    ):
        git(project, "config", key, str(program))
    assert commit_of(project, ["train.py"]) == git(project, "rev-parse", "HEAD")
    assert not ran.exists()


@pytest.mark.parametrize("protocol", ["ext", "file"])
def test_what_a_strangers_repository_lacks_is_fetched_by_no_program_of_its_own(protocol, project, monkeypatch):
    ran, program = project.parent / "ran", project.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    older = project.parent / "bin" / "git"
    older.parent.mkdir()
    older.write_text(f'#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec {shutil.which("git")} "$@"\n')  # as an old one
    for path in (program, older):
        path.chmod(0o755)
    tree = git(project, "rev-parse", "HEAD:study")
    (project.parent / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{program}" if protocol == "ext" else str(project.parent),
        "remote.origin.uploadpack": str(program),
        f"protocol.{protocol}.allow": "always",
    }.items():
        git(project, "config", key, value)
    monkeypatch.setenv("PATH", str(older.parent), prepend=":")
    assert commit_of(project, ["train.py"]) == ""
    assert not ran.exists()
