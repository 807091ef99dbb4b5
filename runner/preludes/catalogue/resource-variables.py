# does: variables of TensorFlow 1 are resource variables: reads and writes happen in the order of the program
# how: tensorflow.enable_resource_variables() right after TensorFlow's variables are imported
# applies: tensorflow>=1.7,<2
# reverse: reference-variables
# breadth: 5


def switch(variable_scope):
    variable_scope.enable_resource_variables()
    prelude.applied("variable_scope.enable_resource_variables()")


for name in ("tensorflow.python.ops.variable_scope", "tensorflow_core.python.ops.variable_scope"):
    prelude.after_import(name, switch)
