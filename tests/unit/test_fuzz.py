"""Inputs that others write, changed at random: each ends in a value or in an error of this tool, in bounded time.

`corpus/TARGET/` holds what was found once; those are tried every time. RUNNER_EXAMPLES says how many are made up.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hostile_texts import hostile_result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runner.environments import lockfile
from runner.environments.index.project import files_of
from runner.environments.lock import Environment, Layer, LockedPackage
from runner.errors import RunnerError
from runner.matrix.axis_reader import AxisReader
from runner.matrix.cells import cells
from runner.matrix.criterion import parse
from runner.matrix.matrix_file import TOP, Matrix
from runner.matrix.mistakes import Mistakes
from runner.matrix.nodes import Text
from runner.matrix.requirement_files import RequirementFiles
from runner.outcomes.result_file import as_json, read_result
from runner.reports.site import write_site
from runner.scripts.notebook_source import notebook_source
from runner.trials.channel import follow, read_channel
from runner.trials.record import Record
from runner.trials.store import Store, examine_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CORPUS = Path(__file__).parent / "corpus"
LONGEST_S = 20.0
TOKENS = (
    b"", b"\0", b"\n", b"\r", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b"-", b"- ", b"#", b"&a ", b"*a",
    b"<<: *a",
    b"!!python/object:os.system", b"null", b"true", b"nan", b"NaN", b"1e999", b"-1", b"0", b"9" * 400, b"1" * 5000,
    b"\xff", b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode(), b"\\ud800", b"../..", b"/", b"%s", b"${x}", b"<",
    b">",
    b"==", b"(", b")", b"(" * 300, b"[" * 3000, b"{" * 3000, b"2026-13-45", b"3.7", b"99999999999-01-01", b"\t", b"  ",
)  # fmt: skip

START = (
    b'{"event":"start","t":0.0,"probe":"1","python":"3.11.7","implementation":"C","executable":"p","argv":[],"pid":1,'
    b'"time":1.0}\n'
)
CHANNEL = START + (
    b'{"event":"phase","t":0.1,"name":"fit-1","model":null,"model_number":null,"architecture":null,'
    b'"planned_epochs":3,"steps":1,"initial_weights":null,"weight_norm":null}\n'
    b'{"event":"epoch","t":0.2,"phase":"fit-1","epoch":1,"logs":{"loss":1.0},"time_s":0.1,"learning_rate":null,'
    b'"weight_norm":null,"update_norm":null,"rss_bytes":5}\n'
    b'{"event":"loop","t":0.2,"phase":"fit-1","steps":1,"seconds":1.0,"block":1,"logs":{"a":[1,"nan"]},'
    b'"weight_norm":null}\n'
    b'{"event":"exit","t":0.3,"kind":"normal"}\n'
)
MATRIX = b"""\
title: a
experiment:
  script: a.py
  args: [--x, "1"]
  env: {A: b}
  timeout: 5m
  artifacts: ["*.h5"]
criterion: loss < 1e-4 within 5 epochs
requirements: [r.txt]
packages: [numpy<2, {scipy: "==1.2.1", when: keras<2.4}]
axes:
  tensorflow: [1.13.1, 2.0.4]
  keras: [2.2.4, 2.3.1]
  python: ["3.7"]
include:
  - {tensorflow: 2.0.4, keras: 2.2.5}
exclude:
  - {tensorflow: 2.0.4, keras: 2.2.4}
expect:
  - {keras: 2.3.1, outcome: converges}
resources: {memory: 2g, cpus: 1}
as_of: {numpy: none}
seeds: {lead: 3, cap: 8}
"""
RANGES = (
    b"experiment: {script: a.py}\ncriterion: loss < 1\naxes: {keras: [{range: '>=2.3,<2.5', every: minor}, latest]}\n"
)
NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": ["%pip install x"]},
            {"cell_type": "markdown", "metadata": {}, "source": "# head"},
        ],
        "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5,
    }
).encode()  # fmt: skip
REQUIREMENTS = b"""\
-r other.txt
numpy>=1.2,<3 ; python_version < "3.9" --hash=sha256:00
six[extra]==1.15.0 \\
  # comment
pkg @ https://example.invalid/pkg.whl
-e .
--index-url https://user:secret@example.invalid/simple
"""
SOUND_REQUIREMENTS = b"""\
-r other.txt
numpy>=1.2,<3 ; python_version < "3.9"
six[extra]==1.15.0 \\
  # comment
