"""The section `metrics:` of a matrix: what is taken, and where each mistake stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from matrix_files import SMALLEST, loaded, mistakes_in

from runner.matrix.metric_patterns import compiled
from runner.matrix.model import Metrics

if TYPE_CHECKING:
    from pathlib import Path


def test_patterns_and_files_are_read(tmp_path: Path) -> None:
    metrics = r"{acc: 'Test acc: (\S+)', b/c.d: '(?P<value>\d+) of (\d+)', from: [logs/*.csv, runs/]}"
    text = f"{SMALLEST}metrics: {metrics}\n"

    assert loaded(tmp_path, text).experiment.metrics == Metrics(
        patterns=(("acc", r"Test acc: (\S+)"), ("b/c.d", r"(?P<value>\d+) of (\d+)")), files=("logs/*.csv", "runs")
    )


@pytest.mark.parametrize(
    ("section", "judged"),
    [
        ("metrics: {acc: '(x)', loss: '(y)'}", "acc"),
        ("metrics: {from: a.csv}", "loss"),
        ("metrics: {acc: '(x)'}\nmetric: mae", "mae"),
    ],
)
def test_the_first_pattern_names_the_judged_metric_where_nothing_else_does(
    tmp_path: Path, section: str, judged: str
) -> None:
    assert loaded(tmp_path, f"{SMALLEST}{section}\n").judging.metric == judged


@pytest.mark.parametrize(
    ("section", "place", "part"),
    [
        ("{acc: 'acc'}", "3:17", "no group says where the value is"),
        ("{acc: '(a) of (b)'}", "3:17", "it has 2 groups"),
        ("{acc: 'a (b'}", "3:17", "missing )"),
        ("{acc: 'a [b('}", "3:19", "missing ]"),
        (r"{acc: '(a) \1'}", "3:21", r"\1 is not possible"),
        ("{acc: 'x(?=y)(a)'}", "3:18", "(?= is not possible"),
        ("{acc: '((a{1000}){1000}){1000}'}", "3:", "repetition"),
        ("{a-b: '(a)'}", "3:11", "'a-b' is not a name of a metric"),
        ("{from: /etc/x.csv}", "3:17", "not inside the working directory"),
        ("{from: ~/x.csv}", "3:17", "not inside the working directory"),
        ("{from: [a.csv, ../x.csv]}", "3:25", "not inside the working directory"),
        ("{from: model.h5}", "3:17", "metrics are not read from 'model.h5'"),
    ],
)
def test_a_mistake_says_what_is_wrong_at_its_place(tmp_path: Path, section: str, place: str, part: str) -> None:
    (mistake,) = mistakes_in(tmp_path, f"{SMALLEST}metrics: {section}\n")

    assert mistake.startswith(f"matrix.yaml:{place}")
    assert part in mistake


def test_a_pattern_that_would_backtrack_for_ever_takes_no_time() -> None:
    pattern = compiled("^((?:a|aa)+)$")
    began = time.process_time()

    assert not pattern.regex.search(b"a" * 4000 + b"b")
    assert time.process_time() - began < 1
