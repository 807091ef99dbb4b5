"""The account in words: it names what experiments showed, and never says more."""

from __future__ import annotations

from made_account import made_account

from runner.explain.words import sentences_of, unknown_of
from runner.outcomes import account as out
from runner.outcomes.account import Counts, Switch


def test_a_reverse_that_could_not_be_tried_is_not_said_to_break() -> None:
    untried = Switch(
        name="cures",
        does="x",
        how="y",
        breadth=1,
        standing="caused by",
        on=Counts(good=5, trials=5),
        reverse="turned",
        reversed="untestable",
        reversed_counts=Counts(other=2, trials=2),
        repeated=True,
    )
    said = " ".join(sentences_of(made_account(switches=(untried,))))
    assert "could not be put to the test" in said
    assert "breaks the good cell" not in said


def test_a_reverse_that_leaves_the_good_cell_good_is_not_said_to_break_it() -> None:
    found = Switch(
        name="cures",
        does="x",
        how="y",
        breadth=1,
        standing="goes with",
        on=Counts(good=6, trials=6),
        reverse="turned",
        reversed="good",
        reversed_counts=Counts(good=2, trials=2),
        repeated=True,
        off=Counts(bad=2, trials=2),
    )
    said = " ".join(sentences_of(made_account(switches=(found,))))
    assert "with it the bad cell is good in 6 of 6 trials, without it bad in 2 of 2" in said
    assert "its reverse, turned, does not break the good cell (good in 2 of 2 trials)" in said


def test_cells_that_switches_were_tried_on_are_named_where_they_are_not_those_asked_about() -> None:
    asked = made_account()
    pair = ({**asked.good.values, "tensorflow": "2.10.1"}, {**asked.good.values, "tensorflow": "2.11.0"})
    said = " ".join(sentences_of(made_account(pair=pair)))
    assert "the good cell is tensorflow=2.10.1, the bad cell tensorflow=2.11.0." in said
    same = made_account(pair=(asked.good.values, asked.bad.values))
    assert not any("What follows" in sentence for sentence in sentences_of(same))


def test_where_something_is_gone_it_is_not_said_that_no_switch_of_the_catalogue_flips_it() -> None:
    idle = Switch(name="idle", does="x", how="y", breadth=1, standing="does not matter", on=Counts(bad=2, trials=2))
    gone = out.Removed(kind="attribute", owner="Sequential", name="fit_generator")
    assert not any(
        "The mechanism" in one for one in unknown_of(made_account(switches=(idle,), removed=gone), ended=False)
    )
    assert any("The mechanism" in one for one in unknown_of(made_account(switches=(idle,)), ended=False))


def test_a_step_tells_what_was_not_decided_and_which_side_was_not_tried() -> None:
    told = [
        ("2.1.2", "good", 2),
        ("2.1.0", "good", 0),
        ("2.0.1", "untold", 0),
        ("2.0.0", "untestable", 1),
        ("1.15.5", "bad", 2),
    ]
    places = tuple(
        out.Tried(values={"tensorflow": version}, told=kind, counts=Counts(trials=trials))
        for version, kind, trials in told
    )
    walked = out.Bisection(
        axis="tensorflow",
        places=places,
        flips=(out.Flip(before=1, after=4, breaks=True, probability=0.94),),
        probability=0.94,
        ending="budget",
        trials=4,
        decisions=2,
    )
    account = made_account(bisections=(walked,))
    said, unknown = " ".join(sentences_of(account)), " ".join(unknown_of(account, ended=True))
    step = "2.1.0 → 1.15.5 (2.0.1 in between not decided; 2.0.0 in between can't be told; 2.1.0 not tried)"
    assert step in said
    assert "Of 1 of 5 values of tensorflow no side is decided: 2.0.1." in unknown
    assert "Of 1 of 5 values of tensorflow nothing can be told: 2.0.0." in unknown


def test_while_switches_are_untried_it_is_not_said_that_none_of_the_catalogue_flips_it() -> None:
    idle = Switch(name="idle", does="x", how="y", breadth=1, standing="does not matter", on=Counts(bad=2, trials=2))
    untried = idle.model_copy(update={"name": "later", "standing": "not tried", "on": Counts()})
    unknown = list(unknown_of(made_account(switches=(idle, untried)), ended=True))
    assert "The mechanism: no switch of those tried flips it." in unknown
    assert "Not tried: later." in unknown
