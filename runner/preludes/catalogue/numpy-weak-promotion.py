# does: the type of a result follows from types alone, never from values, as in NumPy 2
# how: numpy._set_promotion_state("weak") right after the import of NumPy
# applies: numpy>=1.24,<2
# reverse: numpy-legacy-promotion
# breadth: 4


def switch(numpy):
    if numpy._get_promotion_state() != "weak":
        numpy._set_promotion_state("weak")
        prelude.applied("numpy._set_promotion_state('weak')")


prelude.after_import("numpy", switch)
