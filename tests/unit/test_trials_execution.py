"""Where in its script an exception came from, by its traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.scripts.script import read_script
from runner.trials.execution import staged
from runner.trials.file_trouble import ProjectView
from runner.trials.record import ScriptException

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "for step in range(9):\n    optimizer.step()\nprint(scores['f1'])\n"
TRACEBACK = 'Traceback (most recent call last):\n  File "/work/train.py", line {}, in <module>\nKeyError: 1\n'


@pytest.mark.parametrize(
    ("traceback", "line", "phase", "found"),
    [
        (TRACEBACK.format(3), 3, "loop-1", ("after-training", "", True)),
        (TRACEBACK.format(2), 2, "loop-1", ("training", "loop-1", False)),
        (TRACEBACK.format(3), 3, "fit-1", ("training", "fit-1", True)),
        (TRACEBACK.format(3) + TRACEBACK.format(1), 3, "", ("after-training", "", True)),
        (TRACEBACK.format(2) + TRACEBACK.format(3), 3, "", ("after-training", "", True)),
        (TRACEBACK.format(3), 1, "", ("training", "", False)),
        ("cut", 3, "", ("training", "", False)),
    ],
)
def test_an_exception_after_the_script_s_own_loop_came_after_the_training(
    tmp_path: Path, traceback: str, line: int, phase: str, found: tuple[str, str, bool]
) -> None:
    (tmp_path / "train.py").write_text(SOURCE)
    view = ProjectView(
        project=tmp_path, work=tmp_path / "work", works=("/work",), homes=("/home",), start="", searched="", data=()
    )
    error = ScriptException(
        type="KeyError", message="1", traceback=traceback, file="train.py", line=line, stage="training", phase=phase
    )
    placed = staged(error, read_script(tmp_path, "train.py"), view)
    assert placed is not None
    assert (placed.stage, placed.phase, placed.after_loops) == found
