"""Keras' backends: what is installed for each, of the base's time, and what Keras has none of."""

import hashlib

import pytest
from fake_index import FakeIndex, wheel
from resolved import PYTHON, TAG, content, reason, resolved, stack_index

from runner.environments.index.catalog import Catalog
from runner.environments.local_wheels import keep_wheels
from runner.environments.lock import Environment, Layer
from runner.environments.lockfile import read_if_it_follows, write
from runner.environments.resolution_plan import plan_of
from runner.environments.target import stamp


@pytest.fixture
def fake(tmp_path, monkeypatch):
    for served in stack_index(tmp_path, monkeypatch):
        served.add_wheel("keras", "2.3", "2026-03-01", ["numpy"])
        served.add_wheel("keras", "2.15", "2026-03-01", ["numpy"])
        served.add_wheel("keras", "3.3", "2026-03-10", ["numpy"])
        served.add_wheel("keras", "3.13", "2026-03-11", ["numpy"])
        served.add_wheel("packaging", "20", "2026-01-01")
        for name in ("tensorflow", "tensorflow_cpu"):
            served.add_wheel(name, "2.15", "2026-03-01", ["numpy", "keras==2.15.*"], tag=TAG)
            served.add_wheel(name, "2.16", "2026-03-18", ["numpy", "keras>=3", "late"], tag=TAG)
            served.add_wheel(name, "2.17", "2026-06-18", ["numpy", "keras>=3"], tag=TAG)
        served.add_wheel("late", "1", "2026-03-15")
        served.add_wheel("late", "2", "2026-06-15")
        served.add_wheel("jax", "0.4", "2026-03-01", ["numpy", 'jaxlib==0.4; extra == "cpu"'])
        served.add_wheel("jax", "0.5", "2026-06-01", ["numpy", "jaxlib"])
        served.add_wheel("jaxlib", "0.4", "2026-03-01", tag=TAG)
        served.add_wheel("torch", "2.2", "2026-03-01", ["cuda"], tag=TAG)
        served.add_wheel("torch", "2.3", "2026-06-01", ["cuda"], tag=TAG)
        served.add_wheel("cuda", "12", "2026-02-01")
        served.add_wheel("theano", "1.0", "2026-02-01", ["numpy"])
        yield served


@pytest.mark.parametrize(
    ("keras", "backend", "brought"),
    [
        ("3.3", "jax", {"jax": "0.4", "jaxlib": "0.4", "packaging": "20"}),  # which this Keras forgot to require
        ("3.13", "torch", {"torch": "2.2", "cuda": "12"}),
        ("2.3", "theano", {"theano": "1.0"}),
        ("2.15", "tensorflow", {"tensorflow-cpu": "2.15"}),
    ],
)
def test_a_backend_brings_its_distribution_of_the_time_beside_the_base(fake, keras, backend, brought):
    lock = resolved(f"keras=={keras}", backend=backend)
    assert content(lock, Layer.BASE) == {"keras": keras, "numpy": "1.1" if keras >= "3" else "1.0"}
    assert content(lock, Layer.OVERLAY) == brought
    assert lock.exemptions == ()


def test_the_tensorflow_of_a_keras_may_come_soon_after_it_with_what_it_then_needs(fake):
    lock = resolved("keras==3.3", backend="tensorflow")
    assert content(lock, Layer.OVERLAY) == {"tensorflow-cpu": "2.16", "late": "1"}
    assert [(name, stamp(until)[:10]) for name, until in lock.exemptions] == [
        ("late", "2026-03-20"),
        ("tensorflow-cpu", "2026-03-20"),
    ]
    full = resolved("keras==3.3", backend="tensorflow", flavour="full")
    assert content(full, Layer.OVERLAY) == {"tensorflow": "2.16", "late": "1"}


