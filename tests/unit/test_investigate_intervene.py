"""Planted switches: what flips the bad cell is repeated and reversed before anything is said to be caused by it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted import World

from runner.investigate.intervene import InterveneRules, Intervention, intervene
from runner.investigate.question import BudgetSpentError, Combination, Question, answered
from runner.outcomes.account import Decision, SearchEnding, SwitchStanding

GOOD = Combination.of({"flavour": "good"})
BAD = Combination.of({"flavour": "bad"})


def cell(flavour: str, prelude: str) -> Combination:
    return Combination.of({"flavour": flavour, "prelude": prelude})


def switch(name: str, breadth: int = 5, reverse: str = "") -> Intervention:
    return Intervention(
        name=name,
        breadth=breadth,
        on=cell("bad", name),
        reverse_name=reverse,
        reverse=cell("good", reverse) if reverse else None,
    )


def world(**rates: float | str | None) -> World:
    """The rate of success by flavour or switch; a switch that is not named changes nothing."""

    def rate(about: Combination) -> float | str | None:
        values = about.cell.values
        plain = 1.0 if values["flavour"] == "good" else 0.0
        return rates.get(values.get("prelude", values["flavour"]), plain)

    return World(rate)


def standings(found) -> dict[str, SwitchStanding]:
    return {one.name: one.standing for one in found.tested}


def tried(answers, *switches, **rules):
    return answered(intervene(GOOD, BAD, switches, InterveneRules(**rules)), answers)


def test_a_switch_that_flips_and_whose_reverse_breaks_is_the_cause() -> None:
    found = tried(world(cures=1.0, breaks=0.0), switch("cures", reverse="breaks"), switch("idle", 1))
    assert standings(found) == {"cures": SwitchStanding.CAUSED_BY, "idle": SwitchStanding.NO_EFFECT}
    cause = found.tested[0]
    assert cause.name == "cures"
    assert cause.reversed is Decision.BAD
    assert cause.repeated
    assert found.ending is SearchEnding.SURE


def test_a_switch_whose_reverse_does_not_break_only_goes_with_it() -> None:
    found = tried(world(cures=1.0), switch("cures", reverse="harmless"))
    assert standings(found) == {"cures": SwitchStanding.GOES_WITH}


@pytest.mark.parametrize("reverse", ["", "nowhere"])
def test_what_can_not_be_turned_round_needs_no_reverse(reverse: str) -> None:
    found = tried(world(cures=1.0, nowhere=""), switch("cures", reverse=reverse))
    assert standings(found) == {"cures": SwitchStanding.CAUSED_BY}


def test_of_several_that_flip_the_narrowest_comes_first() -> None:
    found = tried(world(wide=1.0, narrow=1.0), switch("wide", 9), switch("narrow", 2), switch("idle", 1))
    assert [one.name for one in found.tested] == ["narrow", "wide", "idle"]


def test_several_at_once_are_tried_only_where_none_of_them_flips_it_alone() -> None:
    both = replace(switch("both", 2), unless=frozenset({"one", "other"}))
    found = tried(world(both=1.0), switch("one", 1), switch("other", 1), both)
    expected = {"both": SwitchStanding.CAUSED_BY, "one": SwitchStanding.NO_EFFECT, "other": SwitchStanding.NO_EFFECT}
    assert standings(found) == expected
    answers = world(both=1.0, one=1.0)
    found = tried(answers, switch("one", 1), switch("other", 1), both)
    assert standings(found) == {"one": SwitchStanding.CAUSED_BY, "other": SwitchStanding.NO_EFFECT}
    assert cell("bad", "both") not in answers.places


def test_what_does_not_apply_fails_otherwise_or_disagrees_is_no_finding() -> None:
    found = tried(
        world(absent="", crashes=None, unsteady=0.5),
        *(switch(name) for name in ("absent", "crashes", "unsteady")),
        cap=12,
    )
    assert standings(found) == {
        "absent": SwitchStanding.NOT_APPLICABLE,
        "crashes": SwitchStanding.BREAKS,
        "unsteady": SwitchStanding.AMBIGUOUS,
    }


def test_on_and_off_are_tried_again_before_a_switch_is_the_cause() -> None:
    answers = world(cures=1.0)
    tried(answers, switch("cures"))
    rounds = [{question.about for question in questions} for questions in answers.asked]
    assert rounds[-2:] == [{BAD}, {cell("bad", "cures")}]


@pytest.mark.parametrize("before", [0, 12])
def test_each_switch_that_flips_is_taken_back_by_itself_however_often_the_cell_was_bad_before(before: int) -> None:
    answers = world(wide=1.0, narrow=1.0)
    for _ in range(before):
        answers((Question(about=BAD, trials=1),))
    switches = switch("wide", 9), switch("narrow", 2)
    answered(intervene(GOOD, BAD, switches, known=dict(answers.known)), answers)
    asked = [question.about for questions in answers.asked for question in questions]
    narrow, wide = (len(asked) - asked[::-1].index(cell("bad", name)) for name in ("narrow", "wide"))
    assert BAD in asked[asked.index(cell("bad", "narrow")) : narrow]
    assert BAD in asked[narrow:wide]


def test_a_switch_that_cures_once_by_luck_is_not_the_cause() -> None:
    class Lucky(World):
        def _more(self, about):
            before = self.known.get(about)
            lucky = about == cell("bad", "luck") and (before is None or before.trials < 3)
            self.rate = lambda _about: 1.0 if lucky or about.cell.values["flavour"] == "good" else 0.0
            return super()._more(about)

    found = tried(Lucky(lambda _about: 0.0), switch("luck"), cap=12)
    assert standings(found)["luck"] is not SwitchStanding.CAUSED_BY


def test_a_budget_that_ends_leaves_the_rest_untried_and_says_so() -> None:
    found = tried(world(a=1.0), switch("a"), switch("b"), budget=9)
    assert found.ending is SearchEnding.BUDGET
    assert found.trials <= 9
    assert standings(found) == {"a": SwitchStanding.UNTRIED, "b": SwitchStanding.UNTRIED}
    found = tried(world(a=1.0), switch("a"), switch("b"), budget=15)
    assert found.ending is SearchEnding.BUDGET
    assert standings(found) == {"a": SwitchStanding.GOES_WITH, "b": SwitchStanding.NO_EFFECT}, (
        "it was tried, and not repeated"
    )


def test_whoever_answers_may_end_the_budget() -> None:
    def refuse(_questions):
        raise BudgetSpentError

    found = tried(refuse, switch("a"))
    assert standings(found) == {"a": SwitchStanding.UNTRIED}
    assert found.ending is SearchEnding.BUDGET


def test_what_is_recorded_is_not_asked_again() -> None:
    answers = world(cures=1.0, breaks=0.0)
    switches = [switch("cures", reverse="breaks")]
    answered(intervene(GOOD, BAD, switches), answers)
    closed = {about: evidence.closed() for about, evidence in answers.known.items()}
    before = len(answers.asked)
    again = answered(intervene(GOOD, BAD, switches, known=closed), answers)
    assert len(answers.asked) == before
    assert again.trials == 0
    assert standings(again) == {"cures": SwitchStanding.CAUSED_BY}


def test_a_reverse_that_breaks_the_good_cell_now_and_then_breaks_it() -> None:
    good = World(lambda _about: 1.0)
    answered(intervene(GOOD, BAD, []), good)
    found = tried(world(cures=1.0, shaken=0.4), switch("cures", reverse="shaken"), cap=16)
    assert standings(found) == {"cures": SwitchStanding.CAUSED_BY}
    counts = found.tested[0].reversed_counts
    assert counts is not None
    assert counts.good > 0


def test_a_second_call_with_what_the_first_recorded_asks_nothing() -> None:
    answers = world(cures=1.0, breaks=0.0)
    switches = [switch("cures", reverse="breaks"), switch("idle")]
    answered(intervene(GOOD, BAD, switches), answers)
    before = len(answers.asked)
    assert answered(intervene(GOOD, BAD, switches, known=dict(answers.known)), answers).trials == 0
    assert len(answers.asked) == before


def test_of_two_as_narrow_the_one_whose_reverse_breaks_comes_first() -> None:
    found = tried(world(a=1.0, b=1.0, breaks=0.0), switch("a"), switch("b", reverse="breaks"))
    assert [one.name for one in found.tested] == ["b", "a"]
