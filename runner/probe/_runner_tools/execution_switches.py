"""Switches of how TensorFlow executes: eagerly or in graphs, with which variables, control flow and Keras.

A switch is a function of `prelude`. The first line of its docstring says what is different with it; `how` names the
call or setting, `fix` what a person writes in a script to the same effect, `applies` the stacks (requirements that must
all hold; of some parted by `or`, one), `reverse` the switch that does the opposite, `breadth` how much it changes, from
1 (one default of one kind of object) to 9 (the whole way of execution). A `fix` is code that stands after the imports
(`;` parts lines, ` | ` ways), or after one of these and a colon: `before the imports`, `in NAME` (an argument of
calls of a method, a class or the classes of a module), `from MODULE` (classes of it), `none` (why there is no way).
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

TENSORFLOWS = ("tensorflow", "tensorflow_core")
"""The names that TensorFlow's own modules have had."""


def control_flow_v1(prelude: "PreludeHandle") -> None:
    """loops and conditions in graphs of TensorFlow 2 are made of switches and merges, as in TensorFlow 1

    how: tf.compat.v1.disable_control_flow_v2() right after the import of TensorFlow
    fix: tf.compat.v1.disable_control_flow_v2()
    applies: tensorflow>=2.0
    reverse: control-flow-v2
    breadth: 4
    """

    def switch(tensorflow: "Any") -> None:
        tensorflow.compat.v1.disable_control_flow_v2()
        if not tensorflow.compat.v1.control_flow_v2_enabled():
            prelude.applied("tf.compat.v1.disable_control_flow_v2()")

    prelude.after_import("tensorflow", switch)


def control_flow_v2(prelude: "PreludeHandle") -> None:
    """loops and conditions of TensorFlow 1 become functional operations, as in TensorFlow 2

    how: control_flow_util.ENABLE_CONTROL_FLOW_V2 = True
    fix: tf.compat.v1.enable_control_flow_v2() | os.environ["TF_ENABLE_CONTROL_FLOW_V2"] = "1"
    applies: tensorflow>=1.13,<2
    reverse: control-flow-v1
    breadth: 4
    """

    def switch(control_flow_util: "Any") -> None:
        if not control_flow_util.ENABLE_CONTROL_FLOW_V2:
            control_flow_util.ENABLE_CONTROL_FLOW_V2 = True
            prelude.applied("control_flow_util.ENABLE_CONTROL_FLOW_V2 = True")

    for name in TENSORFLOWS:
        prelude.after_import(name + ".python.ops.control_flow_util", switch)


def disable_eager_execution(prelude: "PreludeHandle") -> None:
    """TensorFlow 2 builds graphs and runs them in sessions, as TensorFlow 1 does; Keras takes its classes of version 1

    how: tf.compat.v1.disable_eager_execution() right after the import of TensorFlow
    fix: tf.compat.v1.disable_eager_execution()
    applies: tensorflow>=2.0,<2.16
    reverse: enable-eager-execution
    breadth: 8
    """

    def switch(tensorflow: "Any") -> None:
        tensorflow.compat.v1.disable_eager_execution()
        if not tensorflow.executing_eagerly():
            prelude.applied("tf.compat.v1.disable_eager_execution()")

    prelude.after_import("tensorflow", switch)


def enable_eager_execution(prelude: "PreludeHandle") -> None:
    """TensorFlow 1 runs operations at once, as TensorFlow 2 does

    how: tf.enable_eager_execution() right after the import of TensorFlow
    fix: tf.compat.v1.enable_eager_execution() | tf.enable_eager_execution()
    applies: tensorflow>=1.7,<2
    reverse: disable-eager-execution
    breadth: 8
    """

    def switch(tensorflow: "Any") -> None:
        tensorflow.enable_eager_execution()
        if tensorflow.executing_eagerly():
            prelude.applied("tf.enable_eager_execution()")

    prelude.after_import("tensorflow", switch)


def disable_v2_behavior(prelude: "PreludeHandle") -> None:
    """TensorFlow 2 behaves as TensorFlow 1: graphs, reference variables, control flow and shapes of version 1

    how: tf.compat.v1.disable_v2_behavior() right after the import of TensorFlow
    fix: tf.compat.v1.disable_v2_behavior()
    applies: tensorflow>=2.0,<2.16
    reverse: enable-v2-behavior
    breadth: 9
    """

    def switch(tensorflow: "Any") -> None:
        tensorflow.compat.v1.disable_v2_behavior()
        prelude.applied("tf.compat.v1.disable_v2_behavior()")

    prelude.after_import("tensorflow", switch)


