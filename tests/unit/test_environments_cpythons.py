from datetime import UTC, datetime, timedelta

import pytest
from packaging.version import Version

from runner.environments.index.project import IndexFile, Release
from runner.environments.resolution_plan import NoCPython, choose_python
from runner.environments.target import build_tools_date, first_release, installable, machine_of
from runner.environments.times import day_after, times_of, undated_in
from runner.errors import UsageError

ALL = ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8", "3.7", "3.6")


def release(version, day, *tags, requires_python="", late=0):
    uploaded = datetime.fromisoformat(day).replace(tzinfo=UTC)
    names = [
        f"thing-{version}-{tag.format(machine=machine_of(''))}.whl" if tag != "sdist" else f"thing-{version}.tar.gz"
        for tag in tags
    ]
    files = tuple(
        IndexFile(
            filename=name,
            url="",
            sha256="0" * 64,
            uploaded=uploaded + timedelta(days=late if index == len(names) - 1 else 0),
            requires_python=requires_python,
        )
        for index, name in enumerate(names)
    )
    return Release(version=Version(version), files=files)


def binary(*minors):
    return [f"cp3{minor}-cp3{minor}{'m' if minor < 8 else ''}-manylinux2014_{{machine}}" for minor in minors]


def chosen(pinned, pythons, as_of="release", dates=()):
    return choose_python(pinned, pythons, machine_of(""), times_of(as_of, dates))


PURE = release("1.0", "2018-10-03", "py2.py3-none-any")


def test_the_newest_cpython_with_a_wheel_for_every_binary_package_is_taken():
    pinned = {"tensorflow": release("1.13.1", "2019-02-26", *binary(6, 7)), "keras": PURE}
    assert chosen(pinned, ALL) == "3.7"
    assert chosen(pinned | {"h5py": release("2.9", "2018-12-19", *binary(5, 6))}, ALL) == "3.6"


def test_pure_packages_do_not_constrain_but_their_time_does():
    assert chosen({"keras": PURE}, ALL) == "3.7"
    assert chosen({"keras": release("1.0", "2018-06-01", "sdist")}, ALL) == "3.6"


def test_a_cpython_that_came_later_is_not_taken_though_a_wheel_would_fit():
    assert chosen({"abi": release("1.0", "2022-10-01", "cp36-abi3-manylinux2014_{machine}")}, ALL) == "3.10"


def test_a_wheel_that_came_months_later_was_not_there_as_of_then():
    early, late = binary(7), binary(8)
    assert chosen({"thing": release("1.0", "2019-11-01", *early, *late, late=10)}, ALL) == "3.8"
    assert chosen({"thing": release("1.0", "2019-11-01", *early, *late, late=90)}, ALL) == "3.7"


def test_requires_python_constrains_pure_packages_too():
    keras = release("3.3.3", "2022-01-01", "py3-none-any", requires_python="<3.9")
    assert chosen({"keras": keras}, ALL) == "3.8"


def test_wheels_for_other_systems_do_not_count():
    pinned = {
        "thing": release("1.0", "2020-01-01", "cp38-cp38-win_amd64", *binary(7), "cp36-cp36m-musllinux_1_1_x86_64")
    }
    assert chosen(pinned, ALL) == "3.7"


def test_only_what_the_engine_provides_is_taken_and_the_reason_says_what_there_is():
    pinned = {"tensorflow": release("1.13.1", "2019-02-26", *binary(6, 7))}
    assert chosen(pinned, ("3.12", "3.6")) == "3.6"
    refused = chosen(pinned, ("3.12", "3.5"))
    assert isinstance(refused, NoCPython)
    assert "tensorflow 1.13.1 has files for CPython 3.6, 3.7" in refused.reason
    assert "this engine (3.12, 3.5)" in refused.reason


