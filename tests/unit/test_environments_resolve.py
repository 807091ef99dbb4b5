import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from environments_index import FakeIndex

from runner.environments import connection, lockfile
from runner.environments.index import Catalog
from runner.environments.interpreters import HostToolchain, Interpreter
from runner.environments.model import Environment, Layer, Lock, Unresolvable
from runner.environments.resolve import resolve
from runner.environments.target import machine
from runner.errors import MachineError, UsageError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = f"cp{PYTHON.replace('.', '')}-cp{PYTHON.replace('.', '')}-manylinux2014_{machine()}"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    served = FakeIndex()
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    # the stack: a base that brings a needed package and, like TensorFlow from 2.6 on, an axis package of its own
    served.add_wheel("tensorflow", "2.0", "2026-03-01", ["numpy", "keras>=2"], tag=TAG)
    for version, day in (("1.0", "2026-01-01"), ("1.1", "2026-03-05"), ("1.2", "2026-06-01")):
        served.add_wheel("numpy", version, day)
    served.add_wheel("keras", "2.0", "2026-02-01", ["numpy"])
    served.add_wheel("keras", "2.1", "2026-06-01", ["numpy"])
    served.add_wheel("keras", "2.2", "2026-06-15", ["numpy>=1.1", "yaml"])
    served.add_wheel("yaml", "5", "2026-02-01")
    served.add_wheel("yaml", "6", "2026-06-10")
    yield served
    served.stop()


def toolchain(_):
    return HostToolchain(Interpreter(path=Path(sys.executable), version=f"{PYTHON}.0", identity="this"))


def resolved(*pins, **options):
    environment = Environment(pins=tuple(tuple(pin.split("==")) for pin in pins), **options)
    return resolve(environment, catalog=Catalog(), pythons=(PYTHON,), toolchain=toolchain)


def content(lock, layer=None):
    assert isinstance(lock, Lock), lock
    return {package.name: package.version for package in lock.packages if layer in {None, package.layer}}


def reason(unresolvable):
    assert isinstance(unresolvable, Unresolvable)
    return unresolvable.reason


def test_an_environment_is_resolved_as_of_the_day_after_its_base(fake):
    lock = resolved("tensorflow==2.0", "keras==2.0")
    assert lock.as_of == datetime(2026, 3, 3, tzinfo=UTC)
    assert lock.python == PYTHON
    assert content(lock) == {"tensorflow": "2.0", "numpy": "1.0", "keras": "2.0"}
    assert lock.exemptions == ()


def test_an_axis_package_lies_in_the_overlay_though_the_base_needs_one(fake):
    lock = resolved("tensorflow==2.0", "keras==2.0")
    assert content(lock, Layer.BASE) == {"tensorflow": "2.0", "numpy": "1.0"}
    assert content(lock, Layer.OVERLAY) == {"keras": "2.0"}


def test_a_newer_axis_package_is_exempt_by_name_and_changes_nothing_else(fake):
    old, new = resolved("tensorflow==2.0", "keras==2.0"), resolved("tensorflow==2.0", "keras==2.1")
    assert new.exemptions == (("keras", datetime(2026, 6, 3, tzinfo=UTC)),)
    assert new.as_of == old.as_of
    assert content(new) == content(old) | {"keras": "2.1"}
    assert new.layer_digest(Layer.BASE) == old.layer_digest(Layer.BASE)


def test_of_its_requirements_only_those_are_exempt_that_nothing_of_the_time_satisfies(fake):
    lock = resolved("tensorflow==2.0", "keras==2.2")
    until = datetime(2026, 6, 17, tzinfo=UTC)
    assert lock.exemptions == (("keras", until), ("numpy", until))
    assert content(lock) == {"tensorflow": "2.0", "numpy": "1.2", "keras": "2.2", "yaml": "5"}


def test_where_that_does_not_resolve_all_but_the_base_may_be_newer(fake):
    fake.add_wheel("keras", "2.3", "2026-06-20", ["layers"])
    fake.add_wheel("layers", "1", "2026-02-01", ["deep>=2"])
    fake.add_wheel("deep", "2", "2026-06-10")
    lock = resolved("tensorflow==2.0", "keras==2.3")
    until = datetime(2026, 6, 22, tzinfo=UTC)
    assert lock.exemptions == (("deep", until), ("keras", until), ("layers", until))
    assert content(lock, Layer.BASE) == {"tensorflow": "2.0", "numpy": "1.0"}


def test_the_date_widens_only_while_nothing_resolves(fake):
    fake.add_wheel("late", "1.0", "2026-03-01", ["numpy>=1.1"])
    lock = resolved("late==1.0")
    assert lock.as_of == datetime(2026, 3, 7, tzinfo=UTC)
    assert content(lock) == {"late": "1.0", "numpy": "1.1"}


def test_a_lock_depends_neither_on_other_locks_nor_on_their_order(fake, tmp_path, monkeypatch):
    cells = [("tensorflow==2.0", f"keras=={version}") for version in ("2.0", "2.1", "2.2")]
    forward = {cell: resolved(*cell).text for cell in cells}
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "another"))
    assert {cell: resolved(*cell).text for cell in reversed(cells)} == forward


