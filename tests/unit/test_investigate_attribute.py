"""Planted causes between a good and a bad cell: the smallest sets, what is coupled, what only looks guilty."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import FAULT, World, evidence

from runner.investigate.attribute import attribute
from runner.investigate.belief import Evidence
from runner.investigate.question import AttributeRules, Combination, answered
from runner.outcomes.account import Decision, Factor, SearchEnding


def factors(names, **changes):
    return [Factor(name=name, good="1", bad="2", **changes) for name in names]


def moved(about: Combination) -> frozenset[str]:
    return frozenset(name for name, value in (*about.cell.pairs, *about.pins) if value == "2")


def world(*causes, untestable=lambda _moved: False, noise=0.0, seed=0):
    """Bad where all of any cause is moved; causes are texts of one-letter names, or sets."""

    def rate(about):
        now = moved(about)
        if untestable(now):
            return None if "z" in now else ""
        return noise if any(set(cause) <= now for cause in causes) else 1 - noise

    return World(rate, seed=seed)


def attributed(names, answers, rules=None, known=None):
    return answered(attribute(factors(names), rules, known), answers)


def causes(found):
    return {frozenset(cause.names) for cause in found.causes}


@given(st.integers(2, 7), st.data())
def test_all_planted_smallest_sets_are_named_and_nothing_else(number, data) -> None:
    names = "abcdefg"[:number]
    sets = data.draw(st.lists(st.frozensets(st.sampled_from(names), min_size=1, max_size=3), min_size=1, max_size=3))
    smallest = {one for one in sets if not any(other < one for other in sets)}
    answers = world(*sets)
    found = attributed(names, answers)
    assert causes(found) == smallest
    assert found.complete
    assert found.ending is SearchEnding.SURE
    assert all(cause.needed == cause.names and not cause.coupled for cause in found.causes)
    assert all(
        (cause.without is Decision.GOOD) is (len(smallest) == 1 or _all_meet(smallest, cause)) for cause in found.causes
    )
    assert found.trials == sum(one.trials for one in answers.known.values())


def _all_meet(smallest, cause):
    return all(one & set(cause.names) for one in smallest)


def test_one_guilty_axis_is_moved_alone_and_verified_by_moving_all_others() -> None:
    found = attributed("abcd", world("c"))
    assert found.alone == {"a": Decision.GOOD, "b": Decision.GOOD, "c": Decision.BAD, "d": Decision.GOOD}
    (cause,) = found.causes
    assert (cause.names, cause.without, found.fault) == (("c",), Decision.GOOD, FAULT)
    assert len(found.moves) == 7  # both cells, four alone, all but the guilty one


def test_of_many_packages_the_one_that_the_fault_names_is_tried_first() -> None:
    names = [*(f"p{number:02}" for number in range(60)), "planted"]
    assert "planted" in FAULT
    answers = world({"planted"})
    found = answered(attribute(factors(names, pinned=True)), answers)
    assert causes(found) == {frozenset({"planted"})}
    assert len(answers.places) == 4  # both cells, the one, all others


def test_two_guilty_packages_of_sixty_take_few_combinations() -> None:
    names = [f"p{number:02}" for number in range(60)]
    answers = world({"p07", "p44"})
    found = answered(attribute(factors(names, pinned=True)), answers)
    assert causes(found) == {frozenset({"p07", "p44"})}
    assert found.complete
    assert len(answers.places) <= 2 * 6 + 10
    about = next(iter(answers.places))
    assert about.cell.pairs == ()
    assert [package for package, _ in about.pins] == names


def test_packages_that_cannot_move_alone_are_named_together() -> None:
    names = [f"p{number:02}" for number in range(20)]
    found = answered(
        attribute(factors(names)), world({"p12"}, untestable=lambda now: "p12" in now and "p03" not in now)
    )
    (cause,) = found.causes
    assert (cause.names, cause.needed, cause.coupled) == (("p03", "p12"), ("p12",), ("p03",))
    assert found.complete


def test_axes_that_move_only_together_are_one_cause_whose_parts_cannot_be_told() -> None:
    found = attributed("abc", world("ab", untestable=lambda now: len(now & {"a", "b"}) == 1))
    (cause,) = found.causes
    assert (cause.names, cause.needed, cause.coupled) == (("a", "b"), (), ("a", "b"))


def test_innocent_packages_that_move_only_together_are_both_taken_back() -> None:
    names = [f"p{number:02}" for number in range(12)]
    found = answered(attribute(factors(names)), world({"p05"}, untestable=lambda now: len(now & {"p02", "p09"}) == 1))
    assert causes(found) == {frozenset({"p05"})}


def test_failing_by_another_fault_on_the_way_is_stepped_around() -> None:
    names = [*(f"p{number:02}" for number in range(14)), "z"]
    found = answered(attribute(factors(names)), world({"p08"}, untestable=lambda now: "z" in now and "p01" not in now))
    assert causes(found) == {frozenset({"p08"})}


def test_flaky_cells_get_as_many_trials_as_the_shared_error_asks_for() -> None:
    answers = world("bd", noise=0.1, seed=4)
    found = attributed("abcde", answers)
    assert causes(found) == {frozenset("bd")}
    assert max(one.trials for one in answers.known.values()) > min(one.trials for one in answers.known.values()) >= 4
    assert 0.9 < found.causes[0].probability < 1


def test_a_combination_that_stays_ambiguous_does_not_end_the_search() -> None:
    answers = world("b")
    coin = answers.rate
    answers.rate = lambda about: 0.5 if moved(about) == {"a"} else coin(about)
    found = attributed("abc", answers)
    assert found.alone["a"] is Decision.AMBIGUOUS
    assert causes(found) == {frozenset("b")}


def test_cells_that_do_not_differ_have_no_cause() -> None:
    found = attributed("ab", world())
    assert (found.good, found.bad, found.causes, found.complete) == (Decision.GOOD, Decision.GOOD, (), False)
    assert found.ending is SearchEnding.EXHAUSTED


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_a_search_that_was_cut_off_goes_on_with_the_same_questions(seed, cut) -> None:
    whole = world("ce", noise=0.08, seed=seed)
    found = attributed("abcdef", whole)
    part = world("ce", noise=0.08, seed=seed)
    for questions in whole.asked[:cut]:
        part(questions)
    rest = replace(part, known=dict(part.known), asked=[])
    again = attributed("abcdef", rest, known=part.known)
    assert _flat(rest.asked) == _flat(whole.asked[cut:])
    assert again.causes == found.causes
    assert again.moves == found.moves


def _flat(asked):
    return [question for questions in asked for question in questions]


def test_what_is_recorded_is_not_asked_again() -> None:
    answers = world("b", "ac")
    found = attributed("abcd", answers)
    again = world("b", "ac")
    repeated = attributed("abcd", again, known=answers.known)
    assert again.asked == []
    assert (repeated.causes, repeated.trials) == (found.causes, 0)


@given(st.integers(0, 90))
def test_a_budget_is_kept_and_what_is_known_by_then_is_told(budget) -> None:
    answers = world("be")
    found = attributed("abcdef", answers, AttributeRules(budget=budget))
    assert found.trials == sum(one.trials for one in answers.known.values()) <= budget
    assert causes(found) <= {frozenset("be")}
    assert found.complete is (found.ending is SearchEnding.SURE)
    bad = [move.factors for move in found.moves if move.tried.told is Decision.BAD]
    assert all(frozenset("be") <= factors for factors in bad)


def holding(rate, resolve):
    """Answers that also say what the environment holds, as `resolve` gives it from the axis values and pins."""
    answers = World(rate)

    def answer(questions):
        known = answers(questions)
        return {about: replace(one, contents=resolve(about)) for about, one in known.items()}

    return answers, answer


def resolved(about: Combination) -> tuple[tuple[str, str], ...]:
    """CPython 3.8 brings NumPy 1.21 and 3.7 brings 1.16, unless it is pinned."""
    values = about.cell.values
    holds = {"python": values["python"] + ".1", "numpy": "1.21" if values["python"] == "3.8" else "1.16"}
    return tuple({**holds, **{name: version for name, version in about.pins if version}}.items())


PYTHON = [Factor(name="python", good="3.7", bad="3.8"), Factor(name="import", good="keras", bad="tf.keras")]


def test_an_axis_that_only_looks_guilty_is_told_from_what_it_brings_along() -> None:
    answers, answer = holding(lambda about: 0.0 if dict(resolved(about))["numpy"] == "1.21" else 1.0, resolved)
    found = answered(attribute(PYTHON), answer)
    (cause,) = found.causes
    assert (cause.names, cause.bystanders) == (("python",), ("python",))
    assert {frozenset(one.names) for one in cause.components} == {frozenset({"numpy"})}
    assert Combination.of({"python": "3.7", "import": "keras"}, {"numpy": "1.21"}) in answers.places


def test_an_axis_that_the_culprit_can_not_be_had_without_is_innocent_where_it_does_nothing_alone() -> None:
    def rate(about: Combination) -> float | str:
        holds = dict(resolved(about))
        if holds["numpy"] == "1.21" and holds["python"].startswith("3.7"):
            return ""
        return 0.0 if holds["numpy"] == "1.21" else 1.0

    _, answer = holding(rate, resolved)
    (cause,) = answered(attribute(PYTHON), answer).causes
    assert cause.bystanders == ("python",)
    assert [(one.needed, one.coupled) for one in cause.components] == [(("numpy",), ("python",))]
    assert cause.inseparable == "nothing resolves"


def test_packages_that_the_guilty_axis_can_not_be_had_without_are_no_part_of_the_cause() -> None:
    def rate(about: Combination) -> float | str:
        holds = dict(resolved(about))
        if holds["python"].startswith("3.8") is not (holds["numpy"] == "1.21"):
            return ""
        return float(holds["python"].startswith("3.7"))

    _, answer = holding(rate, resolved)
    (cause,) = answered(attribute(PYTHON), answer).causes
    assert [one.names for one in cause.components] == [("python",)]
    assert cause.bystanders == ()


def test_an_axis_that_is_guilty_stays_so_whatever_it_brings_along() -> None:
    _, answer = holding(lambda about: 0.0 if about.cell.values["python"] == "3.8" else 1.0, resolved)
    (cause,) = answered(attribute(PYTHON), answer).causes
    assert {frozenset(one.names) for one in cause.components} == {frozenset({"python"})}
    assert cause.bystanders == ()


BACKEND = [Factor(name="backend", good="jax", bad="torch")]
BESIDE = {
    "jax": {"jax": "0.10", "scipy": "1.17", "h5py": "3.14"},
    "torch": {"torch": "2.13", "sympy": "1.14", "h5py": "3.16"},
}


def of_a_backend(about: Combination) -> tuple[tuple[str, str], ...]:
    """A backend has packages that the other one lacks; both have h5py, in versions of their own unless it is pinned."""
    pinned = {name: version for name, version in about.pins if version}
    return tuple({**BESIDE[about.cell.values["backend"]], **pinned}.items())


@pytest.mark.parametrize(
    ("rate", "guilty", "bystanders"),
    [
        (lambda about: 0.0 if about.cell.values["backend"] == "torch" else 1.0, "backend", ()),
        (lambda about: 0.0 if ("h5py", "3.16") in of_a_backend(about) else 1.0, "h5py", ("backend",)),
    ],
)
def test_of_what_a_backend_brings_along_only_what_the_other_one_has_too_is_asked(rate, guilty, bystanders) -> None:
    answers, answer = holding(rate, of_a_backend)
    (cause,) = answered(attribute(BACKEND), answer).causes
    assert [one.names for one in cause.components] == [(guilty,)]
    assert (cause.brought, cause.bystanders) == (("h5py",), bystanders)
    asked = [(about.cell.values["backend"], dict(about.pins)) for about in answers.places if about.pins]
    assert len(asked) == 2  # each backend in its own release, with the other one's h5py
    assert ("jax", {"h5py": "3.16", "jax": "0.10"}) in asked
    assert ("torch", {"h5py": "3.14", "torch": "2.13"}) in asked


def test_components_that_are_recorded_are_not_asked_again() -> None:
    stored: dict = {}
    answers, answer = holding(lambda about: 0.0 if dict(resolved(about))["numpy"] == "1.21" else 1.0, resolved)

    def storing(questions):
        stored.update(answer(questions))
        return stored

    found = answered(attribute(PYTHON), storing)
    asked = len(answers.asked)
    again = answered(attribute(PYTHON, known=stored), storing)
    assert len(answers.asked) == asked
    assert (again.causes[0].bystanders, again.trials) == (found.causes[0].bystanders, 0)


def test_the_components_share_the_budget() -> None:
    answers, answer = holding(lambda about: 0.0 if dict(resolved(about))["numpy"] == "1.21" else 1.0, resolved)
    found = answered(attribute(PYTHON, AttributeRules(budget=22)), answer)
    assert found.trials == sum(one.trials for one in answers.known.values()) <= 22


def test_a_fault_that_is_named_counts_alone() -> None:
    known = {Combination.of({"a": "2"}): evidence(0, 0, 4), Combination.of({"a": "1"}): evidence(4)}
    found = answered(attribute(factors("a"), AttributeRules(fault=FAULT), known), lambda _questions: {})
    assert (found.bad, found.causes) == (Decision.UNTESTABLE, ())


def test_a_package_that_one_side_lacks_is_asked_for_as_absent() -> None:
    lacks = Factor(name="h5py", good=None, bad="2.10.0", pinned=True)
    asked = next(attribute([lacks]))
    assert [question.about.pins for question in asked] == [(("h5py", None),), (("h5py", "2.10.0"),)]
    assert Evidence().trials == 0


@pytest.mark.parametrize("names", ["ab", "abcdef"])
def test_each_decision_gets_its_share_of_the_error(names) -> None:
    answers = world("a")
    attributed(names, answers)
    assert {one.trials for one in answers.known.values()} == {4 if len(names) == 2 else 5}
