"""Defaults that differ between the configs of real stacks, and the preludes that make one explicit.

`configs_of_stacks.json` has what the probe told of one model (LSTM, SimpleRNN, BatchNormalization, two Dense) in five.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runner.preludes.defaults import Default, defaults_that_differ, explicit
from runner.preludes.prelude import TOOLS

CONFIGS = json.loads((Path(__file__).parent / "configs_of_stacks.json").read_text())
NATIVE, TF1 = "tensorflow-1.13.1+keras-2.2.4 keras", "tensorflow-1.13.1+keras-2.2.4 tf.keras"
TF2, TF215 = "tensorflow-2.10.1+keras-2.10.0 tf.keras", "tensorflow-2.15.1+keras-2.15.0 keras"
KERAS3 = "tensorflow-2.16.1+keras-3.3.3 keras"
RATE = Default(class_name="Sgd", key="learning_rate", good="0.5", bad="0.01", where="fit-1/optimizer")


def between(good: str, bad: str) -> dict[str, tuple[str | None, str | None]]:
    found = defaults_that_differ(CONFIGS[good], CONFIGS[bad])
    return {f"{one.class_name}.{one.key}": (one.good, one.bad) for one in found}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_stack_does_not_differ_from_itself(name: str) -> None:
    assert between(name, name) == {}


def test_the_flavours_of_one_stack_differ_in_what_only_one_has_not_in_names_and_wrappers() -> None:
    assert between(TF1, NATIVE) == {
        "LSTM.time_major": ("false", None),
        "SimpleRNN.time_major": ("false", None),
        "BatchNormalization.axis": ("1", "-1"),  # the rank is not told by either
    }


def test_a_changed_default_is_found_across_three_versions_of_keras() -> None:
    changed = ('"sigmoid"', '"hard_sigmoid"')
    assert between(TF2, NATIVE)["LSTM.recurrent_activation"] == changed
    assert between(TF215, TF1)["LSTM.recurrent_activation"] == changed
    assert between(KERAS3, NATIVE)["LSTM.recurrent_activation"] == changed


@pytest.mark.parametrize("bad", [NATIVE, TF1, TF2])
def test_names_of_initializers_and_rates_and_noise_of_32_bits_are_no_difference(bad: str) -> None:
    found = between(KERAS3, bad)
    assert not [key for key in found if "initializer" in key or "regularizer" in key or key.endswith(".learning_rate")]
    assert not [key for key in found if key.startswith(("Dense", "GlorotUniform", "VarianceScaling", "L2"))]


def test_an_axis_counted_from_either_end_is_the_same_where_the_rank_is_known() -> None:
    assert "BatchNormalization.axis" not in between(TF215, KERAS3)


def test_a_difference_is_told_once_a_class_with_its_first_place() -> None:
    layers = [{"class_name": "Dense", "config": {"use_bias": bias, "name": str(bias)}} for bias in (True, True)]
    good = {"fit-1/model": json.dumps({"class_name": "Sequential", "config": layers})}
    bad = {"fit-1/model": good["fit-1/model"].replace("true", "false")}
    place = "fit-1/model layer 1 (Dense)"
    assert defaults_that_differ(good, bad) == (
        Default(class_name="Dense", key="use_bias", good="true", bad="false", where=place),
    )


def test_a_layer_that_one_side_alone_has_does_not_move_those_after_it() -> None:
    def model(*layers: tuple[str, float]) -> dict[str, str]:
        made = [{"class_name": name, "config": {"rate": rate}} for name, rate in layers]
        return {"fit-1/model": json.dumps({"class_name": "Model", "config": {"layers": made}})}

    good = model(("InputLayer", 0), ("Masking", 1), ("Dropout", 0.5), ("Dense", 2))
    (one,) = defaults_that_differ(good, model(("Dropout", 0.1), ("Dense", 2)))
    assert (one.class_name, one.good, one.bad) == ("Dropout", "0.5", "0.1")


def test_objects_inside_of_objects_are_told_by_their_own_class() -> None:
    def layer(seed: int) -> dict[str, Any]:
        return {"class_name": "Dense", "config": {"kernel": {"class_name": "RandomNormal", "config": {"seed": seed}}}}

    def wrapped(seed: int) -> dict[str, str]:
        inner = {"class_name": "Bidirectional", "config": {"layer": layer(seed)}}
        return {"fit-1/model": json.dumps({"class_name": "Model", "config": {"layers": [inner]}})}

    (one,) = defaults_that_differ(wrapped(1), wrapped(2))
    assert (one.class_name, one.key, one.where) == ("RandomNormal", "seed", "fit-1/model layer 2 (Dense) kernel")


def test_another_optimizer_is_told_and_can_not_be_set() -> None:
    good, bad = ({"fit-1/optimizer": json.dumps({"class_name": name, "config": {}})} for name in ("Adam", "SGD"))
    (one,) = defaults_that_differ(good, bad)
    assert (one.key, one.good, one.bad, one.settable) == ("class_name", '"Adam"', '"SGD"', False)
    with pytest.raises(ValueError, match="no value of the good cell"):
        explicit(one)


def test_a_state_that_scripts_change_is_told_and_is_no_default_that_could_be_set() -> None:
    configs = [
        {"fit-1/model": json.dumps({"class_name": "BatchNormalization", "config": {"trainable": trainable}})}
        for trainable in (True, False)
    ]
    (found,) = defaults_that_differ(*configs)
    assert (found.class_name, found.key, found.settable) == ("BatchNormalization", "trainable", False)


def test_configs_that_are_cut_short_or_strange_are_left_out() -> None:
    for text in ('{"class_name": "SG', "[]", "3", '{"class_name": "Model", "config": {"layers": [1, null]}}'):
        for what in ("model", "optimizer", "loss"):
            assert defaults_that_differ({f"fit-1/{what}": text}, {f"fit-1/{what}": "null"}) == ()


def test_losses_are_compared_one_by_one() -> None:
    def losses(reduction: str) -> dict[str, str]:
        return {"fit-1/loss": json.dumps({"out": {"class_name": "Huber", "config": {"reduction": reduction}}})}

    (one,) = defaults_that_differ(losses("auto"), losses("sum"))
    assert (one.class_name, one.key, one.where) == ("Huber", "reduction", "fit-1/loss out")


def test_the_name_of_a_prelude_is_words_and_turning_it_changes_the_cells_over() -> None:
    one = Default(class_name="SimpleRNN", key="use_bias", good="true", bad="false", where="")
    assert explicit(one).name == "explicit-simple-rnn-use-bias"
    assert (one.turned().good, one.turned().turned()) == ("false", one)


def test_a_placeholder_of_scikit_learn_is_what_it_stands_for() -> None:
    def estimator(**settings: object) -> dict[str, str]:
        layers = [{"class_name": "LogisticRegression", "config": settings}]
        return {"fit-1/model": json.dumps({"class_name": "LogisticRegression", "config": {"layers": layers}})}

    warning = estimator(solver="warn", multi_class="warn", random_state="warn")
    found = defaults_that_differ(warning, estimator(solver="lbfgs", multi_class="ovr", random_state="warn"))
    assert [(one.key, one.good, one.bad) for one in found] == [("solver", '"liblinear"', '"lbfgs"')]


class Told:
    """What a prelude's source sees, and what it said."""

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.notes: list[str] = []
        self.errors: list[str] = []

    def after_import(self, module: str, function: Any) -> None:
        self.hooks.append((module, function))

    def applied(self, note: str) -> None:
        self.notes.append(note)

    def failed(self, error: Exception) -> None:
        self.errors.append(str(error))