def test_what_an_axis_or_the_packages_name_already_is_not_asked_for_again(fake):
    plain = content(resolved("tensorflow==2.16", "keras==3.3"))
    assert content(resolved("tensorflow==2.16", "keras==3.3", backend="tensorflow")) == plain
    lock = resolved("keras==3.13", backend="jax", packages=("jax<0.5", "jaxlib"))
    assert content(lock, Layer.OVERLAY) == {"jax": "0.4", "jaxlib": "0.4"}
    fake.add_wheel("tensorflow_gpu", "2.15", "2026-03-01", ["numpy"], tag=TAG)
    lock = resolved("keras==2.15", backend="tensorflow", packages=("tensorflow-gpu",))
    assert content(lock, Layer.OVERLAY) == {"tensorflow-gpu": "2.15"}


def test_a_wheel_of_the_project_is_the_backend(fake, tmp_path):
    (tmp_path / "wheels").mkdir()
    path = tmp_path / "wheels" / "torch-2.2+cpu-py3-none-any.whl"
    path.write_bytes(wheel("torch", "2.2+cpu", ["late"]))
    line = f"torch @ wheels/{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"
    keep_wheels([line], tmp_path)
    lock = resolved("keras==3.13", backend="torch", packages=(line,), as_of="none")
    assert content(lock, Layer.OVERLAY) == {"torch": "2.2+cpu", "late": "2"}


def test_a_further_index_gives_its_build_of_the_release_of_then(fake):
    other = FakeIndex()
    other.html = True
    for version in ("2.2+cpu", "2.2+cu121", "2.3+cpu"):
        other.add_wheel("torch", version, "2026-03-01")
    try:
        lock = resolved("keras==3.13", backend="torch", indexes=(f"{other.url}/",))
        assert content(lock, Layer.OVERLAY) == {"torch": "2.2+cpu"}
    finally:
        other.stop()


@pytest.mark.parametrize(
    ("pins", "backend", "message"),
    [
        (("keras==2.15",), "jax", "backend: Keras 2.15 has no backend jax: Keras 3 has tensorflow, jax and torch,"),
        (("keras==3.3",), "theano", "backend: Keras 3.3 has no backend theano: "),
        (("tensorflow==2.15",), "torch", "backend: Keras 2.15 has no backend torch: "),
        (("numpy==1.1",), "jax", "backend: nothing that is installed is a Keras that could use jax."),
        (("keras==2.0",), "theano", ""),
    ],
)
def test_a_backend_that_its_keras_does_not_have_is_a_result_with_the_reason(fake, pins, backend, message):
    found = resolved(*pins, backend=backend)
    assert reason(found).startswith(message) if message else content(found)["theano"] == "1.0"


def test_a_backend_that_there_was_not_yet_is_told(fake):
    fake.pages["theano"] = []
    fake.add_wheel("theano", "1.0", "2026-06-01")
    told = "backend: there is no theano that was out when keras 2.3 was, nor soon after."
    assert reason(resolved("keras==2.3", backend="theano")) == told


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_cpython_is_one_that_the_backend_has_wheels_for(fake, backend):
    environment = Environment(pins=(("keras", "3.3"),), backend=backend)
    assert plan_of(environment, Catalog(), ("3.13", "3.12", PYTHON)).python == PYTHON
    assert plan_of(Environment(pins=(("keras", "3.3"),)), Catalog(), ("3.13", PYTHON)).python == "3.13"


def test_a_base_that_works_with_a_binary_part_brings_it_by_its_extra_unless_that_is_an_axis(fake):
    fake.add_wheel("jaxlib", "0.3", "2026-02-01", tag=TAG)
    assert content(resolved("jax==0.4")) == {"jax": "0.4", "jaxlib": "0.4", "numpy": "1.0"}
    assert content(resolved("jax==0.4", "jaxlib==0.3"))["jaxlib"] == "0.3"


def test_a_lock_says_for_which_backend_it_is(fake, tmp_path):
    lock = resolved("keras==3.3", backend="jax")
    path = write(lock, tmp_path)
    assert path.name == "keras-3.3+jax.txt"
    assert read_if_it_follows(path, lock.environment) == (lock, "")
    _, why = read_if_it_follows(path, Environment(pins=(("keras", "3.3"),)))
    assert why == "it was made for asked backend jax, and none is wanted"
