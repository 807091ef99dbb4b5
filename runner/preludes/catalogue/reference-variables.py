# does: variables of TensorFlow 1 are reference variables, also where Keras asks for resource variables
# how: the class ResourceVariable's factory is told use_resource=False wherever a variable is made
# applies: tensorflow>=1.4,<2
# reverse: resource-variables
# breadth: 5


def switch(variable_scope):
    make = variable_scope.default_variable_creator

    def make_reference(next_creator=None, **kwargs):
        kwargs["use_resource"] = False
        return make(next_creator, **kwargs)

    variable_scope.default_variable_creator = make_reference
    prelude.applied("variable_scope.default_variable_creator(use_resource=False)")


for name in ("tensorflow.python.ops.variable_scope", "tensorflow_core.python.ops.variable_scope"):
    prelude.after_import(name, switch)
