"""The user's own project: what its backend says of it, and the key that follows what it does."""

import os
import shutil
import zipfile
from dataclasses import replace
from subprocess import CompletedProcess

import pytest
from matrix_files import loaded, mistakes_in
from resolved import PYTHON, content, reason, resolved, stack_index, toolchain

from runner.environments import own_project
from runner.environments.lock import Environment, OwnPackage
from runner.environments.lockfile import inputs_digest, read_if_it_follows, write
from runner.environments.own_project import own_file, own_package, own_wheel
from runner.errors import BuildFailedError, MachineError, UsageError
from runner.laboratory.setup import Setup

BACKEND = """
import pathlib, zipfile

def build_wheel(folder, settings=None, metadata=None):
    text = pathlib.Path("told.txt").read_text()
    name, tag = "mine-1.0", pathlib.Path("tag.txt").read_text()
    with zipfile.ZipFile(pathlib.Path(folder, f"{name}-{tag}.whl"), "w") as made:
        for file in pathlib.Path("mine").rglob("*"):
            made.write(file, file.as_posix())
        made.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\\nName: Mine\\nVersion: 1.0\\n{text}")
        made.writestr(f"{name}.dist-info/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        made.writestr(f"{name}.dist-info/RECORD", "")
    pathlib.Path("left_behind").touch()
    return f"{name}-{tag}.whl"
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
PURE, BINARY = "py3-none-any", f"cp{PYTHON.replace('.', '')}-cp{PYTHON.replace('.', '')}-linux_x86_64"
NEEDS = 'Requires-Dist: tensorflow>=2\nRequires-Dist: yaml\nRequires-Dist: tqdm; extra == "train"\n'


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


@pytest.fixture
def project(tmp_path, fake):
    folder = tmp_path / "project"
    (folder / "mine").mkdir(parents=True)
    for name, text in {
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND,
        "told.txt": NEEDS,
        "tag.txt": PURE,
        "mine/__init__.py": "ANSWER = 42\n",
    }.items():
        (folder / name).write_text(text)
    return folder


def described(folder, *extras):
    """As a new process would have it."""
    own_package.cache_clear()
    own_project._place.cache_clear()
    return own_package(folder, frozenset(extras))


def rewritten(file, text):
    file.write_text(text)
    os.utime(file, ns=(file.stat().st_mtime_ns + 10**9,) * 2)


def test_a_project_is_what_its_backend_says_of_it_and_is_left_as_it_was(project):
    before = sorted(project.rglob("*"))
    own = described(project)
    assert (own.name, own.requires, own.requires_python, own.modules) == (
        "mine",
        ("tensorflow>=2", "yaml"),
        "",
        ("mine",),
    )
    assert described(project, "train").requires == ("tensorflow>=2", "yaml", "tqdm")
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "extras", "expected"),
    [
        ('a; extra == "x"', {"x"}, ["a"]),
        ('a; extra == "x"', set(), []),
        ('A>=1; python_version < "3.8" and extra == "My_X"', {"my-x"}, ['A>=1; python_version < "3.8"']),
        ('a; (sys_platform == "linux" or os_name == "nt") and extra == "x"', {"x"}, None),
        ('a; extra == "x" and sys_platform == "linux"', {"x"}, None),
        ('a; extra == "x" or extra == "y"', {"y"}, None),
        ('a; extra == "x" or extra == "y"', {"z"}, []),
        ('a; python_version < "3.8"', set(), ['a; python_version < "3.8"']),
    ],
)
def test_of_an_extra_that_is_asked_for_the_rest_of_the_marker_stays(line, extras, expected):
    found = list(own_project._required([line], frozenset(extras)))
    if expected is not None:
        assert found == expected
    else:
        (text,) = found
        assert "extra" not in text
        assert own_project.Requirement(text).marker.evaluate({"sys_platform": "linux", "python_version": "3.9"})


def test_comments_and_layout_change_no_key_and_code_and_data_do(project):
    first = described(project).digest
    rewritten(project / "mine" / "__init__.py", '"""Words."""\n\nANSWER = 42  # and more\n')
    assert described(project).digest == first
    rewritten(project / "mine" / "__init__.py", "ANSWER = 43\n")
    second = described(project).digest
    (project / "mine" / "step.txt").write_text("1")
    assert len({first, second, described(project).digest}) == 3


def test_what_a_compiled_project_is_made_of_is_in_its_key(project):
    (project / "tag.txt").write_text(BINARY)
    (project / "fast.c").write_text("int a;")
    first = described(project).digest
    rewritten(project / "fast.c", "int b;")
    assert described(project).digest != first


def test_a_project_that_does_not_change_is_built_once(project, monkeypatch):
    own = described(project)
    monkeypatch.setattr(own_project, "_built", None)
    assert described(project) == own


def test_a_pure_wheel_serves_every_cpython_and_a_binary_one_is_built_for_each(project):
    own = described(project)
    assert own_wheel(own, "3.6", None, print).name == f"mine-1.0-{PURE}.whl"
    (project / "tag.txt").write_text(BINARY)
    own, said = described(project), []
    made = own_wheel(own, PYTHON, lambda: toolchain(PYTHON), said.append)
    assert made == own_wheel(own, PYTHON, lambda: toolchain(PYTHON), said.append)
    assert said == [f"building mine for CPython {PYTHON}"]
    with zipfile.ZipFile(made) as archive:
        assert archive.read("mine/__init__.py") == b"ANSWER = 42\n"


@pytest.mark.parametrize("tag", [PURE, BINARY])
def test_a_project_is_installed_where_its_folder_is_not_from_the_one_file_that_it_names(
    project, tmp_path, monkeypatch, tag
):
    (project / "tag.txt").write_text(tag)
    (project / "mine" / "run.sh").touch(mode=0o755)
    os.utime(project / "mine" / "run.sh", ns=(1_500_000_000_250_000_000,) * 2)
    own = described(project)
    file = own_file(own)
    expected = own_wheel(own, PYTHON, lambda: toolchain(PYTHON), print)
    (tmp_path / "there" / "files").mkdir(parents=True)
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "there"))
    shutil.rmtree(project)
    with pytest.raises(MachineError, match="what mine is installed from is not in this machine's cache"):
        own_wheel(own, PYTHON, lambda: toolchain(PYTHON), print)
    shutil.copytree(file.parent, tmp_path / "there" / "files" / file.parent.name)
    made = own_wheel(own, PYTHON, lambda: toolchain(PYTHON), print)
    assert made.is_relative_to(tmp_path / "there")
    assert made.name == expected.name == f"mine-1.0-{tag}.whl"
    with zipfile.ZipFile(made) as one, zipfile.ZipFile(expected) as other:
        assert contents(one) == contents(other)
        script = one.getinfo("mine/run.sh")
    assert (script.external_attr >> 16 & 0o777, script.date_time[0]) == (0o755, 2017)


def contents(wheel):
    members = (one for one in wheel.infolist() if "dist-info" not in one.filename)
    return {one.filename: (one.external_attr, one.date_time, wheel.read(one)) for one in members}


def test_what_a_compiled_project_is_built_from_stays_as_its_key_says(project):
    (project / "tag.txt").write_text(BINARY)
    own = described(project)
    rewritten(project / "mine" / "__init__.py", "ANSWER = 43\n")
    with zipfile.ZipFile(own_wheel(own, PYTHON, lambda: toolchain(PYTHON), print)) as archive:
        assert archive.read("mine/__init__.py") == b"ANSWER = 42\n"
    with zipfile.ZipFile(own_wheel(described(project), PYTHON, lambda: toolchain(PYTHON), print)) as archive:
        assert archive.read("mine/__init__.py") == b"ANSWER = 43\n"


def test_what_can_not_be_built_is_told_in_the_backends_words(project):
    (project / "told.txt").unlink()
    with pytest.raises(
        UsageError, match=r"install: \S+project can't be built:(.|\n)*No such file or directory: 'told.txt'"
    ):
        described(project)


def test_a_build_for_one_cpython_that_fails_is_that_environments(project):
    (project / "tag.txt").write_text(BINARY)
    fails = "import pathlib\nif pathlib.Path('PKG-INFO').exists(): raise RuntimeError('no such luck')\n"  # not at first
    rewritten(project / "backend.py", fails + BACKEND)
    own = described(project)
    with pytest.raises(BuildFailedError, match="no such luck"):
        own_wheel(own, PYTHON, lambda: toolchain(PYTHON), print)


class WithoutCompiler:
    """A toolchain in which every build ends for lack of a compiler."""

    identity = "a base image"
    place = "in the base image"
    with_compiler = "use another engine"

    def __init__(self, compiling):
        self.compiling = compiling

    def build(self, source, options, *, folder):
        said = "error: command 'gcc' failed: No such file or directory"
        return CompletedProcess([source, *options], 1, stdout="", stderr=said)


def test_what_has_no_compiler_leaves_it_to_this_machine_where_the_base_is_of_it_else_says_what_to_do(project):
    (project / "tag.txt").write_text(BINARY)
    own = described(project)
    with pytest.raises(BuildFailedError) as failed:
        own_wheel(own, PYTHON, lambda: WithoutCompiler(None), print)
    assert f"must be compiled for CPython {PYTHON}, and there is no compiler in the base image" in str(failed.value)
    assert "under packages: (./wheels/x.whl) in place of install:" in str(failed.value)
    assert failed.value.passing
    assert own_wheel(own, PYTHON, lambda: WithoutCompiler(toolchain(PYTHON)), print).name == f"mine-1.0-{BINARY}.whl"


def test_its_dependencies_join_the_packages_and_those_that_are_an_axis_are_left_to_it(project, tmp_path):
    text = (
        "axes: {tensorflow: ['2.0']}\nexperiment: {script: train.py, install: './project[train]'}\npackages: [numpy]\n"
    )
    own_package.cache_clear()
    setup = Setup.of(loaded(tmp_path, text))
    assert [one.text for one in setup.packages] == ["numpy", "yaml", "tqdm"]
    assert setup.notes == ("install: mine requires tensorflow>=2, which is left to the axis tensorflow",)
    with pytest.raises(UsageError, match="the project is mine, which is an axis too"):
        Setup.of(loaded(tmp_path, text.replace("tensorflow", "mine")))


@pytest.mark.parametrize(
    ("install", "message"),
    [
        ("elsewhere", "there is no pyproject.toml or setup.py in FOLDER/elsewhere"),
        ("https://x/y.git", "'https://x/y.git' is not a folder of the project"),
        ("git+https://x/y", "'git+https://x/y' is not a folder of the project"),
    ],
)
def test_only_a_folder_that_can_be_installed_is_taken(tmp_path, install, message):
    (mistake,) = mistakes_in(tmp_path, f"axes: {{x: [1]}}\nexperiment: {{script: train.py, install: '{install}'}}\n")
    assert mistake.startswith("matrix.yaml:2:")
    assert message in mistake.replace(str(tmp_path), "FOLDER").replace("in elsewhere", "in FOLDER/elsewhere")


def test_a_requirement_of_the_project_itself_is_met_where_it_is_installed(project, tmp_path):
    (tmp_path / "needs.txt").write_text("-e ./project\n./project[train]\nyaml\n")
    text = "axes: {tensorflow: ['2.0']}\nexperiment: {script: train.py, install: project}\nrequirements: needs.txt\n"
    assert [one.text for one in loaded(tmp_path, text).packages] == ["yaml"]


def own(tmp_path, **changes):
    said = OwnPackage(
        folder=tmp_path,
        name="mine",
        version="1.0",
        sha256="c" * 64,
        requires=(),
        requires_python="",
        digest="a" * 64,
        modules=("mine",),
    )
    return replace(said, **changes)


def test_a_lock_stays_when_only_code_changes_and_its_digest_does_not(fake, tmp_path):
    lock = resolved("tensorflow==2.0", own=own(tmp_path))
    changed = replace(lock.environment, own=own(tmp_path, digest="b" * 64))
    again, _ = read_if_it_follows(write(lock, tmp_path), changed)
    assert again is not None
    assert (again.text, again.environment.name) == (lock.text, lock.environment.name)
    assert again.digest != lock.digest != resolved("tensorflow==2.0").digest
    without = Environment(pins=lock.environment.pins)
    assert inputs_digest(without) != inputs_digest(lock.environment)


def test_a_project_of_the_same_name_on_the_index_stays_out(fake, tmp_path):
    fake.add_wheel("mine", "9", "2026-02-01")
    fake.add_wheel("plugin", "1", "2026-02-01", ["mine"])
    lock = resolved("tensorflow==2.0", packages=("plugin",), own=own(tmp_path))
    assert set(content(lock)) == {"tensorflow", "numpy", "keras", "plugin"}


def test_a_cpython_that_the_project_does_not_take_is_not_chosen(fake, tmp_path):
    told = reason(resolved("tensorflow==2.0", own=own(tmp_path, requires_python="<3.9")))
    assert told == f"mine requires CPython <3.9, which rules out those of this engine: {PYTHON}."
    asked = reason(resolved("tensorflow==2.0", python=PYTHON, own=own(tmp_path, requires_python="<3.9")))
    assert asked.endswith(f"which rules out {PYTHON}.")
