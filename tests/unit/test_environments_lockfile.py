import dataclasses
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.environments import lockfile
from runner.environments.lock import Environment, Layer, LockedPackage
from runner.errors import UsageError

ENVIRONMENT = Environment(pins=(("tensorflow", "1.13.1"), ("keras", "2.2.5")), packages=("pandas",))
HASHES = [f"sha256:{digit * 64}" for digit in "0123456789abcdef"]


def lock_of(environment=ENVIRONMENT, **changes):
    values = {
        "environment": environment,
        "python": "3.7",
        "as_of": datetime(2019, 2, 28, tzinfo=UTC),
        "exemptions": [("keras", datetime(2019, 8, 24, tzinfo=UTC))],
        "packages": [
            LockedPackage(name="keras", version="2.2.5", layer=Layer.OVERLAY, hashes=(HASHES[0],)),
            LockedPackage(
                name="absl-py", version="0.7.0", layer=Layer.BASE, hashes=(HASHES[1],), needed_by=("tensorboard",)
            ),
            LockedPackage(name="tensorflow", version="1.13.1", layer=Layer.BASE, hashes=(HASHES[2], HASHES[3])),
        ],
    }
    return lockfile.finished(**values | changes)


@pytest.fixture
def path(tmp_path):
    return lockfile.write(lock_of(), tmp_path)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_lock_that_is_read_is_the_lock_that_was_written(path):
    read = lockfile.read(path, ENVIRONMENT)
    assert read == lock_of()
    assert (read.digest, read.text) == (lock_of().digest, path.read_text())


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "locks").glob("*.txt")), ids=lambda path: path.stem
)
def test_the_committed_locks_still_follow_from_their_inputs(path):
    axes = next(line for line in path.read_text().splitlines() if line.startswith("# axes: "))
    pins = tuple(tuple(pin.split("==")) for pin in axes.removeprefix("# axes: ").split("; "))
    lock = lockfile.read(path, Environment(pins=pins))
    assert lockfile.lock_path(path.parent, lock.environment) == path
    assert lockfile.inputs_digest(lock.environment) in lock.text


def test_rules_of_time_that_are_not_the_usual_one_are_part_of_the_inputs_and_of_the_name():
    rules = [
        {},
        {"as_of": "none"},
        {"as_of": "2021-06-30"},
        {"dates": (("pandas", "none"),)},
        {"dates": (("pandas", "2021-06-30"),)},
        {"as_of": "none", "dates": (("pandas", "2021-06-30"),)},
    ]
    environments = [dataclasses.replace(ENVIRONMENT, **rule) for rule in rules]
    assert len({environment.name for environment in environments}) == len(rules)
    assert len({lockfile.inputs_digest(environment) for environment in environments}) == len(rules)


def test_the_name_of_an_environment_with_many_pins_fits_a_file_system_and_stays_its_own():
    pins = (ENVIRONMENT.base, *((f"package-{number}", "1.0.0") for number in range(40)))
    many = dataclasses.replace(ENVIRONMENT, pins=pins)
    other = dataclasses.replace(many, pins=(*pins[:-1], ("package-39", "1.0.1")))
    assert len(many.name) < 120
    assert many.name.startswith("-".join(ENVIRONMENT.base) + "+40-pins-")
    assert many.name != other.name


def test_a_lock_without_a_date_comes_back_without_one(tmp_path):
    lock = lock_of(dataclasses.replace(ENVIRONMENT, as_of="none", dates=(("pandas", "2021-06-30"),)), as_of=None)
    assert lockfile.read(lockfile.write(lock, tmp_path), lock.environment) == lock
    lines = lock.text.splitlines()
    assert "# as of: none" in lines
    assert "# asked times: as of none; pandas 2021-06-30" in lines
    assert "# build tools as of: none" in lines


def test_a_lock_is_named_after_its_environment(path, tmp_path):
    assert path == lockfile.lock_path(tmp_path, ENVIRONMENT) == tmp_path / f"{ENVIRONMENT.name}.txt"


