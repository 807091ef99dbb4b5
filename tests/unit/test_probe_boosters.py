"""What the probe tells of XGBoost and LightGBM, with packages of their names that have nothing but the methods."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, raised_later, run, trained

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = hashlib.sha256(b"").hexdigest()


def digest_of(saved: str) -> str:
    return hashlib.sha256(saved.encode()).hexdigest()


@EVERY_PYTHON
def test_a_call_of_train_is_a_phase_and_each_round_that_is_evaluated_an_epoch(python: Path, tmp_path: Path) -> None:
    script = """
import xgboost
first = xgboost.train({}, 1, 2, evals=[(1.0, 'train'), (2.0, 'eval')])
second = xgboost.train({}, 2, num_boost_round=1, xgb_model=first)
print(xgboost.sklearn.XGBRegressor().fit(3, [(4.0, 'validation_0')]).booster.rounds)
"""
    told = trained(python, tmp_path, script, out="[3, 3]\n")
    assert [(one["name"], one["model"], one["planned_epochs"]) for one in told.of("phase")] == [
        ("fit-1", "Booster", 2),
        ("fit-2", "Booster", 1),
        ("fit-3", "XGBRegressor", 2),
    ]
    assert [(one["phase"], one["epoch"], one["logs"]) for one in told.of("epoch")] == [
        ("fit-1", 1, {"train_rmse": 1.0, "eval_rmse": 2.0}),
        ("fit-1", 2, {"train_rmse": 0.5, "eval_rmse": 1.0}),
        ("fit-3", 1, {"validation_0_rmse": 4.0}),
        ("fit-3", 2, {"validation_0_rmse": 2.0}),
    ]
    assert [one["initial_weights"] for one in told.of("phase")] == [NOTHING, digest_of("[1, 1]"), NOTHING]
    assert [one["final_weights"] for one in told.of("phase-end")] == list(
        map(digest_of, ["[1, 1]", "[1, 1, 2]", "[3, 3]"])
    )
    assert json.loads(told.only("config")["config"])["config"] == {"eta": "0.3", "name": "grow"}
    assert told.of("stage")[-1] == {"stage": "after-training", "phase": ""}


@OLDEST_AND_NEWEST
def test_what_is_evaluated_of_several_sets_in_a_round_is_one_epoch(python: Path, tmp_path: Path) -> None:
    told = trained(python, tmp_path, "import lightgbm\nlightgbm.train({}, 1, 2)")
    logs = {"training_l2": 0.5, "valid_1_ndcg_3": "nan"}
    assert [(one["epoch"], one["logs"]) for one in told.of("epoch")] == [(1, logs), (2, logs)]
    assert json.loads(told.only("config")["config"])["config"] == {"boosting": "gbdt", "metric": ""}


@OLDEST_AND_NEWEST
def test_what_train_raises_belongs_to_it(python: Path, tmp_path: Path) -> None:
    line = "xgboost.train({}, ValueError('no'), evals=[(1.0, 'train')])"
    told = run(python, tmp_path, "import xgboost\n" + raised_later(line, meanwhile="xgboost.train({}, 1, 1)"))
    error = told.only("exception")
    assert (error["stage"], error["phase"]) == ("training", "fit-1")
    assert [end["error"] for end in told.of("phase-end")] == [True, False]
    assert told.only("epoch")["logs"] == {"train_rmse": 1.0}
