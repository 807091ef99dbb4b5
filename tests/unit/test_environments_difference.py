import dataclasses
from datetime import UTC, datetime

from runner.environments.lock import Environment, Layer, LockedPackage
from runner.environments.lockfile import ExemptionChange, difference, finished

HASHES = [f"sha256:{digit * 64}" for digit in "0123456789abcdef"]
FEBRUARY, AUGUST = datetime(2019, 2, 28, tzinfo=UTC), datetime(2019, 8, 24, tzinfo=UTC)


def package(name, version, layer=Layer.BASE, hashes=(HASHES[0],), **more):
    return LockedPackage(name=name, version=version, layer=layer, hashes=hashes, **more)


def lock(*packages, **changes):
    values = {
        "environment": Environment(pins=(("tensorflow", "1.13.1"), ("keras", "2.2.4"))),
        "python": "3.7",
        "as_of": FEBRUARY,
        "exemptions": (),
        "packages": packages,
    }
    return finished(**values | changes)


NUMPY, SCIPY = package("numpy", "1.16.2"), package("scipy", "1.2.1", Layer.OVERLAY)


def test_locks_of_the_same_files_do_not_differ():
    same = dataclasses.replace(NUMPY, needed_by=("keras",), hashes=(HASHES[2], HASHES[1]))
    one = lock(dataclasses.replace(NUMPY, hashes=(HASHES[1], HASHES[2])), SCIPY)
    found = difference(one, lock(SCIPY, same))
    assert not found
    assert (found.python, found.as_of, found.exemptions) == (None, None, ())
    assert (found.added, found.removed, found.changed) == ((), (), ())


def test_packages_that_one_of_them_lacks_are_named_in_order():
    more = [package(name, "1") for name in ("yaml", "astor", "gast")]
    found = difference(lock(NUMPY, SCIPY), lock(NUMPY, *more))
    assert found
    assert [one.name for one in found.added] == ["astor", "gast", "yaml"]
    assert found.removed == (SCIPY,)
    back = difference(lock(NUMPY, *more), lock(NUMPY, SCIPY))
    assert (back.added, back.removed) == (found.removed, found.added)


def test_a_change_says_what_of_a_package_differs():
    others = {
        ("version",): package("numpy", "1.17.1", hashes=(HASHES[1],)),
        ("layer",): package("numpy", "1.16.2", Layer.OVERLAY),
        ("version", "layer"): package("numpy", "1.17.1", Layer.OVERLAY),
        ("files",): package("numpy", "1.16.2", hashes=(HASHES[1],)),
    }
    for what, other in others.items():
        (change,) = difference(lock(NUMPY), lock(other)).changed
        assert (change.name, change.what, change.one, change.other) == ("numpy", what, NUMPY, other)


def test_changes_come_in_the_order_of_names():
    one = [package(name, "1") for name in "cab"]
    other = [package(name, "2") for name in "bca"]
    assert [change.name for change in difference(lock(*one), lock(*other)).changed] == ["a", "b", "c"]


def test_another_cpython_is_a_difference_and_another_time_alone_is_told():
    found = difference(lock(NUMPY), lock(NUMPY, python="3.6"))
    assert found
    assert found.python == ("3.7", "3.6")
    found = difference(lock(NUMPY), lock(NUMPY, as_of=None))
    assert found.as_of == (FEBRUARY, None)
    assert not found, "the same is installed"


def test_exemptions_are_compared_by_name_and_time():
    one = lock(NUMPY, exemptions=[("keras", FEBRUARY), ("numpy", FEBRUARY), ("yaml", AUGUST)])
    other = lock(NUMPY, exemptions=[("keras", AUGUST), ("yaml", AUGUST), ("gast", AUGUST)])
    assert difference(one, other).exemptions == (
        ExemptionChange(name="gast", one=None, other=AUGUST),
        ExemptionChange(name="keras", one=FEBRUARY, other=AUGUST),
        ExemptionChange(name="numpy", one=FEBRUARY, other=None),
    )
