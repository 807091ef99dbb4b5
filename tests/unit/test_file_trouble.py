"""What of the project a trial lacked, by its exception, and what the reason says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.outcomes.failures import advice
from runner.outcomes.judging import verdict_of
from runner.trials.file_trouble import ProjectView, file_trouble
from runner.trials.record import FileTrouble, Record, ScriptException

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def view(tmp_path: Path) -> ProjectView:
    project, work = tmp_path / "project", tmp_path / "jobs/work"
    for name in ("data/train.csv", "sub/deep.csv", "sub/models/a.py", "lib/helper.py", "conf/a.yaml", "big/x.npz"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    (work / "conf").mkdir(parents=True)
    (work / "conf/a.yaml").touch()
    return ProjectView(
        project=project,
        work=work,
        works=("/work", str(work)),
        homes=("/home/runner",),
        start="",
        searched="sub",
        data=("big", "~/.keras/datasets/x.npz"),
    )


def raised(type_: str, message: str, **more: str | int) -> ScriptException:
    given = {"traceback": f"Traceback\n  File x\n{type_}: {message}", "stage": "import", "phase": "", **more}
    return ScriptException.model_validate({"type": type_, "message": message, **given})


def record(exception: ScriptException, trouble: FileTrouble | None = None) -> Record:
    return Record(
        key="k",
        cell={},
        seed=0,
        engine="venv",
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1.0,
        stage="import",
        exit_code=1,
        probe_started=True,
        exception=exception,
        file_trouble=trouble,
    )


@pytest.mark.parametrize(
    ("type_", "message", "lies"),
    [
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'data/train.csv'", "data/train.csv"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/work/data/train.csv'", "data/train.csv"),
        ("FileNotFoundError", "File b'data/train.csv' does not exist", "data/train.csv"),
        (
            "OSError",
            "Unable to open file (name = './data/train.csv', errno = 2)",
            "data/train.csv",
        ),
        ("tensorflow.python.framework.errors_impl.NotFoundError", "data/train.csv; No such file", "data/train.csv"),
        ("ValueError", "File not found: filepath=data/train.csv. Please ensure", "data/train.csv"),
        ("hydra.errors.MissingConfigException", "Primary config directory not found: '/work/data'", "data"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'deep.csv'", "sub/deep.csv"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '../project/data'", "../project/data"),
        ("ModuleNotFoundError", "No module named 'models.a'", "sub/models/a.py"),
    ],
)
def test_a_file_of_the_project_that_was_not_given_is_found(
    view: ProjectView, type_: str, message: str, lies: str
) -> None:
    found = file_trouble(raised(type_, message), view)
    assert found is not None
    assert (found.lies, found.trouble) == (lies, "not-given")


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'data/test.csv'"),  # it lies nowhere
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'conf/a.yaml'"),  # it was given
        ("FileNotFoundError", "[Errno 2] No such file or directory: '../../project/data/train.csv'"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/data/train.csv'"),
        ("ValueError", "data/train.csv has three columns"),
        ("OSError", "[Errno 30] Read-only file system: '/env/x'"),
        ("ModuleNotFoundError", "No module named 'pandas'"),
    ],
)
def test_nothing_is_said_of_what_is_not_in_the_project_or_was_given(
    view: ProjectView, type_: str, message: str
) -> None:
    assert file_trouble(raised(type_, message), view) is None


def test_a_file_is_told_by_its_place_in_the_trial_s_own_folder(view: ProjectView) -> None:
    found = file_trouble(raised("FileNotFoundError", f"No such file or directory: '{view.work}/data/train.csv'"), view)
    assert found == FileTrouble(sought="data/train.csv", lies="data/train.csv", trouble="not-given")


def test_a_file_that_was_given_in_the_script_s_folder_is_told_where_the_script_looks_elsewhere(
    view: ProjectView,
) -> None:
    (view.work / "sub").mkdir()
    (view.work / "sub/deep.csv").touch()
    found = file_trouble(raised("FileNotFoundError", "No such file or directory: './deep.csv'"), view)
    assert found == FileTrouble(sought="./deep.csv", lies="sub/deep.csv", trouble="elsewhere")
    (said,) = advice(record(raised("FileNotFoundError", "x"), found))
    assert "`data: [{sub/deep.csv: deep.csv}]`" in said


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("big/out.npz", "big"),
        ("/work/big/x.npz", "big"),
        ("/home/runner/.keras/datasets/x.npz", "~/.keras/datasets/x.npz"),
    ],
)
def test_writing_into_data_is_told_from_writing_elsewhere(view: ProjectView, path: str, target: str) -> None:
    found = file_trouble(raised("OSError", f"[Errno 30] Read-only file system: '{path}'"), view)
    assert found == FileTrouble(sought=path, lies=target, trouble="read-only")


def test_a_notebook_looks_from_its_own_folder(view: ProjectView) -> None:
    from dataclasses import replace

    seen = replace(view, start="sub")
    found = file_trouble(raised("FileNotFoundError", "No such file or directory: '../data/train.csv'"), seen)
    assert found == FileTrouble(sought="../data/train.csv", lies="data/train.csv", trouble="not-given")


def test_a_module_in_a_folder_that_is_not_searched_is_named(view: ProjectView) -> None:
    found = file_trouble(raised("ModuleNotFoundError", "No module named 'helper'"), view)
    assert found == FileTrouble(sought="helper", lies="lib/helper.py", trouble="not-reached")
    (said,) = advice(record(raised("ModuleNotFoundError", "No module named 'helper'"), found))
    assert said == "lib/helper.py is there, but Python does not look in its folder: `env: {PYTHONPATH: lib}`"


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (("data/a.csv", "data/a.csv", "not-given"), "data/a.csv is there, but not under `files:` or `data:`"),
        (
            ("a.csv", "sub/a.csv", "not-given"),
            (
                "sub/a.csv is there, but not under `files:` or `data:`: `data: [{sub/a.csv: a.csv}]` puts it where "
                "the script looks"
            ),
        ),
        (
            ("/home/me/data/a.csv", "data/a.csv", "not-given"),
            (
                "data/a.csv is there, but not under `files:` or `data:`; a trial has its own copy of the folder, so "
                "name it by its path from there"
            ),
        ),
        (
            ("big/x", "big", "read-only"),
            (
                "big is under `data:`, which is mounted read-only: put it under `files:` to have a copy that can be "
                "written, or write somewhere else"
            ),
        ),
    ],
)
def test_the_reason_says_what_to_write_whatever_the_label_is(trouble: tuple[str, str, str], expected: str) -> None:
    sought, lies, kind = trouble
    found = FileTrouble.model_validate({"sought": sought, "lies": lies, "trouble": kind})
    verdict = verdict_of(record(raised("FileNotFoundError", "x"), found))
    assert verdict.reason.endswith(f"; {expected}")


def test_the_reason_names_the_cell_of_a_notebook() -> None:
    exception = raised("ValueError", "x", file="nb/study.ipynb", cell=3, line=4)
    assert verdict_of(record(exception)).reason.endswith("; in nb/study.ipynb, cell 3, line 4")


def test_a_script_that_imports_relatively_is_told_of_module() -> None:
    message = "attempted relative import with no known parent package"
    (said,) = advice(record(raised("ImportError", message, file="nets/small/train.py", line=1)))
    assert said == "it imports relatively: `module: nets.small.train` in place of `script:` runs it in its package"


def test_a_library_that_the_system_lacks_is_told_with_the_ways_out() -> None:
    (said,) = advice(
        record(raised("OSError", "libgomp.so.1: cannot open shared object file: No such file or directory"))
    )
    assert said.startswith("libgomp.so.1 belongs to the system")
    assert "--engine venv" in said
    assert advice(record(raised("OSError", "data.so: cannot open shared object file"))) == ()
