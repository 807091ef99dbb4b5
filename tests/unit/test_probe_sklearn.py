"""What the probe tells of estimators, with a `sklearn` that has nothing but the methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, raised_later, run, trained

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "import warnings; from sklearn.pipelines import Net, Scaler, SearchCV\n"


@EVERY_PYTHON
def test_the_outermost_fit_is_a_phase_with_what_the_estimator_kept_and_nothing_of_what_is_inside(
    python: Path, tmp_path: Path
) -> None:
    script = (
        HEAD
        + """
warnings.simplefilter('ignore')
Scaler().fit(3.0)
net = Net(alpha=float('inf'), solver=len)
assert net.fit([0.5, float('nan')]) is net
net.score(3, 1)
search = SearchCV([(Net(), 'the first'), (Net(max_iter=9), 'did not converge')]).fit([0.25])
search.score(3, 1)
print(Net.fit.__name__, search.best_score_)
"""
    )
    told = trained(python, tmp_path, script, out="fit 0.5\n")
    assert [(stage["stage"], stage["phase"]) for stage in told.of("stage")] == [
        ("training", "fit-1"),
        ("after-training", ""),
        ("training", "fit-2"),
        ("after-training", ""),
    ]
    assert [(one["name"], one["model"], one["model_number"]) for one in told.of("phase")] == [
        ("fit-1", "Net", 1),
        ("fit-2", "SearchCV", 2),
    ]
    assert [(one["phase"], one["epoch"], one["logs"]) for one in told.of("epoch")] == [
        ("fit-1", 1, {"loss": 0.5}),
        ("fit-1", 2, {"loss": "nan", "n_iter": 2.0}),
        ("fit-2", 1, {"loss": 0.25, "n_iter": 1.0, "best_score": 0.5}),
    ]
    assert told.of("warning") == [{"phase": "fit-2", "message": "did not converge"}]
    assert [(one["model_number"], one["phase"]) for one in told.of("evaluation")] == [(1, "fit-1"), (2, "fit-2")]
    (config,) = [json.loads(one["config"]) for one in told.of("config") if one["what"] == "model"][:1]
    assert config["config"]["layers"] == [{"class_name": "Net", "config": {"alpha": "inf", "solver": "len"}}]


@OLDEST_AND_NEWEST
def test_a_fit_that_begins_anew_begins_with_nothing_and_a_warm_one_with_what_was_learned(
    python: Path, tmp_path: Path
) -> None:
    script = (
        HEAD
        + """
for net in (Net(), Net(warm_start=True)):
    for fit in range(2):
        net.fit([0.5])
class Odd(object):
    def __reduce__(self):
        raise SystemExit('pickled')
Net(odd=Odd()).fit([0.5])
"""
    )
    told = trained(python, tmp_path, script)
    initial = [one["initial_weights"] for one in told.of("phase")]
    final = [one["final_weights"] for one in told.of("phase-end")]
    assert initial[0] == initial[1] == initial[2] == initial[4]
    assert final[0] == final[1]
    assert initial[3] == final[2] != final[0]
    assert final[4] is None


@OLDEST_AND_NEWEST
def test_calls_of_partial_fit_are_steps_of_one_loop_of_the_estimator(python: Path, tmp_path: Path) -> None:
    script = (
        HEAD
        + """
net = Net()
for step in range(5):
    net.partial_fit(1.0 / (1 + step)).score(step, 0)
"""
    )
    told = trained(python, tmp_path, script)
    phase = told.only("phase")
    assert (phase["name"], phase["model"]) == ("batches-1", "Net")
    assert told.of("loop")[-1]["logs"] == {"loss": [1.0, 0.5, 1 / 3, 0.25, 0.2]}
    assert told.only("phase-end")["final_weights"] not in (None, phase["initial_weights"])
    assert [(one["round"], one["logs"]["score"]) for one in told.of("evaluation")] == [(n + 1, n) for n in range(5)]


@OLDEST_AND_NEWEST
def test_what_a_fit_raises_belongs_to_it_and_its_warnings_are_told_all_the_same(python: Path, tmp_path: Path) -> None:
    line = "Net().fit([1.0], ValueError('no'), 'far')"
    script = HEAD + "warnings.simplefilter('ignore')" + raised_later(line, meanwhile="Net().fit([0.5])")
    told = run(python, tmp_path, script)
    error = told.only("exception")
    assert (error["stage"], error["phase"], error["source"]) == ("training", "fit-1", line)
    assert [end["error"] for end in told.of("phase-end")] == [True, False]
    assert told.only("warning") == {"phase": "fit-1", "message": "far"}
    assert told.only("epoch")["phase"] == "fit-2"
