import six


def descend(slope, x):
    assert six.PY3
    return slope - (slope * x - 3 * x) * x
