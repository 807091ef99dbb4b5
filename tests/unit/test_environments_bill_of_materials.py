"""What an environment is made of, as CycloneDX's own schema and names have it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from runner.environments import lockfile
from runner.environments.bill_of_materials import bill_of_materials
from runner.environments.lock import Environment, Layer, Lock, LockedPackage
from runner.errors import UsageError

HASHES = tuple(f"sha256:{digit * 64}" for digit in "abc")


def lock() -> Lock:
    return lockfile.finished(
        environment=Environment(pins=(("tensorflow", "1.13.1"), ("keras", "2.2.5"))),
        python="3.7",
        as_of=datetime(2019, 2, 28, tzinfo=UTC),
        exemptions=[],
        packages=[
            LockedPackage(name="keras", version="2.2.5", layer=Layer.OVERLAY, hashes=(HASHES[0],)),
            LockedPackage(
                name="absl-py", version="0.7.0", layer=Layer.BASE, hashes=(HASHES[1],), needed_by=("tensorflow",)
            ),
            LockedPackage(name="tensorflow", version="1.13.1", layer=Layer.BASE, hashes=HASHES[1:]),
        ],
    )


def document(base_identity: str | None = "sha256:" + "d" * 64) -> dict:
    text = bill_of_materials(lock(), base_identity=base_identity)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def test_every_locked_file_cpython_and_the_base_image_stand_in_it():
    found = document()
    components = {one["name"]: one for one in found["components"]}
    assert set(components) == {"cpython", "keras", "absl-py", "tensorflow"}
    assert components["tensorflow"]["purl"] == "pkg:pypi/tensorflow@1.13.1"
    assert {one["content"] for one in components["tensorflow"]["hashes"]} == {"b" * 64, "c" * 64}
    assert components["cpython"]["version"] == "3.7"
    assert components["cpython"]["properties"] == [{"name": "convergence-matrix:base", "value": "sha256:" + "d" * 64}]
    assert found["metadata"]["component"]["name"] == "tensorflow-1.13.1+keras-2.2.5"
    assert f"sha256:{lock().digest}" in {one["value"] for one in found["metadata"]["component"]["properties"]}


def test_it_says_which_release_needs_which():
    needs = {one["ref"]: set(one.get("dependsOn", ())) for one in document()["dependencies"]}
    assert needs["pkg:pypi/tensorflow@1.13.1"] == {"pkg:pypi/absl-py@0.7.0"}
    assert needs["environment"] == {"cpython", "pkg:pypi/tensorflow@1.13.1", "pkg:pypi/keras@2.2.5"}


def test_a_base_that_nobody_knows_yet_is_left_out_and_the_serial_number_is_that_of_what_is_in_it():
    assert "properties" not in next(one for one in document(None)["components"] if one["name"] == "cpython")
    assert document()["serialNumber"] == document()["serialNumber"] != document(None)["serialNumber"]


def test_without_its_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cyclonedx", None)
    for name in [name for name in sys.modules if name.startswith("cyclonedx.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"convergence-matrix\[sbom\]"):
        bill_of_materials(lock(), base_identity=None)
