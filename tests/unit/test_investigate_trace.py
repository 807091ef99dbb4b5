"""Where two trainings part first: planted differences are found, and rounding is not taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from traces_made import Made, made, written

from runner.investigate.trace import TraceError, parse_trace
from runner.investigate.trace_difference import Where, first_difference


def test_two_trainings_that_do_the_same_agree_over_all_recorded_steps() -> None:
    found = first_difference(made(), made())
    assert (found.where, found.recorded, found.last) == (Where.NOWHERE, 40, 40)
    assert found.sentence() == "The two agree over all 40 recorded steps (the last is step 40)."


def test_another_update_of_one_weight_is_found_at_the_first_step_with_both_values() -> None:
    found = first_difference(made(), made(wrong="bias"))
    assert (found.where, found.step) == (Where.STEP, 1)
    assert [str(one.quantity) for one in found.differ] == ["the update of the bias of Dense dense"]
    first = found.first
    assert first is not None
    assert first.bad == pytest.approx(first.good / 2)
    assert found.sentence().startswith(
        "Step 1: learning rate, output and loss agree; the update of the bias of Dense dense"
    )
    assert f"differs ({first.good:.4g} against {first.bad:.4g}); all else agrees." in found.sentence()


def test_another_learning_rate_comes_before_what_it_does_to_the_updates() -> None:
    found = first_difference(made(), made(rate=0.11))
    assert found.step == 1
    assert [one.quantity.what for one in found.differ] == ["learning rate", "update", "update", "update"]
    assert found.sentence().startswith(
        "Step 1: output and loss agree; the learning rate differs (0.1 against 0.11), and so do"
    )


def test_gradients_come_before_the_updates_that_they_make_and_are_compared_where_both_have_them() -> None:
    found = first_difference(made(gradients="right"), made(gradients="doubled"))
    assert [str(one.quantity) for one in found.differ] == [
        "the gradient of the kernel of Dense dense",
        "the gradient of the bias of Dense dense",
    ]
    later = first_difference(made(gradients="right"), made(gradients="right", wrong="scale"))
    assert [one.quantity.what for one in later.differ] == ["update"]
    assert later.sentence().startswith("Step 1: learning rate, output, loss and gradients agree; the update of the")
    assert first_difference(made(gradients="right"), made()).where is Where.NOWHERE


def test_layers_are_aligned_over_other_made_names_and_another_order() -> None:
    found = first_difference(made(), made(names=("dense_1", "scaling_1"), reversed=True))
    assert (found.where, found.only_good, found.only_bad) == (Where.NOWHERE, (), ())
    found = first_difference(made(), made(names=("dense_1", "scaling_1"), reversed=True, wrong="scale"))
    assert [str(one.quantity) for one in found.differ] == ["the update of the scale of Scaling scaling"]


def test_rounding_alone_is_no_difference_but_a_hundred_times_as_much_is() -> None:
    for seed in range(2, 22):
        found = first_difference(made(noise=6e-8), made(noise=6e-8, seed=seed))
        assert found.where is Where.NOWHERE, found.sentence()
    assert first_difference(made(), made(noise=6e-5, seed=2)).where is Where.STEP


def test_what_the_same_cell_differs_by_from_run_to_run_is_no_difference_between_two() -> None:
    good, again, bad = (made(noise=1e-4, seed=seed) for seed in (1, 2, 3))
    assert first_difference(good, bad).where is Where.STEP
    repeats = [(good, again), (good, made(noise=1e-4, seed=4)), (again, made(noise=1e-4, seed=5))]
    assert first_difference(good, bad, repeats=repeats).where is Where.NOWHERE
    planted = first_difference(good, made(noise=1e-4, seed=3, wrong="kernel"), repeats=repeats)
    assert [one.quantity.role for one in planted.differ] == ["kernel"]


def test_the_noise_of_the_other_cell_counts_too_whatever_its_layers_are_called() -> None:
    names = ("dense_7", "scaling_7")
    bad, again = (made(noise=1e-4, seed=seed, names=names, reversed=True) for seed in (3, 4))
    assert first_difference(made(), bad).where is Where.STEP
    assert first_difference(made(), bad, repeats=[(bad, again), (again, made())]).where is Where.NOWHERE


def test_nan_on_one_side_is_a_difference_and_on_both_is_none() -> None:
    found = first_difference(made(), made(broken=5))
    assert found.step == 5
    assert found.first is not None
    assert found.first.quantity.what == "output"
    assert "against nan)" in found.sentence()
    assert first_difference(made(broken=5), made(broken=5)).where is Where.NOWHERE


def test_of_other_batches_nothing_further_is_claimed() -> None:
    found = first_difference(made(), made(order=3, wrong="bias"))
    assert (found.where, found.step, found.differ) == (Where.BATCHES, 1, ())
    assert "different batches, so nothing is said of what follows" in found.sentence()


def test_of_other_initial_weights_nothing_further_is_claimed() -> None:
    found = first_difference(made(), made(start=0.5))
    assert (found.where, found.step) == (Where.INITIAL_WEIGHTS, 0)
    assert "the weight of the kernel of Dense dense (" in found.sentence()


def test_what_one_side_only_has_is_named() -> None:
    found = first_difference(made(slots=("momentum",)), made(slots=("v",)))
    assert (found.only_good, found.only_bad) == (("the optimizer's momentum",), ("the optimizer's v",))
    assert found.sentence().endswith(
        "Only the good cell has the optimizer's momentum. Only the bad cell has the optimizer's v."
    )
    both = first_difference(made(slots=("m", "v")), made(slots=("v",), wrong="bias"))
    assert [one.quantity.what for one in both.differ] == ["update", "v"]


def test_only_steps_that_both_recorded_are_compared_and_batches_that_could_not_be_seen_are_said() -> None:
    found = first_difference(made(), made(sampled=(1, 2, 4, 8), seen=False))
    assert (found.where, found.recorded, found.last) == (Where.NOWHERE, 4, 8)
    assert "Not every batch of the bad cell could be seen." in found.sentence()


def test_large_tensors_differ_by_norm_or_by_projection() -> None:
    def trace(**changed: float) -> Any:
        tensor = {"norm": 3.0, "min": -1.0, "max": 1.0, "projection": 0.25} | changed
        weight = {"role": "kernel", "shape": [100], "dtype": "float32"}
        lines = [
            {"kind": "header", "layers": [{"class": "Dense", "name": "dense", "weights": [weight]}]},
            {"kind": "step", "step": 1, "weights": [tensor], "updates": [tensor]},
        ]
        return parse_trace("".join(json.dumps(line) + "\n" for line in lines))

    (row,) = first_difference(trace(), trace(projection=0.3)).differ
    assert (row.shown, row.good, row.bad) == ("projection", 0.25, 0.3)
    (row,) = first_difference(trace(), trace(norm=3.1)).differ
    assert (row.shown, row.good, row.bad) == ("norm", 3.0, 3.1)
    assert first_difference(trace(), trace(norm=3.00001)).where is Where.NOWHERE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        "no json\n",
        '{"kind": "step"}\n',
        "[" * 100_000 + "\n",
        " " * (9 * 1024**2),
        '{"kind": "header", "layers": 3}\n',
        '{"kind": "header", "layers": [], "states": [{"layer": 0, "role": "a", "shape": []}]}\n',
        '{"kind": "header", "layers": []}\n{"kind": "step", "step": 1, "weights": [{"values": [1]}]}\n',
        '{"kind": "header", "layers": []}\n{"kind": "slots", "slots": [{"kind": "m", "weight": 0}]}\n',
        '{"kind": "header", "layers": []}\n{"kind": "step", "step": -1, "weights": []}\n',
    ],
    ids=range(11),
)
def test_what_is_no_trace_is_refused_in_words(text: str) -> None:
    with pytest.raises(TraceError, match=r"The trace can't be used: .+"):
        parse_trace(text)


def test_a_trace_of_a_process_that_was_killed_in_the_middle_of_a_line_is_read() -> None:
    text = written(Made())
    cut = parse_trace(text[: len(text) // 2])
    assert not cut.ended
    assert 10 < len(cut.steps) < 30
    assert first_difference(cut, made()).where is Where.NOWHERE


def test_a_model_without_a_step_can_t_be_compared() -> None:
    found = first_difference(made(), replace(made(), steps={}))
    assert found.where is Where.INCOMPARABLE
    assert found.sentence() == "The two trainings can't be compared step by step. No step is in both traces."
