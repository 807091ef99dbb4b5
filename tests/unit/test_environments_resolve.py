import subprocess
from datetime import UTC, datetime

import pytest
from fake_index import BUILDING_SETUPTOOLS, sdist
from resolved import PYTHON, TAG, content, reason, resolved, stack_index

from runner.environments import lockfile
from runner.environments.lock import Layer
from runner.environments.target import machine_of
from runner.errors import MachineError, UsageError


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


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


NEWER = f"3.{int(PYTHON.split('.')[1]) + 1}"
NO_BUILD = "def get_requires_for_build_wheel(settings=None):\n    return []\n"


def test_the_newest_cpython_is_left_where_only_an_older_one_has_wheels_for_what_the_pins_need(fake):
    fake.add_wheel("booster", "1.0", "2026-03-01", ["solvers"])
    fake.add_wheel("solvers", "1.0", "2026-01-01", tag=TAG)
    fake.add("solvers-1.0.tar.gz", sdist("solvers", "1.0", NO_BUILD), "2026-01-01")
    said = []
    lock = resolved("booster==1.0", pythons=(NEWER, PYTHON), say=said.append)
    assert (lock.python, said) == (PYTHON, [f"with CPython {PYTHON}, as solvers would have to be built with {NEWER}"])
    assert resolved("booster==1.0", pythons=(NEWER,), say=said.append).python == NEWER
    assert resolved("booster==1.0", pythons=(NEWER, PYTHON), python=NEWER, say=said.append).python == NEWER
    assert len(said) == 1


def test_a_lock_that_was_made_is_read_back_the_same(fake, tmp_path):
    lock = resolved("tensorflow==2.0", "keras==2.2")
    assert lockfile.read(lockfile.write(lock, tmp_path), lock.environment) == lock


def test_tensorflow_cpu_stands_in_and_no_package_brings_plain_tensorflow_beside_it(fake):
    fake.add_wheel("tensorflow_cpu", "2.0", "2026-03-01", ["numpy"], tag=TAG)
    fake.add_wheel("keras", "2.4", "2026-02-01", ["tensorflow"])
    lock = resolved("tensorflow==2.0", "keras==2.4")
    assert content(lock) == {"tensorflow-cpu": "2.0", "numpy": "1.0", "keras": "2.4"}
    assert content(resolved("tensorflow==2.0", "keras==2.4", flavour="full"))["tensorflow"] == "2.0"


def test_a_package_that_holds_the_files_of_a_pinned_one_does_not_come_in_beside_it(fake):
    fake.add_wheel("keras_nightly", "2.5", "2026-02-01")
    fake.add_wheel("tensorflow", "2.5", "2026-03-01", ["numpy", "keras-nightly"], tag=TAG)
    assert content(resolved("tensorflow==2.5", "keras==2.0")) == {"tensorflow": "2.5", "numpy": "1.0", "keras": "2.0"}
    assert "keras-nightly" in content(resolved("tensorflow==2.5"))


def test_plain_tensorflow_stays_where_the_slim_one_has_no_wheel_for_the_cpython(fake):
    fake.add_wheel("tensorflow_cpu", "2.0", "2026-03-01", ["numpy"], tag="cp27-cp27mu-manylinux1_x86_64")
    assert "tensorflow" in content(resolved("tensorflow==2.0", "keras==2.0"))


def test_build_tools_of_a_later_time_do_not_come_into_the_environment(fake):
    for version, day in (("40", "2018-01-01"), ("54", "2021-02-01"), ("99", "2026-05-01")):
        fake.add_wheel("setuptools", version, day)
    fake.add_wheel("old", "1.0", "2019-01-01", ["setuptools"])
    assert content(resolved("old==1.0", python=PYTHON))["setuptools"] == "40"
    asked_for = resolved("old==1.0", python=PYTHON, packages=("setuptools",))
    assert content(asked_for)["setuptools"] == "40"


def test_a_source_of_2017_is_built_with_tools_of_later_and_runs_with_those_of_then(fake):
    hook = "setuptools/build_meta.py"
    fake.add_wheel("setuptools", "34", "2017-01-01", files={hook: "raise ImportError('no hook yet')"})
    fake.add_wheel("setuptools", "54", "2021-02-01", files={hook: BUILDING_SETUPTOOLS})
    fake.add_wheel("setuptools", "99", "2026-05-01", files={hook: "raise ImportError('it refuses old sources')"})
    project = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    fake.add("old-1.0.tar.gz", sdist("old", "1.0", "", project), "2017-06-01")
    assert content(resolved("old==1.0", python=PYTHON)) == {"old": "1.0", "setuptools": "34"}


def test_a_stack_that_needs_setuptools_to_run_has_that_of_its_own_time(fake):
    for version, day in (("54", "2021-02-01"), ("69", "2026-02-15"), ("99", "2026-05-01")):
        fake.add_wheel("setuptools", version, day)
    fake.add_wheel("newer", "1.0", "2026-03-01", ["setuptools"])
    assert content(resolved("newer==1.0"))["setuptools"] == "69"


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


