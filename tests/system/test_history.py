"""The history of packages' names: made for a package of a user's own, and what is shipped, looked at again."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from command import REPOSITORY, runner
from fake_index import FakeIndex, wheel
from probe_stacks import KERAS3, PROBE, TF1, execute, stack

from runner.history.api import load
from runner.history.particulars import state_of
from runner.laboratory.laboratory import Named, open_laboratory
from runner.laboratory.looking import look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["stack"]

LIGHT = ("numpy", "h5py", "scikit-learn")
HEAVY = ("keras", "tf-keras", "tensorflow")
"""Their environments take a minute: for `tox -e full`."""
TRIED = ("a", "r")
"""What is found by trying the arguments that other releases have: more of them are known now."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeIndex]:
    served = FakeIndex()
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    yield served
    served.stop()


def test_a_package_of_a_users_own_gets_a_history_beside_the_matrix(index: FakeIndex, tmp_path: Path) -> None:
    for version, day, text in [
        ("1.0", "2020-01-01", "def old(a): pass\ndef kept(a, b=1): pass\n"),
        ("1.1", "2020-02-01", "def old(a): pass\ndef kept(a, b=1): pass\n"),
        ("1.1.1", "2020-03-01", "raise SystemExit('it can not be imported')\n"),
        ("2.0", "2021-01-01", "def kept(a, b=2): pass\ndef new(): pass\n"),
    ]:
        index.add_wheel("ours", version, day, files={"ours/__init__.py": text})
    done = runner(tmp_path, "history", "ours", "--engine", "venv", "--format", "json")
    rows = json.loads(done.stdout)
    assert [(row["release"], row["names"], row["new"], row["gone"], bool(row["remark"])) for row in rows] == [
        ("1.0", "3", "", "", False),
        ("1.1", "3", "0", "0", False),
        ("1.1.1", "", "", "", True),
        ("2.0", "3", "1", "1", False),
    ], done.stderr
    assert rows[2]["remark"].startswith("not looked at: ours can't be looked at:")
    assert "it can not be imported" in rows[2]["remark"]
    history = load("ours", tmp_path / "history")
    assert history is not None
    assert {f"not looked at: {reason}" for reason in history.unseen.values()} == {rows[2]["remark"]}
    kept = history.name("ours.kept", "2.5")
    assert kept is not None
    assert kept.parameters is not None
    assert [(one.name, one.default) for one in kept.parameters] == [("a", None), ("b", "2")]
    assert history.name("ours.old", "1.5") is not None
    assert history.name("ours.old", "2.0") is None
    assert not any((tmp_path / "cache" / "environments").glob("*/environment.json"))
    again = runner(tmp_path, "history", "ours", "--engine", "venv", "--format", "json")
    assert json.loads(again.stdout) == rows
    assert "installing" not in again.stderr
    tried = runner(tmp_path, "history", "ours", "--from", "1.1.1", "--to", "1.1.1", "--again", "--engine", "venv")
    assert tried.returncode == 1
    assert "installing" in tried.stderr


def test_a_release_that_misses_setuptools_is_looked_at_beside_it_and_one_that_dies_is_told(
    index: FakeIndex, tmp_path: Path
) -> None:
    index.add_wheel("setuptools", "40.0", "2018-01-01", files={"pkg_resources/__init__.py": ""})
    index.add_wheel("ours", "1.0", "2019-01-01", files={"ours/__init__.py": "import pkg_resources\n"})
    index.add_wheel("ours", "2.0", "2020-01-01", files={"ours/__init__.py": "import os\nos._exit(9)\n"})
    done = runner(tmp_path, "history", "ours", "--engine", "venv", "--format", "json")
    assert [(row["release"], row["names"], row["remark"]) for row in json.loads(done.stdout)] == [
        ("1.0", "1", ""),
        ("2.0", "", "not looked at: ours can't be looked at: it ended without a word, with exit code 9"),
    ]
    history = load("ours", tmp_path / "history")
    assert history is not None
    assert history.companions("1.0").keys() == {"setuptools", "python"}


def test_a_wheel_file_is_a_release_of_its_own(index: FakeIndex, tmp_path: Path) -> None:
    index.add_wheel("needed", "1.0", "2020-01-01", files={"needed/__init__.py": "def helped(a): pass\n"})
    (tmp_path / "dist").mkdir()
    text = "from needed import helped\ndef mine(b=3): pass\n"
    name = "mine-0.3+cpu-py3-none-any.whl"
    (tmp_path / "dist" / name).write_bytes(wheel("mine", "0.3+cpu", ["needed"], {"mine/__init__.py": text}))
    done = runner(tmp_path, "history", f"./dist/{name}", "--engine", "venv", "--format", "json")
    assert [(row["release"], row["names"], row["remark"]) for row in json.loads(done.stdout)] == [("0.3", "3", "")]
    history = load("mine", tmp_path / "history")
    assert history is not None
    mine = history.name("mine.mine", "0.3")
    assert mine is not None
    assert mine.parameters is not None
    assert [(one.name, one.default) for one in mine.parameters] == [("b", "3")]
    assert history.companions("0.3")["needed"] == "1.0"


