# does: variables of TensorFlow 1 are reference variables, also where Keras asks for resource variables
# how: every maker of variables is told use_resource=False; Keras' own makers get the same
# applies: tensorflow>=1.4,<2
# reverse: resource-variables
# breadth: 5

import sys


def switch(variable_scope):
    make = variable_scope.default_variable_creator

    def make_reference(next_creator=None, **kwargs):
        kwargs["use_resource"] = False
        return make(next_creator, **kwargs)

    variable_scope.default_variable_creator = make_reference
    variables = sys.modules[variable_scope.__name__.rpartition(".")[0] + ".variables"]
    if getattr(variables, "default_variable_creator", None) is make:
        variables.default_variable_creator = make_reference
    prelude.applied("variable_scope.default_variable_creator(use_resource=False)")


class ReferenceVariables(object):
    """The module resource_variable_ops, as Keras sees it, whose variables are reference variables."""

    def __init__(self, module, reference):
        self._module = module
        self._reference = reference

    def ResourceVariable(self, *args, **kwargs):
        return self._reference(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._module, name)


def switch_keras(backend):
    module = getattr(backend, "resource_variable_ops", None)
    if module is None:
        return
    variables = sys.modules[module.__name__.rpartition(".")[0] + ".variables"]
    reference = getattr(variables, "RefVariable", None) or variables.Variable
    backend.resource_variable_ops = ReferenceVariables(module, reference)
    prelude.applied("keras.backend makes " + reference.__name__)


for tensorflow in ("tensorflow", "tensorflow_core"):
    prelude.after_import(tensorflow + ".python.ops.variable_scope", switch)
    prelude.after_import(tensorflow + ".python.keras.backend", switch_keras)
