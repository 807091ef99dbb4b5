# does: TensorFlow computes with oneDNN, whose rounding differs
# how: TF_ENABLE_ONEDNN_OPTS=1 before the import of TensorFlow, where that is not what it would do anyway
# applies: tensorflow>=2.5
# reverse: onednn-off
# breadth: 3

import os

FLAGS = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
WANTED = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"


def is_standard(tensorflow):
    """Whether oneDNN is in use without a word: since TensorFlow 2.9, where the processor has one of the instructions."""
    if WANTED is not None:
        return WANTED.lower() in ("1", "true")
    with open("/proc/cpuinfo") as file:
        flags = set(file.read().split())
    return tuple(map(int, tensorflow.__version__.split(".")[:2])) >= (2, 9) and bool(flags & FLAGS)


def switch(tensorflow):
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1" and not is_standard(tensorflow):
        prelude.applied("TF_ENABLE_ONEDNN_OPTS=1")


prelude.after_import("tensorflow", switch)
