"""Environments resolved by uv from the stack of an index on this machine, with the CPython that runs the tests."""

import sys
from pathlib import Path

from fake_index import FakeIndex, fill_cache

from runner.environments.cpython_choice import resolve
from runner.environments.index import connection
from runner.environments.index.catalog import Catalog
from runner.environments.interpreters import HostToolchain, Interpreter
from runner.environments.lock import Environment, Lock, Unresolvable
from runner.environments.target import machine_of
from runner.environments.times import undated_in

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = f"cp{PYTHON.replace('.', '')}-cp{PYTHON.replace('.', '')}-manylinux2014_{machine_of('')}"


def stack_index(tmp_path, monkeypatch):
    """The index of a stack, configured as the user's, beside an empty cache: what a fixture yields from."""
    served = FakeIndex()
    monkeypatch.setenv("RUNNER_CACHE", str(fill_cache(tmp_path / "cache")))
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    served.add_stack(TAG)
    yield served
    served.stop()


def toolchain(_):
    return HostToolchain(Interpreter(path=Path(sys.executable), version=f"{PYTHON}.0", identity="this"))


def resolved(*pins, catalog=None, toolchain=toolchain, pythons=(PYTHON,), say=lambda _: None, **options):
    environment = Environment(pins=tuple(tuple(pin.split("==")) for pin in pins), **options)
    catalog = catalog or Catalog(undated=undated_in(environment.as_of, environment.dates), indexes=environment.indexes)
    return resolve(environment, catalog=catalog, pythons=pythons, toolchain=toolchain, say=say)


def content(lock, layer=None):
    assert isinstance(lock, Lock), lock
    return {package.name: package.version for package in lock.packages if layer in {None, package.layer}}


def reason(unresolvable):
    assert isinstance(unresolvable, Unresolvable)
    return unresolvable.reason
