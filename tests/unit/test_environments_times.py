"""`as_of` and `dates` of an environment, resolved from an index on this machine, also from one that knows no times."""

from datetime import UTC, datetime

import pytest
from fake_index import undated
from resolved import PYTHON, TAG, content, reason, resolved, stack_index

from runner.environments import lockfile
from runner.environments.lock import Environment
from runner.errors import UsageError


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


def end(day):
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def test_without_dates_the_newest_that_resolves_is_taken(fake):
    lock = resolved("tensorflow==2.0", "keras==2.0", packages=("yaml",), as_of="none")
    assert content(lock) == {"tensorflow": "2.0", "keras": "2.0", "numpy": "1.2", "yaml": "6"}
    assert (lock.as_of, lock.exemptions) == (None, ())
    assert "# as of: none" in lock.text.splitlines()


def test_as_of_a_date_everything_is_as_at_the_end_of_that_day(fake):
    assert content(resolved("tensorflow==2.0", "keras==2.0", as_of="2026-03-04"))["numpy"] == "1.0"
    lock = resolved("tensorflow==2.0", "keras==2.0", as_of="2026-03-05")
    assert content(lock)["numpy"] == "1.1"
    assert lock.as_of == end("2026-03-06")
    assert lock.exemptions == ()


def test_axis_packages_newer_than_the_date_are_exempt_by_name_the_base_too(fake):
    lock = resolved("tensorflow==2.0", "keras==2.1", as_of="2026-02-10")
    assert content(lock) == {"tensorflow": "2.0", "keras": "2.1", "numpy": "1.0"}
    assert lock.exemptions == (("keras", end("2026-06-03")), ("tensorflow", end("2026-03-03")))


def test_of_a_newer_base_only_what_nothing_of_the_time_satisfies_is_exempt_too(fake):
    lock = resolved("keras==2.2", as_of="2026-02-10")
    until = end("2026-06-17")
    assert lock.exemptions == (("keras", until), ("numpy", until))
    assert content(lock) == {"keras": "2.2", "numpy": "1.2", "yaml": "5"}


def test_a_newer_base_that_does_not_resolve_so_is_as_of_its_own_release(fake):
    fake.add_wheel("deep", "1", "2026-02-01", ["deeper>=2"])
    fake.add_wheel("deeper", "2", "2026-02-20")
    fake.add_wheel("late", "1.0", "2026-03-01", ["deep"])
    lock = resolved("late==1.0", "keras==2.0", as_of="2026-02-10")
    until = end("2026-03-03")
    assert content(lock) == {"late": "1.0", "deep": "1", "deeper": "2", "keras": "2.0", "numpy": "1.0"}
    assert {"deep", "deeper", "late"} <= dict(lock.exemptions).keys()
    assert set(dict(lock.exemptions).values()) == {until}


def test_the_date_is_not_widened(fake):
    fake.add_wheel("late", "1.0", "2026-03-01", ["numpy>=1.1"])
    assert "numpy" in reason(resolved("late==1.0", as_of="2026-03-02"))


def test_a_package_with_a_rule_of_its_own_is_seen_by_that_rule(fake):
    def numpy(rule, **options):
        return content(resolved("tensorflow==2.0", "keras==2.0", dates=(("numpy", rule),), **options))["numpy"]

    assert numpy("none") == "1.2"
    assert numpy("2026-03-05") == "1.1"
    assert numpy("2026-03-05", as_of="none") == "1.1"
    assert numpy("2026-01-01", as_of="2026-06-30") == "1.0"
    lock = resolved("tensorflow==2.0", "keras==2.1", dates=(("keras", "none"), ("yaml", "2020-01-01")))
    assert lock.exemptions == (), "what a rule shows is no exemption"


def test_a_need_of_a_newer_package_with_a_rule_of_its_own_is_not_exempt_beyond_it(fake):
    fake.add_wheel("keras", "2.4", "2026-06-20", ["numpy>=1.1", "yaml>=6"])
    lock = resolved("tensorflow==2.0", "keras==2.4", dates=(("numpy", "2026-03-10"),))
    assert content(lock)["numpy"] == "1.1"
    assert [name for name, _ in lock.exemptions] == ["keras", "yaml"]
    assert "numpy" in reason(resolved("tensorflow==2.0", "keras==2.4", dates=(("numpy", "2026-01-10"),)))


