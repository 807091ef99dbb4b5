"""Compiles what was installed, on all processors: `python -s -S compile_sources.py PACKAGES SPARED…`.

The `venv` engine runs this file by itself with the CPython of an environment, 3.6 and later: standard library only.
`compileall` starts two more Pythons than there are processors for that, writes each file under another name first, and
fails on 3.6. A file that is no source of this CPython (a template, Python 2) is passed over. The bytecode is valid for
good, or on 3.6 as long as its source has the same time.
"""

# ruff: noqa: PTH - to import pathlib takes as long as to compile many files
import importlib.util
import marshal
import os
import sys
import traceback
import warnings

HAS_HASHES = sys.version_info >= (3, 7)


def sources(packages: str, spared: "frozenset[str]") -> "list[str]":
    """The sources below a folder but for the `spared` names in it, the largest first."""
    found = []
    for folder, folders, files in os.walk(packages):
        if folder == packages:
            folders[:] = [name for name in folders if name not in spared]
            files = [name for name in files if name not in spared]  # noqa: PLW2901 - as the folders
        found += [os.path.join(folder, name) for name in files if name.endswith(".py")]
    return sorted(found, key=os.path.getsize, reverse=True)


def compile_source(path: str) -> None:
    """Write the bytecode of a source beside it. Raises OSError where it can't be written."""
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except Exception:  # noqa: BLE001 - compilers also raise ValueError, RecursionError, MemoryError
        return
    if HAS_HASHES:
        head = (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    else:
        parts = (int(os.stat(path).st_mtime), len(source))
        head = b"".join((part & 0xFFFFFFFF).to_bytes(4, "little") for part in parts)
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + head + marshal.dumps(code))


def start(paths: "list[str]") -> int:
    """Start a process that compiles some sources; gives its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        for path in paths:
            compile_source(path)
        status = 0
    except BaseException:  # noqa: BLE001 - this process must end here
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def main(packages: str, *spared: str) -> None:
    """Compile, and end with 1 where some bytecode could not be written."""
    warnings.simplefilter("ignore")
    every = sources(packages, frozenset(spared))
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    started = [start(every[worker::workers]) for worker in range(workers)]
    if any([os.waitpid(process, 0)[1] for process in started]):  # noqa: C419 - all are waited for
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
