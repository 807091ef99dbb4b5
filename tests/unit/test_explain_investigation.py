"""Explaining two cells over a fake engine: every answer that there is, and that nothing is run twice."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from packaging.version import Version
from six_releases import TEXT, FakeCatalog, engine, explained, good, matrix, stuck, values

from runner.engines.protocol import EngineKind
from runner.environments.lock import Environment, Layer, Lock, LockedPackage
from runner.environments.lockfile import finished, write
from runner.errors import UsageError
from runner.explain.experimenter import Budget, contents_of
from runner.explain.investigation import first_tried
from runner.explain.sides import sides_in, sides_of
from runner.investigate.belief import Evidence
from runner.investigate.question import Combination
from runner.matrix.matrix_file import Matrix
from runner.outcomes.account import Decision
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.engines.protocol import Ending, Image, Job

__all__ = ["engine", "matrix"]


def test_the_axis_and_the_release_that_make_the_difference_are_named(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) >= Version("1.11.0") else good(seed)
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=b.py")
    assert account.real
    assert [[one.name for one in cause.factors] for cause in account.causes] == [["six"]]
    (bisection,) = account.bisections
    flip = bisection.flips[0]
    assert (bisection.places[flip.before].values["six"], bisection.places[flip.after].values["six"]) == (
        "1.10.0",
        "1.11.0",
    )
    assert flip.breaks
    assert bisection.decisions <= 4 + 2
    assert any("six 1.10.0 → 1.11.0" in sentence for sentence in account.sentences)
    assert account.p is not None
    assert account.p < 0.05


def test_a_base_image_that_goes_with_the_version_is_no_finding_of_its_own(engine: FakeEngine, matrix: Path) -> None:
    matrix.write_text(f"{TEXT}base_image: {{image: old:1, when: six<1.11}}\n")
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) >= Version("1.11.0") else good(seed)
    engine.bases = {"old:1": "sha256:a"}
    ends = "six=1.0.0,script=a.py", "six=1.15.0,script=a.py"
    told = "What the base image does: the good cell stands on old:1, the bad one on the usual one"
    assert not any(told in one for one in explained(engine, matrix, *ends).unknown)
    engine.kind, engine.base = EngineKind.DOCKER, "offline"
    assert any(told in one for one in explained(engine, matrix, *ends).unknown)
    matrix.write_text(f"{TEXT}base_image: old:1\n")
    assert not any(told in one for one in explained(engine, matrix, *ends).unknown)


def test_a_release_that_breaks_while_it_trains_is_run_until_that_is_no_chance(engine: FakeEngine, matrix: Path) -> None:
    matrix.write_text(TEXT.replace("1.0.0", "1.10.0"))
    engine.losses = lambda _job, seed: good(seed)
    engine.exits = lambda job: int(Version(values(job)["six"]) >= Version("1.15.0"))
    account = explained(engine, matrix, "six=1.10.0,script=a.py", "six=1.15.0,script=a.py")
    (bisection,) = account.bisections
    (flip,) = bisection.flips
    assert [bisection.places[place].values["six"] for place in (flip.before, flip.after)] == ["1.14.0", "1.15.0"]
    assert bisection.places[flip.after].told is Decision.BAD
    assert bisection.places[flip.after].counts.bad == 4


def test_two_axes_that_act_only_together_are_named_together(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if values(job) == {"six": "1.15.0", "script": "b.py"} else good(seed)
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=b.py")
    assert [{one.name for one in cause.factors} for cause in account.causes] == [{"six", "script"}]
    assert any("together make" in sentence for sentence in account.sentences)


def test_a_model_that_is_flaky_in_both_is_no_version_effect(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda _job, seed: good(seed) if seed % 2 else stuck(seed)
    account = explained(engine, matrix, "script=a.py,six=1.0.0", "script=b.py,six=1.0.0")
    assert not account.real
    assert not account.causes
    assert account.sentences[0].startswith("No difference was shown")
    assert "flaky" in account.sentences[0]


def test_a_flaky_model_that_looks_better_on_one_side_by_luck_is_no_version_effect(
    engine: FakeEngine, matrix: Path
) -> None:
    lucky = {"a.py": {0, 1, 3, 4, 6, 7, 10, 13, 16, 19}, "b.py": {0, 2, 5, 7, 10, 12, 15, 16, 18, 21}}
    engine.losses = lambda job, seed: good(seed) if seed in lucky[values(job)["script"]] else stuck(seed)
    account = explained(engine, matrix, "script=a.py,six=1.0.0", "script=b.py,six=1.0.0")
    assert account.telling, "the first ten seeds must look different"
    assert (account.real, account.causes, account.switches) == (False, (), ())
    assert account.comparison in account.sentences[0]
    assert "percentage points, p = " in account.comparison


class RaisingEngine(FakeEngine):
    """Scripts that exit with 1 do so by an exception."""

    def run(self, image: Image, job: Job) -> Ending:
        ended = super().run(image, job)
        place = {"file": "b.py", "line": 1, "source": "", "stage": "training", "phase": "fit-1"}
        said = {"type": "ValueError", "message": "array is 3-dimensional", "traceback": "", **place}
        if ended.exit_code:
            with job.folder.channel.open("a") as channel:
                channel.write(json.dumps({"event": "exception", "t": 0.2, **said}) + "\n")
        return ended


def test_what_bad_means_is_told_in_the_words_of_the_exception(matrix: Path) -> None:
    engine = RaisingEngine(losses=lambda _job, seed: good(seed), exits=lambda job: int(values(job)["script"] == "b.py"))
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.0.0,script=b.py")
    assert account.fault == "ValueError: array is 3-dimensional (training)"
    assert account.telling.endswith(account.fault)
    assert "ends with ValueError: array is 3-dimensional;" in account.sentences[0]


def test_a_script_that_fails_after_it_converged_is_told_from_one_that_does_not(
    engine: FakeEngine, matrix: Path
) -> None:
    engine.losses = lambda _job, seed: good(seed)
    engine.exits = lambda job: int(Version(values(job)["six"]) >= Version("1.11.0"))
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=b.py")
    assert account.fault.startswith("exit code 1")
    assert [[one.name for one in cause.factors] for cause in account.causes] == [["six"]]
    assert any("six 1.10.0 → 1.11.0" in sentence for sentence in account.sentences)


def test_a_package_that_is_installed_for_an_axis_under_another_name_was_not_brought_along() -> None:
    package = LockedPackage(name="tensorflow-cpu", version="2.10.1", layer=Layer.BASE, hashes=())
    lock = Lock(
        environment=Environment(pins=(("tensorflow", "2.10.1"),)),
        python="3.10",
        platform="linux/amd64",
        as_of=None,
        exemptions=(),
        packages=(package,),
        text="",
    )
    assert contents_of(lock) == (("python", "3.10"), ("tensorflow", "2.10.1"))


def test_a_backend_counts_with_what_only_it_needs_and_what_both_have_is_asked_by_itself(
    engine: FakeEngine, tmp_path: Path
) -> None:
    text = TEXT.replace("  six: [1.0.0, 1.15.0]\n", "  keras: [3.11.3]\n  backend: [jax, torch]\n")
    path = write_matrix(tmp_path / "here", text, ())
    beside = {"jax": "3.14.0", "torch": "3.16.0"}
    for backend, version in product(beside, (None, *beside.values())):
        pins = (("keras", "3.11.3"), *([("h5py", version), (backend, "2.8.0")] if version else ()))
        holds = {"keras": "3.11.3", "h5py": version or beside[backend], backend: "2.8.0"}
        packages = [
            LockedPackage(
                name=name,
                version=holds[name],
                layer=Layer.BASE if name == "keras" else Layer.OVERLAY,
                hashes=(f"sha256:{'0' * 64}",),
            )
            for name in holds
        ]
        made = {"as_of": datetime(2025, 8, 23, tzinfo=UTC), "exemptions": (), "packages": packages}
        environment = Environment(pins=pins, backend=backend)
        write(finished(environment=environment, python="3.11", **made), path.parent / "locks")
    engine.losses = lambda job, seed: stuck(seed) if values(job)["backend"] == "torch" else good(seed)
    account = explained(engine, path, "backend=jax,script=a.py", "backend=torch,script=a.py")
    (cause,) = account.causes
    assert (cause.names, cause.brought, cause.bystanders) == (("backend",), ("h5py",), ())
    assert [one.names for one in cause.components] == [("backend",)]
    assert any(one.startswith("backend (jax → torch) alone makes the difference") for one in account.sentences)
    asked = {part.partition("=")[0] for cell, _ in engine.ran for part in cell.split(",")}
    assert asked == {"keras", "backend", "script", "prelude", "h5py", "jax", "torch"}
    assert {"torch-float64", "torch-deterministic"} <= {one.name for one in account.switches}


def test_cells_that_both_converge_at_another_level_are_told_apart_by_the_level(
    engine: FakeEngine, matrix: Path
) -> None:
    matrix.write_text(TEXT.replace("criterion: loss < 1e-4\n", ""))
    level = {"a.py": 0.01, "b.py": 0.2}
    engine.losses = lambda job, seed: [1.0] + [level[values(job)["script"]] * (1 + seed / 100)] * 20
    account = explained(engine, matrix, "script=a.py,six=1.0.0", "script=b.py,six=1.0.0")
    assert account.real
    assert "loss < 0.0" in account.telling
    assert [one.name for one in account.causes[0].factors] == ["script"]


def test_nan_is_told_by_the_outcome_and_another_fault_on_the_way_is_stepped_over(
    engine: FakeEngine, matrix: Path
) -> None:
    def losses(job: Job, seed: int) -> Sequence[float]:
        version = Version(values(job)["six"])
        if version in {Version("1.7.0"), Version("1.8.0")}:
            return stuck(seed)
        return (1.0, math.nan, math.nan - seed) if version > Version("1.8.0") else good(seed)

    engine.losses = losses
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=a.py")
    (bisection,) = account.bisections
    told = {place.values["six"]: place.told for place in bisection.places if place.counts.trials}
    assert told["1.0.0"] == "good"
    assert told["1.15.0"] == "bad"
    assert "bad" not in {told.get("1.7.0"), told.get("1.8.0")}
    flip = bisection.flips[0]
    assert Version(str(bisection.places[flip.before].values["six"])) <= Version("1.8.0")
    assert bisection.places[flip.after].values["six"] == "1.9.0"


def test_a_second_call_runs_nothing_and_says_the_same(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if values(job)["script"] == "b.py" else good(seed)
    first = explained(engine, matrix, "script=a.py,six=1.0.0", "script=b.py,six=1.0.0")
    engine.ran.clear()
    second = explained(engine, matrix, "script=a.py,six=1.0.0", "script=b.py,six=1.0.0")
    assert engine.ran == []
    assert second.trials == 0
    assert second.sentences == first.sentences


def test_a_budget_ends_the_search_and_the_next_call_goes_on(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) >= Version("1.11.0") else good(seed)
    sides = "six=1.0.0,script=a.py", "six=1.15.0,script=a.py"
    short = explained(engine, matrix, *sides, budget=Budget(trials=10))
    assert short.trials <= 10
    assert any("budget" in sentence for sentence in short.unknown)
    engine.ran.clear()
    whole = explained(engine, matrix, *sides)
    assert whole.bisections[0].flips
    assert len(set(engine.ran)) == len(engine.ran)


@pytest.mark.parametrize("trials", [1, 3, 17, 30])
def test_no_more_trials_run_than_were_allowed(engine: FakeEngine, matrix: Path, trials: int) -> None:
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) >= Version("1.11.0") else good(seed)
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=b.py", budget=Budget(trials=trials))
    assert len(engine.ran) == account.trials <= max(2, trials)


def test_nothing_begins_that_would_end_after_the_budget_by_what_trials_took(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) >= Version("1.11.0") else good(seed)
    engine.duration_s = 1000.0
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=a.py", budget=Budget(seconds=900.0))
    assert {cell.partition("six=")[2].partition(",")[0] for cell, _ in engine.ran} == {"1.0.0", "1.15.0"}
    assert any("budget" in sentence for sentence in account.unknown)


@pytest.mark.parametrize(
    ("good_text", "bad_text", "message"),
    [
        ("six", "six=1.15.0", "'six' is not an axis and a value"),
        ("six=1.0.0", "six=1.0.0", "fit 2 pairs of cells"),
        ("six=1.0.0,script=a.py", "six=1.0.0,script=a.py", "the same cell"),
        ("six=1.0.0", "six=1.15.0", "say more of them"),
    ],
)
def test_sides_that_mean_no_one_pair_are_refused(
    engine: FakeEngine, matrix: Path, good_text: str, bad_text: str, message: str
) -> None:
    with (
        open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session,
        pytest.raises(UsageError, match=message),
    ):
        sides_of(session.cells, good_text, bad_text)


def test_a_version_that_does_not_exist_is_refused_before_anything_runs(engine: FakeEngine, matrix: Path) -> None:
    with pytest.raises(UsageError, match=r"six 9\.9\.0 does not exist; nearest: .*1\.15\.0"):
        explained(engine, matrix, "six=1.0.0,script=a.py", "six=9.9.0,script=a.py")
    assert engine.ran == []


def test_without_sides_the_closest_recorded_pair_is_taken(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if values(job)["script"] == "b.py" else good(seed)
    with open_session(Matrix.load(matrix), Options(), world=world_of(engine, FakeCatalog())) as session:
        with pytest.raises(UsageError, match="Run the matrix first"):
            sides_in(session.results())
        session.run()
        ours, theirs = sides_in(session.results())
    assert (str(ours), str(theirs)) == ("six=1.0.0,script=a.py", "six=1.0.0,script=b.py")


def test_versions_that_the_matrix_does_not_name_may_be_explained(engine: FakeEngine, matrix: Path) -> None:
    with open_session(
        Matrix.load(matrix), Options(only="script=a.py"), world=world_of(engine, FakeCatalog())
    ) as session:
        ours, theirs = sides_of(session.cells, "six=1.3.0", "six=1.7.0")
    assert (ours.get("six"), theirs.get("six")) == ("1.3.0", "1.7.0")


def test_a_criterion_that_tells_all_trials_apart_is_not_replaced_by_a_level(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: stuck(seed) if values(job)["script"] == "b.py" else good(seed)
    account = explained(engine, matrix, "script=a.py,six=1.0.0", "script=b.py,six=1.0.0")
    assert account.telling.startswith("a trial passes that succeeds by the matrix's own criterion")


def test_only_places_with_trials_of_their_own_stand_for_a_side() -> None:
    cells = [Combination.of({"six": version}) for version in ("1.0.0", "1.1.0", "1.2.0")]
    known = (Evidence(good=2, trials=2), None, Evidence(faults=(("crash", 2),), trials=2))
    places = [
        (cell.tried(decision, evidence, None), cell)
        for cell, decision, evidence in zip(cells, (Decision.GOOD, Decision.GOOD, Decision.BAD), known, strict=True)
    ]
    assert first_tried(reversed(places[:2]), Decision.GOOD) == cells[0]
    assert first_tried(places[2:], Decision.BAD) == cells[2]
    assert first_tried(places[1:2], Decision.GOOD) is None
