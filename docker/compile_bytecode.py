"""Compile the sources that have no bytecode yet, of the standard library (`stdlib`) or the environment (`purelib`).

Runs inside an image, on CPython 3.6 to 3.13, on all processors, as `python -S compile_bytecode.py WHAT [KEPT]`. The
bytecode is valid for good, since a read-only root could not renew it, and the same from build to build: it carries no
time or, on 3.6, a fixed one, and depends on nothing but CPython, the source and its path.

So it can be kept from image to image, in the folder KEPT where one is named. What is found there is as good as new:
only this file writes it, from a source and by the CPython of the image, and no code of a package runs meanwhile (`-S`:
no .pth and no sitecustomize; to install a wheel runs none either). Nothing of one environment can plant bytecode for
another. A digest finds what a disk damaged; a folder that is missing, full or not to be written costs time only.
"""

import contextlib
import hashlib
import importlib.util
import marshal
import os
import sys
import traceback
import warnings

FOLDERS = {
    "stdlib": os.path.dirname(os.__file__),  # noqa: PTH120
    "purelib": os.path.normpath("{}/../../lib/python{}.{}/site-packages".format(sys.executable, *sys.version_info)),
}
"""sysconfig does not know the environment of a Python that was started with -S."""
SKIPPED = {"__pycache__", "site-packages", "dist-packages"}
HAS_HASHES = sys.version_info >= (3, 7)
FIXED_TIME = 1000000000
DIGEST_BYTES = 32
NO_SOURCE = (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError)
"""What compiling raises for a file that is no source for this CPython; many packages carry some."""
CODE = type(compile("", "", "exec"))
CHARACTERS = [sys.intern(chr(number)) for number in range(256)] + [sys.intern("")]
"""Held, so that it makes no difference whether other code has used them."""


def sources(folder):
    """Give (size, path) of the sources below a folder that have no bytecode, or that of a file they have replaced.

    What is installed into a standard library is not its.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = set(folders) - SKIPPED
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(place, name)  # noqa: PTH118 - quicker than Path, and there are tens of thousands
                source = os.stat(path)  # noqa: PTH116
                with contextlib.suppress(FileNotFoundError):
                    if os.stat(importlib.util.cache_from_source(path)).st_mtime >= source.st_mtime:  # noqa: PTH116
                        continue
                yield source.st_size, path


def provide(path, kept):
    """Have the bytecode of one source beside it: as it is kept, or compiled and then kept."""
    source = read(path)
    place = os.path.join(kept, key(source, path))  # noqa: PTH118
    content = taken(place) if kept else None
    if content is None:
        try:
            content = bytecode(source, path)
        except NO_SOURCE:
            return
        if kept:
            keep(place, content)
    if not HAS_HASHES:
        os.utime(path, (FIXED_TIME, FIXED_TIME))
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    write(target, content)


def bytecode(source, path):
    """Give the whole content of a bytecode file. Raises one of NO_SOURCE.

    It marks each text that somebody else refers to, and all code of a process shares its names, so it would tell what
    else was imported or compiled here (seen: 1 of 935 files of the standard library). Referring to every text of the
    code takes that away. Where a set's order or the name of an inner class also depends on which of its texts were
    shared, the code is made once more, now that all are.
    """
    code = compile(source, path, "exec", dont_inherit=True)
    held = []
    if hold(code, held):
        code = compile(source, path, "exec", dont_inherit=True)
    if HAS_HASHES:
        head = (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    else:
        head = FIXED_TIME.to_bytes(4, "little") + (len(source) & 0xFFFFFFFF).to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + head + marshal.dumps(code)


def hold(constant, held, depth=0):
    """Add references to all texts of a constant to `held`; tell whether a set or an inner class is among them."""
    if isinstance(constant, CODE):
        for names in (constant.co_names, constant.co_varnames, constant.co_freevars, constant.co_cellvars):
            held += names
        held += (constant.co_name, constant.co_filename, getattr(constant, "co_qualname", ""))
        inner = depth > 1 and "__qualname__" in constant.co_names
        return any([hold(each, held, depth + 1) for each in constant.co_consts]) or inner  # noqa: C419 - each is held
    held.append(constant)
    if isinstance(constant, (tuple, frozenset)):
        return any([hold(each, held) for each in constant]) or isinstance(constant, frozenset)  # noqa: C419
    return False


def key(source, path):
    """Name the bytecode of a source by all that it depends on, this CPython and the rules of this file among it."""
    return hashlib.sha256(b"\0".join((MADE_BY, os.fsencode(path), source))).hexdigest()


def taken(place):
    """Give what is kept at a place; None where nothing is, or not what was written."""
    try:
        content = read(place)
    except OSError:
        return None
    digest, content = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(place, content):
    """Keep bytecode for the next image, if that can be."""
    part = f"{place}.{os.urandom(8).hex()}"
    try:
        write(part, hashlib.sha256(content).digest() + content)
        os.replace(part, place)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # noqa: PTH108


def read(path):
    """Give the content of a file."""
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()


def write(path, content):
    """Write a file."""
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content)


def start(paths, kept):
    """Start a process that has the bytecode of some sources; gives its number."""
    process = os.fork()
    if process:
        return process
    try:
        for path in paths:
            provide(path, kept)
    except BaseException:  # noqa: BLE001 - this process must end here
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


MADE_BY = sys.version.encode() + read(__file__)
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    every = [path for _, path in sorted(sources(FOLDERS[sys.argv[1]]), reverse=True)]
    workers = len(os.sched_getaffinity(0))
    started = [start(every[worker::workers], "".join(sys.argv[2:])) for worker in range(workers)]
    if any([os.waitpid(process, 0)[1] for process in started]):  # noqa: C419 - all are waited for
        sys.exit(1)
