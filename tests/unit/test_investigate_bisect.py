"""Planted flips along an axis: found, told, within their decisions, resumed from what is stored."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import FAULT, OTHER, World, along, axis, evidence

from runner.investigate.belief import Evidence, belief, likelihood
from runner.investigate.bisect import BisectRules, FlipChain, bisect, fault_sought
from runner.investigate.question import Combination, answered
from runner.outcomes.account import Decision, SearchEnding

RULES = BisectRules(fault=FAULT)


def bisected(rates, rules=RULES, known=None, seed=0):
    world = World(along(rates), seed=seed, known=dict(known or {}))
    return answered(bisect(axis(len(rates)), rules, known), world), world


def rates_of(n, *flips, start=1.0):
    """An axis that starts good (or bad, at 0.0) and flips at each of these places."""
    return [start if sum(flip <= place for flip in flips) % 2 == 0 else 1.0 - start for place in range(n)]


def steps(found):
    return [(flip.before, flip.after) for flip in found.flips]


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))), st.sampled_from([0.0, 1.0]))
@settings(max_examples=30, deadline=None)
def test_one_flip_between_known_ends_is_found_in_at_most_log2_n_plus_2_decisions(n_and_flip, start) -> None:
    n, flip = n_and_flip
    places = axis(n)
    ends = {
        places[0]: evidence(4, 0) if start else evidence(0, 4),
        places[-1]: evidence(0, 4) if start else evidence(4),
    }
    found, world = bisected(rates_of(n, flip, start=start), known=ends)
    assert steps(found) == [(flip - 1, flip)]
    assert found.flips[0].breaks is bool(start)
    assert len(world.places - set(ends)) <= math.log2(n) + 2
    assert found.ending is SearchEnding.SURE
    assert found.probability >= RULES.confidence


def test_each_side_of_a_flip_gets_as_many_trials_as_decide_a_cell() -> None:
    found, _ = bisected(rates_of(40, 17))
    for side in (found.places[16], found.places[17]):
        assert side.counts.trials >= RULES.lead


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_span_between_ends_that_are_alike_is_found(start) -> None:
    found, world = bisected(rates_of(60, 23, 35, start=start))
    assert steps(found) == [(22, 23), (34, 35)]
    assert [flip.breaks for flip in found.flips] == [bool(start), not start]
    assert len(world.places) < 40


def test_an_axis_without_a_flip_is_sampled_and_says_so() -> None:
    found, world = bisected(rates_of(60))
    assert found.flips == ()
    assert {place.told for place in found.places} == {Decision.GOOD}
    assert 10 < len(world.places) < 40
    assert found.trials == sum(one.trials for one in world.known.values()) < 90


def test_three_flips_are_found_where_none_is_taken_to_be_unlikely() -> None:
    rates = rates_of(40, 8, 20, 31)
    found, _ = bisected(rates, BisectRules(fault=FAULT, further=1.0))
    assert steps(found) == [(7, 8), (19, 20), (30, 31)]


def test_untestable_places_are_stepped_around_and_named() -> None:
    rates = rates_of(30, 14)
    rates[12:16] = [None, "", None, None]
    found, _ = bisected(rates)
    assert steps(found) == [(11, 16)]
    assert list(found.flips[0].between) == [12, 13, 14, 15]
    assert {found.places[place].told for place in found.flips[0].between} == {Decision.UNTESTABLE}


def test_failing_by_another_fault_is_untestable_not_bad() -> None:
    found, _ = bisected([1.0, 1.0, None, None, None, None, 0.0, 0.0], BisectRules())
    assert found.fault == FAULT
    assert steps(found) == [(1, 6)]


def test_a_coin_flip_beside_a_flip_is_ambiguous_and_the_search_goes_on() -> None:
    rates = rates_of(30, 11)
    rates[11] = 0.5
    found, world = bisected(rates, BisectRules(fault=FAULT, cap=12), seed=3)
    assert steps(found) == [(10, 12)]
    assert found.places[11].told is Decision.AMBIGUOUS
    assert world.known[axis(30)[11]].trials == 12


def test_a_flaky_cell_gets_more_seeds_and_does_not_lead_astray() -> None:
    rates = [0.75 if rate else 0.25 for rate in rates_of(24, 9)]
    found, world = bisected(rates, BisectRules(fault=FAULT, cap=60), seed=5)
    assert steps(found) == [(8, 9)]
    assert max(one.trials for one in world.known.values()) > 8


def test_nothing_testable_is_told_as_such() -> None:
    found, _ = bisected([""] * 9)
    assert found.flips == ()
    assert {place.told for place in found.places} == {Decision.UNTESTABLE}
    assert found.ending is SearchEnding.EXHAUSTED


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_planted_flips_are_all_inside_what_is_told(data) -> None:
    n = data.draw(st.integers(2, 30))
    flips = data.draw(st.sets(st.integers(1, n - 1), max_size=2))
    rates: list = rates_of(n, *flips, start=data.draw(st.sampled_from([0.0, 1.0])))
    for place in data.draw(st.sets(st.integers(0, n - 1), max_size=n // 3)):
        rates[place] = data.draw(st.sampled_from([None, ""]))
    found, _ = bisected(rates, BisectRules(fault=FAULT, confidence=0.9999))
    told = [place for place in range(n) if isinstance(rates[place], float)]
    assert steps(found) == [pair for pair in pairwise(told) if rates[pair[0]] != rates[pair[1]]]


@given(st.integers(0, 10_000), st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_a_search_that_was_cut_off_goes_on_with_the_same_questions(seed, cut) -> None:
    rates = [0.9 if rate else 0.1 for rate in rates_of(30, 7, 19)]
    whole, world = bisected(rates, seed=seed)
    part = World(along(rates), seed=seed)
    for questions in world.asked[:cut]:
        part(questions)
    resumed, again = bisected(rates, known=part.known, seed=seed)
    assert again.asked == world.asked[cut:]
    assert (resumed.places, resumed.flips, resumed.probability) == (whole.places, whole.flips, whole.probability)


@given(st.permutations(range(12)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_what_is_known_does_not_matter(order) -> None:
    places = axis(12)
    stored = {places[place]: evidence(2) if place < 5 else evidence(0, 2) for place in order}
    found, world = bisected(rates_of(12, 5), known=stored)
    reference, other = bisected(rates_of(12, 5), known={place: stored[place] for place in places})
    assert found == reference
    assert world.asked == other.asked


def test_what_is_recorded_is_not_asked_again() -> None:
    rates = rates_of(20, 6)
    whole, world = bisected(rates)
    again, other = bisected(rates, known=world.known)
    assert other.asked == []
    assert (again.trials, again.decisions, again.recorded) == (0, 0, whole.trials)
    assert again.flips == whole.flips


@given(st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_a_budget_is_kept_and_what_is_known_by_then_is_told(budget) -> None:
    found, world = bisected(rates_of(50, 12, 30), BisectRules(fault=FAULT, budget=budget))
    assert found.trials == sum(one.trials for one in world.known.values()) <= budget
    assert found.ending is SearchEnding.SURE or found.trials == budget
    for flip in found.flips:
        assert any(flip.before < true <= flip.after for true in (12, 30))


def test_a_small_budget_leaves_a_wide_span_untold() -> None:
    found, _ = bisected(rates_of(64, 20), BisectRules(fault=FAULT, budget=8))
    (flip,) = found.flips
    assert flip.before < 20 <= flip.after
    assert {found.places[place].told for place in flip.between} == {Decision.UNDECIDED}


def test_an_answer_without_new_trials_ends_the_questions_about_its_place() -> None:
    found = answered(bisect(axis(9), RULES), lambda _questions: {})
    assert found.trials == 0
    assert {place.told for place in found.places} == {Decision.UNTESTABLE}


def test_an_axis_of_one_place_has_no_flip() -> None:
    found, world = bisected([0.0])
    assert (found.flips, [place.told for place in found.places]) == ((), [Decision.BAD])
    assert [len(questions) for questions in world.asked] == [1]


def test_copies_decide_with_one_observation() -> None:
    places = axis(2)
    known = {
        places[0]: Evidence(good=1, trials=2, certain=True, exhausted=True),
        places[1]: Evidence(faults=((FAULT, 1),), trials=2, certain=True, exhausted=True),
    }
    found, world = bisected(rates_of(2, 1), known=known)
    assert (steps(found), world.asked) == ([(0, 1)], [])
    assert found.probability > 0.99


def test_the_fault_is_that_of_the_last_bad_end_else_the_most_frequent_one() -> None:
    bad, other = evidence(0, 2), evidence(0, 0, 2)
    assert fault_sought((other, evidence(2), bad)) == FAULT
    assert fault_sought((other, evidence(2), evidence(2))) == OTHER
    assert fault_sought((evidence(2), other, evidence(0, 3), evidence(2))) == FAULT
    assert fault_sought((evidence(2), None, evidence(2))) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=7), st.floats(0.01, 1))
@settings(max_examples=30, deadline=None)
def test_the_chain_agrees_with_adding_up_every_path(counts, further) -> None:
    weights = [(likelihood(good, bad), likelihood(bad, good)) for good, bad in counts]
    n = len(weights) - 1
    paths = {}
    for bits in range(2 ** (n + 1)):
        path = [bool(bits >> place & 1) for place in range(n + 1)]
        flips = sum(one is not other for one, other in pairwise(path))
        prior = 1 / math.comb(n, min(flips, 2)) if n >= flips or flips < 2 else 0.0
        prior *= (further * 3 / max(n - 2, 1)) ** max(flips - 2, 0)
        paths[tuple(path)] = prior * math.prod(weights[place][not good] for place, good in enumerate(path))
    total = sum(paths.values())
    chain = FlipChain(weights=weights, further=further)
    for place, share in enumerate(chain.good()):
        assert share == pytest.approx(sum(one for path, one in paths.items() if path[place]) / total)
    claim = {0: True, n: False}
    wanted = sum(one for path, one in paths.items() if path[0] and not path[n]) / total
    assert chain.probability(claim) == pytest.approx(wanted)


def test_the_likelihood_of_counts_adds_up_over_all_orders() -> None:
    for n in (1, 4, 9):
        assert sum(math.comb(n, k) * likelihood(k, n - k) for k in range(n + 1)) == pytest.approx(1)


def test_doubt_falls_with_every_agreeing_trial() -> None:
    doubts = [1 - belief(evidence(n), FAULT) for n in range(2, 6)]
    assert doubts == pytest.approx([0.0135, 0.0052, 0.0021, 0.0009], rel=0.02)
    assert belief(evidence(4), FAULT) == pytest.approx(1 - belief(evidence(0, 4), FAULT))
    assert belief(evidence(2, 2), FAULT) == pytest.approx(0.5)
    assert belief(Evidence(blocked="x"), FAULT) == 0.5


def test_a_combination_is_named_by_its_values_and_pins() -> None:
    named = Combination.of({"tensorflow": "2.4.0", "python": "3.8"}, {"numpy": "1.19.5", "h5py": None})
    assert str(named) == "tensorflow=2.4.0,python=3.8,numpy=1.19.5,h5py=none"


def test_a_release_that_crashes_the_same_way_every_time_is_bad_also_between_good_ones() -> None:
    places = axis(6)
    crashed = evidence(bad=2, certain=True, exhausted=True)
    known = dict(zip(places, [evidence(6), evidence(4), crashed, evidence(8), crashed, crashed], strict=True))
    found = answered(bisect(places, BisectRules(fault=FAULT), known), lambda _questions: known)
    assert [(flip.before, flip.after) for flip in found.flips] == [(1, 2), (2, 3), (3, 4)]
