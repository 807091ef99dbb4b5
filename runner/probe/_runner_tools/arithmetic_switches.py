"""Switches of how numbers are computed: types and promotion, processor libraries, compilers, threads, determinism.

Each is a function of `prelude`, described in its docstring as those of `execution_switches` are.
"""

import functools
import inspect
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

KERAS = (
    "keras",
    "keras.src",
    "tf_keras",
    "tf_keras.src",
    "tensorflow.python.keras",
    "tensorflow.python.keras._impl.keras",
    "tensorflow_core.python.keras",
    "tensorflow.contrib.keras.python.keras",
)
ONEDNN_FLAGS = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
"""Instructions of a processor for which TensorFlow 2.9 and later uses oneDNN by itself."""
XLA_FLAG = "--tf_xla_cpu_global_jit"


def float64(prelude: "PreludeHandle") -> None:
    """Keras computes in 64 bits where the script names no type

    how: keras.backend.set_floatx("float64") in every Keras, after it read its configuration
    fix: keras.backend.set_floatx("float64")
    applies: keras or tensorflow or tf-keras
    breadth: 6
    """

    def switch(backend: "Any") -> None:
        if hasattr(backend, "set_floatx") and backend.floatx() != "float64":
            backend.set_floatx("float64")
            prelude.applied(backend.__name__ + ".set_floatx('float64')")

    for keras in KERAS:
        prelude.after_import(keras + ".backend", switch)


def numpy_legacy_promotion(prelude: "PreludeHandle") -> None:
    """the type of a result follows from the values of scalars too, as in NumPy 1

    how: numpy._set_promotion_state("legacy") right after the import of NumPy
    fix: none: NumPy has no public call for it; NPY_PROMOTION_STATE, where a release heeds it, is read before Python
        code runs
    applies: numpy>=2,<2.2
    reverse: numpy-weak-promotion
    breadth: 4
    """
    _set_promotion(prelude, "legacy")


def numpy_weak_promotion(prelude: "PreludeHandle") -> None:
    """the type of a result follows from types alone, never from values, as in NumPy 2

    how: numpy._set_promotion_state("weak") right after the import of NumPy
    fix: none: NumPy has no public call for it; NPY_PROMOTION_STATE, where a release heeds it, is read before Python
        code runs
    applies: numpy>=1.24,<2
    reverse: numpy-legacy-promotion
    breadth: 4
    """
    _set_promotion(prelude, "weak")


def _set_promotion(prelude: "PreludeHandle", state: str) -> None:
    def switch(numpy: "Any") -> None:
        if numpy._get_promotion_state() != state:
            numpy._set_promotion_state(state)
            prelude.applied("numpy._set_promotion_state('%s')" % state)

    prelude.after_import("numpy", switch)


def tensorflow_numpy_behavior(prelude: "PreludeHandle") -> None:
    """tensors of TensorFlow behave as arrays of NumPy do: their methods, indexing and promotion of types

    how: tf.experimental.numpy.experimental_enable_numpy_behavior() right after the import of TensorFlow
    fix: tf.experimental.numpy.experimental_enable_numpy_behavior()
    applies: tensorflow>=2.6
    breadth: 5
    """

    def switch(tensorflow: "Any") -> None:
        tensorflow.experimental.numpy.experimental_enable_numpy_behavior()
        prelude.applied("experimental_enable_numpy_behavior()")

    prelude.after_import("tensorflow", switch)


def onednn_off(prelude: "PreludeHandle") -> None:
    """TensorFlow computes without oneDNN, which it uses by itself on processors with instructions for it

    how: TF_ENABLE_ONEDNN_OPTS=0 before the import of TensorFlow, where that is not what it would do anyway
    fix: before the imports: os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    applies: tensorflow>=2.9
    reverse: onednn-on
    breadth: 3
    """
    _set_onednn(prelude, "0")


def onednn_on(prelude: "PreludeHandle") -> None:
    """TensorFlow computes with oneDNN, whose rounding differs

    how: TF_ENABLE_ONEDNN_OPTS=1 before the import of TensorFlow, where that is not what it would do anyway
    fix: before the imports: os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    applies: tensorflow>=2.5
    reverse: onednn-off
    breadth: 3
    """
    _set_onednn(prelude, "1")


def _set_onednn(prelude: "PreludeHandle", value: str) -> None:
    before = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = value

    def switch(tensorflow: "Any") -> None:
        is_other = _uses_onednn(tensorflow, before) == (value == "0")
        if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == value and is_other:
            prelude.applied("TF_ENABLE_ONEDNN_OPTS=" + value)

    prelude.after_import("tensorflow", switch)


