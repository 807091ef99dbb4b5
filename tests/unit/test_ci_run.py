"""What `.ci/run` ends before it starts an engine: what a pid file tells of, and never a program by its name."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"


@pytest.mark.skipif(shutil.which("bash") is None or not Path("/proc/self").exists(), reason="it needs bash and /proc")
@pytest.mark.parametrize(("program", "ended"), [("sleep", True), ("cat", False)])
def test_only_the_program_that_wrote_a_pid_file_is_ended(program: str, ended: bool, tmp_path: Path) -> None:
    function = re.search(r"^ends\(\) \{.*?^\}", RUN.read_text(), re.MULTILINE | re.DOTALL)
    assert function
    left = tmp_path / "pid"
    with subprocess.Popen(["sleep", "600"]) as other, subprocess.Popen(["sleep", "600"]) as process:
        try:
            left.write_text(str(process.pid))
            script = f"set -euo pipefail\n{function[0]}\nends {program} {left}\nends {program} {tmp_path}/none\n"
            waiting = subprocess.Popen(["bash", "-c", script])
            if ended:
                process.wait(60)
            assert waiting.wait(60) == 0
            assert (process.poll() is not None) is ended
            assert other.poll() is None
        finally:
            process.kill()
            other.kill()


def test_nothing_is_ended_by_its_name() -> None:
    assert not re.search(r"\b(pkill|killall|pgrep|pidof)\b", RUN.read_text())
