"""The sentences of an account: every finding gives one that names its evidence, and none says more."""

from __future__ import annotations

import pytest
from made_account import made_account

from runner.explain.account_sentences import flips_sentence, sentences_of, unknown_of
from runner.explain.fix import Mended
from runner.outcomes.account import (
    Account,
    Bisection,
    Cause,
    Counts,
    Decision,
    Factor,
    Flip,
    NameLookup,
    RemovedName,
    SearchEnding,
    Share,
    SwitchFinding,
    SwitchStanding,
    TraceFinding,
    Tried,
)
from runner.outcomes.tried_fix import Fix, FixKind, FixStanding, advice_of

CURES = SwitchFinding(
    name="cures",
    does="variables are resource variables",
    how="a call",
    breadth=1,
    standing=SwitchStanding.CAUSED_BY,
    on=Counts(good=6, bad=1, trials=7),
    reverse="turned",
    reversed=Decision.BAD,
    reversed_counts=Counts(good=4, bad=12, trials=16),
    repeated=True,
    off=Counts(bad=3, trials=3),
)
IDLE = SwitchFinding(
    name="idle", does="x", how="y", breadth=1, standing=SwitchStanding.NO_EFFECT, on=Counts(bad=2, trials=2)
)
INNER = Cause(
    factors=(Factor(name="numpy", good="1.16.0", bad="1.21.0", pinned=True),),
    without=Decision.GOOD,
    probability=0.99,
)
CAUSE = Cause(
    factors=(Factor(name="python", good="3.7", bad="3.8"), Factor(name="h5py", good=None, bad="3.1.0")),
    coupled=("h5py",),
    bystanders=("python",),
    brought=("numpy", "scipy"),
    without=Decision.GOOD,
    probability=0.987,
    components=(INNER,),
)
REMOVED = RemovedName(
    kind="attribute",
    owner="Sequential",
    name="fit_generator",
    good=NameLookup(where="keras.Sequential", there=True, said="Please use fit"),
    bad=NameLookup(where="keras.Sequential", there=False, near=("fit", "fit_step")),
)


def walked(*places: tuple[str, Decision, int], flip: tuple[int, int] | None) -> Bisection:
    return Bisection(
        axis="tensorflow",
        places=tuple(
            Tried(values={"tensorflow": version}, told=decision, counts=Counts(trials=trials))
            for version, decision, trials in places
        ),
        flips=(Flip(before=flip[0], after=flip[1], breaks=True, probability=0.94),) if flip else (),
        probability=0.94,
        ending=SearchEnding.BUDGET,
        trials=4,
        decisions=2,
    )


WALKED = walked(
    ("2.1.2", Decision.GOOD, 2),
    ("2.1.0", Decision.GOOD, 0),
    ("2.0.1", Decision.UNDECIDED, 0),
    ("2.0.0", Decision.UNTESTABLE, 1),
    ("1.15.5", Decision.BAD, 2),
    flip=(1, 4),
)


def naming(account: Account, *evidence: str) -> list[str]:
    """The sentences that name all of this evidence."""
    return [sentence for sentence in sentences_of(account) if all(one in sentence for one in evidence)]


