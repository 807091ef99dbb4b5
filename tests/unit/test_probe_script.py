"""The probe beside a script: the script sees nothing of it, and nothing escapes it."""

from __future__ import annotations

import json
import random
import signal
from typing import TYPE_CHECKING

from probe_world import EVERY_PYTHON, FRAMEWORKS, OLDEST_AND_NEWEST, PROBE, run

if TYPE_CHECKING:
    from pathlib import Path


@EVERY_PYTHON
def test_the_script_and_its_children_see_the_world_as_it_is_without_the_probe(python: Path, tmp_path: Path) -> None:
    script = """
import json, os, subprocess, sys
child = "import os, sys; print(sorted(set(os.environ) - {'LC_CTYPE'}), sys.path[1:], 'sitecustomize' in sys.modules)"
print(sorted((n, v) for n, v in os.environ.items()), sys.path, sys.argv, __name__)
import sitecustomize
print(sitecustomize.__file__, sitecustomize.LOADED)
sys.stdout.flush()
subprocess.check_call([sys.executable, "-c", child])
"""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("LOADED = 'the own sitecustomize'\n")
    bare = run(python, tmp_path, script, probe=False)
    watched = run(python, tmp_path, script, env={"RUNNER_SEED": "1", "RUNNER_STEPS": "1", "RUNNER_PROBE": "1"})
    assert watched.out == bare.out
    assert "the own sitecustomize" in bare.out
    assert (watched.err, watched.exit_code) == ("", 0)
    assert watched.events[0]["event"] == "start"


@EVERY_PYTHON
def test_modules_are_imported_reloaded_inspected_and_run_as_ever(python: Path, tmp_path: Path) -> None:
    script = """
import importlib, importlib.util, inspect, pickle, pkgutil, sys
before = importlib.util.find_spec("keras.engine.training")
from keras.engine import training
print(type(training.__loader__).__name__, training.__spec__.origin.endswith("training.py"))
print(vars(training.__loader__).keys())
print(inspect.getsource(training.Model).count("def fit("), pkgutil.get_data("keras", "backend.py") is not None)
print(inspect.signature(training.Model.fit), inspect.getfullargspec(training.Model.fit).args)
print(pickle.loads(pickle.dumps(training.Model.fit)) is training.Model.fit)
importlib.reload(training)
training.Model().fit([0.5])
print([name for name in sys.modules if name.startswith("keras")])
"""
    bare = run(python, tmp_path, script, probe=False)
    watched = run(python, tmp_path, script)
    assert watched.out == bare.out
    assert watched.err == ""
    assert [epoch["logs"] for epoch in watched.of("epoch")] == [{"loss": 0.5}]
    module = run(python, tmp_path, "", "-m", "keras.engine.base_layer")
    assert (module.exit_code, [event["kind"] for event in module.of("exit")]) == (0, ["normal"])


@EVERY_PYTHON
def test_a_warning_names_the_line_that_it_would_name_without_the_probe(python: Path, tmp_path: Path) -> None:
    script = """
import warnings
import old
import keras
class Mine(keras.models.Model):
    def __init__(self):
        super(Mine, self).__init__()
warnings.simplefilter("always")
Mine().fit([old.Loss()])
"""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "old.py").write_text(
        "import warnings\nwarnings.warn('old is old', stacklevel=2)\n"
        "class Loss(float):\n    def __add__(self, other):\n"
        "        warnings.warn('from batch', stacklevel=2)\n        warnings.warn('from fit', stacklevel=3)\n"
        "        return 0.0\n"
    )
    bare = run(python, tmp_path, script, probe=False)
    watched = run(python, tmp_path, script)
    assert "train.py:3: UserWarning: old is old" in bare.err
    assert "train.py:9: UserWarning: from fit" in bare.err
    assert watched.err == bare.err


@EVERY_PYTHON
def test_a_script_that_closes_moves_deletes_and_replaces_still_gets_a_true_record(python: Path, tmp_path: Path) -> None:
    script = """
import os, shutil, sys
import keras
keras.models.Model().fit([1.0])
sys.excepthook = lambda *error: None
sys.stdout.close()
os.closerange(3, 5000)
own = [os.open("own-%d" % n, os.O_WRONLY | os.O_CREAT) for n in range(3)]
for number in range(900, 1024):
    try:
        os.dup2(own[0], number)
    except OSError:
        pass
os.mkdir("elsewhere"); os.chdir("elsewhere")
os.unlink("../train.py")
keras.models.Model().fit([2.0])
raise KeyError("gone")
"""
    told = run(python, tmp_path, script)
    assert told.exit_code == 1
    assert [epoch["logs"]["loss"] for epoch in told.of("epoch")] == [1.0, 2.0]
    error = told.only("exception")
    assert (error["type"], error["message"], error["file"], error["line"]) == ("KeyError", "'gone'", "train.py", 17)
    assert error["source"] is None
    assert (tmp_path / "work" / "own-0").read_bytes() == b""


