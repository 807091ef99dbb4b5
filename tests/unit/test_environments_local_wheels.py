"""Wheel files of the project under `packages:`: named by their hash, offered to the resolver, installed as they are."""

import hashlib
import zipfile
from datetime import UTC, datetime

import pytest
from fake_index import wheel
from matrix_files import FakeIndex, loaded, mistakes_in
from resolved import PYTHON, TAG, content, reason, resolved, stack_index

from runner.environments.file_store import stored
from runner.environments.index.catalog import Catalog
from runner.environments.local_wheels import keep_wheels
from runner.environments.lock import Environment, Layer
from runner.environments.wheelhouse import fetch
from runner.errors import UsageError
from runner.laboratory.setup import Setup
from runner.matrix.cells import expand, requirements_of
from runner.matrix.settle import missing_versions

HEAD = "axes: {tensorflow: ['2.0']}\nexperiment: {script: train.py}\n"
OTHER_TAG = "cp36-cp36m-manylinux2014_x86_64"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


def made(folder, requires=(), version="1.0+cpu", tag="py3-none-any", name="own_torch"):
    """A wheel file of the project and the line that an environment has of it."""
    (folder / "wheels").mkdir(exist_ok=True)
    file = folder / "wheels" / f"{name}-{version}-{tag}.whl"
    file.write_bytes(wheel(name, version, requires))
    return f"own-torch @ wheels/{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_a_wheel_is_a_requirement_with_its_hash_and_is_kept_with_the_files_of_the_index(fake, tmp_path):
    line = made(tmp_path)
    name = "./wheels/own_torch-1.0+cpu-py3-none-any.whl"
    matrix = loaded(tmp_path, f"{HEAD}packages: [yaml, {name}, {{{name}: '*', when: tensorflow<2}}]\n")
    assert [one.text for one in matrix.packages] == ["yaml", line, line]
    assert [len(one.when) for one in matrix.packages] == [0, 0, 1]
    Setup.of(matrix)
    kept = stored(line.rpartition("=")[2])
    assert kept.read_bytes() == (tmp_path / name).read_bytes()


def test_a_wheel_is_locked_by_its_hash_with_what_it_requires_and_installed_from_the_project(fake, tmp_path):
    line = made(tmp_path, ["yaml>=5"])
    keep_wheels([line], tmp_path)
    fake.add_wheel("own_torch", "9.0", "2026-02-01")
    fake.add_wheel("vision", "1.0", "2026-02-01", ["own-torch==1.0"])
    lock = resolved("tensorflow==2.0", packages=(line, "vision"))
    assert content(lock) == {"tensorflow": "2.0", "numpy": "1.0", "keras": "2.0", "yaml": "5"} | {
        "own-torch": "1.0+cpu",
        "vision": "1.0",
    }
    (own,) = (package for package in lock.packages if package.name == "own-torch")
    assert own.hashes == (f"sha256:{line.rpartition('=')[2]}",)
    asked = len(fake.asked)
    house = fetch(lock, catalog=Catalog(), toolchain=lambda: None, say=print)
    assert {one.path.name for one in house.wheels} >= {"own_torch-1.0+cpu-py3-none-any.whl"}
    assert not [path for path in fake.asked[asked:] if "own_torch" in path]


def test_another_content_is_another_environment(tmp_path):
    first = loaded(tmp_path, f"{HEAD}packages: [./{made(tmp_path).split()[2].partition('#')[0]}]\n")
    second = loaded(tmp_path, f"{HEAD}packages: [./{made(tmp_path, ['yaml']).split()[2].partition('#')[0]}]\n")
    assert first.packages != second.packages


def test_what_another_package_requires_of_it_must_hold(fake, tmp_path):
    line = made(tmp_path)
    keep_wheels([line], tmp_path)
    fake.add_wheel("vision", "1.0", "2026-02-01", ["own-torch>=2"])
    assert "own-torch" in reason(resolved("tensorflow==2.0", packages=(line, "vision")))