@pytest.mark.parametrize(
    ("finding", "evidence"),
    [
        ({}, ("import=tf.keras", "4 of 4", "import=keras", "fails (nan)", "0.029")),
        ({"causes": (CAUSE,)}, ("python", "3.7", "3.8", "h5py", "3.1.0", "0.987", "numpy", "1.16.0", "1.21.0")),
        ({"bisections": (WALKED,)}, ("tensorflow 2.1.0 → 1.15.5", "0.940", "3 of 5", "2.0.1", "2.0.0")),
        ({"bisections": (walked(("1.0.0", Decision.UNDECIDED, 0), flip=None),)}, ("tensorflow", "1 of 1")),
        ({"removed": REMOVED}, ("Sequential", "fit_generator", "fit, fit_step")),
        ({"removed": REMOVED}, ("Please use fit",)),
        (
            {"removed": REMOVED.model_copy(update={"kind": "argument", "owner": "SGD", "name": "lr"})},
            ("SGD", "lr="),
        ),
        (
            {"switches": (CURES,)},
            ("cures", "variables are resource variables", "6 of 7", "3 of 3", "turned", "12 of 16"),
        ),
        ({"switches": (CURES.model_copy(update={"standing": SwitchStanding.GOES_WITH}),)}, ("cures", "6 of 7")),
        ({"switches": (CURES, CURES.model_copy(update={"name": "wider"}))}, ("wider", "6 of 7")),
        ({"switches": (CURES, IDLE)}, ("idle",)),
        ({"trace": TraceFinding(sentence="Step 7: the loss differs.", step=7, recorded=9, last=9)}, ("Step 7",)),
    ],
)
def test_every_kind_of_finding_has_one_sentence_that_names_its_evidence(
    finding: dict[str, object], evidence: tuple[str, ...]
) -> None:
    bare = {"bisections": (), "switches": (), "trace": None, "pair": None}
    assert len(naming(made_account(**{**bare, **finding}), *evidence)) == 1


def test_the_first_three_sentences_say_what_since_when_and_what_to_do_without_statistics() -> None:
    first = list(sentences_of(made_account()))[:3]
    assert first == [
        "With import keras the training ends at NaN; with import tf.keras it does not.",
        "Along the releases of tensorflow it breaks with 1.9.0 (1.8.0 is the last before it).",
        "It passes once variables are resource variables: that is the cause.",
    ]


def test_what_a_budget_left_unasked_is_not_told_as_not_to_be_found() -> None:
    bare = {"bisections": (), "switches": (), "removed": None}
    for ended in (False, True):
        account = Mended(fixes=()).told_in(made_account(**bare, ended=ended), trials=0)
        told = (list(sentences_of(account))[2], *account.advice)
        assert ["the budget" in one for one in told] == [ended, ended]
    (one,) = advice_of([Fix(kind=FixKind.EDIT, says="x", because="y", standing=FixStanding.UNTRIED)], ended=True)
    assert one == "Not run, since the budget ended first: x."


@pytest.mark.parametrize(
    ("flip", "told"),
    [((0, 1), "it breaks with 2.1.0 (2.1.2 is the first after it)."), ((1, 4), "somewhere between 1.15.5 and 2.1.0.")],
)
def test_releases_that_were_walked_backwards_are_told_so(flip: tuple[int, int], told: str) -> None:
    places = [(place.values["tensorflow"], place.told, place.counts.trials) for place in WALKED.places]
    _, since, *_ = sentences_of(made_account(bisections=(walked(*places, flip=flip),)))
    assert since.endswith(told)


def test_where_nothing_mends_it_the_last_of_several_good_spans_is_named() -> None:
    (walked,) = made_account().bisections
    places = [
        place.model_copy(update={"told": Decision.GOOD if number in {0, 2} else Decision.BAD})
        for number, place in enumerate(walked.places)
    ]
    flips = [Flip(before=number, after=number + 1, breaks=number != 1, probability=0.98) for number in range(3)]
    several = walked.model_copy(update={"places": tuple(places), "flips": tuple(flips)})
    said = list(sentences_of(made_account(bisections=(several,), switches=())))[2]
    assert said.endswith(f"tensorflow {places[2].values['tensorflow']} is the last release that was seen to pass.")


def test_an_axis_that_only_brought_the_culprit_along_is_called_innocent_first() -> None:
    cause = CAUSE.model_copy(
        update={"factors": CAUSE.factors[:1], "coupled": (), "inseparable": "numpy 1.21.0 has no wheel for CPython 3.7"}
    )
    sentences = list(sentences_of(made_account(causes=(cause,))))
    assert sentences[0].startswith(
        "python 3.7 → 3.8 makes no difference by itself: with numpy 1.16.0, python 3.8 is good."
    )
    assert "no wheel for CPython 3.7" in sentences[0]
    assert not any("alone makes the difference" in one for one in sentences)


