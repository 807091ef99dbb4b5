"""The runner's own preludes: their sources are Python of any age, and what they are given is checked."""

from __future__ import annotations

import ast
import json

import pytest

from runner.errors import UsageError
from runner.preludes.prelude import fixed_order, initial_weights, tracing

WEIGHT = {"role": "kernel", "shape": [1], "dtype": "float32", "data": "eJxjYGiwBwAAxwCA"}


def given(**changed: object) -> str:
    return json.dumps({"layers": [{"class": "Dense", "name": "dense", "weights": [WEIGHT | changed]}]})


@pytest.mark.parametrize("tool", [tracing(), initial_weights(given()), fixed_order()], ids=lambda tool: tool.name)
def test_a_tool_is_python_of_3_6(tool: object) -> None:
    ast.parse(tool.source, feature_version=(3, 6))  # type: ignore[attr-defined]


def test_how_many_steps_and_which_weights_are_part_of_the_source_and_so_of_the_trial_s_key() -> None:
    assert "step_trace.install(prelude, 7)" in tracing(7).source
    assert WEIGHT["data"] in initial_weights(given()).source
    assert initial_weights(given()) == initial_weights(given(unknown="left out"))
    assert initial_weights(given()) != initial_weights(given(role="bias"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"layers": [3]}',
        given(data="'); import os"),
        given(dtype="O"),
        given(shape=[-1]),
        given(shape=3),
        given(role=["a"]),
        given(data="A" * 5 * 1024**2),
    ],
    ids=range(11),
)
def test_initial_weights_that_were_not_recorded_are_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError, match=r"The recorded initial weights can't be used: .+ take that file as it is\."):
        initial_weights(text)