def enable_v2_behavior(prelude: "PreludeHandle") -> None:
    """TensorFlow 1 behaves as TensorFlow 2: eager execution, resource variables, control flow and shapes of version 2

    how: tf.compat.v1.enable_v2_behavior() right after the import of TensorFlow
    fix: tf.compat.v1.enable_v2_behavior()
    applies: tensorflow>=1.13,<2
    reverse: disable-v2-behavior
    breadth: 9
    """

    def switch(tensorflow: "Any") -> None:
        tensorflow.compat.v1.enable_v2_behavior()
        prelude.applied("tf.compat.v1.enable_v2_behavior()")

    prelude.after_import("tensorflow", switch)


def run_eagerly(prelude: "PreludeHandle") -> None:
    """functions of TensorFlow 2, the training step of Keras among them, run operation by operation instead of as graphs

    how: tf.config.run_functions_eagerly(True), before TensorFlow 2.3 tf.config.experimental_run_functions_eagerly(True)
    fix: tf.config.run_functions_eagerly(True) | tf.config.experimental_run_functions_eagerly(True)
    applies: tensorflow>=2.0
    breadth: 7
    """

    def switch(tensorflow: "Any") -> None:
        config = tensorflow.config
        if hasattr(config, "run_functions_eagerly"):
            config.run_functions_eagerly(True)
            prelude.applied("tf.config.run_functions_eagerly(True)")
        else:
            config.experimental_run_functions_eagerly(True)
            prelude.applied("tf.config.experimental_run_functions_eagerly(True)")

    prelude.after_import("tensorflow", switch)


def legacy_keras(prelude: "PreludeHandle") -> None:
    """tf.keras is Keras 2 (the package tf_keras) instead of Keras 3

    how: TF_USE_LEGACY_KERAS=1 before the import of TensorFlow
    fix: before the imports: os.environ["TF_USE_LEGACY_KERAS"] = "1"
    applies: tensorflow>=2.15; tf-keras
    breadth: 9
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"

    def switch(tf_keras: "Any") -> None:
        if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
            prelude.applied("TF_USE_LEGACY_KERAS=1, tf_keras " + tf_keras.__version__)

    prelude.after_import("tf_keras", switch)


def resource_variables(prelude: "PreludeHandle") -> None:
    """variables of TensorFlow 1 are resource variables: reads and writes happen in the order of the program

    how: tensorflow.enable_resource_variables() right after TensorFlow's variables are imported
    fix: tf.compat.v1.enable_resource_variables() | tf.enable_resource_variables()
    applies: tensorflow>=1.7,<2
    reverse: reference-variables
    breadth: 5
    """

    def switch(variable_scope: "Any") -> None:
        variable_scope.enable_resource_variables()
        prelude.applied("variable_scope.enable_resource_variables()")

    for name in TENSORFLOWS:
        prelude.after_import(name + ".python.ops.variable_scope", switch)


def reference_variables(prelude: "PreludeHandle") -> None:
    """variables of TensorFlow 1 are reference variables, also where Keras asks for resource variables

    how: every maker of variables is told use_resource=False; Keras' own makers get the same
    fix: none: Keras asks for resource variables itself, whatever is set; others are reference variables anyway
    applies: tensorflow>=1.4,<2
    reverse: resource-variables
    breadth: 5
    """

    def switch(variable_scope: "Any") -> None:
        make = variable_scope.default_variable_creator

        def make_reference(next_creator: "Any" = None, **kwargs: "Any") -> "Any":
            kwargs["use_resource"] = False
            return make(next_creator, **kwargs)

        variable_scope.default_variable_creator = make_reference
        variables: Any = sys.modules[variable_scope.__name__.rpartition(".")[0] + ".variables"]
        if getattr(variables, "default_variable_creator", None) is make:
            variables.default_variable_creator = make_reference
        prelude.applied("variable_scope.default_variable_creator(use_resource=False)")

    def switch_keras(backend: "Any") -> None:
        module = getattr(backend, "resource_variable_ops", None)
        if module is None:
            return
        variables: Any = sys.modules[module.__name__.rpartition(".")[0] + ".variables"]
        reference = getattr(variables, "RefVariable", None) or variables.Variable
        backend.resource_variable_ops = ReferenceVariables(module, reference)
        prelude.applied("keras.backend makes " + reference.__name__)

    for name in TENSORFLOWS:
        prelude.after_import(name + ".python.ops.variable_scope", switch)
        prelude.after_import(name + ".python.keras.backend", switch_keras)


class ReferenceVariables:
    """The module resource_variable_ops, as Keras sees it, whose variables are reference variables."""

    def __init__(self, module: "Any", reference: "Any") -> None:
        self._module = module
        self._reference = reference

    def ResourceVariable(self, *args: "Any", **kwargs: "Any") -> "Any":
        """A reference variable, made from the arguments of a resource variable."""
        return self._reference(*args, **kwargs)

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._module, name)
