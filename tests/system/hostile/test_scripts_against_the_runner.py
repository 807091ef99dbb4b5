"""Scripts that turn on the runner itself: what each does is its own outcome, and every other cell has its own too."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from command import runner, table

if TYPE_CHECKING:
    from pathlib import Path

MATRIX = """\
axes:
  six: [1.16.0]
  python: ["3.7"]
  script: [{scripts}]
experiment: {{timeout: 15s, artifacts: ["*"]}}
resources: {{disk: 64m}}
criterion: loss < 1
seeds: 1
"""
HEAD = """\
import json, os, shutil, signal, sys, time
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in (1, 2):
        metrics.write(json.dumps({"epoch": epoch, "loss": 0.5 / epoch}) + "\\n")
"""
OF_BOTH = {
    "innocent": "",
    "long": "for _ in range(18):\n    os.mkdir('n' * 250)\n    os.chdir('n' * 250)\n    open('f', 'w').close()\n",
    "closed": "os.makedirs('a/b/c')\nfor name in ('a/b/c', 'a/b', 'a'):\n    os.chmod(name, 0)\n",
    "bytes": "os.mkdir(b'\\xff')\nfor name in (b'\\xff/\\xfe.h5', b'metrics\\xff.csv'):\n    open(name, 'w').close()\n",
    "half": "raise ValueError('no file a\\udcff')\n",
    "holes": "for n in range(15):\n    with open('%02d.bin' % n, 'w') as f:\n        f.truncate(63 * 1024 ** 2)\n",
    "many": "for n in range(3000):\n    open(str(n), 'w').close()\n",
    "empties": "shutil.rmtree(os.getcwd(), ignore_errors=True)\n",
}
"""By name what a script does after its training."""
OF_VENV = {
    "unroots": "shutil.rmtree('..', ignore_errors=True)\n",
    "moves": "at = os.getcwd()\nos.chdir('/')\nos.rename(at, at + '-2')\nos.symlink('/etc', at)\ntime.sleep(60)\n",
    "logs": "log = os.path.join(os.path.dirname(os.getcwd()), 'log')\nos.unlink(log)\nos.symlink('/etc/passwd', log)\n",
    "kills": "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n",
    "stops": "os.kill(os.getppid(), signal.SIGSTOP)\n",
    "protects": "import subprocess\nopen('f', 'w').close()\nsubprocess.call(['chattr', '+i', 'f', '.'])\n",
}
"""Under `venv` nothing keeps a script from its own job's folder, nor from the process that watches over it."""
NOT_GOOD = {
    "half": "breaks (crashed-after-training)",
    "kills": "breaks (crashed-training)",
    "moves": "breaks (crashed-training)",  # a working directory that can't be looked into is over its limit
    "stops": "breaks (timeout)",
    "unroots": "undecided",  # what it told of itself is gone, too
}
ENGINES = [pytest.param("docker", marks=pytest.mark.docker), "venv"]


def stored(folder: Path) -> dict[str, dict[str, object]]:
    with closing(sqlite3.connect(folder / ".runner" / "records.sqlite")) as store:
        records = [json.loads(text) for (text,) in store.execute("SELECT record FROM records")]
    return {record["cell"]["script"].removesuffix(".py"): record for record in records}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_script_does_to_the_runner_is_its_own_outcome(engine: str, tmp_path: Path) -> None:
    folder = tmp_path / "matrix"
    folder.mkdir()
    scripts = OF_BOTH if engine == "docker" else {**OF_BOTH, **OF_VENV}
    for name, body in scripts.items():
        (folder / f"{name}.py").write_text(HEAD + body)
    (folder / "matrix.yaml").write_text(MATRIX.format(scripts=", ".join(f"{name}.py" for name in scripts)))
    try:
        done = runner(folder, "matrix.yaml", "--engine", engine)
        assert done.returncode in {0, 1}, done.stderr
        assert "Traceback" not in done.stderr
        again = runner(folder, "matrix.yaml", "--engine", engine)
    finally:
        subprocess.run(f"chattr -R -i {folder}/.runner/jobs", shell=True, capture_output=True, check=False)
    assert again.returncode == done.returncode, again.stderr
    assert "ran now" not in again.stdout
    outcomes = {row["script"].removesuffix(".py"): row["outcome"] for row in table(folder, engine)}
    assert outcomes == {name: NOT_GOOD.get(name, "converges") for name in scripts}
    records = stored(folder)
    assert records["bytes"]["artifacts"] == [r"\xff/\xfe.h5", "bytes.py", r"metrics\xff.csv"]
    assert "no file a?" in records["half"]["exception"]["message"]  # type: ignore[index]
    assert records["holes"]["artifacts_left_out"] == 14  # one of 63 MB goes into 64
    kept = sum(path.stat().st_size for path in (folder / ".runner" / "artifacts").rglob("*") if path.is_file())
    assert kept < 64 * 1024**2
    assert records["many"]["artifacts_left_out"] == 2001
    logs = "".join(path.read_text("utf-8", "replace") for path in (folder / ".runner" / "logs").iterdir())
    assert "root:x:0" not in logs
    left = [path.name for path in (folder / ".runner" / "jobs").iterdir()]
    if engine == "docker":
        assert left == []
    else:
        assert set(left) <= {records["protects"]["key"]}  # where a file system knows such files, and the user is root
        assert bool(left) is ("can't be removed: something in them is protected" in again.stderr)
        assert "ended with its supervisor: it was killed" in logs
