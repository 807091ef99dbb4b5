# does: the optimizers of Keras are those that Keras 2.11 made its standard
# how: keras.optimizers.SGD and so on are those of keras.optimizers.experimental, by class and by name
# applies: tensorflow>=2.10,<2.11
# reverse: legacy-optimizers
# breadth: 4

import functools

NAMES = ("SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "Adamax", "Nadam", "Ftrl")


def switch_classes(optimizers):
    for name in NAMES:
        other = getattr(optimizers.experimental, name)
        if getattr(optimizers, name) is not other:
            setattr(optimizers, name, other)
            prelude.applied("classes of " + optimizers.__name__)


def switch_names(optimizers):
    deserialize = optimizers.deserialize

    @functools.wraps(deserialize)
    def deserialize_switched(config, *args, **kwargs):
        if not config["config"]:  # a mere name, such as "sgd"
            kwargs["use_legacy_optimizer"] = False
            prelude.applied("the name " + config["class_name"])
        return deserialize(config, *args, **kwargs)

    optimizers.deserialize = deserialize_switched


def switch(optimizers):
    if hasattr(optimizers, "experimental") and hasattr(optimizers.experimental, "SGD"):
        switch_classes(optimizers)
    if getattr(optimizers.deserialize, "__module__", None) == optimizers.__name__:
        switch_names(optimizers)


for keras in ("keras", "keras.src", "keras.api._v2.keras"):
    prelude.after_import(keras + ".optimizers", switch)
