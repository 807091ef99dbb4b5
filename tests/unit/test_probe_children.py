"""The probe in processes that the script starts: those that train are told, the others cost and show nothing."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, TRAINS, run

from runner.trials.channel import Channel, read_channel

PYTHON_2 = Path.home() / ".pyenv" / "versions" / "2.7.18" / "bin" / "python"


def losses(channel: Channel) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for epoch in channel.epochs:
        found.setdefault(epoch.phase, []).append(epoch.logs["loss"])
    return found


@EVERY_PYTHON
def test_forks_spawned_workers_and_scripts_of_their_own_join_under_their_own_names(
    python: Path, tmp_path: Path
) -> None:
    script = """
import multiprocessing, os, subprocess, sys
import keras
def work(number):
    model = keras.models.Model()
    model.fit([float(number)])
    model.evaluate(number / 2.0)
    return number * 2
if __name__ == "__main__":
    keras.models.Model().fit([7.0])
    child = os.fork()
    if not child:
        keras.models.Model().fit([8.0, 8.5])
        sys.exit(3)
    assert os.waitpid(child, 0)[1] == 3 << 8
    for method in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(work, [1, 2]))
    subprocess.check_call([sys.executable, "-c", TRAINS, "3"])
    os.system(sys.executable + " -c '" + TRAINS + "' 4")
""".replace("TRAINS", repr(TRAINS))
    done = run(python, tmp_path, script, env={"RUNNER_SEED": "5"})
    assert (done.out, done.err, done.exit_code) == ("[2, 4]\n" * 3, "", 0)
    found = done.read()
    assert losses(found) == {
        "fit-1": [7.0],
        "child-1:fit-1": [8.0, 8.5],
        **{f"child-{worker}:fit-{number}": [float(number)] for worker in (2, 3, 4) for number in (1, 2)},
        "child-5:fit-1": [3.0],
        "child-6:fit-1": [4.0],
    }
    assert [phase.name for phase in found.phases] == list(losses(found))
    assert (found.stage, found.exit, found.seeding, len(found.children)) == ("after-training", "normal", "seeded", 6)
    assert [one.command[-1] for one in found.children[4:]] == ["3", "4"]
    assert [(one.process, one.number, one.phase) for one in found.evaluations][:3] == [
        ("child-2", 1, "child-2:fit-1"),
        ("child-2", 2, "child-2:fit-2"),
        ("child-3", 3, "child-3:fit-1"),
    ]
    seeds = [event["mode"] for event in done.of("seeding") if event.get("process")]
    assert Counter(seeds) == {"as-written": 1, "seeded": 2}  # a worker's random state is its own


@EVERY_PYTHON
def test_an_environment_that_the_script_makes_for_a_child_leads_to_the_probe_too(python: Path, tmp_path: Path) -> None:
    script = """
import os, subprocess, sys
import json
other = os.path.abspath("other")
for env in (dict(os.environ, MINE="1"), {"PYTHONPATH": os.environ["PYTHONPATH"]}, dict(os.environb)):
    subprocess.check_call([sys.executable, "one.py", "1"], env=env)
os.environ["PYTHONPATH"] = other + os.pathsep + os.environ["PYTHONPATH"]
subprocess.Popen([sys.executable, "one.py", "2"]).wait()
subprocess.check_call([sys.executable, "one.py", "3"], close_fds=False)
"""
    (tmp_path / "work" / "other").mkdir(parents=True)
    (tmp_path / "work" / "one.py").write_text(
        TRAINS + "import os\nprint(sorted(n for n in os.environ if n[:6] == 'RUNNER' or n == 'MINE'), len(sys.path))\n"
    )
    done = run(python, tmp_path, script)
    first, *others = done.out.splitlines()
    assert first[:8] == "['MINE']"
    assert [line[:2] for line in others] == ["[]"] * 4
    paths = [int(line.split()[-1]) for line in done.out.splitlines()]
    assert paths == [paths[0]] * 3 + [paths[0] + 1] * 2
    assert [loss for (loss,) in losses(done.read()).values()] == [1.0, 1.0, 1.0, 2.0, 3.0]


@OLDEST_AND_NEWEST
def test_children_that_do_not_train_write_nothing_and_see_nothing(python: Path, tmp_path: Path) -> None:
    script = """
import multiprocessing, os, subprocess, sys
def load(number):
    import keras
    keras.models.Model()
    return number + 1