class Base:
    def __init__(self, clip: Any = None) -> None:
        self.clip = clip


def fake_keras(
    monkeypatch: pytest.MonkeyPatch, *defaults: Default, ignores_old_names: bool = False
) -> tuple[type, Told]:
    """A class Sgd in a module of a package called keras, after the prelude went over it."""

    class Sgd(Base):
        def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, **kwargs: Any) -> None:
            old = kwargs.pop("lr", learning_rate)
            self.learning_rate = learning_rate if ignores_old_names else old
            self.momentum = momentum
            super().__init__(**kwargs)

        def get_config(self) -> dict[str, float]:
            return {"learning_rate": self.learning_rate}

    module = ModuleType("keras.optimizers")
    Sgd.__module__, module.Sgd = "keras.optimizers", Sgd  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras.optimizers", module)
    told = Told()
    monkeypatch.syspath_prepend(TOOLS.parent)
    exec(explicit(*defaults).source, {"prelude": told})
    for name, hook in told.hooks:
        if name == "keras":
            hook(module)
    return Sgd, told


def test_an_argument_that_is_not_passed_gets_the_good_value(monkeypatch: pytest.MonkeyPatch) -> None:
    sgd, told = fake_keras(monkeypatch, RATE)
    assert told.notes == []
    assert (sgd().learning_rate, sgd(momentum=0.9).learning_rate) == (0.5, 0.5)
    assert told.notes == ["keras.optimizers.Sgd(learning_rate=0.5)"] * 2


