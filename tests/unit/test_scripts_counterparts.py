"""The same thing in another Keras: paths of one Keras, and what they are in the others."""

from __future__ import annotations

import pytest

from runner.scripts.counterparts import Counterparts, NoCounterpart

PRIVATE = "private to the Keras that it is written for"


def of(path: str, flavour: str, *, module: bool = False) -> str:
    found = Counterparts(flavour=flavour).of(path, module=module)
    return f"({found.reason})" if isinstance(found, NoCounterpart) else found


@pytest.mark.parametrize(
    ("path", "tensorflow", "tf_keras"),
    [
        ("keras", "tensorflow.keras", "tf_keras"),
        (
            "keras.layers.Dense.from_config",
            "tensorflow.keras.layers.Dense.from_config",
            "tf_keras.layers.Dense.from_config",
        ),
        ("keras.losses.mse.__name__", "tensorflow.keras.losses.mse.__name__", "tf_keras.losses.mse.__name__"),
        (
            "keras.applications.mobilenet_v2",
            "tensorflow.keras.applications.mobilenet_v2",
            "tf_keras.applications.mobilenet_v2",
        ),
        (
            "keras.optimizers.schedules.CosineDecay",
            "tensorflow.keras.optimizers.schedules.CosineDecay",
            "tf_keras.optimizers.schedules.CosineDecay",
        ),
        (
            "keras.layers.experimental.preprocessing.Resizing",
            "tensorflow.keras.layers.experimental.preprocessing.Resizing",
            "tf_keras.layers.experimental.preprocessing.Resizing",
        ),
        (
            "keras.models.experimental.SharpnessAwareMinimization",
            "tensorflow.keras.models.experimental.SharpnessAwareMinimization",
            "tf_keras.models.experimental.SharpnessAwareMinimization",
        ),
        ("keras.layers.merge.add", "tensorflow.keras.layers.add", "tf_keras.layers.add"),
        ("keras.layers.recurrent.LSTM", "tensorflow.keras.layers.LSTM", "tf_keras.layers.LSTM"),
        ("keras.utils.vis_utils.plot_model", "tensorflow.keras.utils.plot_model", "tf_keras.utils.plot_model"),
        ("keras.engine.Layer", "tensorflow.keras.layers.Layer", "tf_keras.layers.Layer"),
        ("keras.engine.training.Model.fit", "tensorflow.keras.models.Model.fit", "tf_keras.models.Model.fit"),
        ("keras.Layer", "tensorflow.keras.Layer", "tf_keras.layers.Layer"),
        ("keras.ops.numpy.add", "tensorflow.keras.ops.numpy.add", "(only Keras 3 has it)"),
        ("keras.config.set_backend", "tensorflow.keras.config.set_backend", "(only Keras 3 has it)"),
        ("keras.utils.bounding_boxes.crop", "tensorflow.keras.utils.bounding_boxes.crop", "(only Keras 3 has it)"),
        ("keras.utils.generic_utils.to_list", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.utils.layer_utils", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.layers.core.dense.Dense", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.layers.rnn.lstm.LSTM", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.engine", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.optimizers.adam_v2", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.backend._config", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras.backend.theano_backend", f"({PRIVATE})", f"({PRIVATE})"),
        (
            "tensorflow.compat.v1.keras.Model",
            "tensorflow.compat.v1.keras.Model",
            "(the API of version 1 is TensorFlow's alone)",
        ),
        ("tensorflow._api.v2.keras.Model", f"({PRIVATE})", f"({PRIVATE})"),
        ("keras_tuner.layers", "keras_tuner.layers", "keras_tuner.layers"),
        ("tensorflow.lite.keras_layers", "tensorflow.lite.keras_layers", "tensorflow.lite.keras_layers"),
    ],
)
def test_a_path_has_its_counterpart_or_a_reason_why_not(path: str, tensorflow: str, tf_keras: str) -> None:
    assert (of(path, "tf.keras"), of(path, "tf_keras")) == (tensorflow, tf_keras)


def test_a_path_in_the_flavour_itself_stays_even_where_it_is_private() -> None:
    assert of("keras.src.layers", "keras", module=True) == "keras.src.layers"
    assert of("tf_keras.src", "tf_keras") == "tf_keras.src"


def test_a_name_that_is_known_to_be_a_module_must_be_a_public_one() -> None:
    assert of("keras.saving.hdf5_format", "tf.keras", module=True) == f"({PRIVATE})"
    assert of("keras.saving.load_model", "tf.keras") == "tensorflow.keras.saving.load_model"
    assert of("keras.saving", "tf.keras", module=True) == "tensorflow.keras.saving"
