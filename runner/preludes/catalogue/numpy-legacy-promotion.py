# does: the type of a result follows from the values of scalars too, as in NumPy 1
# how: numpy._set_promotion_state("legacy") right after the import of NumPy
# applies: numpy>=2,<2.2
# reverse: numpy-weak-promotion
# breadth: 4


def switch(numpy):
    if numpy._get_promotion_state() != "legacy":
        numpy._set_promotion_state("legacy")
        prelude.applied("numpy._set_promotion_state('legacy')")


prelude.after_import("numpy", switch)