def test_wheels_go_before_sources_and_the_closest_wheel_first():
    tags = ["py3-none-any", "sdist", *binary(7), f"cp37-cp37m-manylinux1_{machine_of('')}"]
    names = [file.filename for file in installable(release("1.0", "2019-01-01", *tags).files, "3.7", machine_of(""))]
    assert [name.split("-")[-1] for name in names] == [
        f"manylinux2014_{machine_of('')}.whl",
        f"manylinux1_{machine_of('')}.whl",
        "any.whl",
    ]
    (only,) = installable(release("1.0", "2019-01-01", "sdist", *binary(8)).files, "3.7", machine_of(""))
    assert only.filename == "thing-1.0.tar.gz"


def test_a_day_ends_at_midnight_utc():
    assert day_after(datetime(2019, 2, 26, 18, 7, tzinfo=UTC)) == datetime(2019, 2, 28, tzinfo=UTC)
    assert day_after(datetime(2019, 2, 26, tzinfo=UTC), 30) == datetime(2019, 3, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("python", "when", "tools"),
    [
        ("3.7", "2019-02-28", "2021-03-01"),
        ("3.10", "2022-11-18", "2022-11-18"),
        ("3.12", "2019-02-28", "2023-12-31"),
    ],
)
def test_build_tools_know_the_hook_of_uv_and_the_interpreter(python, when, tools):
    as_of = datetime.fromisoformat(when).replace(tzinfo=UTC)
    assert build_tools_date(python, as_of) == datetime.fromisoformat(tools).replace(tzinfo=UTC)


def test_without_dates_the_newest_cpython_with_a_wheel_is_taken_whenever_the_wheel_came():
    late = release("1.0", "2019-11-01", *binary(7), *binary(8), late=900)
    assert chosen({"thing": late}, ALL) == "3.7"
    assert chosen({"thing": late}, ALL, "none") == "3.8"
    assert chosen({"keras": PURE}, ALL, "none") == "3.13"


def test_as_of_a_date_cpython_and_wheels_are_those_that_were_there_that_day():
    late = release("1.0", "2019-11-01", *binary(7), *binary(8), late=100)
    assert chosen({"thing": late}, ALL, "2020-01-31") == "3.7"
    assert chosen({"thing": late}, ALL, "2020-02-09") == "3.8"
    assert chosen({"keras": PURE}, ALL, "2021-10-03") == "3.9"
    assert chosen({"keras": PURE}, ALL, "2021-10-04") == "3.10"


def test_a_base_that_is_newer_than_the_date_gets_the_cpython_of_its_own_time():
    assert chosen({"thing": release("1.0", "2023-11-01", *binary(11, 12))}, ALL, "2019-01-01") == "3.12"


def test_a_package_with_a_rule_of_its_own_has_its_wheels_by_that_rule():
    pinned = {
        "base": release("1.0", "2019-11-01", *binary(7, 8)),
        "thing": release("1.0", "2019-01-01", *binary(7), *binary(8), late=300),
    }
    assert chosen(pinned, ALL) == "3.7"
    assert chosen(pinned, ALL, dates=(("thing", "none"),)) == "3.8"
    assert chosen(pinned, ALL, dates=(("thing", "2019-06-01"),)) == "3.7"


@pytest.mark.parametrize("rule", ["today", "2021-6-1", "release"])
def test_a_rule_that_is_no_date_is_refused(rule):
    with pytest.raises(UsageError, match=f"as_of: '{rule}' is neither `none` nor a date such as 2021-06-30"):
        times_of("release", (("thing", rule),))


@pytest.mark.parametrize(
    ("as_of", "dates", "undated"),
    [
        ("release", (), ""),
        ("2020-01-01", (), ""),
        ("none", (), "thing other"),
        ("release", (("thing", "none"),), "thing"),
        ("none", (("thing", "2020-01-01"),), "other"),
    ],
)
def test_only_packages_without_a_limit_may_be_without_times(as_of, dates, undated):
    rule = undated_in(as_of, dates)
    assert [name for name in ("thing", "other") if rule(name)] == undated.split()


def test_a_cpython_that_is_newer_than_the_table_comes_in_its_october():
    assert first_release("3.16") == datetime(2027, 10, 7, tzinfo=UTC)
