"""What may mend a bad cell, as a person would write it: switches, defaults, notices of packages, requirements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fake_engine import world_of
from fix_world import engine, matrix
from six_releases import FakeCatalog

from runner.explain import edit_candidates
from runner.explain.candidates import Ill, candidates_for, without_a_way
from runner.explain.edit_candidates import edits_for, source_of, templates_in
from runner.explain.investigation import explain
from runner.explain.sides import sides_of
from runner.matrix.matrix_file import Matrix
from runner.outcomes.account import Cause, Counts, Decision, Factor, Share, SwitchFinding, SwitchStanding
from runner.outcomes.tried_fix import FixKind
from runner.preludes.defaults import Default
from runner.scripts.added_lines import added_lines
from runner.scripts.patching import UNPATCHED
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from pathlib import Path

    from fake_engine import FakeEngine

__all__ = ["engine", "matrix"]

NUMPY = """module 'numpy' has no attribute 'bool'. `np.bool` was an alias for the builtin `bool`. Use `bool` by itself.
If you specifically wanted the numpy scalar type, use `np.bool_` here."""
KERAS = """`model.predict_classes()` is deprecated. Please use instead:* `np.argmax(model.predict(x), axis=-1)`, if your
model does multi-class classification * `(model.predict(x) > 0.5).astype("int32")`, if it does binary classification."""


@pytest.mark.parametrize(
    ("said", "name", "found"),
    [
        (NUMPY, "bool", ["bool", "np.bool_"]),
        (
            KERAS,
            "predict_classes",
            ["np.argmax(model.predict(x), axis=-1)", '(model.predict(x) > 0.5).astype("int32")'],
        ),
        ("It is gone: `not code at all`.", "gone", []),
    ],
)
def test_code_in_a_package_s_own_notice_is_what_to_write_instead(said: str, name: str, found: list[str]) -> None:
    assert templates_in(said, name) == found


@pytest.mark.parametrize(
    ("key", "value", "source_text"),
    [
        ("learning_rate", "1.0", "1.0"),
        ("use_bias", "true", "True"),
        ("activation", '"tanh"', "'tanh'"),
        ("axis", "[1, 2]", "(1, 2)"),
        (
            "kernel_initializer",
            '{"class_name": "VarianceScaling", "config": {"scale": 1.0}}',
            "keras.initializers.VarianceScaling(scale=1.0)",
        ),
        ("cell", '{"class_name": "Cell", "config": {}}', None),
        ("learning_rate", None, None),
    ],
)
def test_the_good_cells_value_as_a_person_writes_it(key: str, value: str | None, source_text: str | None) -> None:
    default = Default(class_name="X", key=key, good=value, bad="0", where="")
    assert source_of(default) == source_text


@pytest.fixture
def ill(engine: FakeEngine, matrix: Path):
    """The bad cell of a made account: what its findings lead to can be asked without a framework."""
    (matrix.parent / "a.py").write_text("import keras\n\nmodel = keras.Model()\nmodel.compile('sgd')\nmodel.fit(x)\n")
    with open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session:
        found = explain(session.laboratory, session.matrix, *sides_of(session.cells, "six=1.0.0", "six=1.15.0"))
        account = found.account("explain").model_copy(update={"bisections": (), "causes": ()})
        yield Ill(experimenter=found.experimenter, account=account, good=found.good, bad=found.bad, pair=found.pair)


def flipping(ill: Ill, name: str, standing: SwitchStanding = SwitchStanding.CAUSED_BY) -> Ill:
    switch = SwitchFinding(name=name, does="", how="", breadth=1, standing=standing, on=Counts(good=4, trials=4))
    return replace(ill, account=ill.account.model_copy(update={"switches": (switch,)}))


@pytest.mark.parametrize(
    ("switch", "lines"),
    [
        ("resource-variables", ["import tensorflow as tf", "tf.compat.v1.enable_resource_variables()"]),
        ("legacy-keras", ["import os", 'os.environ["TF_USE_LEGACY_KERAS"] = "1"']),
        ("no-xla-jit", ["model.compile('sgd', jit_compile=False)"]),
        ("float64", ['keras.backend.set_floatx("float64")']),
        ("legacy-optimizers", ["model.compile(keras.optimizers.legacy.SGD())"]),
        ("data-order", ["model.fit(x, shuffle=False)"]),
        ("import-tf-keras", ["import tf_keras as keras"]),
    ],
)
def test_the_switch_that_is_the_cause_is_written_as_a_person_would(ill: Ill, switch: str, lines: list[str]) -> None:
    first = next(iter(candidates_for(flipping(ill, switch))))
    added = [line[1:] for line in first.diff.splitlines() if line[:1] == "+" and line[:3] != "+++" and line[1:]]
    assert (first.kind, added) == (FixKind.SWITCH, lines)


def jointly(ill: Ill, *names: str) -> Ill:
    """The bad cell of an account whose cause is several switches together."""
    found = flipping(ill, " + ".join(names))
    parts = tuple(Share(name=name, does="", alone=Counts(trials=2)) for name in names)
    (switch,) = found.account.switches
    account = found.account.model_copy(update={"switches": (switch.model_copy(update={"parts": parts}),)})
    return replace(found, account=account)


@pytest.mark.parametrize(
    ("names", "kind", "lines"),
    [
        (
            ["explicit-sgd-learning-rate", "explicit-sgd-momentum"],
            FixKind.EDIT,
            ["model.compile(keras.optimizers.SGD(learning_rate=1.0, momentum=0.9))"],
        ),
        (
            ["explicit-sgd-learning-rate", "data-order"],
            FixKind.SWITCH,
            ["model.compile(keras.optimizers.SGD(learning_rate=1.0))", "model.fit(x, shuffle=False)"],
        ),
        (
            ["float64", "data-order"],
            FixKind.SWITCH,
            ['keras.backend.set_floatx("float64")', "model.fit(x, shuffle=False)"],
        ),
    ],
)
def test_causes_that_act_only_together_are_one_candidate(
    ill: Ill, names: list[str], kind: FixKind, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = [
        Default(class_name="SGD", key=key, good=good_value, bad=bad_value, where="optimizer")
        for key, good_value, bad_value in (("learning_rate", "1.0", "0.001"), ("momentum", "0.9", "0.0"))
    ]
    monkeypatch.setattr(edit_candidates, "differing_defaults", lambda *_: defaults)
    found = [one for one in edits_for(jointly(ill, *names)) if " and " in one.because]
    added = [line[1:] for line in found[0].diff.splitlines() if line[:1] == "+" and line[:3] != "+++" and line[1:]]
    assert (found[0].kind, added) == (kind, lines)
    assert {one.diff for one in edits_for(jointly(ill, *names))} == {one.diff for one in found}


def test_a_joint_cause_of_which_a_part_can_not_be_written_is_no_candidate_and_that_is_told(
    ill: Ill,
) -> None:
    found = jointly(ill, "float64", "frozen-batchnorm-trains")
    assert edits_for(found) == candidates_for(found) == []
    (said,) = without_a_way(found.account)
    assert "frozen-batchnorm-trains" in said


def test_a_switch_of_a_package_that_the_good_cell_may_lack_is_left_out_where_it_can_not_be_imported(ill: Ill) -> None:
    *_, last = candidates_for(flipping(ill, "jax-x64"))
    added = [line[1:] for line in last.diff.splitlines() if line[:1] == "+" and line[:3] != "+++" and line[1:]]
    switch = 'jax.config.update("jax_enable_x64", True)'
    assert added == ["try:", "    import jax", f"    {switch}", "except ImportError:", "    pass"]
    assert [one.says for one in candidates_for(flipping(ill, "jax-x64"))] == [
        switch,
        f"{switch}, before the imports",
        f"{switch}, where it can be imported",
    ]
    assert added_lines("import keras\n", ['os.environ["A"] = "1"'], guarded=True) == [], "that is there everywhere"
    inside = [one.says for one in candidates_for(flipping(ill, "float64"))]
    assert inside == ['keras.backend.set_floatx("float64")', 'keras.backend.set_floatx("float64"), before the imports']


def test_a_switch_that_did_nothing_or_that_nobody_can_write_is_no_candidate(ill: Ill) -> None:
    assert candidates_for(flipping(ill, "float64", SwitchStanding.NO_EFFECT)) == []
    hidden = flipping(ill, "frozen-batchnorm-trains")
    assert candidates_for(hidden) == []
    (said,) = without_a_way(hidden.account)
    assert "frozen-batchnorm-trains" in said
    assert "momentum=1.0" in said


@pytest.mark.parametrize(
    ("good_release", "bad_release", "line"),
    [("1.23.5", "1.24.0", "numpy<1.24"), ("3.1.0", "2.10.0", "numpy>=3.1"), ("1.9.2", "1.10.1", "numpy<1.10.1")],
)
def test_a_package_that_came_along_is_held_where_it_is_good(
    ill: Ill, good_release: str, bad_release: str, line: str
) -> None:
    factor = Factor(name="numpy", good=good_release, bad=bad_release)
    inner = Cause(factors=(factor,), without=Decision.GOOD, probability=0.99)
    outer = Cause(
        factors=(Factor(name="script", good="a.py", bad="b.py"),),
        without=Decision.GOOD,
        probability=0.99,
        components=(inner,),
    )
    account = ill.account.model_copy(update={"causes": (outer,)})
    (one,) = candidates_for(replace(ill, account=account))
    assert (one.kind, one.requirements, one.patch) == (FixKind.REQUIREMENT, (line,), UNPATCHED)
