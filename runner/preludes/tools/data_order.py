"""Batches are cut from the data in the data's own order: `shuffle=False` in every call of `fit`.

Two versions of Keras that shuffle draw other orders even from the same seed, and which rows a batch has can't be read in
those that shuffle inside of TensorFlow. What `fit` gets as a generator or a data set keeps the order that it has.
"""

from _runner_probe import watch, wrapping

told = set()
watch.fixed_order = True  # for the tracer, which may see the call before it is changed


def order(module):
    for cls in wrapping.own_classes(module):
        for name in ("fit", "fit_generator"):
            method = vars(cls).get(name)
            if wrapping.inspect.isfunction(method):
                parameters = list(wrapping.inspect.signature(method).parameters.values())
                names = [parameter.name for parameter in parameters]
                if "shuffle" in names:
                    default = parameters[names.index("shuffle")].default
                    wrapping.put_around(cls, name, unshuffled(names.index("shuffle"), default), wrapping.nothing)


def unshuffled(position, default):
    def enter(args, kwargs):
        asked = args[position] if len(args) > position else kwargs.get("shuffle", default)
        if len(args) > position:
            args[position] = False
        else:
            kwargs["shuffle"] = False
        note = "fit(shuffle=False), where it was %s" % (asked,)
        if note not in told:
            told.add(note)
            prelude.applied(note)

    return enter


for prefix in watch.PREFIXES:
    for suffix in watch.MODELS:
        prelude.after_import("%s.%s" % (prefix, suffix), order)