if __name__ == "__main__":
    for method in ("spawn", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(pool.map(load, range(4)))
    subprocess.check_call([sys.executable, "-c", "import sys; sys.exit(0)"])
    if os.fork() == 0:
        os._exit(0)
    os.wait()
"""
    done = run(python, tmp_path, script)
    assert (done.out, done.err, done.exit_code) == ("[1, 2, 3, 4]\n" * 2, "", 0)
    assert {event.get("process") for event in done.events} == {None}
    assert done.read().children == ()


@OLDEST_AND_NEWEST
def test_interpreters_that_the_probe_is_not_for_run_as_ever_and_are_not_seen(python: Path, tmp_path: Path) -> None:
    script = """
import os, subprocess, sys
for command in ([sys.executable, "-I"], [sys.executable, "-S"], [sys.executable, "-E"], ["sh"], PYTHON_2):
    if command:
        sys.stdout.flush()
        code = "echo 1" if command == ["sh"] else "print(1)"
        subprocess.check_call(command + ["-c", code])
""".replace("PYTHON_2", repr([str(PYTHON_2), "-B"] if PYTHON_2.exists() else []))
    done = run(python, tmp_path, script)
    assert (set(done.out.split()), done.err, done.exit_code) == ({"1"}, "", 0)
    assert done.read().children == ()
    assert [command[1] for command in done.read().unseen] == ["-I", "-S", "-E"]


@OLDEST_AND_NEWEST
def test_a_process_that_replaces_itself_goes_on_as_the_trial_s_first_one(python: Path, tmp_path: Path) -> None:
    script = """
import os, sys
if "again" not in sys.argv:
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, "train.py", "again"])
import keras
keras.models.Model().fit([0.5])
"""
    done = run(python, tmp_path, script)
    found = done.read()
    assert (losses(found), found.children, found.exit) == ({"fit-1": [0.5]}, (), "normal")


@OLDEST_AND_NEWEST
def test_a_loop_in_a_worker_is_closed_at_the_worker_s_end(python: Path, tmp_path: Path) -> None:
    script = """
import multiprocessing
import keras
def work():
    model = keras.models.Model()
    for step in range(5):
        model.train_on_batch(1.0)
keras.models.Model().train_on_batch(2.0)
worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
worker.join()
"""
    found = run(python, tmp_path, script).read()
    assert [(phase.name, phase.steps, phase.finished) for phase in found.phases] == [
        ("batches-1", 1, True),
        ("child-1:batches-1", 5, True),
    ]


@OLDEST_AND_NEWEST
def test_a_fork_in_the_middle_of_a_fit_goes_on_by_itself(python: Path, tmp_path: Path) -> None:
    script = """
import os
import keras
class Forks(object):
    def on_epoch_end(self, epoch, logs):
        if epoch == 0 and os.fork() == 0:
            keras.models.Model().train_on_batch(4.0)
            keras.models.Model().fit([3.0])
            self.child = True
keras.models.Model().fit([0.5, 0.25], callbacks=[Forks()])
try:
    os.wait()
except ChildProcessError:
    pass
"""
    done = run(python, tmp_path, script)
    found = done.read()
    assert done.exit_code == 0
    assert losses(found)["fit-1"] == [0.5, 0.25]
    assert (losses(found)["child-1:fit-1"], losses(found)["child-1:batches-1"]) == ([3.0], [4.0])


@OLDEST_AND_NEWEST
def test_what_a_failed_child_raised_is_what_ended_the_script_that_checked_it(python: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "one.py").write_text(
        "import keras\nkeras.models.Model().fit([1.0, ValueError('no more data')])\n"
    )
    script = "import subprocess, sys\nsubprocess.check_call([sys.executable, 'one.py'])\n"
    found = run(python, tmp_path, script).read()
    assert found.exception is not None
    assert (found.exception.type, found.exception.file, found.exception.line) == ("TypeError", "one.py", 2)
    assert (found.stage, found.phase) == ("training", "child-1:fit-1")
    assert "CalledProcessError" in found.exception.traceback.partition("TypeError")[0]
    unchecked = run(python, tmp_path, script.replace("check_call", "call")).read()
    assert (unchecked.exception, unchecked.stage) == (None, "training")
    assert unchecked.children[0].exception is not None


@OLDEST_AND_NEWEST
def test_a_script_that_fails_after_its_children_trained_failed_after_training(python: Path, tmp_path: Path) -> None:
    script = f"import subprocess, sys\nsubprocess.check_call([sys.executable, '-c', {TRAINS!r}, '1'])\n{{}}['loss']\n"
    found = run(python, tmp_path, script).read()
    assert found.exception is not None
    assert (found.exception.type, found.stage) == ("KeyError", "after-training")


def test_lines_of_processes_that_write_at_the_same_time_are_whole(tmp_path: Path) -> None:
    script = """