def test_a_lock_says_how_it_was_made(path):
    lines = path.read_text().splitlines()
    assert "# axes: tensorflow==1.13.1; keras==2.2.5" in lines
    assert "# cpython: 3.7" in lines
    assert "# as of: 2019-02-28T00:00:00Z" in lines
    assert "# exempt: keras until 2019-08-24T00:00:00Z" in lines
    assert any(line.startswith("# resolver: uv ") for line in lines)
    assert lines.index("absl-py==0.7.0 \\") < lines.index("# overlay: all else") < lines.index("keras==2.2.5 \\")


def test_the_order_in_which_packages_were_found_leaves_no_trace():
    assert lock_of(packages=lock_of().packages[::-1]).text == lock_of().text


def test_pip_reads_a_lock_as_its_own(path, not_run):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--no-index",
            "--no-deps",
            "--require-hashes",
            "-r",
            path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named pip" in done.stderr:  # as in environments that uv made; tox's, and so CI's, have one
        not_run("this interpreter has no pip")
    assert "No matching distribution found for absl-py==0.7.0" in done.stderr


def test_a_lock_that_is_missing_is_no_error(tmp_path):
    assert lockfile.read_if_it_follows(tmp_path / "none.txt", ENVIRONMENT) == (None, "there is none yet")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"packages": ("pandas", "scikit-learn")}, "made for packages pandas, and pandas; scikit-learn is wanted"),
        ({"python": "3.6"}, "made for asked cpython newest that fits, and 3.6 is wanted"),
        ({"as_of": "none"}, "made for asked times none, and as of none is wanted"),
        ({"dates": (("pandas", "none"),)}, "made for asked times none, and pandas none is wanted"),
        ({"flavour": "full"}, "made for flavour auto, and full is wanted"),
        ({"pins": (("tensorflow", "1.13.1"), ("keras", "2.2.4"))}, "and tensorflow==1.13.1; keras==2.2.4 is wanted"),
    ],
)
def test_a_lock_of_other_inputs_does_not_follow_and_says_why(path, change, reason):
    other = dataclasses.replace(ENVIRONMENT, **change)
    lock, why = lockfile.read_if_it_follows(path, other)
    assert lock is None
    assert reason in why
    with pytest.raises(UsageError, match="is not the lock of"):
        lockfile.read(path, other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("absl-py==0.7.0", "absl-py==0.7.1"),
        (HASHES[1], HASHES[9]),
        ("# as of: 2019-02-28", "# as of: 2020-02-28"),
        ("# cpython: 3.7", "# cpython: 3.6"),
        ("    # via tensorboard\n", ""),
    ],
)
def test_a_lock_edited_by_hand_is_refused_with_its_file(path, old, new):
    edit(path, old, new)
    with pytest.raises(UsageError, match="edited by hand") as error:
        lockfile.read_if_it_follows(path, ENVIRONMENT)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--index-url https://index.example/simple",
        "--extra-index-url=https://index.example/simple",
        "-r other.txt",
        "absl-py @ file:///tmp/absl.whl",
        "../absl.whl",
        "file:///tmp/absl.whl",
        "--requirement=other.txt",
        "--editable ..",
        "./absl.whl",
        "https://index.example/absl.whl",
        "absl-py>=0.7",
        "absl-py==0.7.0 ; python_version < '4' \\",
        "    --hash=md5:00",
        "#-e .",
    ],
)
def test_lines_with_options_addresses_or_paths_are_refused_with_their_line(path, line):
    edit(path, "absl-py==0.7.0 \\\n", f"{line}\nabsl-py==0.7.0 \\\n")
    number = path.read_text().splitlines().index(line) + 1
    with pytest.raises(UsageError, match="may not stand in a lock") as error:
        lockfile.read(path, ENVIRONMENT)
    assert f"{path}:{number}: " in str(error.value)


def test_a_file_that_is_no_lock_is_refused(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("absl-py==0.7.0\n")
    with pytest.raises(UsageError, match="is not a lock of this tool"):
        lockfile.read(path, ENVIRONMENT)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is not text"):
        lockfile.read(path, ENVIRONMENT)


def test_a_header_that_lost_a_line_is_refused(path):
    edit(path, "# exempt: keras until 2019-08-24T00:00:00Z\n", "")
    with pytest.raises(UsageError, match="its header lacks exempt"):
        lockfile.read(path, ENVIRONMENT)
