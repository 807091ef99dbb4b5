"""Which calls of Keras' models are steps of which fit, and which of them a tool that asks for a fit takes."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runner.preludes.prelude import TOOLS

X = np.zeros((4, 2))


class Model:
    def train_on_batch(self, x: Any, y: Any) -> float:
        return 0.0

    def fit(self, x: Any, y: Any) -> None:
        self.train_on_batch(x, y)


class Heard:
    """The number of the fit of every step."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def begin(self, fit: Any, number: int) -> None:
        self.numbers.append(fit.number)

    def end(self, fit: Any, number: int, first: int, logs: Any) -> None:
        """Nothing."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(TOOLS.parent)
    from _runner_tools import steps

    return steps


def model(steps: Any, listener: Any) -> Any:
    """A model of a Keras whose steps a listener is told."""
    module = ModuleType("keras.models")
    watched = type("Model", (), {**vars(Model), "__module__": module.__name__})
    module.Model = watched  # type: ignore[attr-defined]

    def after_import(name: str, function: Any) -> None:
        if name == module.__name__:
            function(module)

    def failed(error: Exception) -> None:
        raise error

    steps.Steps(listener, failed).install(after_import)
    return watched()


def test_batches_that_are_trained_without_any_fit_count_as_those_of_the_first(steps: Any) -> None:
    heard = Heard()
    alone = model(steps, heard)
    alone.train_on_batch(X, X)
    alone.train_on_batch(X, X)
    assert heard.numbers == [1, 1]


def test_batches_after_a_fit_count_as_those_of_the_last_one(steps: Any) -> None:
    heard = Heard()
    trained = model(steps, heard)
    for call in (trained.fit, trained.train_on_batch, trained.fit, trained.train_on_batch):
        call(X, X)
    assert heard.numbers == [1, 2]


@pytest.mark.parametrize(("first", "taken"), [(1, 1), (2, 2), (3, 3)])
def test_weights_are_set_once_before_the_first_step_of_the_fit_that_is_asked_for(
    steps: Any, first: int, taken: int
) -> None:
    from _runner_tools.alignment import Initial

    read: list[int] = []
    prelude = SimpleNamespace(applied=None, failed=lambda error: None)
    initial = Initial(prelude, [], first)
    for number in (1, 1, 2, 3, 3):
        initial.before(SimpleNamespace(number=number, reading=lambda _, number=number: read.append(number)))
    assert read == [taken]