def _uses_onednn(tensorflow: "Any", asked: "str | None") -> bool:
    """True where oneDNN is in use without the switch.

    Since TensorFlow 2.9, on processors with one of the instructions.
    """
    if asked is not None:
        return asked.lower() in ("1", "true")
    try:
        with open("/proc/cpuinfo") as file:
            flags = set(file.read().split())
    except OSError:  # not Linux, where no wheel turns them on by itself
        return False
    return tuple(map(int, tensorflow.__version__.split(".")[:2])) >= (2, 9) and bool(flags & ONEDNN_FLAGS)


def op_determinism(prelude: "PreludeHandle") -> None:
    """operations of TensorFlow give the same bits in every run; where no seed is set, it is 0

    how: tf.config.experimental.enable_op_determinism() right after the import of TensorFlow
    fix: tf.random.set_seed(0); tf.config.experimental.enable_op_determinism()
    applies: tensorflow>=2.8
    breadth: 4
    """

    def switch(tensorflow: "Any") -> None:
        context = sys.modules["tensorflow.python.eager.context"]
        note = "enable_op_determinism()"
        if context.global_seed() is None:
            tensorflow.random.set_seed(0)  # without one, every random operation is refused
            note += ", set_seed(0)"
        tensorflow.config.experimental.enable_op_determinism()
        prelude.applied(note)

    prelude.after_import("tensorflow", switch)


def grappler_off(prelude: "PreludeHandle") -> None:
    """graphs run as they were built, without TensorFlow's graph optimizers (Grappler)

    how: tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True}), sessions with the same
    fix: tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True}) |
        keras.backend.set_session(tf.compat.v1.Session(config=tf.compat.v1.ConfigProto(graph_options={"rewrite_options":
        {"disable_meta_optimizer": True}})))
    applies: tensorflow>=1.12
    breadth: 5
    """

    def switch(tensorflow: "Any") -> None:
        optimizer = _config_of(tensorflow, "optimizer")
        if optimizer is not None and tensorflow.executing_eagerly():
            optimizer.set_experimental_options({"disable_meta_optimizer": True})
            prelude.applied("tf.config.optimizer.set_experimental_options(disable_meta_optimizer)")

    def change(config: "Any") -> None:
        config.graph_options.rewrite_options.disable_meta_optimizer = True

    _switch_sessions(prelude, change, "ConfigProto: disable_meta_optimizer")
    prelude.after_import("tensorflow", switch)


def single_threaded(prelude: "PreludeHandle") -> None:
    """TensorFlow computes one operation at a time, in one thread

    how: tf.config.threading with 1 and 1, sessions with 1 and 1 (also those that Keras makes)
    fix: tf.config.threading.set_intra_op_parallelism_threads(1);
        tf.config.threading.set_inter_op_parallelism_threads(1) |
        keras.backend.set_session(tf.compat.v1.Session(config=tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1)))
    applies: tensorflow
    breadth: 5
    """

    def switch(tensorflow: "Any") -> None:
        threading = _config_of(tensorflow, "threading")
        if threading is not None and tensorflow.executing_eagerly():
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(1)
            prelude.applied("tf.config.threading: 1 intra, 1 inter")

    def change(config: "Any") -> None:
        config.intra_op_parallelism_threads = 1
        config.inter_op_parallelism_threads = 1

    _switch_sessions(prelude, change, "ConfigProto: 1 intra, 1 inter")
    prelude.after_import("tensorflow", switch)


def xla_jit(prelude: "PreludeHandle") -> None:
    """graphs are compiled by XLA where it can, on processors too

    how: sessions with global_jit_level ON_1, tf.config.optimizer.set_jit(True), TF_XLA_FLAGS=--tf_xla_cpu_global_jit
    fix: tf.config.optimizer.set_jit(True) |
        keras.backend.set_session(tf.compat.v1.Session(config=tf.compat.v1.ConfigProto(graph_options={"optimizer_options":
        {"global_jit_level": tf.compat.v1.OptimizerOptions.ON_1}})))
    applies: tensorflow>=1.13
    reverse: no-xla-jit
    breadth: 6
    """
    os.environ["TF_XLA_FLAGS"] = (os.environ.get("TF_XLA_FLAGS", "") + " " + XLA_FLAG).strip()

    def switch(tensorflow: "Any") -> None:
        optimizer = _config_of(tensorflow, "optimizer")
        if optimizer is not None and tensorflow.executing_eagerly():
            optimizer.set_jit(True)
            prelude.applied("tf.config.optimizer.set_jit(True)")

    def change(config: "Any") -> None:
        config.graph_options.optimizer_options.global_jit_level = 1

    _switch_sessions(prelude, change, "ConfigProto: global_jit_level = ON_1")
    prelude.after_import("tensorflow", switch)


