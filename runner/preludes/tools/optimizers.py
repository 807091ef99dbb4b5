# Part of switches: the optimizers of Keras are those of another module of it, by class and by name.

import functools

NAMES = ("SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "Adamax", "Nadam", "Ftrl")


def switch_optimizers(package, legacy):
    """`package` is where the others are, below `keras.optimizers`; `legacy` is what Keras calls them."""

    def switch_classes(optimizers):
        for name in NAMES:
            other = getattr(getattr(optimizers, package), name)
            if getattr(optimizers, name) is not other:
                setattr(optimizers, name, other)
                prelude.applied("classes of " + optimizers.__name__)

    def switch_names(optimizers):
        deserialize = optimizers.deserialize

        @functools.wraps(deserialize)
        def deserialize_switched(config, *args, **kwargs):
            if not config["config"]:  # a mere name, such as "sgd"
                kwargs["use_legacy_optimizer"] = legacy
                prelude.applied("the name " + config["class_name"])
            return deserialize(config, *args, **kwargs)

        optimizers.deserialize = deserialize_switched

    def switch(optimizers):
        if hasattr(getattr(optimizers, package, None), "SGD"):
            switch_classes(optimizers)
        if getattr(optimizers.deserialize, "__module__", None) == optimizers.__name__:
            switch_names(optimizers)

    # `from tensorflow.keras.optimizers import SGD` makes the API's modules once more, by other names.
    for keras in ("keras", "keras.src", "keras.api._v2.keras", "tensorflow.keras"):
        prelude.after_import(keras + ".optimizers", switch)
