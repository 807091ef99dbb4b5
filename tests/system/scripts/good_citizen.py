"""What a training script does beside training: reads mapped data, saves a model, uses HOME, TMPDIR and workers."""

import multiprocessing
import os
import sys
import tempfile


def square(number):
    return number * number


if __name__ == "__main__":
    assert sys.stdin.read() == ""
    with open("data/numbers.txt") as file:
        numbers = [int(line) for line in file]
    with open(os.path.expanduser("~/.keras/datasets/cached.txt")) as file:
        assert file.read() == "cached"
    with open("model.h5", "wb") as file:
        file.write(b"weights")
    os.makedirs(os.path.expanduser("~/.cache/tool"))
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"scratch")
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, numbers))
    print(sys.argv[1:])