def test_bounds_and_conditions_that_nobody_can_compare_end_no_run(fake):
    long = "9" * 5000
    fake.add_wheel("x", "1", "2025-01-01")
    fake.add_wheel("keras", "2.3", "2026-06-20", ["yaml>=6", f"numpy<{long}", f"x; python_version > '{long}'"])
    fake.add_wheel("keras", "2.4", "2026-06-20", ["yaml>=6", "x; python_version ~= '3'"])
    for version in ("2.3", "2.4"):
        lock = resolved("tensorflow==2.0", f"keras=={version}")
        assert content(lock).items() >= {"yaml": "6", "numpy": "1.0"}.items()
        assert [name for name, _ in lock.exemptions] == ["keras", "yaml"]


def test_only_files_that_may_be_installed_are_locked(fake):
    fake.add_wheel("tensorflow", "2.0", "2026-03-01", ["numpy"], tag="cp27-cp27mu-manylinux1_x86_64")
    fake.add("tensorflow-2.0.tar.gz", b"source", "2026-03-01")
    lock = resolved("tensorflow==2.0", "keras==2.0")
    (hash_,) = next(package.hashes for package in lock.packages if package.name == "tensorflow")
    assert hash_ == f"sha256:{fake.pages['tensorflow'][0]['hashes']['sha256']}"


def test_a_release_that_refuses_the_cpython_gives_way_to_an_older_one(fake):
    fake.add_wheel("late", "1.0", "2026-03-01", ["futures"])
    fake.add_wheel("futures", "3.1", "2026-01-01")
    for version in ("3.2", "3.3"):
        fake.add_wheel("futures", version, "2026-02-01", requires_python="<3")
    assert content(resolved("late==1.0")) == {"late": "1.0", "futures": "3.1"}


def test_what_can_not_be_together_has_the_resolvers_reason(fake):
    fake.add_wheel("keras", "1.0", "2026-01-01")
    text = reason(resolved("tensorflow==2.0", "keras==1.0"))
    assert "tensorflow depend on keras>=2 and you require tensorflow==2.0" in text
    assert "you require keras==1.0" in text
    assert "DEBUG" not in text
    assert "http" not in text


def test_an_overlay_that_resolves_only_by_moving_a_base_package_moves_it_into_the_overlay(fake):
    fake.add_wheel("numpy", "0.9", "2025-01-01")
    fake.add_wheel("keras", "2.0.1", "2026-02-02", ["numpy<1"])
    moved, kept = resolved("tensorflow==2.0", "keras==2.0.1"), resolved("tensorflow==2.0", "keras==2.0")
    assert content(moved, Layer.BASE) == {"tensorflow": "2.0"}
    assert content(moved, Layer.OVERLAY) == {"keras": "2.0.1", "numpy": "0.9"}
    assert (moved.as_of, moved.exemptions) == (kept.as_of, ())
    assert moved.layer_digest(Layer.BASE) != kept.layer_digest(Layer.BASE)


def test_what_was_yanked_is_taken_only_where_it_is_pinned(fake):
    fake.add_wheel("numpy", "1.0.1", "2026-01-02", yanked=True)
    fake.add_wheel("yaml", "5.5", "2026-02-02", yanked=True)
    fake.add_wheel("layers", "1", "2026-02-01")
    fake.add_wheel("keras", "2.3", "2026-06-20", ["yaml>=5.5", "layers"])
    assert content(resolved("tensorflow==2.0", "keras==2.0"))["numpy"] == "1.0"
    assert content(resolved("tensorflow==2.0", "numpy==1.0.1"))["numpy"] == "1.0.1"
    needing = resolved("tensorflow==2.0", "keras==2.3")
    assert [name for name, _ in needing.exemptions] == ["keras", "yaml"], "a yanked one satisfies no need either"
    assert content(needing)["yaml"] == "6"


def test_a_release_without_a_wheel_for_any_cpython_of_the_engine_is_a_reason(fake):
    fake.add_wheel("ancient", "1.0", "2026-03-01", tag=f"cp27-cp27mu-manylinux1_{machine_of('')}")
    text = reason(resolved("ancient==1.0"))
    assert f"No CPython of this engine ({PYTHON}) that was there by 2026-03-03 has a wheel for every pinned" in text
    assert f"ancient 1.0 has no file for this platform. Without a fitting file: {PYTHON} (ancient)." in text


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
        ("numpy >> 1", "is not a requirement"),
        ("numpy @ https://user:token@index.example/numpy.whl", "numpy is asked for by an address"),
        ("-r other.txt", "is not a requirement"),
        ("numpy\n--index-url https://index.example", "is not a requirement"),
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
        resolved("tensorflow==2.0", toolchain=lambda _: Failing())
    assert "token" not in str(error.value)


def test_a_constraint_holds_for_what_comes_in_and_brings_nothing_in(fake):
    lock = resolved("tensorflow==2.0", packages=("-c numpy<1.1", "-c yaml"))
    assert content(lock) == {"tensorflow": "2.0", "numpy": "1.0", "keras": "2.0"}


def test_of_a_package_with_given_hashes_no_other_file_is_taken(fake):
    (file,) = fake.pages["yaml"][:1]
    given = f"sha256:{file['hashes']['sha256']}"
    lock = resolved("tensorflow==2.0", packages=(f"yaml==5 --hash={given} --hash=sha256:{'0' * 64}",))
    assert next(package for package in lock.packages if package.name == "yaml").hashes == (given,)
    assert "hash" not in lock.text.partition("# packages: ")[2].partition("\n")[0]
    refused = reason(resolved("tensorflow==2.0", packages=(f"yaml==5 --hash=sha256:{'0' * 64}",)))
    assert refused.startswith("No file of yaml 5 for CPython")