def test_a_lock_that_was_made_is_read_back_the_same(fake, tmp_path):
    lock = resolved("tensorflow==2.0", "keras==2.2")
    assert lockfile.read(lockfile.write(lock, tmp_path), lock.environment) == lock


def test_tensorflow_cpu_stands_in_and_no_package_brings_plain_tensorflow_beside_it(fake):
    fake.add_wheel("tensorflow_cpu", "2.0", "2026-03-01", ["numpy"], tag=TAG)
    fake.add_wheel("keras", "2.4", "2026-02-01", ["tensorflow"])
    lock = resolved("tensorflow==2.0", "keras==2.4")
    assert content(lock) == {"tensorflow-cpu": "2.0", "numpy": "1.0", "keras": "2.4"}
    assert content(resolved("tensorflow==2.0", "keras==2.4", flavour="full"))["tensorflow"] == "2.0"


def test_plain_tensorflow_stays_where_the_slim_one_has_no_wheel_for_the_cpython(fake):
    fake.add_wheel("tensorflow_cpu", "2.0", "2026-03-01", ["numpy"], tag="cp27-cp27mu-manylinux1_x86_64")
    assert "tensorflow" in content(resolved("tensorflow==2.0", "keras==2.0"))


def test_build_tools_of_a_later_time_do_not_come_into_the_environment(fake):
    for version, day in (("40", "2018-01-01"), ("54", "2021-02-01"), ("99", "2026-05-01")):
        fake.add_wheel("setuptools", version, day)
    fake.add_wheel("old", "1.0", "2019-01-01", ["setuptools"])
    # an old base with a CPython of today: its sources may be built with tools that know this CPython
    assert content(resolved("old==1.0", python=PYTHON))["setuptools"] == "40"


def test_further_requirements_are_part_of_the_overlay(fake):
    lock = resolved("tensorflow==2.0", "keras==2.0", packages=("yaml>=5",))
    assert content(lock, Layer.OVERLAY) == {"keras": "2.0", "yaml": "5"}
    assert next(package for package in lock.packages if package.name == "numpy").needed_by == ("keras", "tensorflow")


def test_a_requirement_that_no_longer_parses_loses_its_bound_not_its_release(fake):
    fake.add_wheel("frame", "0.24", "2026-02-01", ["numpy (>=2011k)", "yaml (>=5)"])
    fake.add_wheel("frame", "0.1", "2020-02-01")
    lock = resolved("tensorflow==2.0", "keras==2.0", packages=("frame",))
    assert content(lock)["frame"] == "0.24"
    assert content(lock)["yaml"] == "5"


def test_only_files_that_may_be_installed_are_locked(fake):
    fake.add_wheel("tensorflow", "2.0", "2026-03-01", ["numpy"], tag="cp27-cp27mu-manylinux1_x86_64")
    fake.add("tensorflow-2.0.tar.gz", b"source", "2026-03-01")
    lock = resolved("tensorflow==2.0", "keras==2.0")
    (hash_,) = next(package.hashes for package in lock.packages if package.name == "tensorflow")
    assert hash_ == f"sha256:{fake.pages['tensorflow'][0]['hashes']['sha256']}"


def test_what_can_not_be_together_has_the_resolvers_reason(fake):
    fake.add_wheel("keras", "1.0", "2026-01-01")
    text = reason(resolved("tensorflow==2.0", "keras==1.0"))
    assert "tensorflow depend on keras>=2 and you require tensorflow==2.0" in text
    assert "you require keras==1.0" in text
    assert "DEBUG" not in text
    assert "http" not in text


def test_versions_and_projects_that_do_not_exist_are_named(fake):
    assert reason(resolved("tensorflow==9.9")) == "The package index has no release 9.9 of tensorflow."
    assert reason(resolved("tenserflow==2.0")) == "The package index has no project named tenserflow."


def test_a_cpython_that_the_engine_lacks_is_a_reason(fake):
    assert reason(resolved("tensorflow==2.0", python="3.5")) == (
        f"CPython 3.5 is asked for, and this engine provides {PYTHON}."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numpy >> 1", "is no requirement"),
        ("numpy @ https://user:token@index.example/numpy.whl", "numpy is asked for by an address"),
        ("-r other.txt", "is no requirement"),
        ("numpy\n--index-url https://index.example", "is no requirement"),
    ],
)
def test_requirements_that_can_not_be_locked_are_refused(fake, text, message):
    with pytest.raises(UsageError, match=message):
        resolved("tensorflow==2.0", packages=(text,))


def test_an_index_that_fails_under_the_resolver_is_the_machines_failure(fake, monkeypatch):
    said = "error: Request failed after 3 retries\n  cause: Failed to fetch: `https://user:token@index.example/simple/x/`\n"

    class Failing:
        python_full = f"{PYTHON}.0"

        def uv(self, arguments, *, folder):
            return subprocess.CompletedProcess(arguments, 2, "", said)

    with pytest.raises(MachineError, match=r"index, network or disk failed: Request failed .*<address>") as error:
        resolve(
            Environment(pins=(("tensorflow", "2.0"),)),
            catalog=Catalog(),
            pythons=(PYTHON,),
            toolchain=lambda _: Failing(),
        )
    assert "token" not in str(error.value)
