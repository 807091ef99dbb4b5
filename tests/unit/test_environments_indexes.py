"""Further indexes beside the user's: what both have together, and credentials that stand in no file."""

import base64

import pytest
from fake_index import FakeIndex
from matrix_files import loaded, mistakes_in
from resolved import content, reason, resolved, stack_index

from runner.environments.index.catalog import Catalog
from runner.environments.wheelhouse import fetch

HEAD = "axes: {tensorflow: ['2.0']}\nexperiment: {script: train.py}\n"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


@pytest.fixture
def other():
    """An index as frameworks have for their builds: pages without times of upload."""
    served = FakeIndex()
    served.html = True
    yield served
    served.stop()


def locked_from(lock, name):
    return {text for package in lock.packages if package.name == name for text in package.hashes}


def hashes(index, name):
    return {f"sha256:{file['hashes']['sha256']}" for file in index.pages[name]}


def test_a_build_of_the_further_index_is_preferred_and_all_else_stays_as_of_then(fake, other):
    fake.add_wheel("torch", "2.1", "2026-03-01", ["numpy"])
    other.add_wheel("torch", "2.1+cpu", "2026-03-01", ["numpy"])
    other.add_wheel("numpy", "1.3", "2026-09-01")
    lock = resolved("torch==2.1", indexes=(f"{other.url}/",))
    assert content(lock) == {"torch": "2.1+cpu", "numpy": "1.0"}
    assert locked_from(lock, "torch") == hashes(other, "torch")
    house = fetch(lock, catalog=Catalog(indexes=lock.environment.indexes), toolchain=lambda: None, say=print)
    assert {wheel.path.name for wheel in house.wheels} == {
        "torch-2.1+cpu-py3-none-any.whl",
        "numpy-1.0-py3-none-any.whl",
    }
    assert f"# beside it: index {other.url}/\n" in lock.text


@pytest.mark.parametrize(("flavour", "chosen"), [("auto", "2.1+cpu"), ("full", "2.1+cu121")])
def test_of_several_builds_the_one_for_processors_is_taken_unless_the_full_one_is_wanted(fake, other, flavour, chosen):
    fake.add_wheel("torch", "2.1", "2026-03-01")
    other.add_wheel("torch", "2.1+cpu", "2026-03-01")
    other.add_wheel("torch", "2.1+cu121", "2026-03-01")
    lock = resolved("torch==2.1", indexes=(f"{other.url}/",), flavour=flavour)
    assert content(lock) == {"torch": chosen}


def test_what_only_the_further_index_has_is_found_where_its_times_do_not_count(fake, other):
    other.add_wheel("special", "1.0", "2026-03-01")
    where = {"packages": ("special",), "indexes": (f"{other.url}/",)}
    assert "special" in reason(resolved("tensorflow==2.0", **where))
    assert content(resolved("tensorflow==2.0", **where, dates=(("special", "none"),)))["special"] == "1.0"


def test_an_index_with_times_is_seen_as_of_then_too(fake, other):
    other.html = False
    other.add_wheel("yaml", "5.5", "2026-02-15")
    other.add_wheel("yaml", "7", "2026-09-01")
    lock = resolved("tensorflow==2.0", packages=("yaml",), indexes=(f"{other.url}/",))
    assert content(lock)["yaml"] == "5.5"


def test_credentials_come_from_the_environment_and_go_to_their_own_index_only(fake, other, monkeypatch):
    other.html = False
    other.add_wheel("secret", "1.0", "2026-02-15")
    other.wanted_credentials = "Basic " + base64.b64encode(b"me:s3cret").decode()
    monkeypatch.setenv("UV_INDEX_MINE_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MINE_PASSWORD", "s3cret")
    lock = resolved("tensorflow==2.0", packages=("secret",), indexes=(f"mine={other.url}/",))
    assert content(lock)["secret"] == "1.0"
    assert fake.credentials is None
    assert "s3cret" not in lock.text


@pytest.mark.parametrize(
    ("written", "indexes"),
    [
        ("https://h/simple", ("https://h/simple/",)),
        ("[https://h/simple/, mine=http://h:8/x]", ("https://h/simple/", "mine=http://h:8/x/")),
    ],
)
def test_indexes_are_addresses_that_may_have_a_name(tmp_path, written, indexes):
    assert loaded(tmp_path, f"{HEAD}indexes: {written}\n").indexes == indexes


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://me:s3cret@h/simple", "an address with credentials may not stand in a file"),
        ("mine=https://s3cret@h/simple", "an address with credentials may not stand in a file"),
        ("file:///x", "'file:///x' is not an http or https address"),
        ("./wheels", "'./wheels' is not an http or https address"),
        ("https://h/simple?token=1", "is not an http or https address"),
    ],
)
def test_an_address_that_can_not_be_one_is_refused_by_line_and_its_secret_not_told(tmp_path, address, message):
    (mistake,) = mistakes_in(tmp_path, f"{HEAD}indexes: ['{address}']\n")
    assert mistake.startswith("matrix.yaml:3:11: ")
    assert message in mistake
    assert "s3cret" not in mistake
