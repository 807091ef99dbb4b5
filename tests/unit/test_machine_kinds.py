"""Times are compared only within a kind of machine, or in pairs that ran side by side; outcomes always are."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from outcomes_records import LEARNS, cell_result, epochs, record
from six_releases import TEXT, VERSIONS, FakeCatalog, good, values

from runner.engines.gpu import Gpu
from runner.engines.processor import model_in
from runner.engines.protocol import Slot
from runner.errors import UsageError
from runner.explain.measures import Criterion, walk_costs
from runner.explain.sides import cell_and_ends
from runner.matrix.cell_id import CellId
from runner.matrix.criterion import CostLimit, Measure
from runner.matrix.matrix_file import Matrix
from runner.matrix.model import Judging, Seeds
from runner.outcomes import paired
from runner.outcomes.comparing import compare
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.judging import verdict_of
from runner.outcomes.machine_kind import Machines, comparable, kinds_sentence, times_told
from runner.outcomes.observation import Observation
from runner.outcomes.paired import difference_of_pairs
from runner.outcomes.result import ComparisonResult
from runner.outcomes.verdict import Label
from runner.session.options import Options
from runner.session.session import open_session
from runner.trials import execution

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.engines.protocol import Ending, Image, Job
    from runner.trials.record import Record


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        (
            "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC  7B13\n\nprocessor\t: 1\n",
            "AMD EPYC 7B13",
        ),
        ("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "ARM 0x41 part 0xd0c"),
        ("model name\t: a\x1b[31m\u202eb" + "x" * 200, "a [31m b" + "x" * 112),
        ("", ""),
    ],
)
def test_the_model_of_a_processor_is_one_plain_line_whatever_a_machine_says(cpuinfo: str, model: str) -> None:
    assert model_in(cpuinfo) == model


def costly(name: str, processor: str | None, seconds: float, judging: Judging):
    records = [record(*LEARNS, seed=seed, duration_s=seconds, processor=processor) for seed in range(4)]
    records = [one.model_copy(update={"peak_memory_bytes": int(1e8 * seconds)}) for one in records]
    return CellId.of({"tensorflow": name}), [(one, verdict_of(one, judging=judging)) for one in records]


def judged(measure: Measure, *cells: tuple[str, str | None, float]):
    judging = Judging(costs=(CostLimit(measure=measure, factor=1.5),))
    made = [costly(name, processor, seconds, judging) for name, processor, seconds in cells]
    return judge_matrix(made, Seeds(), judging=judging, baseline={"tensorflow": cells[0][0]}).cells


def test_a_limit_of_time_judges_no_trial_of_another_processor_and_one_of_memory_does() -> None:
    cells = (("1", "EPYC", 10.0), ("2", "EPYC", 30.0), ("3", "Xeon", 30.0), ("4", None, 30.0))
    found = judged(Measure.SECONDS, *cells)
    assert [str(one.outcome) for one in found] == ["converges", "fails (missed)", "undecided", "undecided"]
    elsewhere = found[2].trials[0][1]
    assert elsewhere.label is Label.TOO_CLOSE
    assert "it took 30 s on Xeon, and the baseline ran on EPYC" in elsewhere.reason
    assert [str(one.outcome) for one in judged(Measure.MEMORY, *cells)][1:] == ["fails (missed)"] * 3


def test_records_from_before_the_processor_was_noted_are_compared_among_themselves() -> None:
    found = judged(Measure.SECONDS, ("1", None, 10.0), ("2", None, 30.0))
    assert [str(one.outcome) for one in found] == ["converges", "fails (missed)"]


def timed(name: str, seconds: float, processors: list[str], *, paired: bool = False):
    made = []
    for seed, processor in enumerate(processors):
        took = seconds * (4 if processor == "slow" else 1) * (1 + seed / 500)
        own = tuple(
            one.model_copy(update={"time_s": took}) for one in epochs("f", *({"loss": loss} for loss in LEARNS))
        )
        pair = f"run-{seed}" if paired else ""
        one = record(*LEARNS, seed=seed, weights=f"{name}{seed}", epochs=own, processor=processor, pair=pair)
        made.append((one, verdict_of(one)))
    return judge_cell(CellId.of({"tensorflow": name}), made, Seeds())


def test_the_time_of_an_epoch_is_compared_on_the_kind_of_which_both_have_most() -> None:
    ours, theirs = timed("a", 2.0, ["quick"] * 4 + ["slow"] * 5), timed("b", 1.0, ["slow"] * 3 + ["quick"] * 4)
    assert [len(side) for side in comparable(ours.records, theirs.records)] == [4, 4]
    assert round(10 ** compare(ours, theirs).epoch_s.estimate, 1) == 2.0
    assert compare(timed("a", 2.0, ["quick"] * 4), timed("b", 1.0, ["slow"] * 4)).epoch_s is None


def test_pairs_that_ran_side_by_side_are_compared_whatever_machines_they_ran_on() -> None:
    machines = ["slow", "quick"] * 4
    found = compare(timed("a", 1.1, machines, paired=True), timed("b", 1.0, machines, paired=True))
    assert round(10**found.epoch_s.estimate, 3) == 1.1, "four times as long on one machine falls out"
    assert (found.epoch_s.label, found.epoch_s.p) == ("higher", 2 / 2**8)
    assert found.time.startswith("side by side in 8 pairs: median time of an epoch ")
    assert "(1.1 times, 95 % interval 1.1 to 1.1; higher, p = 0.0078" in found.time
    few = compare(timed("a", 1.1, machines[:4], paired=True), timed("b", 1.0, machines[:4], paired=True))
    assert few.time == "", "of 4 pairs no test can be sure"
    assert compare(timed("a", 1.1, ["quick"] * 8), timed("b", 1.0, ["quick"] * 8)).time == ""


def test_pairs_without_times_of_epochs_are_compared_by_the_whole_trials() -> None:
    def took(name: str, seconds: float):
        made = [
            record(*LEARNS, seed=n, weights=f"{name}{n}", duration_s=seconds + n, pair=f"p{n}", stage="training")
            for n in range(6)
        ]
        made = [
            one.model_copy(update={"epochs": tuple(e.model_copy(update={"time_s": None}) for e in one.epochs)})
            for one in made
        ]
        return judge_cell(CellId.of({"tensorflow": name}), [(one, verdict_of(one)) for one in made], Seeds())

    quick, slow = took("a", 10.0), took("b", 20.0)
    assert compare(slow, quick).time.startswith(
        "side by side in 6 pairs: median time of a trial 22.5 s against 12.5 s (1.8 times"
    )


def test_pairs_that_do_not_differ_are_shown_to_be_the_same_or_nothing_is_claimed() -> None:
    same = difference_of_pairs([(1.0 + n / 100, 1.0) for n in (-2, 1, -1, 2, 0, 1, -1)])
    assert (same.label, same.superiority) == ("equivalent", 0.5)
    assert difference_of_pairs([(ratio, 1.0) for ratio in (0.5, 2.0, 0.6, 1.7, 0.9, 1.2)]).label == "inconclusive"


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.02, -0.02])
def test_many_pairs_come_to_the_same_by_the_normal_approximation(shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(1)
    some = [(math.exp(random.gauss(shift, 0.06)), 1.0) for _ in range(60)]
    quick = difference_of_pairs(some)
    monkeypatch.setattr(paired, "_MOST_COUNTED", 60)
    exact = difference_of_pairs(some)
    assert quick.p == pytest.approx(exact.p, abs=3e-3)
    assert quick.p != exact.p
    assert quick.equivalence_p == pytest.approx(exact.equivalence_p, abs=1e-3)


def test_a_thousand_pairs_are_compared_in_no_time() -> None:
    begun = time.process_time()
    found = difference_of_pairs([(1.0 + n % 7 / 100, 1.0) for n in range(1000)])
    assert found.label == "higher"
    assert time.process_time() - begun < 2


def of_kinds(records: Iterable[Record]) -> str:
    return kinds_sentence(Counter(dict(Machines.of([Observation.of(one) for one in records]).kinds)))


def test_a_store_of_two_kinds_is_told_in_one_sentence_and_one_kind_is_not() -> None:
    two = [record(*LEARNS, seed=seed, processor="EPYC" if seed else "Xeon") for seed in range(3)]
    assert of_kinds(two) == (
        "Trials ran on 2 kinds of machine (EPYC: 2 trials, Xeon: 1 trial): outcomes are compared, times only within a"
        " kind."
    )
    assert of_kinds(two[1:]) == ""
    assert len(of_kinds([*two, record(*LEARNS, processor="x" * 10**6)])) < 1000
    shown = cell_result(LEARNS, LEARNS, processor="EPYC", device="H200")
    assert (shown.machine, shown.trials[0].processor, shown.trials[0].device) == ("EPYC + H200", "EPYC", "H200")


def test_of_many_cells_that_ran_side_by_side_the_first_are_told() -> None:
    cells = {CellId.of({"tensorflow": f"2.{n}"}): Machines() for n in range(70)}
    compared = {cell: ComparisonResult(label="equivalent", reason="", time="the same") for cell in cells}
    assert times_told({CellId.of({"tensorflow": "2.0"}): Machines()}, compared) == ("tensorflow=2.0: the same.",)
    told = times_told(cells, compared)
    assert len(told) == 51
    assert told[-1].startswith("20 more cells ran side by side")


class OtherMachine(FakeEngine):
    """Trials that take twice as long from 1.7.0 on, and ten times as long on a machine named `slow`."""

    machine = "quick"

    def run(self, image: Image, job: Job) -> Ending:
        later = values(job)["six"].split(".")[1] in {"7", "8", "9", "10", "11", "12", "13", "14", "15"}
        took = (20.0 if later else 10.0) * (10 if self.machine == "slow" else 1) + int(job.env["RUNNER_SEED"]) % 3 / 5
        return dataclasses.replace(super().run(image, job), duration_s=took, processor=self.machine)


def test_a_bisection_goes_on_where_its_ends_were_measured_on_another_machine(tmp_path: Path) -> None:
    path = write_matrix(tmp_path / "here", TEXT, VERSIONS)
    engine = OtherMachine(losses=lambda _job, seed: good(seed))

    def flips(last: str) -> list[tuple[str | None, str | None]]:
        chosen = Options(only="script=a.py", jobs=1)
        with open_session(Matrix.load(path), chosen, world=world_of(engine, FakeCatalog())) as session:
            cell, ends = cell_and_ends(session.cells, "six", "", last)
            found = walk_costs(
                *(session.laboratory, session.matrix, cell, "six", ends),
                criterion=Criterion.parse("seconds"),
                every="patch",
                observer=session.observer,
            ).bisection
        places = [place.values["six"] for place in found.places]
        return [(places[flip.before], places[flip.after]) for flip in found.flips]

    with open_session(
        Matrix.load(path), Options(only="script=a.py", seeds=4), world=world_of(engine, FakeCatalog())
    ) as session:
        session.run()  # both ends, here
    engine.machine = "slow"
    assert flips("") == [("1.6.0", "1.7.0")], "no release is held against the ends of the quick machine"


def test_an_end_that_was_measured_on_another_machine_is_measured_here(tmp_path: Path) -> None:
    path = write_matrix(tmp_path / "here", TEXT, VERSIONS)
    engine = OtherMachine(losses=lambda _job, seed: good(seed))
    chosen = Options(only="script=a.py", jobs=1)
    with open_session(Matrix.load(path), chosen, world=world_of(engine, FakeCatalog())) as session:
        cell, ends = cell_and_ends(session.cells, "six", "", "")
    engine.machine = "slow"
    first = Options(only=f"script=a.py,six={ends[0]}", jobs=1)
    with open_session(Matrix.load(path), first, world=world_of(engine, FakeCatalog())) as session:
        session.run()
    engine.machine = "quick"
    with open_session(Matrix.load(path), chosen, world=world_of(engine, FakeCatalog())) as session:
        asked = (session.laboratory, session.matrix, cell, "six", ends)
        criterion = Criterion.parse("seconds")
        found = walk_costs(*asked, criterion=criterion, every="minor", observer=session.observer)
    assert len(found.bisection.flips) == 1
    assert " on quick: " in found.sentence


def test_halves_that_ran_on_other_processors_or_machines_are_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(id="GPU-1", model="H200")
    slots = (Slot(cpus=(0,)), Slot(cpus=(1,)), Slot(cpus=(0, 1)), Slot(cpus=(0,), gpus=(gpu,)))
    names = [execution.pair_on(slot, "round-3") for slot in slots]
    monkeypatch.setattr(execution, "this_boot", lambda: "another machine")
    names.append(execution.pair_on(slots[0], "round-3"))
    assert len(set(names)) == 5
    assert execution.pair_on(slots[0], "round-3") == names[-1]
    assert execution.pair_on(slots[0], "") == "", "of those that ran in no turn none is a half"
    assert execution.pair_on(slots[0], "round-4") != names[-1]


IN_TURN = """\
axes: {six: [1.15.0, 1.16.0]}
experiment: {script: a.py}
criterion: loss < 1e-4
baseline: {six: 1.15.0}
"""


def test_pairs_run_in_turn_one_of_each_cell_and_share_a_name(tmp_path: Path) -> None:
    path = write_matrix(tmp_path / "here", IN_TURN)
    engine = FakeEngine()

    def ran(**options: object) -> tuple[list[str], list[list[str]]]:
        engine.ran.clear()
        with open_session(Matrix.load(path), Options(pair=True, **options), world=world_of(engine)) as session:
            outcomes = session.run().outcomes
        order = [cell.partition("six=1.")[2][:2] for cell, _ in engine.ran]
        return order, [[record.pair for record in one.records] for one in outcomes]

    order, (ours, theirs) = ran(seeds=6)
    assert order in (["15", "16"] * 6, ["16", "15"] * 6)
    assert ours == theirs
    assert len(set(ours)) == 6
    assert ran(seeds=6)[0] == [], "what is stored is not repeated unless asked"
    order, (again, _) = ran(seeds=6, again=())
    assert order in (["15", "16"] * 6, ["16", "15"] * 6)
    assert not {*again} & {*ours}
    with pytest.raises(UsageError, match="--pair runs one trial at a time"):
        Options(pair=True, jobs=2)