@OLDEST_AND_NEWEST
def test_endings_are_told_apart(python: Path, tmp_path: Path) -> None:
    by_hand = run(python, tmp_path, "import os\nos._exit(4)")
    assert (by_hand.exit_code, by_hand.of("exit"), by_hand.of("exception")) == (4, [], [])
    left = run(python, tmp_path, "import sys\nsys.exit(5)")
    assert (left.exit_code, left.of("exit"), left.of("exception")) == (5, [{"kind": "normal"}], [])
    for ending, code in (
        ("import ctypes\nctypes.string_at(0)", -signal.SIGSEGV),
        ("import os\nos.abort()", -signal.SIGABRT),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ):
        ended = run(python, tmp_path, ending)
        assert (ended.exit_code, ended.of("exit"), ended.of("exception")) == (code, [], [])
        assert ended.of("start")
    wrong = run(python, tmp_path, "import keras\n1 +* 2\n")
    error = wrong.only("exception")
    assert (error["type"], error["file"], error["line"], error["stage"]) == ("SyntaxError", "train.py", 2, "import")
    assert error["source"] == "1 +* 2"
    assert wrong.only("exit") == {"kind": "exception"}


@OLDEST_AND_NEWEST
def test_the_seed_is_set_unless_all_is_to_stay_as_written(python: Path, tmp_path: Path) -> None:
    numpy = tmp_path / "site" / "numpy"
    (numpy / "random").mkdir(parents=True)
    (numpy / "__init__.py").write_text("")
    (numpy / "random" / "__init__.py").write_text("SEEDS = []\nseed = SEEDS.append\n")
    script = "import random, numpy.random\nprint(random.random(), numpy.random.SEEDS)"
    seeded = run(python, tmp_path, script, env={"RUNNER_SEED": "17"})
    assert seeded.out == f"{random.Random(17).random()} [17]\n"
    assert seeded.only("seeding") == {"mode": "seeded", "seed": 17}
    unseeded = run(python, tmp_path, script, env={"RUNNER_SEED": "17", "RUNNER_SEEDING": "as-written"})
    assert unseeded.out.endswith(" []\n")
    assert unseeded.out != seeded.out
    assert unseeded.only("seeding") == {"mode": "as-written", "seed": None}


@OLDEST_AND_NEWEST
def test_a_prelude_runs_before_the_script_and_after_imports_and_says_what_it_did(python: Path, tmp_path: Path) -> None:
    preludes = tmp_path / "preludes"
    preludes.mkdir()
    (preludes / "00-first.py").write_text("import os\nos.environ['ORDER'] = 'first'\nprelude.applied('early')\n")
    (preludes / "01-second-thing.py").write_text(
        "import os\nos.environ['ORDER'] += ' second'\n"
        "def change(models):\n    models.Model.fit = lambda *_: 'changed'\n    prelude.applied('late')\n"
        "prelude.after_import('keras.models', change)\n"
    )
    script = "import os\nprint(os.environ['ORDER'], os.environ.get('RUNNER_PRELUDES'), 'prelude' in globals())\n"
    script += "import keras\nprint(keras.models.Model().fit())"
    told = run(python, tmp_path, script, env={"RUNNER_PRELUDES": str(preludes)})
    assert told.out == "first second None False\nchanged\n"
    assert told.of("prelude") == [
        {"name": "first", "state": "applied", "note": "early"},
        {"name": "second-thing", "state": "applied", "note": "late"},
    ]


@OLDEST_AND_NEWEST
def test_a_prelude_that_fails_says_so_and_the_script_runs_as_it_is(python: Path, tmp_path: Path) -> None:
    preludes = tmp_path / "preludes"
    preludes.mkdir()
    (preludes / "00-wrong.py").write_text("def (")
    (preludes / "01-late.py").write_text("prelude.after_import('keras', lambda keras: keras.nothing)")
    told = run(python, tmp_path, "import keras\nprint('trained')", env={"RUNNER_PRELUDES": str(preludes)})
    assert told.out == "trained\n"
    wrong, late = told.of("prelude")
    assert (wrong["name"], wrong["state"], wrong["note"][:11]) == ("wrong", "failed", "SyntaxError")
    assert (late["name"], late["state"], late["note"][:14]) == ("late", "failed", "AttributeError")


@OLDEST_AND_NEWEST
def test_what_was_imported_is_told_with_its_version_and_file(python: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "PIL").mkdir(parents=True)
    (site / "PIL" / "__init__.py").write_text("def __getattr__(name):\n    raise SystemExit('asked for ' + name)\n")
    (site / "Pillow-9.1.0.dist-info").mkdir()
    (site / "unused.py").write_text("__version__ = '1'")
    told = run(python, tmp_path, "import csv, json, PIL, keras")
    packages = told.only("packages")["packages"]
    assert packages["keras"] == {"version": "2.2.4", "file": str(FRAMEWORKS / "keras" / "__init__.py")}
    assert packages["PIL"] == {"version": "9.1.0", "file": str(site / "PIL" / "__init__.py")}
    assert not {"unused", "csv", "json", "argparse"} & set(packages)
    assert not [name for name in json.dumps(packages).split('"') if name.startswith(str(PROBE))]