def test_a_switch_that_only_avoids_the_fault_is_a_way_round_and_never_the_cause() -> None:
    around = CURES.model_copy(update={"standing": SwitchStanding.WAY_ROUND, "reversed": None, "reversed_counts": None})
    said = list(sentences_of(made_account(switches=(around,))))
    assert said[2].startswith("A way round: it passes where variables are resource variables")
    assert not any("caused by" in one or "the cause." in one for one in said)
    part = Share(name="one", does="x", alone=Counts(good=1, bad=7, trials=8))
    joint = CURES.model_copy(update={"name": "one + other", "parts": (part, part.model_copy(update={"name": "other"}))})
    assert naming(made_account(switches=(joint,)), "with one alone it passes in 1 of 8 trials", "other")


def test_a_level_that_tells_two_cells_apart_is_the_only_meaning_of_passing_in_its_sentence() -> None:
    (sentence,) = naming(made_account(leveled=True), "The difference is real")
    assert "converges" not in sentence
    assert "median final 1e-08" in sentence


def test_what_moves_a_part_is_told_and_then_nothing_is_said_to_move_none() -> None:
    some = IDLE.model_copy(update={"standing": SwitchStanding.PARTIAL, "on": Counts(good=8, bad=8, trials=16)})
    assert naming(made_account(switches=(some,)), "moves a part", "8 of 16")
    assert not any("no switch" in one for one in unknown_of(made_account(switches=(some,)), ended=False))


def test_what_calls_are_given_otherwise_is_told_first_and_why_switches_were_spared() -> None:
    given = TraceFinding(sentence="Before the model: x is object.", step=0, recorded=0, last=0, given=True)
    account = made_account(trace=given, switches=(), spared=17)
    said = list(sentences_of(account))
    assert said[0].endswith("it does not. Before the model: x is object.")
    assert sum("x is object" in one for one in said) == 1
    assert any("17 further switches" in one and "before the model" in one for one in unknown_of(account, ended=False))
    proven = made_account(spared=1)
    assert any("1 further switch," in one and "proven" in one for one in unknown_of(proven, ended=False))


def test_a_base_image_that_changed_with_the_versions_is_told_as_unknown() -> None:
    told = "What the base image does: the good cell stands on the usual one, the bad one on cuda:1"
    for bases, number in ((("", "cuda:1"), 1), (("cuda:1", "cuda:1"), 0), ((), 0)):
        unknown = list(unknown_of(made_account(), ended=False, bases=bases))
        assert sum(one.startswith(told) for one in unknown) == number


def test_where_the_trainings_are_the_same_that_is_why_switches_were_spared() -> None:
    same = TraceFinding(sentence="The two agree.", step=0, recorded=4, last=4)
    assert (same.agrees, TraceFinding(sentence="", step=0, recorded=0, last=0).agrees) == (True, False)
    unsaid = unknown_of(made_account(trace=same, switches=(), spared=9), ended=False)
    assert any("the trainings are the same: 9 further switches" in one for one in unsaid)


def test_cells_that_do_not_differ_are_compared_and_nothing_else_is_said_of_them() -> None:
    flaky = made_account().good.model_copy(update={"outcome": "flaky (coin flip)"})
    account = made_account(real=False, comparison="p = 0.4", good=flaky, bad=flaky)
    first, *rest = sentences_of(account)
    assert "p = 0.4" in first
    assert len(rest) == 2, "that the seed decides, and that nothing further was tried"
    assert not any("tensorflow" in sentence or "resource-variables" in sentence for sentence in rest)
    assert len(list(sentences_of(account.model_copy(update={"good": made_account().good})))) == 2