def test_the_rule_of_tensorflow_holds_for_the_slim_one_in_its_place(fake):
    fake.add_wheel("tensorflow_cpu", "2.0", "2026-03-02", ["numpy"], tag=TAG)
    lock = resolved("tensorflow==2.0", "keras==2.0", as_of="2026-02-10", dates=(("tensorflow", "none"),))
    assert content(lock)["tensorflow-cpu"] == "2.0"
    assert lock.exemptions == ()


def test_a_pin_that_its_own_rule_hides_is_a_reason(fake):
    assert reason(resolved("tensorflow==2.0", "keras==2.1", dates=(("keras", "2026-03-01"),))) == (
        "keras 2.1 came out on 2026-06-01, and as_of shows of keras only what was there before 2026-03-02."
    )


def test_build_tools_are_not_restricted_without_dates_and_held_by_a_rule_of_their_own(fake):
    for version, day in (("40", "2018-01-01"), ("54", "2021-02-01"), ("99", "2026-05-01")):
        fake.add_wheel("setuptools", version, day)
    fake.add_wheel("old", "1.0", "2019-01-01", ["setuptools"])
    assert content(resolved("old==1.0", as_of="none"))["setuptools"] == "99"
    ruled = resolved("old==1.0", python=PYTHON, dates=(("setuptools", "2021-06-30"),))
    assert content(ruled)["setuptools"] == "54"
    assert content(resolved("old==1.0", as_of="none", dates=(("setuptools", "2018-06-30"),)))["setuptools"] == "40"


@pytest.mark.parametrize(
    "options",
    [
        {"as_of": "none"},
        {"as_of": "2026-03-05"},
        {"dates": (("numpy", "none"), ("yaml", "2026-03-05"))},
        {"as_of": "none", "dates": (("numpy", "2026-03-05"),)},
    ],
)
def test_the_rules_stand_in_the_lock_and_its_name_and_come_back(fake, tmp_path, options):
    lock = resolved("tensorflow==2.0", "keras==2.0", **options)
    path = lockfile.write(lock, tmp_path)
    assert lockfile.read(path, lock.environment) == lock
    assert path.name.startswith("tensorflow-2.0+keras-2.0+")
    usual = Environment(pins=lock.environment.pins)
    found, why = lockfile.read_if_it_follows(path, usual)
    assert found is None
    assert why == f"it was made for asked times {'; '.join(lock.environment.time_rules)}, and none is wanted"
    assert usual.name == "tensorflow-2.0+keras-2.0"


@pytest.mark.parametrize("trouble", ["html", "times"])
def test_an_index_without_times_is_resolved_from_without_dates(fake, trouble):
    setattr(fake, trouble, trouble == "html")
    lock = resolved("tensorflow==2.0", "keras==2.0", as_of="none")
    assert content(lock) == {"tensorflow": "2.0", "keras": "2.0", "numpy": "1.2"}
    with pytest.raises(UsageError, match="`as_of: none` for all packages"):
        resolved("tensorflow==2.0", "keras==2.0")


def test_a_package_without_times_is_resolved_beside_others_as_of_their_date(fake):
    fake.pages["yaml"] = [undated(file) for file in fake.pages["yaml"]]
    with pytest.raises(UsageError, match=r"files of yaml .* `as_of: \{yaml: none\}` for this one"):
        resolved("tensorflow==2.0", "yaml==5")
    lock = resolved("tensorflow==2.0", "yaml==5", dates=(("yaml", "none"),))
    assert content(lock) == {"tensorflow": "2.0", "keras": "2.0", "numpy": "1.0", "yaml": "5"}


def test_a_base_without_times_can_not_be_the_measure_of_all(fake):
    fake.pages["yaml"] = [undated(file) for file in fake.pages["yaml"]]
    with pytest.raises(UsageError, match=r"nothing says when yaml 5 came out, .* Name a date for all packages"):
        resolved("yaml==5", "keras==2.0", dates=(("yaml", "none"),))
    lock = resolved("yaml==5", "keras==2.0", as_of="2026-02-10", dates=(("yaml", "none"),))
    assert content(lock) == {"keras": "2.0", "numpy": "1.0", "yaml": "5"}
