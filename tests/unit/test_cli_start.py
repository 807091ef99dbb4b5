"""The commands to begin with, as a user types them: `init`, `--version`, and what `doctor` says of the folder."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from nbformat import writes
from nbformat.v4 import new_code_cell, new_notebook

from runner.cli.app import run_command_line
from runner.cli.first_matrix import Refusals, propose, tried
from runner.cli.start import name_in
from runner.environments.lock import Lock, Unresolvable
from runner.environments.lockfile import finished
from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.matrix.template import template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.environments.lock import Environment
    from runner.laboratory.cluster.errand import Facts
    from runner.laboratory.equipment import World
    from runner.laboratory.laboratory import Named
    from runner.laboratory.request import Watcher
    from runner.matrix.template import Proposal

    Command = Callable[[str], int]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    write_matrix(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command() -> Command:
    world = world_of(FakeEngine())
    return lambda line: run_command_line(line.split(), world)


def test_init_writes_a_matrix_that_loads_and_never_overwrites_one(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "train.py").write_text("import keras\nimport pandas\n")
    assert command("init train.py") == 2
    assert "is there already" in capsys.readouterr().err
    assert command("init train.py -o new.yaml") == 0
    assert "pandas" in (here / "new.yaml").read_text()
    assert command("plan new.yaml") == 0
    assert command("init ../train.py -o newer.yaml") == 2
    assert command("init ../here/train.py -o ../here/newer.yaml") == 0
    assert Matrix.load(here / "newer.yaml").experiment.script == "train.py"


def test_version_is_told_by_the_console_script_and_by_the_module(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--version") == 0
    told = capsys.readouterr().out
    assert told == f"convergence-matrix {importlib.metadata.version('convergence-matrix')}\n"
    done = subprocess.run([sys.executable, "-m", "runner", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == told


def test_a_module_of_the_users_own_that_hides_this_tool_is_named(tmp_path: Path) -> None:
    assert name_in(tmp_path).remedy == ""
    (tmp_path / "runner").mkdir()
    assert name_in(tmp_path).remedy == "", "a folder that is no package hides nothing"
    (tmp_path / "runner.py").touch()
    assert "runner.py of this folder" in name_in(tmp_path).found
    (tmp_path / "runner" / "__init__.py").touch()
    assert "runner/__init__.py of this folder" in name_in(tmp_path).found
    assert name_in(tmp_path).remedy == "Type `convergence-matrix` here."
    assert name_in(Path(__file__).parents[2]).remedy == "", "this repository is the tool itself"


def made(folder: Path, script: str = "train.py") -> Matrix:
    (folder / "matrix.yaml").write_text(template(propose(folder, script)))
    return Matrix.load(folder / "matrix.yaml")


def test_a_local_module_is_never_a_package_of_the_index(tmp_path: Path) -> None:
    for name, text in {
        "train.py": "import mypkg, pandas, elsewhere, requests\nfrom tools import x\n",
        "mypkg/__init__.py": "import sklearn\n",
        "tools.py": "import stranger\n",
        "src/elsewhere/__init__.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = propose(tmp_path, "train.py")
    assert found.packages == ("pandas", "requests")
    assert [question.split()[:2] for question in found.questions] == [["-", "stranger"]]
    matrix = made(tmp_path)
    assert [axis.name for axis in matrix.axes] == ["scikit-learn"]
    assert matrix.experiment.env == (("PYTHONPATH", "src"),), "it can't be installed, so it is found where it lies"


def test_the_project_s_own_package_is_installed_where_the_script_needs_that(tmp_path: Path) -> None:
    for name, text in {
        "jobs/train.py": "import mine, numpy\n",
        "src/mine/__init__.py": "",
        "pyproject.toml": "[project]\nname = 'mine'\nversion = '1'\ndependencies = ['pandas']\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert propose(tmp_path, "jobs/train.py").questions == ()
    install = made(tmp_path, "jobs/train.py").experiment.install
    assert install is not None
    assert install.folder == tmp_path
    (tmp_path / "jobs" / "train.py").write_text("import numpy\n")
    assert not made(tmp_path, "jobs/train.py").experiment.install


def test_what_the_project_pins_is_taken_over_and_an_address_is_a_question(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch, torchvision, pandas, own_thing, numpy\n")
    (tmp_path / "requirements.txt").write_text(
        "torch==2.2.2\ntorchvision==0.17.2\nnumpy==1.26.0\npandas==2.2.1\nown-thing @ https://host.example/x.zip\n"
    )
    found = propose(tmp_path, "train.py")
    assert found.packages == ("pandas==2.2.1", "torchvision")
    assert found.requirements.refused.startswith("requirements.txt:5: 'own-thing @ https://")
    assert [question.partition(":")[0] for question in found.questions] == [
        "- own-thing     # requirements.txt has an address for it"
    ]
    assert [value.text for value in made(tmp_path).axes[0].values] == ["2.2.2", "2.6.0"]
    assert "# requirements: [" in (tmp_path / "matrix.yaml").read_text()


def test_a_pin_is_a_question_where_the_project_does_not_pin_what_is_tried(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sklearn, matplotlib, pandas\n")
    (tmp_path / "requirements.txt").write_text("scikit-learn\nmatplotlib==1.5.1\npandas<3\n")
    found = propose(tmp_path, "train.py")
    assert (found.packages, found.questions) == ((), ()), "the file is taken as it is"
    assert [one.text for one in made(tmp_path).packages] == ["matplotlib==1.5.1", "pandas<3"]
    found = propose(tmp_path, "train.py", Refusals(requirements="too old"))
    assert found.packages == ("matplotlib", "pandas<3")
    assert [question.partition(" ")[2].split()[0] for question in found.questions] == ["matplotlib==1.5.1"]
    assert "# requirements: [requirements.txt]     # too old\n" in template(found)


def test_a_refused_line_leaves_the_rest_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sklearn, pandas\n")
    lines = ["pandas<3", "-e git+https://host.example/x", "rich[jupyter]>=13; python_version > '3.7'", "tqdm==4.66.0"]
    (tmp_path / "requirements.txt").write_text("\n".join([*lines, "./elsewhere"]))
    found = propose(tmp_path, "train.py")
    assert found.packages == ("pandas<3", 'rich[jupyter]>=13; python_version > "3.7"', "tqdm")
    assert found.requirements.refused.startswith("requirements.txt:2: ")
    assert [line.partition(" ")[0] for line in found.requirements.left] == ["requirements.txt:5:"]
    assert [question.split()[1] for question in found.questions] == ["tqdm==4.66.0"]
    assert [one.text for one in made(tmp_path).packages] == list(found.packages)
    assert propose(tmp_path, "train.py", Refusals(requirements="too old")).packages == ("pandas<3",)


def test_a_variable_that_the_script_can_not_do_without_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import os, numpy, own\nfrom os import environ\n"
        "place = os.environ['DATA_DIR'], os.environ['HOME'], environ['RATE']\n"
        "os.environ['SET'] = '1'\nprint(os.environ['SET'], os.environ.get('MAYBE'), os.environ['no\\nname'])\n"
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "own.py").write_text("import os\nif 'ASKED' in os.environ:\n    print(os.environ['ASKED'])\n")
    found = propose(tmp_path, "train.py")
    assert found.variables == {"DATA_DIR": "train.py:3", "RATE": "train.py:3"}
    assert made(tmp_path).experiment.env == (("PYTHONPATH", "src"),)
    text = (tmp_path / "matrix.yaml").read_text().replace("  env: {PYTHON", "  # {PYTHON")
    (tmp_path / "matrix.yaml").write_text(text.replace("  # env: {PYTHON", "  env: {PYTHON"))
    names = [name for name, _ in Matrix.load(tmp_path / "matrix.yaml").experiment.env]
    assert sorted(names) == ["DATA_DIR", "PYTHONPATH", "RATE"], "the comment is an entry as it stands"


def project(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def asked(answers: Sequence[dict[str, str] | UsageError], seen: list[str]) -> Callable[[Proposal], dict[str, str]]:
    """What is blocked, answer by answer; `seen` gets the text of every matrix that was asked about."""

    def blocked(found: Proposal) -> dict[str, str]:
        answer = answers[len(seen)]
        seen.append(template(found))
        if isinstance(answer, UsageError):
            raise answer
        return answer

    return blocked


PYPROJECT = "[project]\nname = 'mine'\nversion = '1'\ndependencies = ['torch', 'pandas==1.0.0']\n"
CELL = "torch=2.2.2"


def test_a_script_that_asks_for_nothing_special_is_written_without_a_trial(tmp_path: Path) -> None:
    project(tmp_path, {"train.py": "import torch, pandas\n"})
    assert tried(tmp_path, "train.py", asked([], [])).packages == ("pandas",)


def test_what_the_project_asks_for_is_written_where_every_cell_can_have_it(tmp_path: Path) -> None:
    project(tmp_path, {"train.py": "import torch, pandas\n", "requirements.txt": "torch>=2\npandas==1.0.0\n"})
    found = tried(tmp_path, "train.py", asked([{}], []))
    (tmp_path / "matrix.yaml").write_text(template(found))
    matrix = Matrix.load(tmp_path / "matrix.yaml")
    assert [one.text for one in matrix.packages] == ["pandas==1.0.0"]
    assert "# requirements.txt:1: torch>=2 is left to the axis torch\n" in template(found)


def test_a_file_or_a_pin_that_takes_cells_away_is_a_comment_with_the_reason(tmp_path: Path) -> None:
    pinned = "torch==1.13.1\npandas==1.0.0\nnumba==0.56\n"
    project(tmp_path, {"train.py": "import torch, pandas, numba\n", "requirements.txt": pinned})
    seen: list[str] = []
    answers = [{CELL: "too\nold hint: x"}, {CELL: "there is no pandas"}, {}]
    found = tried(tmp_path, "train.py", asked(answers, seen))
    assert len(seen) == 3
    assert found.packages == ("numba==0.56", "pandas")
    assert [question.split("     ")[0] for question in found.questions] == ["- pandas==1.0.0"]
    expected = f"# requirements: [requirements.txt]     # with it, {CELL} can't be had: too old\n"
    assert expected in template(found)
    # where nothing of it helps, the cell can't be had for another reason, and all stays
    seen.clear()
    stays = tried(tmp_path, "train.py", asked([{CELL: "no"}] * 3, seen))
    assert stays.requirements.is_taken
    assert len(seen) == 3


def test_a_project_that_can_not_be_had_is_found_where_it_lies(tmp_path: Path) -> None:
    own = {"src/mine/__init__.py": "import pandas\n", "pyproject.toml": PYPROJECT}
    project(tmp_path, {"jobs/train.py": "import mine, torch\n", **own})
    unbuilt = tried(tmp_path, "jobs/train.py", asked([UsageError("install: it can't\nbe built"), {}], []))
    assert "  # install: .     # it can't be built\n  env: {PYTHONPATH: src} " in template(unbuilt)
    assert unbuilt.requirements.file == "pyproject.toml"
    unmet = tried(tmp_path, "jobs/train.py", asked([{CELL: "pandas is too old"}, {CELL: "it is"}, {}], []))
    assert f"  # install: .     # with it, {CELL} can't be had: pandas is too old\n" in template(unmet)
    assert unmet.packages == ("pandas",)
    installed = tried(tmp_path, "jobs/train.py", asked([{}], []))
    assert (installed.install, installed.pythonpath, installed.packages) == (True, "", ())


def test_a_pinned_version_of_the_axis_that_no_machine_can_have_is_left_out(tmp_path: Path) -> None:
    pinned = "scikit-learn==0.16.1\npandas==0.16.0\n"
    project(tmp_path, {"train.py": "import sklearn, pandas\n", "requirements.txt": pinned})
    none = {"scikit-learn=0.16.1": "there is no wheel"}
    seen: list[str] = []
    found = tried(tmp_path, "train.py", asked([none, none, none, {}], seen))
    assert found.axes.packages == (("scikit-learn", ("1.0.2", "1.3.2", "1.5.2")),)
    assert "  # scikit-learn 0.16.1, which the project pins, can't be had: there is no wheel\n" in template(found)
    assert seen[-1] == template(found)


def test_what_the_script_prints_is_read_as_metrics_and_offered_beside_keras(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sklearn\nprint(f'Test accuracy: {0.9}')\n")
    assert made(tmp_path).judging.metric == "test_accuracy"
    assert "# criterion: test_accuracy >= 0.9\n" in (tmp_path / "matrix.yaml").read_text()
    (tmp_path / "train.py").write_text("import keras\nprint(f'Test accuracy: {0.9}')\n")
    assert made(tmp_path).judging.metric == "loss"
    assert r"#   test_accuracy: 'Test accuracy: (\S+)'" in (tmp_path / "matrix.yaml").read_text()


def test_the_files_that_the_script_names_go_with_it_and_large_ones_are_data(tmp_path: Path) -> None:
    for name, size in {"conf/a.yaml": 1, "data/big.bin": 21 * 1000**2, "jobs/near.csv": 1}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    (tmp_path / "jobs" / "train.py").write_text(
        "import numpy, pathlib\nopen('conf/a.yaml'); open('data/big.bin'); pathlib.Path(__file__).parent / 'near.csv'\n"
    )
    matrix = made(tmp_path, "jobs/train.py")
    assert matrix.experiment.files == ("conf/a.yaml", "jobs/near.csv")
    assert [mapping.target for mapping in matrix.experiment.data] == ["data/big.bin"]


def test_what_the_script_looks_for_elsewhere_than_it_lies_is_shown_there(tmp_path: Path) -> None:
    for name in ("jobs/near.csv", "tools/words.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "jobs" / "train.py").write_text(
        "import sys\nsys.path.append('.')\nimport tools.read\nopen('near.csv')\n"
    )
    (tmp_path / "tools" / "read.py").write_text("HERE = __file__[:-8]\nopen(HERE + '/words.txt')\n")
    experiment = made(tmp_path, "jobs/train.py").experiment
    assert [(one.source.name, one.target) for one in experiment.data] == [("near.csv", "near.csv")]
    assert experiment.files == ("tools/words.txt",)


def test_a_script_with_relative_imports_is_run_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "mypkg").mkdir()
    for name in ("__init__.py", "data.py"):
        (tmp_path / "mypkg" / name).touch()
    (tmp_path / "mypkg" / "train.py").write_text("from . import data\nimport keras\n")
    assert made(tmp_path, "mypkg/train.py").experiment.module == "mypkg.train"
    (tmp_path / "mypkg" / "train.py").write_text("import mypkg.data\nimport keras\n")
    assert made(tmp_path, "mypkg/train.py").experiment.module == "mypkg.train", "it needs its package's parent"
    (tmp_path / "src").mkdir()
    (tmp_path / "mypkg").rename(tmp_path / "src" / "mypkg")
    experiment = made(tmp_path, "src/mypkg/train.py").experiment
    assert (experiment.module, experiment.script) == ("mypkg.train", "src/mypkg/train.py")
    (tmp_path / "src" / "mypkg").rename(tmp_path / "mypkg")
    (tmp_path / "mypkg" / "train.py").write_text("import keras\n")
    assert made(tmp_path, "mypkg/train.py").experiment.module == ""


def test_a_notebook_is_read_by_its_cells_and_what_it_installs_is_named(tmp_path: Path) -> None:
    cells = [
        "!pip install -q my_tools 'stranger<3' torch==2.2.2\n%matplotlib inline",
        "import torch, einops, mine\nimport my_tools as t",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])  # type: ignore[no-untyped-call]
    (tmp_path / "mine.py").touch()
    (tmp_path / "study.ipynb").write_text(writes(notebook))  # type: ignore[no-untyped-call]
    found = propose(tmp_path, "study.ipynb")
    assert found.packages == ("einops", "my-tools", "stranger<3")
    assert found.questions == ()
    matrix = made(tmp_path, "study.ipynb")
    assert [value.text for value in matrix.axes[0].values] == ["2.2.2", "2.6.0"]
    assert matrix.experiment.script == "study.ipynb"


def test_init_tries_out_what_the_project_asks_for_and_writes_no_lock(here: Path) -> None:
    (here / "locks").rename(here / "elsewhere")
    (here / "train.py").write_text("import torch, pandas\n")
    (here / "requirements.txt").write_text("pandas\n")

    def resolve(environment: Environment, **_: object) -> Unresolvable | Lock:
        refuses = "rich" in environment.packages
        lock = finished(environment=environment, python="3.11", as_of=None, exemptions=(), packages=())
        return Unresolvable(environment=environment, reason="no rich") if refuses else lock

    world = replace(world_of(FakeEngine()), resolve=resolve)  # type: ignore[arg-type]
    assert run_command_line(["init", "train.py", "-o", "new.yaml"], world) == 0
    assert [one.text for one in Matrix.load(here / "new.yaml").packages] == ["pandas"]
    (here / "requirements.txt").write_text("pandas\nrich\n")
    assert run_command_line(["init", "train.py", "-o", "new.yaml", "--force"], world) == 0
    assert [one.text for one in Matrix.load(here / "new.yaml").packages] == ["pandas"]
    refused = "# requirements: [requirements.txt]     # with it, torch=1.13.1 can't be had: no rich\n"
    assert refused in (here / "new.yaml").read_text()
    assert not (here / "locks").exists()


def test_doctor_names_the_workers_of_a_cluster_that_get_no_work(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(_: Path, __: Named, ___: World, observer: Watcher) -> tuple[dict[str, Facts], dict[str, str]]:
        observer.note("waiting 60 s for the first")
        return {}, {"four": "On worker four: no Docker engine.\nStart it."}

    monkeypatch.setattr("runner.laboratory.laboratory.facts_of_workers", found)
    assert command("doctor --cluster tcp://named:1 --format json") == 4
    told = capsys.readouterr()
    [_, four] = json.loads(told.out)
    assert (four["what"], four["state"], four["found"], four["remedy"]) == (
        "four: no work",
        "wrong",
        "On worker four: no Docker engine.",
        "Start it.",
    )
    assert "waiting 60 s for the first" in told.err


def test_doctor_asks_the_cluster_that_a_run_would_take_and_looks_at_the_store_alone_where_asked(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, str]] = []

    def asking(_: Path, named: Named, *__: object) -> dict[str, Facts]:
        asked.append((named.cluster, named.runtime))
        raise UsageError("no such cluster")

    monkeypatch.setattr("runner.laboratory.laboratory.facts_of_workers", asking)
    (here / "config.toml").write_text('cluster = "tcp://configured:1"\nruntime = "runsc"\n')
    monkeypatch.setenv("RUNNER_CONFIG", str(here / "config.toml"))
    assert command("doctor") == 4
    monkeypatch.setenv("RUNNER_CLUSTER", "tcp://set:1")
    assert command("doctor") == 4
    assert command("doctor --cluster tcp://named:1") == 4
    assert asked == [(f"tcp://{one}:1", "runsc") for one in ("configured", "set", "named")]
    assert command("doctor --store") == 0
    assert len(asked) == 3