def test_a_difference_in_how_trials_end_is_told_by_the_exception_and_without_a_p_value() -> None:
    broken = made_account().bad.model_copy(update={"outcome": "breaks (crashed-import)", "counted": 2})
    account = made_account(ending=True, fault="AttributeError: no 'object' (import)", bad=broken, p=0.029, tried=())
    first, *_, real = [one for one in sentences_of(account) if "AttributeError" in one]
    assert (
        first == "With import keras the script ends with AttributeError: no 'object'; with import tf.keras it does not."
    )
    assert real == (
        "The difference is real: the trial ends with AttributeError: no 'object' (import): import=keras in 2 of 2"
        " trials (breaks (crashed-import)); import=tf.keras in 0 of 4 trials (converges, median final 1e-08)."
    )


def test_a_reverse_that_could_not_be_tried_or_leaves_the_good_cell_good_is_not_said_to_break_it() -> None:
    untested = CURES.model_copy(
        update={"reversed": Decision.UNTESTABLE, "reversed_counts": Counts(other=2, trials=2), "off": None}
    )
    (sentence,) = naming(made_account(switches=(untested,)), "cures", "turned")
    assert " of 2" not in sentence, "trials that tested nothing are no evidence"
    harmless = CURES.model_copy(update={"reversed": Decision.GOOD, "reversed_counts": Counts(good=2, trials=2)})
    (sentence,) = naming(made_account(switches=(harmless,)), "turned", "passes in 2 of 2")
    assert "0 of 2" not in sentence


def test_cells_that_switches_were_tried_on_are_named_where_they_are_not_those_asked_about() -> None:
    asked = made_account()
    pair = ({**asked.good.values, "tensorflow": "2.10.1"}, {**asked.good.values, "tensorflow": "2.11.0"})
    named = "tensorflow=2.10.1", "tensorflow=2.11.0"
    assert naming(made_account(pair=pair), *named)
    assert not naming(made_account(pair=(asked.good.values, asked.bad.values)), *named)


def test_a_step_names_what_was_not_decided_and_which_side_was_not_tried() -> None:
    sentence = flips_sentence(WALKED)
    doubts = sentence.partition("1.15.5 (")[2].partition(")")[0].split("; ")
    assert [doubt.partition(" ")[0] for doubt in doubts] == ["2.0.1", "2.0.0", "2.1.0"]
    unknown = list(unknown_of(made_account(bisections=(WALKED,)), ended=True))
    assert sum("1 of 5" in one and "2.0.1" in one for one in unknown) == 1
    assert sum("1 of 5" in one and "2.0.0" in one for one in unknown) == 1


def unknown(*, ended: bool = False, **changes: object) -> list[str]:
    """What is unknown with these changes and not without them."""
    plain = {"bisections": (), "switches": (CURES,)}
    before = set(unknown_of(made_account(**plain), ended=False))
    return [one for one in unknown_of(made_account(**{**plain, **changes}), ended=ended) if one not in before]


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"causes": ()}, ()),
        ({"causes": (CAUSE.model_copy(update={"components": ()}),)}, ("python and h5py", "2", "numpy, scipy")),
        ({"trace": TraceFinding(sentence="", step=0, recorded=0, last=0, notes=("No step.",))}, ("No step.",)),
        ({"switches": (IDLE,)}, ("switch",)),
        ({"switches": ()}, ("switch",)),
        (
            {
                "switches": (
                    CURES,
                    IDLE.model_copy(
                        update={"name": "explicit-a", "does": "A gets b=1", "standing": SwitchStanding.NOT_APPLICABLE}
                    ),
                )
            },
            ("A gets b=1",),
        ),
        (
            {"switches": (CURES, IDLE.model_copy(update={"name": "later", "standing": SwitchStanding.UNTRIED}))},
            ("later",),
        ),
    ],
)
def test_everything_that_stays_unknown_is_named(changes: dict[str, object], evidence: tuple[str, ...]) -> None:
    (sentence,) = unknown(**changes)
    assert all(one in sentence for one in evidence)


def test_a_budget_that_ended_is_named() -> None:
    (sentence,) = unknown(ended=True)
    assert "budget" in sentence


def test_where_something_is_gone_no_switch_is_missed() -> None:
    assert len(unknown(switches=(IDLE,))) == 1
    assert unknown(switches=(IDLE,), removed=REMOVED) == []