def test_the_indexes_of_the_matrix_are_asked_too(index: FakeIndex, tmp_path: Path) -> None:
    index.add_wheel("ours", "1.0", "2020-01-01")
    further = FakeIndex()
    try:
        further.add_wheel("theirs", "2.0", "2020-01-01", ["ours"], files={"theirs/__init__.py": "def f(): pass\n"})
        text = f"axes: {{ours: [1.0]}}\nexperiment: {{script: train.py}}\nindexes: ['{further.url}/']\n"
        (tmp_path / "matrix.yaml").write_text(text)
        (tmp_path / "train.py").touch()
        done = runner(tmp_path, "history", "theirs", "--engine", "venv", "--format", "json")
    finally:
        further.stop()
    assert [(row["release"], row["names"], row["remark"]) for row in json.loads(done.stdout)] == [("2.0", "2", "")]


def test_what_can_not_be_looked_at_is_said(index: FakeIndex, tmp_path: Path) -> None:
    index.add_wheel("ours", "1.0", "2020-01-01")
    unknown = runner(tmp_path, "history", "others", "--engine", "venv")
    assert (unknown.returncode, unknown.stderr.strip()) == (2, "The package index knows no others.")
    missing = runner(tmp_path, "history", "dist/ours-1.0-py3-none-any.whl", "--engine", "venv")
    assert (missing.returncode, missing.stderr.split(":")[0]) == (
        2,
        "There is no file 'dist/ours-1.0-py3-none-any.whl'",
    )
    assert runner(tmp_path, "history", "ours", "--from", "2").returncode == 2
    assert runner(tmp_path, "history", "ours", "--from", "newest").returncode == 2


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("packages", [LIGHT, *([HEAVY] if os.environ.get("RUNNER_ALL_STACKS") else [])])
def test_ten_entries_by_chance_are_what_is_seen_again(packages: tuple[str, ...], tmp_path: Path) -> None:
    seed = int(f"{datetime.now(UTC):%Y%m%d}")
    chance = random.Random(seed)
    package = chance.choice(packages)
    history = load(package)
    assert history is not None
    release = chance.choice([one for one in history.releases if history.state(one) == state_of(package)])
    with open_laboratory(tmp_path, Named(engine="venv")) as laboratory:
        look = look_at(package, str(release), laboratory, history)
    others = dict(look.companions.items() ^ history.companions(release).items())
    seen, kept = look.facts, history.facts()[history.releases.index(release)]
    for path in chance.sample(sorted(kept), 10):
        told = f"{path} of {package} {release}, seed {seed}; what is another release beside it: {others}"
        assert path in seen, told
        assert _untried(seen[path]) == _untried(kept[path]), told
        for key in TRIED:
            assert kept[path].get(key, {}).items() <= seen[path].get(key, {}).items(), told
    gone = {path for path in kept if path not in seen}
    assert len(gone) <= len(kept) / 1000, f"{package} {release}: {sorted(gone)[:20]}"


def _untried(fact: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fact.items() if key not in TRIED}


LOOKUP = """
import importlib, json, sys
sys.path.insert(0, {probe!r})
from _runner_tools.lookup import _look
questions = json.loads({questions!r})
for _, owner, _ in questions:
    importlib.import_module(owner)
open("answers.json", "w").write(json.dumps([_look(*question) for question in questions]))
"""
QUESTIONS = (
    ("attribute", "keras.utils", "to_categorical"),
    ("attribute", "keras.utils", "multi_gpu_model"),
    ("attribute", "keras.utils", "np_utils"),
    ("attribute", "keras.layers", "CuDNNLSTM"),
    ("attribute", "keras.layers", "GroupNormalization"),
    ("attribute", "keras.losses", "kullback_leibler_divergence"),
    ("attribute", "keras.backend", "get_session"),
    ("attribute", "tensorflow", "placeholder"),
    ("attribute", "tensorflow", "Session"),
    ("attribute", "tensorflow", "GradientTape"),
    ("attribute", "numpy", "float"),
    ("attribute", "numpy", "float64"),
    ("attribute", "numpy", "product"),
)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("name", [TF1, KERAS3] if os.environ.get("RUNNER_ALL_STACKS") else [KERAS3])
def test_the_history_agrees_with_what_is_looked_up_live(
    name: str,
    stack: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    versions = dict(one.rsplit("-", 1) for one in name.split("+"))
    script = LOOKUP.format(probe=str(PROBE), questions=json.dumps(QUESTIONS))
    python = stack(name)
    lines = (REPOSITORY / "locks" / f"{name}.txt").read_text().splitlines()
    versions |= dict(line.split(" ")[0].split("==") for line in lines if line.startswith("numpy=="))
    (tmp_path / "train.py").write_text(script)
    done = execute(python, tmp_path, script, probe=False)
    assert done.exit_code == 0, done.errors
    live = json.loads((tmp_path / "answers.json").read_text())
    for (_, owner, leaf), found in zip(QUESTIONS, live, strict=True):
        history = load(owner.split(".")[0])
        assert history is not None
        there = history.name(f"{owner}.{leaf}", versions[history.package]) is not None
        assert there is found["there"], f"{owner}.{leaf} of {history.package} {versions[history.package]}"