import multiprocessing
import keras
def work(number):
    model = keras.models.Model()
    for call in range(200):
        model.evaluate(dict({"metric %d" % n: 1.0 for n in range(90)}, loss=float(number)))
if __name__ == "__main__":
    workers = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(8)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
"""
    done = run(Path(sys.executable), tmp_path, script)
    found = read_channel(done.channel, None)
    assert (found.bad_lines, len(found.children)) == (0, 8)
    assert done.channel.read_bytes().count(b'"event":"evaluation"') == 1600


@OLDEST_AND_NEWEST
def test_environments_that_go_through_os_lead_to_the_probe_too(python: Path, tmp_path: Path) -> None:
    script = """
import os, sys
command, env = [sys.executable, "-c", TRAINS], dict(os.environ, MINE="1")
os.spawnve(os.P_WAIT, sys.executable, command + ["1"], env)
os.spawnv(os.P_WAIT, sys.executable, command + ["2"])
spawn = getattr(os, "posix_spawn", lambda *given: os.spawnve(os.P_NOWAIT, *given))
os.waitpid(spawn(sys.executable, command + ["3"], env), 0)
os.environ["PYTHONPATH"] = os.environ["PYTHONPATH"] + os.pathsep + "/nowhere"
os.system(sys.executable + " -c '" + TRAINS + "' 4")
path = os.environ.pop("PYTHONPATH")
os.system("env PYTHONPATH=$PYTHONPATH:" + path + " " + sys.executable + " -c '" + TRAINS + "' 5")
if os.fork() == 0:
    os.execve(sys.executable, command + ["6"], dict(env, PYTHONPATH=path))
os.wait()
""".replace("TRAINS", repr(TRAINS))
    done = run(python, tmp_path, script)
    assert (done.err, done.exit_code) == ("", 0)
    assert [loss for (loss,) in losses(done.read()).values()] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@OLDEST_AND_NEWEST
def test_workers_that_are_ended_have_told_how_far_their_loops_were(python: Path, tmp_path: Path) -> None:
    script = """
import multiprocessing, os, time
import keras
def work(steps, result=None):
    model = keras.models.Model()
    for step in range(steps):
        loss = model.train_on_batch(100.0 - step)
    if result is not None:
        result.send(loss[0])
        time.sleep(60)
if __name__ == "__main__":
    mine, result = multiprocessing.Pipe()
    worker = multiprocessing.get_context("fork").Process(target=work, args=(49, result))
    worker.start()
    print(mine.recv())
    worker.terminate()
    worker.join()
    for steps in (29, 70):  # of which 26 and 64 are told by themselves
        if os.fork() == 0:
            work(steps)
            os._exit(0) if steps == 29 else os.kill(os.getpid(), 9)
        os.wait()
"""
    done = run(python, tmp_path, script)
    found = done.read()
    assert (done.out, done.err, done.exit_code) == ("52.0\n", "", 0)
    assert [(phase.name, phase.steps, phase.finished) for phase in found.phases] == [
        ("child-1:batches-1", 49, False),
        ("child-2:batches-1", 29, False),
        ("child-3:batches-1", 64, False),
    ]
    assert [series[-1] for series in losses(found).values()][:2] == [52.0, 72.0]


@OLDEST_AND_NEWEST
def test_what_a_process_of_multiprocessing_raised_is_told_and_printed_as_ever(python: Path, tmp_path: Path) -> None:
    script = """
import multiprocessing, sys
def work(number):
    try:
        raise ValueError("no data %d" % number)
    except ValueError:
        if number:
            sys.exit(number)
        raise
if __name__ == "__main__":
    for number in (0, 1):
        worker = multiprocessing.get_context("fork").Process(target=work, args=(number,))
        worker.start()
        worker.join()
        print(worker.exitcode)
"""
    done = run(python, tmp_path, script)
    assert done.out == "1\n1\n"
    raised = [child.exception for child in done.read().children]
    assert [(one.message, one.file, one.line) for one in raised if one] == [
        ("no data 0", "train.py", 5),
        ("no data 1", "train.py", 5),
    ]
    plain = run(python, tmp_path, script, probe=False)
    if python == Path(sys.executable):
        assert done.err == plain.err