def test_of_several_wheels_the_one_that_fits_is_taken_and_a_cpython_that_none_fits_is_ruled_out(fake, tmp_path):
    fitting, other = made(tmp_path, tag=TAG), made(tmp_path, tag=OTHER_TAG)
    keep_wheels([fitting, other], tmp_path)
    lock = resolved("tensorflow==2.0", packages=(fitting, other))
    (own,) = (package for package in lock.packages if package.name == "own-torch")
    assert own.hashes == (f"sha256:{fitting.rpartition('=')[2]}",)
    told = reason(resolved("tensorflow==2.0", packages=(other,)))
    assert told == (
        f"packages: own_torch-1.0+cpu-{OTHER_TAG}.whl must fit, which rules out those of this engine: {PYTHON}."
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "./wheels/absent-1.0-py3-none-any.whl",
            "there is no file './wheels/absent-1.0-py3-none-any.whl' (one",
        ),
        ("./wheels/absent-1.0+cpu-py3-none-any.whl", "`pip download absent==1.0 --no-deps -d wheels`"),
        ("./folder-1.0-py3-none-any.whl", "can't be read: Is a directory"),
        ("../x-1.0-py3-none-any.whl", "is not inside the matrix's folder"),
        ("/x-1.0-py3-none-any.whl", "is not inside the matrix's folder"),
        ("https://h/x-1.0-py3-none-any.whl", "is not inside the matrix's folder"),
        ("./wheels/x.whl", "'x.whl' is not the name of a wheel"),
        ("./wheels/text-1.0-py3-none-any.whl", "is not a wheel"),
        ("./wheels/tensorflow-2.1-py3-none-any.whl", "is of no version of the axis 'tensorflow' (its values are 2.0)"),
    ],
)
def test_what_is_no_wheel_of_the_project_is_refused(tmp_path, entry, message):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "folder-1.0-py3-none-any.whl").mkdir()
    (tmp_path / "wheels" / "text-1.0-py3-none-any.whl").write_text("text")
    made(tmp_path, name="tensorflow", version="2.1")
    (mistake,) = mistakes_in(tmp_path, f"{HEAD}packages: ['{entry}']\n")
    assert mistake.startswith("matrix.yaml:3:12: ")
    assert message in mistake


def with_date(line, folder, day):
    """The same wheel, made on a day, and the line that an environment has of it."""
    path = line.split()[2].partition("#")[0]
    with zipfile.ZipFile(folder / path) as before:
        content = {member.filename: before.read(member) for member in before.infolist()}
    with zipfile.ZipFile(folder / path, "w") as after:
        for name, text in content.items():
            after.writestr(zipfile.ZipInfo(name, (*day, 12, 0, 0)), text)
    digest = hashlib.sha256((folder / path).read_bytes()).hexdigest()
    keep_wheels([f"own-torch @ {path}#sha256={digest}"], folder)
    return f"own-torch @ {path}#sha256={digest}"


def test_a_wheel_of_an_axis_is_for_the_cells_of_its_version(tmp_path):
    line = made(tmp_path)
    name = "./wheels/own_torch-1.0+cpu-py3-none-any.whl"
    text = "axes: {own-torch: ['1.0', '1.1']}\nexperiment: {script: train.py}\n"
    matrix = loaded(tmp_path, f"{text}packages: [{name}]\n")
    assert [requirements_of(matrix.packages, cell) for cell in expand(matrix)] == [(line,), ()]
    known = FakeIndex({"own-torch": ["1.1"]})
    assert missing_versions(matrix, known) == []
    assert missing_versions(matrix, FakeIndex({})) != []


def test_a_wheel_of_the_base_is_resolved_as_of_the_time_that_the_index_has_of_its_version(fake, tmp_path):
    line = made(tmp_path, ["yaml"])
    keep_wheels([line], tmp_path)
    fake.add_wheel("own_torch", "1.0", "2026-03-01", ["cuda"])
    lock = resolved("own-torch==1.0", packages=(line,))
    assert content(lock, Layer.BASE) == {"own-torch": "1.0+cpu", "yaml": "5"}
    assert lock.as_of == datetime(2026, 3, 3, tzinfo=UTC)
    assert (lock.environment.pins, lock.python) == ((("own-torch", "1.0"),), PYTHON)


def test_a_wheel_that_no_index_knows_is_of_the_day_on_which_it_was_made(fake, tmp_path):
    line = with_date(made(tmp_path, ["yaml"]), tmp_path, (2026, 6, 20))
    lock = resolved("own-torch==1.0", packages=(line,))
    assert content(lock) == {"own-torch": "1.0+cpu", "yaml": "6"}
    assert lock.as_of == datetime(2026, 6, 22, tzinfo=UTC)


def test_a_base_that_nothing_dates_is_refused_with_what_to_do(fake, tmp_path):
    line = made(tmp_path)
    keep_wheels([line], tmp_path)
    with pytest.raises(UsageError, match=r"nothing says when own-torch 1.0\+cpu came out"):
        resolved("own-torch==1.0", packages=(line,))
    assert content(resolved("own-torch==1.0", packages=(line,), as_of="none")) == {"own-torch": "1.0+cpu"}


def test_a_wheel_newer_than_the_base_brings_what_was_not_there_then_and_nothing_else(fake, tmp_path):
    line = with_date(made(tmp_path, ["yaml>=6", "numpy"]), tmp_path, (2026, 6, 20))
    for pins in (("tensorflow==2.0",), ("tensorflow==2.0", "own-torch==1.0")):
        lock = resolved(*pins, packages=(line,))
        assert content(lock) == {"tensorflow": "2.0", "keras": "2.0", "numpy": "1.0"} | {
            "own-torch": "1.0+cpu",
            "yaml": "6",
        }
        assert {name for name, _ in lock.exemptions} == {"own-torch", "yaml"}


def test_environments_without_a_wheel_are_named_as_ever():
    environment = Environment(pins=(("tensorflow", "2.0"),), packages=("yaml",))
    assert environment.name == f"tensorflow-2.0+{hashlib.sha256(b'yaml').hexdigest()[:8]}"