def no_xla_jit(prelude: "PreludeHandle") -> None:
    """Keras 3 trains without XLA, where it would use it by itself: on JAX, and on TensorFlow only beside an accelerator

    how: Model.jit_compile = False after compile, where the script says nothing about it and it became True
    fix: in compile: jit_compile=False
    applies: keras>=3; jax
    reverse: xla-jit
    breadth: 6
    """

    def switch(trainer: "Any") -> None:
        compile_ = trainer.Trainer.compile
        signature = inspect.signature(compile_)

        @functools.wraps(compile_)
        def compile_switched(self: "Any", *args: "Any", **kwargs: "Any") -> None:
            compile_(self, *args, **kwargs)
            asked = signature.bind(self, *args, **kwargs).arguments.get("jit_compile", "auto")
            if asked == "auto" and self.jit_compile:
                self.jit_compile = False
                prelude.applied("Model.jit_compile = False")

        compile_switched.__signature__ = signature  # type: ignore[attr-defined]
        trainer.Trainer.compile = compile_switched

    prelude.after_import("keras.src.trainers.trainer", switch)


def _config_of(tensorflow: "Any", name: str) -> "Any":
    """A part of `tf.config`; None where this TensorFlow has none."""
    return getattr(getattr(tensorflow, "config", None), name, None)


def _switch_sessions(prelude: "PreludeHandle", change: "Any", note: str) -> None:
    """Have every session of TensorFlow made with a changed ConfigProto."""

    def switch_module(session: "Any") -> None:
        make = session.BaseSession.__init__

        def make_switched(self: "Any", target: str = "", graph: "Any" = None, config: "Any" = None) -> None:
            switched = session.config_pb2.ConfigProto()
            if config is not None:
                switched.CopyFrom(config)
            change(switched)
            make(self, target, graph, switched)
            prelude.applied(note)

        session.BaseSession.__init__ = make_switched

    for tensorflow in ("tensorflow", "tensorflow_core"):
        prelude.after_import(tensorflow + ".python.client.session", switch_module)


def guarded_unit_length(prelude: "PreludeHandle") -> None:
    """vectors are scaled to unit length by a root that never sees 0, so that a zero vector has a finite gradient

    how: keras.ops.normalize(order=2) is x * rsqrt(maximum(sum(x ** 2), epsilon ** 2))
    fix: none: what Keras computes inside of keras.ops.normalize can't be chosen; a loss of the script's own can
    applies: keras>=3
    reverse: unguarded-unit-length
    breadth: 2
    """

    def inverse_length(backend: "Any", squares: "Any", epsilon: float) -> "Any":
        return backend.math.rsqrt(backend.numpy.maximum(squares, epsilon**2))

    _switch_normalize(prelude, inverse_length)


def unguarded_unit_length(prelude: "PreludeHandle") -> None:
    """vectors are scaled to unit length by a root that may see 0, where its gradient is infinity, also if times 0

    how: keras.ops.normalize(order=2) is x * minimum(rsqrt(sum(x ** 2)), 1 / epsilon), in TensorFlow as in JAX
    fix: none: what Keras computes inside of keras.ops.normalize can't be chosen; a loss of the script's own can
    applies: keras>=3
    reverse: guarded-unit-length
    breadth: 2
    """

    def multiplied_out(values: "Any") -> "Any":
        root = sys.modules["tensorflow"].math.rsqrt(values)
        return root, lambda upstream: -0.5 * upstream * root**3

    def inverse_length(backend: "Any", squares: "Any", epsilon: float) -> "Any":
        rsqrt = backend.math.rsqrt
        if backend.backend() == "tensorflow":  # whose own gradient is 0 where what comes from above is 0
            rsqrt = sys.modules["tensorflow"].custom_gradient(multiplied_out)
        return backend.numpy.minimum(rsqrt(squares), 1.0 / epsilon)

    _switch_normalize(prelude, inverse_length)


def _switch_normalize(prelude: "PreludeHandle", inverse_length: "Any") -> None:
    """Have Keras 3 scale vectors to unit length by `inverse_length(backend, their squared lengths, epsilon)`."""

    def switch(nn: "Any") -> None:
        normalize = getattr(nn, "_normalize", None)
        if normalize is None:  # Keras 3.0.0
            return
        signature = inspect.signature(normalize)

        @functools.wraps(normalize)
        def normalize_switched(*args: "Any", **kwargs: "Any") -> "Any":
            given = signature.bind(*args, **kwargs).arguments
            x = nn.backend.convert_to_tensor(given["x"])
            if given.get("order", 2) != 2 or not len(x.shape):
                return normalize(*args, **kwargs)
            prelude.applied("keras.ops.normalize")
            squares = nn.backend.numpy.sum(nn.backend.numpy.square(x), axis=given.get("axis", -1), keepdims=True)
            return x * inverse_length(nn.backend, squares, given.get("epsilon") or nn.backend.epsilon())

        nn._normalize = normalize_switched

    prelude.after_import("keras.src.ops.nn", switch)
