"""The commit in which files of a project stand as they are on disk; what a stranger's repository configures never runs.

Trees are read, and blobs are named as git does (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TIMEOUT_S = 10
_SHA1_DIGITS = 40


def commit_of(folder: Path, paths: Iterable[str]) -> str:
    """The commit that is checked out, in hexadecimal, where it holds all of `paths` (relative to `folder`) as they are.

    Empty where one is not in it or differs, where there is no repository or no git.
    """
    wanted = sorted(set(paths))
    try:
        commit = _git(folder, "rev-parse", "--verify", "HEAD").strip()
        listed = _git(folder, "ls-tree", "-z", "HEAD", "--", *wanted)
        blobs = {path: meta.split()[2] for meta, _, path in (line.partition("\t") for line in listed.split("\0")[:-1])}
        same = all(blobs.get(path) == _blob((folder / path).read_bytes(), len(commit)) for path in wanted)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return commit if same else ""


def _git(folder: Path, *arguments: str) -> str:
    quiet = {
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "",  # for a git that knows no GIT_NO_LAZY_FETCH; a repository can set `protocol.*` itself
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
    }
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, **quiet},
        capture_output=True,
        check=True,
        timeout=_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.decode()


def _blob(content: bytes, digits: int) -> str:
    """The name that git gives a file of this content."""
    digest = hashlib.sha1(usedforsecurity=False) if digits == _SHA1_DIGITS else hashlib.sha256()
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest()