@pytest.mark.parametrize(("args", "kwargs"), [((0.1,), {}), ((), {"learning_rate": 0.1}), ((), {"lr": 0.1})])
def test_what_the_script_passes_by_place_or_by_any_of_its_names_stays(
    args: tuple[float, ...], kwargs: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sgd, told = fake_keras(monkeypatch, RATE)
    assert (sgd(*args, **kwargs).learning_rate, told.notes) == (0.1, [])


@pytest.mark.parametrize(("ignored", "rate", "notes"), [(True, 0.5, 1), (False, 0.1, 0)])
def test_a_value_that_the_class_takes_by_an_old_name_and_ignores_is_set(
    ignored: bool, rate: float, notes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sgd, told = fake_keras(monkeypatch, RATE, ignores_old_names=ignored)
    assert (sgd(lr=0.1).learning_rate, len(told.notes)) == (rate, notes)


def test_classes_that_inherit_decide_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    sgd, told = fake_keras(monkeypatch, RATE)

    class Own(sgd):  # type: ignore[misc, valid-type]
        pass

    assert (Own().learning_rate, told.notes) == (0.01, [])


def test_an_argument_that_is_handed_on_to_the_class_above_is_set_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sgd, told = fake_keras(monkeypatch, Default(class_name="Sgd", key="clip", good="1.5", bad=None, where=""))
    assert (sgd().clip, len(told.notes)) == (1.5, 1)


def test_several_defaults_are_set_at_once_and_what_a_class_does_not_take_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    momentum = Default(class_name="Sgd", key="momentum", good="0.9", bad="0.0", where="")
    strange = Default(class_name="Sgd", key="iterations", good="3", bad=None, where="")
    sgd, told = fake_keras(monkeypatch, RATE, momentum, strange)
    made = sgd()
    assert (made.learning_rate, made.momentum, len(told.notes), told.errors) == (0.5, 0.9, 2, [])
    assert sgd(momentum=0.1).momentum == 0.1
    assert explicit(RATE, momentum).name == "explicit-defaults"


def test_a_value_that_is_the_class_s_own_changes_nothing_and_is_not_told_as_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sgd, told = fake_keras(monkeypatch, Default(class_name="Sgd", key="momentum", good="0.0", bad="0.1", where=""))
    assert (sgd().momentum, told.notes, told.errors) == (0.0, [], [])


def test_a_setting_that_is_no_argument_is_told_as_failed_and_the_object_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sgd, told = fake_keras(monkeypatch, Default(class_name="Sgd", key="iterations", good="3", bad=None, where=""))
    assert (sgd().learning_rate, told.notes, told.errors) == (0.01, [], ["Sgd takes no argument iterations"])


def test_a_class_of_its_name_that_keras_has_for_a_backend_gets_the_value_and_tuples_are_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    betas = Default(class_name="Sgd", key="momentum", good="[0.9, 0.99]", bad="[0.8, 0.99]", where="")
    sgd, told = fake_keras(monkeypatch, betas)
    own = type("Sgd", (sgd,), {"__module__": "keras.src.backend.torch"})
    assert (own().momentum, len(told.notes)) == ([0.9, 0.99], 1)


@pytest.mark.parametrize(("package", "module"), [("torch", "torch.optim.sgd"), ("sklearn.svm", "sklearn.svm._classes")])
def test_classes_of_other_frameworks_get_the_value_too(
    package: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sgd:
        def __init__(self, *, sizes: tuple[int, int] = (1, 2), rate: float = 0.1) -> None:
            self.given = sizes, rate

    Sgd.__module__ = module
    defined = ModuleType(module)
    defined.Sgd = Sgd  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module, defined)
    monkeypatch.syspath_prepend(TOOLS.parent)
    told = Told()
    same = Default(class_name="Sgd", key="sizes", good="[1, 2]", bad="[3, 4]", where="")
    exec(
        explicit(same, Default(class_name="Sgd", key="rate", good="0.5", bad="0.1", where="")).source, {"prelude": told}
    )
    dict(told.hooks)[package](defined)
    assert Sgd().given == ((1, 2), 0.5)
    assert told.notes == [f"{module}.Sgd(rate=0.5)"], "(1, 2) is what it was"
