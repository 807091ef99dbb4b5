"""What a script is given, in real trials of both engines: modules, notebooks, arguments, variables, files and data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from command import runner, table

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network
ENGINES = [pytest.param("docker", marks=pytest.mark.docker), "venv"]
REPORT = """\
def report(loss):
    import json, os
    with open(os.environ["RUNNER_METRICS"], "a") as metrics:
        for epoch in range(12):
            metrics.write(json.dumps({"epoch": epoch, "loss": loss / (epoch + 1) ** 3}) + "\\n")
"""
SCRIPTS = """\
axes:
  six: [1.16.0]
  script: [missing.py, writes.py, beside.py, sub/train.py, notebooks/study.ipynb]
experiment:
  files: [conf]
  data: [set, {set: ../corpus}]
criterion: loss < 1e-2
seeds: 1
"""
MODULE = """\
axes:
  six: [1.16.0]
  args: [--loss 1, [--loss, 100]]
experiment:
  module: nets.train
  args: [--quiet]
  env: {RATE: 0.1}
  files: [conf]
criterion: loss < 1e-2
seeds: 1
"""
TRAIN = """\
import os
import sys

from .report import report

assert __package__ == "nets" and sys.argv[1:3] == ["--quiet", "--loss"], sys.argv
assert os.environ["RATE"] == "0.1" and os.path.isabs(sys.argv[0]) and sys.path[0] == os.getcwd()
with open("conf/a.yaml", "a") as conf:
    conf.write("a copy")
report(float(sys.argv[3]))
"""
CELLS = [
    "%matplotlib inline\nimport os, sys\n!pip install numpy",
    "%%time\nsys.path.append('..')\nfrom nets.report import report\nassert os.path.exists('../conf/a.yaml')",
    "report(1)",
    "def broken(x):\n    return 1 / x\n",
    "# at last\nbroken(0)",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "conf/a.yaml": "a: 1",
        "set/a.csv": "1",
        "data/train.csv": "1",
        "nets/__init__.py": "",
        "nets/report.py": REPORT,
        "nets/train.py": TRAIN,
        "missing.py": "open('data/train.csv')",
        "writes.py": "open('set/b.csv', 'w')",
        "report.py": REPORT,
        "beside.py": (
            "import pathlib\nfrom report import report\nassert pathlib.Path('../corpus/a.csv').read_text() == '1'\n"
            "try:\n    open('../corpus/b.csv', 'w')\nexcept OSError as error:\n    report(1)\n    raise\n"
        ),
        "sub/train.py": (
            "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..'))\n"
            "from nets.report import report\nassert os.environ['MPLBACKEND'] == 'Agg'\nreport(1)\n"
        ),
        "scripts.yaml": SCRIPTS,
        "module.yaml": MODULE,
    }
    cells = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in CELLS]
    files["notebooks/study.ipynb"] = json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_has_its_package_sets_of_arguments_variables_and_files_of_its_own(folder: Path, engine: str) -> None:
    runner(folder, "module.yaml", "--engine", engine)
    found = {row["args"]: row["outcome"] for row in table(folder, engine, "module.yaml")}
    assert found == {"--loss 1": "converges", "--loss 100": "fails (plateaued)"}
    assert (folder / "conf/a.yaml").read_text() == "a: 1"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_below_src_runs_without_being_installed(folder: Path, engine: str) -> None:
    (folder / "src").mkdir()
    (folder / "nets").rename(folder / "src" / "nets")
    runner(folder, "module.yaml", "--engine", engine, "--only", "args=--loss 1")
    found = {row["args"]: row["outcome"] for row in table(folder, engine, "module.yaml")}
    assert found["--loss 1"] == "converges"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reason_says_what_was_not_given_and_where_a_notebook_raised(folder: Path, engine: str) -> None:
    done = runner(folder, "scripts.yaml", "--engine", engine)
    assert "study.ipynb, cell 1, line 3: `!pip install numpy` is taken out" in done.stderr
    runner(folder, "publish", "scripts.yaml", "--engine", engine)
    (result,) = folder.rglob("results.json")
    cells: dict[str, Any] = {one["values"]["script"]: one for one in json.loads(result.read_text())["cells"]}
    reasons = {script: cell["trials"][0]["reason"] for script, cell in cells.items()}
    assert reasons["missing.py"].endswith("; data/train.csv is there, but not under `files:` or `data:`")
    assert "[Errno 30]" in reasons["writes.py"]
    assert "set is under `data:`, which is mounted read-only" in reasons["writes.py"]
    assert not (folder / "set/b.csv").exists()
    assert "[Errno 30]" in reasons["beside.py"]
    assert "../corpus is under `data:`, which is mounted read-only" in reasons["beside.py"]
    assert not (folder / "set/b.csv").exists()
    assert cells["sub/train.py"]["kind"] == "good"
    exception = cells["notebooks/study.ipynb"]["trials"][0]["exception"]
    assert (exception["file"], exception["cell"], exception["line"]) == ("notebooks/study.ipynb", 4, 2)
    assert 'File "study.ipynb, cell 5", line 2, in <module>' in exception["traceback"]
    log = runner(folder, "logs", "script=notebooks/study.ipynb", "--matrix", "scripts.yaml", "--engine", engine).stdout
    assert 'File "study.ipynb, cell 5", line 2, in <module>' in log
