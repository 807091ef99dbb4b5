"""Source distributions run a stranger's code when they are built: where that happens, and where it never does."""

import io
import subprocess
import tarfile

import pytest
from fake_index import BUILDING_SETUPTOOLS, sdist
from resolved import PYTHON, content, resolved, stack_index, toolchain

from runner.engines.docker.container_toolchain import _lacked
from runner.environments.interpreters import HostToolchain
from runner.environments.source_builds import built
from runner.environments.times import UNDATED
from runner.errors import BuildFailedError


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


@pytest.fixture
def planted(fake, tmp_path):
    """A source distribution whose builder leaves a file behind: that file."""
    trace = tmp_path / "it-ran"
    spoils = f"open({str(trace)!r}, 'a').write('ran ')\n"
    fake.add("planted-1.0.tar.gz", sdist("planted", "1.0", spoils + BUILDING_SETUPTOOLS), "2019-05-01")
    fake.add_wheel("setuptools", "41.0", "2019-05-01")
    return trace


def test_resolving_runs_nothing_of_a_stranger_s_where_that_is_not_allowed(planted, monkeypatch):
    monkeypatch.delenv("RUNNER_BUILD_ON_HOST")
    with pytest.raises(BuildFailedError) as refused:
        resolved("tensorflow==2.0", packages=("planted==1.0",))
    said = str(refused.value)
    assert refused.value.passing
    assert said.startswith("planted-1.0.tar.gz must be built, for there is no wheel of it: ")
    assert "--build-on-host" in said
    assert "--engine docker" in said
    assert not planted.exists()


def test_resolving_runs_nothing_of_what_a_release_is_built_with_either(fake, tmp_path, monkeypatch):
    """A `.pth` file of a build requirement runs before any `sitecustomize`: it is not installed."""
    monkeypatch.delenv("RUNNER_BUILD_ON_HOST")
    trace = tmp_path / "it-ran"
    fake.add_wheel("tool", "1.0", "2019-05-01", files={"tool.pth": f"import os; os.mkdir({str(trace)!r})\n"})
    project = '[build-system]\nrequires = ["tool"]\nbuild-backend = "tool"\n'
    fake.add("planted-1.0.tar.gz", sdist("planted", "1.0", "", project), "2019-05-01")
    with pytest.raises(BuildFailedError, match=r"planted-1\.0\.tar\.gz must be built"):
        resolved("tensorflow==2.0", packages=("planted==1.0",))
    assert not trace.exists()


def test_the_builder_alone_runs_it_and_says_what_it_needs(planted):
    asked = []

    class Builder(HostToolchain):
        def build(self, source, options, *, folder):
            asked.append(source)
            assert not planted.exists()
            return super().build(source, options, folder=folder)

    host = toolchain(PYTHON)
    apart = HostToolchain(host.interpreter, elsewhere=lambda: Builder(host.interpreter))
    lock = resolved("tensorflow==2.0", packages=("planted==1.0",), toolchain=lambda _: apart)
    assert content(lock)["planted"] == "1.0"
    assert content(lock)["setuptools"] == "41.0"
    assert asked == ["planted-1.0.tar.gz"]
    assert planted.exists()


def test_a_lock_does_not_depend_on_whether_builds_were_allowed_when_it_was_made(fake, monkeypatch):
    """What setuptools noted in a source would serve, but its own code may say something else."""
    monkeypatch.delenv("RUNNER_BUILD_ON_HOST")
    buffer = io.BytesIO()
    info = "noted.egg-info"
    files = {
        "setup.py": "raise SystemExit('ran')",
        "PKG-INFO": "Metadata-Version: 1.0\nName: noted\nVersion: 1.0\n",
        f"{info}/PKG-INFO": "",
        f"{info}/requires.txt": "yaml\n\n[:python_version < '3']\nlate\n\n[extra]\nspecial\n",
    }
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"noted-1.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    fake.add("noted-1.0.tar.gz", buffer.getvalue(), "2019-05-01")
    fake.add_wheel("setuptools", "41.0", "2019-05-01")
    with pytest.raises(BuildFailedError, match=r"noted-1\.0\.tar\.gz must be built") as refused:
        resolved("tensorflow==2.0", packages=("noted==1.0",))
    assert refused.value.passing


@pytest.mark.parametrize(("is_fixed", "attempts"), [(True, 1), (False, 2)])
def test_a_builder_that_lacks_a_compiler_for_good_is_asked_once(is_fixed, attempts, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    asked = []

    class Bare(HostToolchain):
        def build(self, source, options, *, folder):
            asked.append(source)
            return subprocess.CompletedProcess(
                [source], 1, "", "error: command 'gcc' failed: No such file or directory"
            )

    Bare.is_fixed = is_fixed
    bare = Bare(toolchain(PYTHON).interpreter)
    source = tmp_path / "x-1.0.tar.gz"
    source.write_bytes(b"")
    said = []
    for _ in range(2):
        with pytest.raises(BuildFailedError, match="there is no compiler on this machine") as failed:
            built(source, sha256="0" * 64, uploaded=lambda: UNDATED, python=PYTHON, toolchain=lambda: bare, say=print)
        assert failed.value.passing
        said.append(str(failed.value))
    assert said[0] == said[1]
    assert len(asked) == attempts


@pytest.mark.parametrize("place", ["made", "made/x-1.0-py3-none-any.whl"])
def test_a_link_that_a_builder_left_in_place_of_a_wheel_is_not_followed(place, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x-1.0-py3-none-any.whl").write_text("of the host")

    class Hostile(HostToolchain):
        def build(self, source, options, *, folder):
            (folder / place).parent.mkdir(exist_ok=True)
            (folder / place).symlink_to(secret if place == "made" else secret / "x-1.0-py3-none-any.whl")
            return subprocess.CompletedProcess([source], 0, "", "")

    source = tmp_path / "x-1.0.tar.gz"
    source.write_bytes(b"")
    hostile = Hostile(toolchain(PYTHON).interpreter)
    with pytest.raises(BuildFailedError, match="can't be built"):
        built(source, sha256="0" * 64, uploaded=lambda: UNDATED, python=PYTHON, toolchain=lambda: hostile, say=print)
    assert list((tmp_path / "cache" / "built").rglob("*.whl")) == []


def test_what_a_builder_says_that_it_lacks_is_names_and_versions_and_nothing_else():
    said = (
        "  cause: No solution found when resolving: `setuptools>=40.8.0`, `numpy==1.13.3 ; python_version < '3.7'`,"
        " `--index-url https://evil.example`, `x @ https://evil.example/x.whl`, `six`\n  cause: Because six was not"
    )
    assert list(_lacked(said)) == ["setuptools>=40.8.0", 'numpy==1.13.3; python_version < "3.7"', "six"]
    assert list(_lacked("error: gcc failed")) == []
