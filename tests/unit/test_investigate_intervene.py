"""Planted switches: what flips the bad cell is repeated and reversed before anything is said to be caused by it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted import World

from runner.investigate.attempt import InterveneRules, Intervention
from runner.investigate.intervene import intervene
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
@pytest.mark.parametrize(("shown", "standing"), [(True, SwitchStanding.CAUSED_BY), (False, SwitchStanding.WAY_ROUND)])
def test_what_can_not_be_turned_round_is_the_cause_only_where_it_was_seen_to_differ(
    reverse: str, shown: bool, standing: SwitchStanding
) -> None:
    found = tried(world(cures=1.0, nowhere=""), replace(switch("cures", reverse=reverse), shown=shown))
    assert standings(found) == {"cures": standing}
    assert found.proven is shown


def test_the_search_ends_once_a_narrow_cause_is_proven_unless_all_is_asked() -> None:
    likely = replace(switch("likely", 1, reverse="breaks"), likely=True)
    others = [switch(name, breadth) for breadth, name in enumerate("abcdefgh", start=1)]
    answers = world(likely=1.0, breaks=0.0)
    found = tried(answers, *others, likely)
    assert next(one.name for one in found.tested) == "likely"
    assert found.spared == len(others)
    assert found.ending is SearchEnding.SURE
    whole = tried(world(likely=1.0, breaks=0.0), *others, likely, thorough=True)
    assert (len(whole.tested), whole.spared) == (9, 0)
    assert whole.trials > found.trials


def test_after_a_wide_cause_only_narrower_switches_are_tried() -> None:
    wide = replace(switch("wide", 8, reverse="breaks"), likely=True)
    others = [switch(name, breadth) for name, breadth in (("a", 9), ("b", 9), ("c", 9), ("d", 9), ("narrow", 2))]
    fillers = [replace(switch(f"filler{number}", 1), likely=True) for number in range(3)]
    found = tried(world(wide=1.0, breaks=0.0, narrow=1.0), wide, *fillers, *others)
    assert {"wide", "narrow"} <= set(standings(found))
    assert found.spared == 4


def test_where_the_cell_breaks_before_chance_comes_in_one_trial_shows_that_a_switch_changes_nothing() -> None:
    class Crashing(World):
        def _more(self, about):
            found = super()._more(about)
            return replace(found, certain=True) if found.faults and found.trials > 1 else found

    found = tried(Crashing(lambda about: float(about.cell.values["flavour"] == "good")), switch("idle"))
    assert standings(found) == {"idle": SwitchStanding.NO_EFFECT}
    assert found.tested[0].on.trials <= 2


def test_a_switch_with_which_some_trials_pass_moves_some() -> None:
    found = tried(world(half=0.5), switch("half"))
    assert standings(found) == {"half": SwitchStanding.PARTIAL}


def test_two_of_many_defaults_that_act_only_together_are_named_with_what_each_does_alone() -> None:
    parts = [switch(f"default{number}", 1, reverse=f"turned{number}") for number in range(7)]
    whole = replace(switch("all", 2), unless=frozenset(one.name for one in parts))

    def rate(about: Combination) -> float:
        named = set((about.cell.get("prelude") or "").split())
        if about.cell.values["flavour"] == "good":
            return float(not {"turned2", "turned5"} <= named)
        return float({"default2", "default5"} <= named or "all" in named)

    found = tried(World(rate), *parts, whole)
    first = found.tested[0]
    assert (first.name, first.standing) == ("default2 + default5", SwitchStanding.CAUSED_BY)
    assert [(one.name, one.alone.good) for one in first.parts] == [("default2", 0), ("default5", 0)]
    assert "all" not in standings(found)


@pytest.mark.parametrize("guilty", [None, "default3"])
def test_many_defaults_are_first_made_at_once_and_one_that_does_it_is_found_by_halves(guilty: str | None) -> None:
    parts = [replace(switch(f"default{number}", 1, reverse=f"turned{number}"), likely=True) for number in range(16)]
    whole = replace(switch("all", 2), unless=frozenset(one.name for one in parts), likely=True)

    def rate(about: Combination) -> float:
        named = set((about.cell.get("prelude") or "").split())
        if about.cell.values["flavour"] == "good":
            return float("turned3" not in named)
        return float(guilty is not None and bool({guilty, "all"} & named))

    answers = World(rate)
    found = tried(answers, *parts, whole)
    if guilty is None:
        assert standings(found) == {"all": SwitchStanding.NO_EFFECT}
        assert found.trials == 12
    else:
        assert standings(found)["default3"] is SwitchStanding.CAUSED_BY
        assert len(found.tested) < 4
        assert found.trials < 40


def test_switches_that_each_move_some_trials_are_tried_together() -> None:
    def rate(about: Combination) -> float:
        named = set((about.cell.get("prelude") or "").split())
        if about.cell.values["flavour"] == "good":
            return 1.0
        return (0.0, 0.5, 1.0)[len(named & {"one", "other"})]

    found = tried(World(rate), switch("one"), switch("other"), switch("idle"))
    assert found.tested[0].name == "one + other"
    assert {"one", "other"} <= {one.name for one in found.tested if one.standing is SwitchStanding.PARTIAL}
    assert all(0 < part.alone.good < part.alone.trials for part in found.tested[0].parts)


def test_of_several_that_flip_the_narrowest_comes_first() -> None:
    found = tried(world(wide=1.0, narrow=1.0), switch("wide", 9), switch("narrow", 2), switch("idle", 1))
    assert [one.name for one in found.tested] == ["narrow", "wide", "idle"]


def test_several_at_once_are_tried_only_where_none_of_them_flips_it_alone() -> None:
    both = replace(switch("both", 2), unless=frozenset({"one", "other"}))
    found = tried(world(both=1.0), switch("one", 1), switch("other", 1), both)
    expected = {"both": SwitchStanding.WAY_ROUND, "one": SwitchStanding.NO_EFFECT, "other": SwitchStanding.NO_EFFECT}
    assert standings(found) == expected
    answers = world(both=1.0, one=1.0)
    found = tried(answers, switch("one", 1), switch("other", 1), both)
    assert standings(found) == {"one": SwitchStanding.WAY_ROUND, "other": SwitchStanding.NO_EFFECT}
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
        "unsteady": SwitchStanding.PARTIAL,
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