keras
"""
PROJECT = b"""\
[project]
name = "own"
dependencies = ["scipy~=1.2", "keras"]
[project.optional-dependencies]
train = ["own[more]", "tqdm"]
more = ["pandas"]
[dependency-groups]
dev = ["attrs", {include-group = "more"}]
more = ["six"]
"""
CONDA = b"dependencies:\n- python=3.7\n- pip:\n  - scipy==1.2.1\n  - -r other.txt\n"
PAGE = json.dumps(
    {"files": [{"filename": "a-1.0-py3-none-any.whl", "url": "a.whl", "hashes": {"sha256": "0" * 64}, "size": 3}]}
).encode()
HTML = b'<html><base href="http://x/"><a href="a-1.0.tar.gz#sha256=00" data-yanked data-requires-python="&gt;3">a</a>'


def record(**changes: object) -> Record:
    values = {
        "key": "0" * 32,
        "cell": {"six": "1"},
        "seed": 0,
        "engine": "venv",
        "duration_s": 1.0,
        "stage": "training",
    }
    epochs = [{"phase": "f", "epoch": [1, 2], "logs": {"loss": [1.0, "nan"]}}]
    moment = "2026-01-01T00:00:00+00:00"
    return Record.model_validate({**values, "started_at": moment, "epochs": epochs, **changes})


PUT = record()
PUBLISHED: set[bytes] = set()
"""Digests of the reports that were published before."""


def changed(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """Inputs that were sound, with pieces put in, taken out, doubled or exchanged."""
    step = st.tuples(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from(TOKENS) | st.binary(max_size=6))
    return st.builds(mutated, st.sampled_from(seeds), st.lists(step, max_size=6)) | st.binary(max_size=60)


def mutated(seed: bytes, steps: Iterable[tuple[int, int, bytes]]) -> bytes:
    """An input after changes: at a place so many bytes are exchanged for a piece, or kept before it, or doubled."""
    for at, length, piece in steps:
        place = at % (len(seed) + 1)
        found = seed[place : place + length]
        kept = (found + piece, piece, found + piece + found)[length % 3]
        seed = seed[:place] + kept + seed[place + length :]
    return seed


def corpus(target: str) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted((CORPUS / target).glob("*")))


def filled(folder: Path) -> Path:
    """The folder, with the files that the inputs name."""
    for name, text in (("a.py", "print(1)\n"), ("r.txt", "six\n"), ("other.txt", "six\n")):
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path)


def run_matrix(data: bytes, folder: Path) -> None:
    (folder / "matrix.yaml").write_bytes(data)
    matrix = Matrix.load(folder / "matrix.yaml")
    if matrix.settled:
        assert len({cell.id for cell in itertools.islice(cells(matrix), 1000)}) > 0


def run_criterion(data: bytes, folder: Path) -> None:
    found = parse(data.decode("utf-8", "replace"))
    assert parse(str(found)) == found


ENVIRONMENT = Environment(pins=(("six", "1.15.0"),))
LOCK = lockfile.finished(
    environment=ENVIRONMENT, python="3.7", as_of=datetime(2019, 2, 28, tzinfo=UTC),
    exemptions=[("keras", datetime(2019, 8, 24, tzinfo=UTC))],
    packages=[LockedPackage(name="six", version="1.15.0", layer=Layer.BASE, hashes=(f"sha256:{'0' * 64}",))],
).text.encode()  # fmt: skip


def run_lock(data: bytes, folder: Path) -> None:
    """A lock that its attacker sealed again."""
    text = "\n".join(data.decode("utf-8", "surrogateescape").splitlines()) + "\n"
    head, _, rest = text.partition("\n")
    body = rest.partition("\n")[2]
    try:
        seal = lockfile._digest(body)
    except UnicodeEncodeError:
        seal = "sha256:0"
    path = folder / "lock.txt"
    path.write_bytes(f"{head}\n# sealed: {seal}\n{body}".encode("utf-8", "surrogateescape"))
    lockfile.read(path, ENVIRONMENT)


def run_channel(data: bytes, folder: Path) -> None:
    (folder / "channel").write_bytes(data)
    told = read_channel(folder / "channel", folder / "channel")
    record(epochs=told.epochs, phases=told.phases, children=told.children, steps=told.steps).model_dump_json()
    follow(folder / "channel", 0)


def run_record(data: bytes, folder: Path) -> None:
    try:
        found = Record.model_validate_json(data)
    except ValueError:
        return
    assert Record.model_validate_json(found.model_dump_json()).model_dump_json() == found.model_dump_json()


def run_store(data: bytes, folder: Path) -> None:
    """Used as our own, then examined, which reads it as `merge` reads another's."""
    path = folder / "records.sqlite"
    for other in folder.glob("records*"):
        other.unlink()
    path.write_bytes(data)
    with suppress(RunnerError), Store(path) as store:
        store.get(store.keys())
        store.seconds()
        store.put(PUT)
    examine_store(path)


