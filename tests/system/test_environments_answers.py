"""What the resolver said is taken again only where it would say the same; pages only while they are fresh."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fake_index import fill_cache
from resolved import PYTHON, content, resolved, stack_index, toolchain

from runner.environments import solver
from runner.environments.index import catalog as catalog_module
from runner.environments.index.catalog import Catalog
from runner.environments.lock import Layer

pytestmark = pytest.mark.slow


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from stack_index(tmp_path, monkeypatch)


class Counting:
    """This machine's toolchain, with what uv was asked."""

    python_full = f"{PYTHON}.0"

    def __init__(self):
        self.questions = []

    def uv(self, arguments, *, folder):
        self.questions.append((folder / "wanted.in").read_text())
        return toolchain(PYTHON).uv(arguments, folder=folder)


CELLS = [
    ("tensorflow==2.0", "keras==2.0"),
    ("tensorflow==2.0", "keras==2.2"),
    ("tensorflow==2.0",),
    ("numpy==1.1", "tensorflow==2.0"),
]


def test_a_lock_depends_neither_on_other_locks_nor_on_their_order_or_haste(fake, tmp_path, monkeypatch):
    alone = {cell: resolved(*cell).text for cell in CELLS}  # each with a catalog of its own, that remembers nothing
    monkeypatch.setenv("RUNNER_CACHE", str(fill_cache(tmp_path / "another")))
    for order in (CELLS, CELLS[::-1]):
        catalog = Catalog()
        assert {cell: resolved(*cell, catalog=catalog).text for cell in order} == alone
    catalog = Catalog()
    with ThreadPoolExecutor(len(CELLS)) as pool:
        together = pool.map(lambda cell: resolved(*cell, catalog=catalog), CELLS)
        assert [lock.text for lock in together] == list(alone.values())


def test_the_base_of_several_cells_is_asked_for_once(fake):
    counting = Counting()
    catalog = Catalog()
    for version in ("2.0", "2.1", "2.1"):
        resolved("tensorflow==2.0", f"keras=={version}", catalog=catalog, toolchain=lambda _: counting)
    assert len(counting.questions) == 3, "the base and each of two pairs"


def test_what_was_found_for_another_cpython_or_other_axes_is_not_taken(fake):
    counting, other = Counting(), Counting()
    catalog = Catalog()
    first = resolved("tensorflow==2.0", catalog=catalog, toolchain=lambda _: counting)
    assert content(first)["keras"] == "2.0", "no axis, so part of the base"
    second = resolved("tensorflow==2.0", "keras==2.0", catalog=catalog, toolchain=lambda _: counting)
    assert content(second, Layer.OVERLAY) == {"keras": "2.0"}
    resolved("tensorflow==2.0", catalog=catalog, toolchain=lambda _: other)
    assert len(other.questions) == len(counting.questions) / 2 == 2


def test_a_warm_cache_needs_no_index(fake):
    resolved("tensorflow==2.0", "keras==2.2", flavour="full")
    asked = len(fake.asked)
    assert resolved("tensorflow==2.0", "keras==2.2", flavour="full").text
    assert fake.asked[asked:] == []


def test_with_the_network_switched_off_the_cache_is_enough_however_old(fake, monkeypatch):
    lock = resolved("tensorflow==2.0", "keras==2.2", flavour="full")
    asked = len(fake.asked)
    monkeypatch.setattr(catalog_module, "FRESH_S", 0.0)
    monkeypatch.setattr(solver, "FRESH_S", 0.0)
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert resolved("tensorflow==2.0", "keras==2.2", flavour="full") == lock
    assert fake.asked[asked:] == []


def test_what_may_be_of_this_minute_is_asked_for_again(fake):
    today = datetime.now(UTC).date()
    fake.add_wheel("fresh", "1.0", f"{today - timedelta(days=1):%Y-%m-%d}", ["numpy"])
    resolved("fresh==1.0")
    fake.add_wheel("numpy", "3.0", f"{today - timedelta(days=1):%Y-%m-%d}")
    assert content(resolved("fresh==1.0")) == {"fresh": "1.0", "numpy": "3.0"}, "also where the catalog's page is older"


def test_a_release_of_this_minute_resolves_though_older_pages_are_kept(fake):
    resolved("tensorflow==2.0", "keras==2.2")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    fake.add_wheel("keras", "3.0", yesterday, ["yaml>=7"])
    fake.add_wheel("yaml", "7", yesterday)
    lock = resolved("tensorflow==2.0", "keras==3.0")
    assert content(lock) == {"tensorflow": "2.0", "numpy": "1.0", "keras": "3.0", "yaml": "7"}


def test_a_damaged_page_in_the_cache_of_the_resolver_is_read_again(fake, tmp_path):
    lock = resolved("tensorflow==2.0", "keras==2.2")
    pages = list((tmp_path / "cache" / "uv").rglob("*.rkyv"))
    assert pages
    for path in pages:
        path.write_bytes(b"damaged")
    assert resolved("tensorflow==2.0", "keras==2.2") == lock


def test_an_index_with_credentials_is_resolved_from_and_they_are_shown_nowhere(fake, tmp_path, monkeypatch):
    fake.wanted_credentials = "Basic dXNlcjpzM2NyZXQ="
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:s3cret@{fake.host}/simple")
    assert "s3cret" not in resolved("tensorflow==2.0", "keras==2.0").text
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
