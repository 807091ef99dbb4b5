import errno
import hashlib
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_index import FakeIndex, sdist, wheel

from runner import cache
from runner.environments import file_store, lockfile
from runner.environments.index import connection
from runner.environments.index.catalog import Catalog
from runner.environments.interpreters import HostToolchain, Interpreter
from runner.environments.lock import Environment, Layer, LockedPackage
from runner.environments.source_builds import essential_line, missing_compiler
from runner.environments.wheelhouse import fetch, refuse_overlaps, to_compile
from runner.errors import BuildFailedError, MachineError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BACKEND = """
import os, pathlib, zipfile
METADATA = "Metadata-Version: 2.1\\nName: source\\nVersion: 1.0\\n"
WHEEL = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
def build_wheel(folder, *_):
    {trouble}
    name = "source-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        archive.writestr(zipfile.ZipInfo("source.py"), os.environ["SOURCE_DATE_EPOCH"])
        archive.writestr(zipfile.ZipInfo("source-1.0.dist-info/METADATA"), METADATA)
        archive.writestr(zipfile.ZipInfo("source-1.0.dist-info/WHEEL"), WHEEL)
        archive.writestr(zipfile.ZipInfo("source-1.0.dist-info/RECORD"), "source.py,,\\n")
    return name
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    served = FakeIndex()
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    yield served
    served.stop()


def lock_of(*packages):
    return lockfile.finished(
        environment=Environment(pins=(("thing", "1.0"),)),
        python=PYTHON,
        as_of=datetime(2024, 1, 1, tzinfo=UTC),
        exemptions=(),
        packages=packages,
    )


def locked(fake, filename, layer=Layer.BASE):
    name, version = filename.removesuffix(".tar.gz").split("-")[:2]
    page = fake.pages[name]
    hashes = tuple(
        f"sha256:{file['hashes']['sha256']}" for file in page if file["filename"].startswith(f"{name}-{version}")
    )
    return LockedPackage(name=name, version=version, layer=layer, hashes=hashes)


def toolchain():
    return HostToolchain(Interpreter(path=Path(sys.executable), version=f"{PYTHON}.0", identity="this"))


def fetched(lock, say=lambda _: None):
    return fetch(lock, catalog=Catalog(), toolchain=toolchain, say=say)


def test_every_file_of_a_lock_is_fetched_with_its_layer(fake):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    fake.add_wheel("other", "2.0", "2024-01-01")
    lock = lock_of(locked(fake, "thing-1.0"), locked(fake, "other-2.0", Layer.OVERLAY))
    wheels = {file.path.name: file for file in fetched(lock).wheels}
    assert {name: file.layer for name, file in wheels.items()} == {
        "thing-1.0-py3-none-any.whl": Layer.BASE,
        "other-2.0-py3-none-any.whl": Layer.OVERLAY,
    }
    for file in wheels.values():
        assert file_store.sha256_of(file.path) == file.sha256


def test_the_wheel_that_fits_best_is_taken(fake):
    digits = PYTHON.replace(".", "")
    for tag in (
        "py3-none-any",
        f"cp{digits}-cp{digits}-manylinux2014_x86_64",
        f"cp{digits}-cp{digits}-manylinux2014_aarch64",
    ):
        fake.add_wheel("thing", "1.0", "2024-01-01", tag=tag, files={"thing.py": tag})
    (file,) = fetched(lock_of(locked(fake, "thing-1.0"))).wheels
    assert file.path.name.startswith(f"thing-1.0-cp{digits}-cp{digits}-manylinux2014_{os.uname().machine}")


def test_a_second_fetch_needs_no_index(fake):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    lock = lock_of(locked(fake, "thing-1.0"))
    first = fetched(lock)
    fake.broken = True
    asked = len(fake.asked)
    assert fetched(lock) == first
    assert len(fake.asked) == asked


def test_a_damaged_file_is_fetched_again(fake):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    lock = lock_of(locked(fake, "thing-1.0"))
    (file,) = fetched(lock).wheels
    file.path.write_bytes(b"damaged")
    (again,) = fetched(lock).wheels
    assert file_store.sha256_of(again.path) == file.sha256


def test_a_file_is_read_once_a_process_and_again_when_it_was_replaced(fake, monkeypatch):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    lock = lock_of(locked(fake, "thing-1.0"))
    (file,) = fetched(lock).wheels
    fetched(lock)
    read = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda content, name: read.append(content.name) or digest(content, name)
    )
    fetched(lock)
    assert read == []
    same_size = file.path.stat().st_size * b"x"
    file.path.unlink()
    file.path.write_bytes(same_size)
    (again,) = fetched(lock).wheels
    assert read
    assert hashlib.sha256(again.path.read_bytes()).hexdigest() == file.sha256


def test_content_that_is_not_what_the_hash_promises_is_refused_and_not_kept(fake, tmp_path):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    lock = lock_of(locked(fake, "thing-1.0"))
    fake.contents["thing-1.0-py3-none-any.whl"] = b"something else"
    with pytest.raises(MachineError, match=r"thing-1\.0-py3-none-any\.whl is not what its index promises"):
        fetched(lock)
    assert not list(tmp_path.rglob("*.whl"))


def test_a_file_that_left_the_index_is_named_with_a_way_on(fake):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    lock = lock_of(locked(fake, "thing-1.0"))
    fake.pages["thing"] = []
    with pytest.raises(MachineError, match=r"no longer has the file of thing 1\.0 .*lock --upgrade"):
        fetched(lock)


def test_a_disk_that_is_too_small_is_refused_with_figures_before_the_download(fake, monkeypatch):
    fake.add_wheel("thing", "1.0", "2024-01-01")
    fake.pages["thing"][0]["size"] = 500_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 20_000_000))
    with pytest.raises(MachineError, match=r"is full: 564 MB are needed, 20 MB are free"):
        fetched(lock_of(locked(fake, "thing-1.0")))
    assert not any(path.startswith("/files/") for path in fake.asked)


def test_a_disk_that_fills_while_writing_is_said_so(tmp_path):
    error = cache.disk_trouble(tmp_path / "x", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1_000_000)
    assert f"The disk of {tmp_path} is full: 1 MB are needed" in str(error)


def test_the_download_of_a_large_file_says_how_far_it_is(fake, monkeypatch):
    monkeypatch.setattr(file_store, "_LARGE_BYTES", 10)
    monkeypatch.setattr(file_store, "_SAY_EVERY_BYTES", 1_000_000)
    fake.add_wheel("thing", "1.0", "2024-01-01", files={"thing.py": os.urandom(1_500_000).hex()})
    lines = []
    fetched(lock_of(locked(fake, "thing-1.0")), lines.append)
    assert lines[0] == "downloading thing-1.0-py3-none-any.whl (3 MB)"
    assert lines[-1].startswith("downloading thing-1.0-py3-none-any.whl: ")
    assert lines[-1].endswith(" of 3 MB")


def test_a_source_distribution_is_built_once_with_a_fixed_time(fake):
    fake.add("source-1.0.tar.gz", sdist("source", "1.0", BACKEND.format(trouble="pass")), "2024-01-01")
    lock = lock_of(locked(fake, "source-1.0.tar.gz"))
    said = []
    (file,) = fetched(lock, said.append).wheels
    assert said == [f"building source-1.0.tar.gz for CPython {PYTHON}"]
    assert b"315619200" in file.path.read_bytes()
    assert fetched(lock, said.append).wheels == (file,)
    assert len(said) == 1
    file.path.write_bytes(b"damaged")
    assert fetched(lock, said.append).wheels == (file,)
    assert len(said) == 2


def test_a_build_that_fails_ends_with_the_builders_last_words(fake):
    trouble = "raise RuntimeError('no compiler for this in 2024')"
    fake.add("source-1.0.tar.gz", sdist("source", "1.0", BACKEND.format(trouble=trouble)), "2024-01-01")
    with pytest.raises(BuildFailedError, match=r"source-1\.0\.tar\.gz can't be built") as error:
        fetched(lock_of(locked(fake, "source-1.0.tar.gz")))
    assert (error.value.stage, error.value.passing) == ("install", False)
    first = "source-1.0.tar.gz can't be built: RuntimeError: no compiler for this in 2024"
    assert str(error.value).partition("\n")[0] == first


def test_a_build_whose_tools_no_server_gave_may_do_next_time(fake, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    project = '[build-system]\nrequires = ["tool @ http://127.0.0.1:9/tool-1.0-py3-none-any.whl"]\n'
    fake.add("source-1.0.tar.gz", sdist("source", "1.0", "", project), "2024-01-01")
    with pytest.raises(BuildFailedError, match=r"source-1\.0\.tar\.gz can't be built") as error:
        fetched(lock_of(locked(fake, "source-1.0.tar.gz")))
    assert error.value.passing


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "x.c:3:10: fatal error: openblas.h: No such file or directory\nerror: command 'gcc' failed\n",
            "x.c:3:10: fatal error: openblas.h: No such file or directory",
        ),
        (
            "Traceback\n  File \"setup.py\"\nModuleNotFoundError: No module named 'distutils.x'\nhint: see\n",
            "ModuleNotFoundError: No module named 'distutils.x'",
        ),
        (
            "subprocess.CalledProcessError: Command '['x']' returned non-zero exit status 1.\nerror: no such option\n",
            "error: no such option",
        ),
        ("nothing of the kind\n", ""),
    ],
)
def test_the_line_that_says_why_a_build_failed_is_found(said: str, line: str) -> None:
    assert essential_line(said) == line


def test_a_source_that_must_be_compiled_where_no_compiler_is_names_itself_the_reason_and_the_ways_out(fake):
    trouble = """raise RuntimeError("command 'gcc' failed: No such file or directory")"""
    fake.add("source-1.0.tar.gz", sdist("source", "1.0", BACKEND.format(trouble=trouble)), "2024-01-01")
    with pytest.raises(BuildFailedError) as error:
        fetched(lock_of(locked(fake, "source-1.0.tar.gz")))
    first, remedy, words = str(error.value).splitlines()
    assert (
        first == f"source-1.0.tar.gz must be compiled for CPython {PYTHON}, and there is no compiler on this machine."
    )
    assert "`python:`" in remedy
    assert "build-essential" in remedy
    assert words == "Its builder said: RuntimeError: command 'gcc' failed: No such file or directory"


@pytest.mark.parametrize(
    "line",
    [
        "error: command 'gcc' failed: No such file or directory",
        "error: command '/usr/bin/x86_64-linux-gnu-g++-12' failed: No such file or directory",
        "unable to execute 'gcc': No such file or directory",
        "FileNotFoundError: [Errno 2] No such file or directory: 'cc'",
        "/bin/sh: 1: gcc: not found",
        "bash: line 1: clang: command not found",
        "../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc']]",
        "  No CMAKE_CXX_COMPILER could be found.",
        "error: linker `cc` not found",
        "source.c:1:10: fatal error: Python.h: No such file or directory",
    ],
)
def test_every_way_to_say_that_there_is_no_compiler_is_known(line):
    assert missing_compiler(f"running build_ext\n{line}\n  cause: The build backend returned an error") == line.strip()


@pytest.mark.parametrize(
    "line",
    [
        "error: command 'gcc' failed with exit status 1",
        "error: command 'swig' failed: No such file or directory",
        "fatal error: hdf5.h: No such file or directory",
        "/bin/sh: 1: svnversion: not found",
        "C compiler: gcc -Wall",
    ],
)
def test_other_failures_of_a_build_are_not_taken_for_a_missing_compiler(line):
    assert missing_compiler(line) is None


def test_a_compiler_that_failed_without_a_word_was_not_there():
    # CPython 3.7 tells a missing compiler from one that found a mistake only so
    asked = "building 'ujson' extension\ngcc -Wall -c ./ujson.c -o ./ujson.o\n"
    end = "error: command 'gcc' failed with exit status 1"
    assert missing_compiler(f"{asked}{end}\n") == end
    assert missing_compiler(f"{asked}./ujson.c:1:1: error: unknown type name 'a'\n{end}\n") is None


def test_two_wheels_that_claim_the_same_file_are_refused_with_both_names(fake):
    fake.add_wheel("thing", "1.0", "2024-01-01", files={"shared/__init__.py": "one = 1"})
    fake.add_wheel("other", "1.0", "2024-01-01", files={"shared/__init__.py": "two = 2"})
    with pytest.raises(BuildFailedError, match=r"both install shared/__init__\.py") as error:
        fetched(lock_of(locked(fake, "thing-1.0"), locked(fake, "other-1.0")))
    assert "thing-1.0-py3-none-any.whl" in str(error.value)
    assert "other-1.0-py3-none-any.whl" in str(error.value)


def test_two_wheels_with_the_same_content_under_one_name_do_not_harm_each_other(tmp_path):
    paths = []
    for name in ("thing", "other"):
        paths.append(tmp_path / f"{name}-1.0-py3-none-any.whl")
        paths[-1].write_bytes(wheel(name, "1.0", files={"tests/__init__.py": ""}))
    refuse_overlaps(paths)


def test_a_file_that_is_no_wheel_is_refused(tmp_path):
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(BuildFailedError, match="is not a wheel"):
        refuse_overlaps([path])


def test_what_comes_as_sources_is_compiled_where_other_releases_have_compiled_wheels(fake):
    for name, later in (("plain", "plain-2.0-py3-none-any.whl"), ("hard", "hard-2.0-cp311-cp311-linux_x86_64.whl")):
        fake.add(f"{name}-1.0.tar.gz", sdist(name, "1.0", ""), "2015-01-01")
        fake.add(later, wheel(name, "2.0"), "2020-01-01")
    lock = lock_of(locked(fake, "plain-1.0.tar.gz"), locked(fake, "hard-1.0.tar.gz"))
    assert [package.name for package in to_compile(lock, {"plain", "hard"}, Catalog())] == ["hard"]
    assert to_compile(lock, {"plain"}, Catalog()) == ()
