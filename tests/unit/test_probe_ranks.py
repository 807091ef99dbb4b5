"""The probe in processes that train one model together: each is told under its rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe_world import OLDEST_AND_NEWEST, TRAINS, run

from runner.trials.channel import read_channel

if TYPE_CHECKING:
    from pathlib import Path


@OLDEST_AND_NEWEST
def test_processes_that_train_together_are_named_by_their_ranks(python: Path, tmp_path: Path) -> None:
    script = """
import json, os, subprocess, sys
cluster = {"worker": ["localhost:1", "localhost:2"], "chief": ["localhost:3"]}
def start(number, **more):
    subprocess.check_call([sys.executable, "-c", TRAINS, str(number)], env=dict(os.environ, **more))
start(1, RANK="1")
start(2, RANK="0", LOCAL_RANK="3")
start(3, OMPI_COMM_WORLD_RANK="0")
start(4, TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}}))
start(5, TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}}))
start(6, TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "evaluator", "index": 0}}), RANK="none")
subprocess.check_call([sys.executable, "-c", "import torch.distributed\\n" + TRAINS, "7"])
""".replace("TRAINS", repr(TRAINS))
    torch = tmp_path / "work" / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").write_text("def manual_seed(seed): pass\n")
    (torch / "distributed.py").write_text("def is_initialized(): return True\ndef get_rank(): return 4\n")
    done = run(python, tmp_path, script, env={"RUNNER_SEED": "5"})
    found = done.read()
    seeds = [event["seed"] for event in done.of("seeding")]
    assert (seeds[0], seeds[1] != 5, seeds[2]) == (5, True, 5)
    assert [(child.name, child.rank) for child in found.children] == [
        ("rank-1", 1),
        ("rank-0", 0),
        ("rank-0-2", 0),
        ("rank-2", 2),
        ("rank-0-3", 0),
        ("child-6", None),
        ("rank-4", 4),
    ]
    assert [phase.name for phase in found.phases][:2] == ["rank-1:fit-1", "rank-0:fit-1"]


def test_the_exception_of_the_rank_that_failed_first_is_the_reason(tmp_path: Path) -> None:
    start = '{"event":"start","t":0,"probe":"3","python":"3.11.7","implementation":"cpython","executable":"","argv":[],'
    raised = '{"event":"exception","t":%s,%s"type":"%s","message":"m","traceback":"","file":null,"line":null,'
    raised += '"source":null,"stage":"training","phase":""}'
    failed = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
    lines = [
        start + '"pid":1,"time":100,"rank":null}',
        start + '"pid":2,"time":101,"rank":0,"process":2}',
        start + '"pid":3,"time":103,"rank":1,"process":3}',
        raised % (2, '"process":3,', "ValueError"),
        raised % (5, '"process":2,', "ConnectionError"),
        raised % (9, "", failed),
    ]
    channel = tmp_path / "channel"
    channel.write_text("\n".join(lines) + "\n")
    found = read_channel(channel, None)
    assert found.bad_lines == 0
    assert found.exception is not None
    assert found.exception.type == "ValueError"
    assert [(child.name, child.began_s) for child in found.children] == [("rank-0", 1.0), ("rank-1", 3.0)]


@OLDEST_AND_NEWEST
def test_of_a_weight_with_replicas_the_one_of_this_process_is_read(python: Path, tmp_path: Path) -> None:
    script = """
import keras
class Array(bytes):
    dtype, shape = "float32", (60000000,)
    def tobytes(self):
        return bytes(self)
class Replica(object):
    def numpy(self):
        return Array(b"mine")
class Replicated(object):
    shape, _values = (60000000,), (Replica(),)
    def numpy(self):
        raise RuntimeError("this waits for other processes")
model = keras.models.Model()
model.weights = [Replicated()]
model.fit([1.0])
"""
    (phase,) = run(python, tmp_path, script).read().phases
    assert phase.initial_weights is not None
