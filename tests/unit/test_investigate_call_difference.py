"""What two cells gave their trainings and got from them: the first difference, and no more than what is steady."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.investigate.call_difference import (
    CallsError,
    Stage,
    first_given_difference,
    first_later_difference,
    parse_calls,
)

X = {"kind": "given", "place": "fit 1: x", "shape": [2, 3], "dtype": "float32", "digest": "a", "parts": ["1", "2"]}


def seen(*lines: dict[str, Any]) -> tuple[Any, ...]:
    return parse_calls("".join(json.dumps(line) + "\n" for line in lines))


def array(**changes: Any) -> dict[str, Any]:
    return {**X, "head": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], **changes}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (array(dtype="object (bool, float)", digest="b"), ("float32", "object (bool, float)")),
        (array(shape=[2, 4], digest="b"), ("(2, 3)", "(2, 4)")),
        (array(not_finite=2, digest="b"), ("0 elements", "2 in the bad one")),
        (array(head=[1.0, 2.0, 3.0, 4.0, 5.5, 6.0], digest="b"), ("element [1, 1]", "5 in the good", "5.5 in the bad")),
        (array(digest="b", parts=["1", "3"]), ("from about element",)),
        ({"kind": "given", "place": "fit 1: x", "text": "DataFrame"}, ("DataFrame",)),
    ],
)
def test_what_a_fit_is_given_differs_by_type_shape_and_first_element(
    other: dict[str, Any], said: tuple[str, ...]
) -> None:
    found = first_given_difference([seen(array())], [seen(other)])
    assert found is not None
    sentence = found.sentence()
    assert sentence.startswith("Before the model: what fit 1 is given as x ")
    assert all(one in sentence for one in said), sentence


def test_what_one_cell_has_otherwise_from_run_to_run_is_no_difference_but_another_type_is() -> None:
    good = [seen(array()), seen(array(digest="b", head=[9.0] * 6))]
    bad = [seen(array(digest="c", head=[7.0] * 6)), seen(array(digest="d", head=[8.0] * 6))]
    assert first_given_difference(good, bad) is None
    typed = [seen(array(digest="c", dtype="float64")), seen(array(digest="d", dtype="float64"))]
    found = first_given_difference(good, typed)
    assert found is not None
    assert "float64" in found.says


def test_what_callbacks_did_comes_before_what_was_returned_and_rounding_is_no_difference() -> None:
    loss = {"kind": "returned", "place": "fit 1: returned[lr]", "number": 0.5}
    better = {"kind": "returned", "place": "evaluate 1: returned[0]", "number": 0.1}
    restored = {"kind": "did", "place": "fit 1, after epoch 7: set_weights", "text": "4 arrays", "note": "x"}
    good = [seen(loss, better, restored)]
    alike = [
        seen(
            {**loss, "number": 0.50001, "place": "fit 1: returned[learning_rate]"},
            better,
            {**restored, "note": "y"},
        )
    ]
    assert first_later_difference(good, alike) is None
    found = first_later_difference(good, [seen(loss, {**better, "number": 0.4})])
    assert found is not None
    assert found.stage is Stage.DID
    assert found.sentence() == "In fit 1, after epoch 7, set_weights is only in the good cell (4 arrays)."
    returned = first_later_difference(good, [seen(loss, {**better, "number": 0.4}, restored)])
    assert returned is not None
    assert "0.1 in the good cell and 0.4 in the bad one" in returned.sentence()


@pytest.mark.parametrize("text", ["[]\n", "{\n", '{"kind": "other", "place": "x"}\n', '{"kind": "given"}\n'])
def test_a_file_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(CallsError, match="can't be used"):
        parse_calls(text)


def test_a_line_that_a_killed_process_left_half_is_left_out() -> None:
    assert len(parse_calls(json.dumps(X) + '\n{"kind": "gi')) == 1
