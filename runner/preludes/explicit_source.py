"""The source of the preludes that make defaults explicit: it follows the line that sets SETTINGS.

It is text, run in the trial on CPython 3.6 and later; it puts itself around the constructor of each class named there.
"""

SOURCE = r'''
import functools
import inspect
import json
import re
import sys

PACKAGES = ("keras", "tf_keras", "tensorflow", "tensorflow.contrib.keras")
switched = set()


def is_keras(name):
    return name.split(".")[0] in ("keras", "tf_keras") or name.startswith("tensorflow") and "keras" in name.split(".")


def switch(package):
    for name, module in list(sys.modules.items()):
        if is_keras(name):
            for cls in list(getattr(module, "__dict__", {}).values()):
                if inspect.isclass(cls) and is_keras(cls.__module__) and cls not in switched:
                    switched.add(cls)
                    for called, keys, value in SETTINGS:
                        if re.sub(r"(Initializer|V[0-9]+)$", "", cls.__name__) == called:
                            switch_class(cls, keys, json.loads(value))


def standard_of(cls, keys):
    """The parameter that the setting is, of the class or of one that it hands further arguments to; None without."""
    for one in cls.__mro__:
        if "__init__" in vars(one):
            parameters = inspect.signature(vars(one)["__init__"]).parameters if one is not object else {}
            for key in keys:
                if key in parameters:
                    return parameters[key]
            if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
                return None
    return None


def was_given(signature, keys, args, kwargs):
    try:
        given = set(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:  # arguments of an older Keras, which the class itself understands
        given = set()
    return bool(set(keys) & (given | set(kwargs)))


def is_heeded(thing, standard, keys, kwargs):
    """Whether an object has the value that it was given by an older name: some accept `lr` and go by their default."""
    given = [kwargs[key] for key in keys if key in kwargs and key != standard.name]
    try:
        return not given or abs(float(thing.get_config()[standard.name]) - float(given[0])) <= 1e-6 * abs(given[0])
    except (KeyError, TypeError, ValueError):
        return True


def switch_class(cls, keys, value):
    make = cls.__init__
    signature = inspect.signature(make)
    standard = standard_of(cls, keys)

    def make_explicit(thing, args, kwargs):
        make(thing, *args, **dict({key: kwargs[key] for key in kwargs if key not in keys}, **{standard.name: value}))
        prelude.applied("%s.%s(%s=%s)" % (cls.__module__, cls.__name__, standard.name, json.dumps(value)))

    @functools.wraps(make)
    def make_switched(self, *args, **kwargs):
        by_default = type(self) is cls and not was_given(signature, keys, (self,) + args, kwargs)
        if by_default and standard is None and len(SETTINGS) == 1:
            prelude.failed(TypeError("%s takes no argument %s" % (cls.__name__, keys[0])))
        if by_default and standard is not None and standard.default != value:
            make_explicit(self, args, kwargs)
            return
        make(self, *args, **kwargs)
        if type(self) is cls and standard is not None and not is_heeded(self, standard, keys, kwargs):
            make_explicit(self, args, kwargs)

    make_switched.__signature__ = signature
    cls.__init__ = make_switched


for package in PACKAGES:
    prelude.after_import(package, switch)
'''
