from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from matrix_files import SMALLEST, loaded

from runner.matrix.declaration import json_schema
from runner.matrix.starting_axes import starting_axes
from runner.matrix.template import Proposal, template

COMMITTED = Path(__file__).parents[2] / "schema" / "matrix.schema.json"
VALIDATOR = Draft202012Validator(json_schema())

WHOLE = """\
axes:
  tensorflow: [1.13.1, 1.10]
  keras: 2.2.4
  python: [3.7, 3.10]
  import: as-written
  script: [train.py, sub/other.py]
  env: ["", {B: x, A: 1}]
exclude: [{python: 3.7, tensorflow: 1.10}]
include: [{tensorflow: 2.16.1, keras: 3.3.3, script: train.py, env: A=1}]
experiment: {args: [--epochs, 10], data: [{train.py: ~/x.py}], timeout: 1h30m, artifacts: ["*"], network: true}
packages: [pandas]
criterion: [loss < 1e-4]
seeds: {lead: 3, cap: 9}
resources: {cpus: 2, memory: 512m, disk: 2GB, processes: 64}
expect: [{keras: 2.2.4, outcome: fails (nan)}]
flavour: cpu
as_of: none
"""

UNSETTLED = """\
x-notes: [anything]
axes:
  tensorflow: [1.13.1, {range: ">=2.0,<2.17", every: minor, prereleases: false}, latest-3]
  keras: era
  numpy: {range: "*"}
  import: [as-written, keras, tf.keras, tf_keras]
experiment: {script: train.py}
packages: [pandas, {scipy: "<1.5", h5py: "*", when: "tensorflow<2.4"}, {six: "", when: [tensorflow<2, keras>=2]}]
as_of: {default: "2020-01-01", scipy: none, h5py: "2019-03-01"}
"""

INCLUDED = """\
include: [{tensorflow: 2.16.1, keras: 3.3.3}]
experiment: {script: train.py}
as_of: "2024-06-01"
"""


def as_an_editor_reads(text: str) -> Any:
    return yaml.safe_load(text)


def test_the_committed_schema_is_the_generated_one() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == json_schema(), "write it again: python -m runner schema"


def test_the_schema_is_a_valid_one_and_every_key_has_a_description() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    sections = [schema, *(schema["properties"][name] for name in ("experiment", "resources"))]
    described = {name: "description" in key for part in sections for name, key in part["properties"].items()}
    assert all(described.values()), described


WRITTEN = template(Proposal(script="train.py", axes=starting_axes({"keras"}, {})))


@pytest.mark.parametrize("text", [SMALLEST, WHOLE, UNSETTLED, INCLUDED, WRITTEN])
def test_what_loads_validates(tmp_path: Path, text: str) -> None:
    loaded(tmp_path, text)
    assert not list(VALIDATOR.iter_errors(as_an_editor_reads(text)))


@pytest.mark.parametrize(
    "text",
    [
        "experiment: {script: train.py}",
        "axes: {}",
        "axes: {keras: []}",
        "axes: {keras: [[1]]}",
        "axes: {'-k': 1}",
        "axes: {keras: 1, python: 2.7}",
        "axes: {keras: 1, import: keras2}",
        "axes: {keras: 1}\nexclude: [{}]",
        "axes: {keras: 1}\nexclude: {keras: 1}",
        "axes: {keras: 1}\ninclde: []",
        "axes: {keras: 1}\nexperiment: {script: a.py, timeout: soon}",
        "axes: {keras: 1}\nexperiment: {scirpt: a.py}",
        "axes: {keras: 1}\nresources: {memory: 4}",
        "axes: {keras: 1}\nseeds: 0",
        "axes: {keras: 1}\nseeds: some",
        "axes: {keras: 1}\nexpect: [{keras: 1}]",
        "axes: {keras: 1}\nexpect: [{outcome: converged}]",
        "axes: {keras: 1}\nflavour: gpu",
        "axes: {keras: {range: '>=1', every: day}}",
        "axes: {keras: {every: minor}}",
        "axes: {keras: {range: '>=1', evry: minor}}",
        "axes: {keras: 1}\nexclude: [{keras: {range: '>=1'}}]",
        "axes: {keras: 1}\npackages: [{numpy: 1.20}]",
        "axes: {keras: 1}\npackages: [{}]",
        "axes: {keras: 1}\nas_of: soon",
        "axes: {keras: 1}\nas_of: {numpy: release}",
    ],
)
def test_what_is_misshapen_does_not_validate(text: str) -> None:
    assert list(VALIDATOR.iter_errors(as_an_editor_reads(text)))
