"""The uv that runs in containers where this machine's own does not fit them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.engines.docker import container_uv
from runner.engines.docker.container_uv import fetched_uv


def test_a_runner_that_was_killed_before_it_made_the_program_one_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    asked: list[str] = []

    def program(machine: str) -> bytes:
        asked.append(machine)
        return b"#!/bin/sh\n"

    def killed(_path: Path, _mode: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(container_uv, "_program", program)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", killed)
        with pytest.raises(KeyboardInterrupt):
            fetched_uv("aarch64")
    assert os.access(fetched_uv("aarch64"), os.X_OK)
    assert asked == ["aarch64"], "fetched once"