def run_result(data: bytes, folder: Path) -> None:
    """A report with values that none had before is published."""
    (folder / "results.json").write_bytes(data)
    found = read_result(folder / "results.json")
    if (digest := hashlib.sha256(as_json(found).encode()).digest()) not in PUBLISHED:
        PUBLISHED.add(digest)
        write_site(found, folder / "site")


def run_notebook(data: bytes, folder: Path) -> None:
    notebook_source(data, "a.ipynb")


def run_requirements(data: bytes, folder: Path) -> None:
    """The file alone first: a matrix is loaded only with one that can be read."""
    if b"[project]" in data:
        name, asked = "pyproject.toml", "{file: pyproject.toml, extras: [train], groups: [dev]}"
    else:
        name = asked = "e.yml" if b"pip:" in data else "r.txt"
    (folder / name).write_bytes(data)
    mistakes = Mistakes(folder / "matrix.yaml")
    reader = AxisReader(folder=folder, mistakes=mistakes, left_out=frozenset(), known={"keras": ["2.2.4"]})
    RequirementFiles(reader=reader, axes={"keras"}).read([Text.make(name, TOP)])
    mistakes.raise_any()
    head = "experiment: {script: a.py}\ncriterion: loss < 1\naxes: {keras: [2.2.4]}\n"
    run_matrix(f"{head}requirements: [{asked}]\n".encode(), folder)


def run_page(data: bytes, folder: Path) -> None:
    kind = "application/json" if data[:1] in b"{[" else "text/html"
    request = httpx.Request("GET", "http://index.invalid/simple/a/")
    try:
        files_of(httpx.Response(200, content=data, headers={"content-type": kind}, request=request))
    except (ValueError, KeyError, TypeError, AttributeError):  # what the catalog makes one message of
        return


def _store() -> bytes:
    """A store of small pages, one record of which is longer than a page."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "records.sqlite")
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA page_size=512")
        with closing(Store(path)) as store:
            for number in range(4):
                store.put(record(key=f"{number:032x}", log_tail="x" * (900 if number == 1 else 10)))
        return path.read_bytes()


def _report() -> bytes:
    """A report with a cell of each kind."""
    whole = hostile_result("x")
    cells = tuple({cell.kind: cell for cell in whole.cells}.values())
    return as_json(whole.model_copy(update={"cells": cells})).encode()


TARGETS: dict[str, tuple[Callable[[bytes, Path], None], Callable[[], tuple[bytes, ...]]]] = {
    "matrix": (run_matrix, lambda: (MATRIX, RANGES)),
    "criterion": (run_criterion, lambda: (b"loss < 1e-4 within 5 epochs", b"seconds < 1.5x baseline", b"a.b/c >= -3")),
    "lock": (run_lock, lambda: (LOCK,)),
    "channel": (run_channel, lambda: (CHANNEL, START)),
    "metrics": (run_channel, lambda: (b'{"loss": 1, "epoch": 1}\n{"loss": NaN}\n{"a": "inf"}\n',)),
    "record": (run_record, lambda: (record().model_dump_json().encode(),)),
    "store": (run_store, lambda: (_store(),)),
    "result": (run_result, lambda: (_report(),)),
    "notebook": (run_notebook, lambda: (NOTEBOOK,)),
    "requirements": (run_requirements, lambda: (REQUIREMENTS, SOUND_REQUIREMENTS, PROJECT, CONDA)),
    "page": (run_page, lambda: (PAGE, HTML)),
}


def checked(run: Callable[[bytes, Path], None], data: bytes, folder: Path) -> None:
    began = time.monotonic()
    with suppress(RunnerError):
        run(data, folder)
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_stands_in_an_input_ends_in_a_value_or_an_error_of_ours(target: str, folder: Path) -> None:
    run, seeds = TARGETS[target]

    @settings(suppress_health_check=list(HealthCheck))
    @given(changed(*seeds()))
    @example(b"")
    def property_holds(data: bytes) -> None:
        checked(run, data, folder)

    property_holds()


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_once_is_mended(target: str, folder: Path) -> None:
    for data in (*corpus(target), b"", b"\0", b"[" * 100_000, b"\xff\xfe", *TARGETS[target][1]()):
        checked(TARGETS[target][0], data, folder)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_changed_at_random_was_sound_before(target: str, folder: Path) -> None:
    run, seeds = TARGETS[target]
    for data in seeds():
        if data != REQUIREMENTS:  # of each kind that is refused
            run(data, folder)
