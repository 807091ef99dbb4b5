# does: the optimizers of Keras are those from before Keras 2.11
# how: keras.optimizers.SGD and so on are those of keras.optimizers.legacy, by class and by name
# applies: tensorflow>=2.11,<2.16
# reverse: new-optimizers
# breadth: 4

import functools

NAMES = ("SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "Adamax", "Nadam", "Ftrl")


def switch_classes(optimizers):
    for name in NAMES:
        other = getattr(optimizers.legacy, name)
        if getattr(optimizers, name) is not other:
            setattr(optimizers, name, other)
            prelude.applied("classes of " + optimizers.__name__)


def switch_names(optimizers):
    deserialize = optimizers.deserialize

    @functools.wraps(deserialize)
    def deserialize_switched(config, *args, **kwargs):
        if not config["config"]:  # a mere name, such as "sgd"
            kwargs["use_legacy_optimizer"] = True
            prelude.applied("the name " + config["class_name"])
        return deserialize(config, *args, **kwargs)

    optimizers.deserialize = deserialize_switched


def switch(optimizers):
    if hasattr(optimizers, "legacy") and hasattr(optimizers.legacy, "SGD"):
        switch_classes(optimizers)
    if getattr(optimizers.deserialize, "__module__", None) == optimizers.__name__:
        switch_names(optimizers)


for keras in ("keras", "keras.src", "keras.api._v2.keras"):
    prelude.after_import(keras + ".optimizers", switch)
