"""Keys follow what code does and what data holds; a large file is read once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runner.engines.protocol import EngineKind
from runner.environments.lock import Environment, Layer, LockedPackage, OwnPackage
from runner.environments.lockfile import finished
from runner.errors import UsageError
from runner.laboratory.setup import Settings, Setup
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix
from runner.matrix.model import DataMapping
from runner.trials.record import Record
from runner.trials.store import Store
from runner.trials.trial import PROBE, Trial, code_version, data_digest_of, mounts_of, probe_version, stored_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.scripts.script import Script
    from runner.trials.trial import Setting


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "deep").mkdir(parents=True)
    (tmp_path / "set" / "a.csv").write_text("1")
    (tmp_path / "set" / "deep" / "b.csv").write_text("2")
    return tmp_path


def digest(folder: Path, store: Store, target: str = "data") -> str:
    return data_digest_of(mounts_of([DataMapping(source=folder / "set", target=target)], folder), store)


def test_the_digest_changes_with_content_name_and_target(folder: Path, store: Store) -> None:
    seen = {digest(folder, store), digest(folder, store, target="~/.keras/datasets")}
    (folder / "set/deep/b.csv").write_text("3")
    seen.add(digest(folder, store))
    (folder / "set/deep/b.csv").rename(folder / "set/deep/c.csv")
    seen.add(digest(folder, store))
    assert len(seen) == 4


def test_a_file_is_read_again_only_when_size_or_time_changed(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(folder, store)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
    assert digest(folder, store) == before


def test_what_lies_behind_a_link_counts_and_a_link_upwards_is_walked_once(folder: Path, store: Store) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.csv").write_text("1")
    (folder / "set" / "link").symlink_to(elsewhere)
    (folder / "set" / "up").symlink_to(folder / "set")
    before = digest(folder, store)
    (elsewhere / "c.csv").write_text("22")
    assert digest(folder, store) != before


def test_a_single_file_can_be_mapped(folder: Path, store: Store) -> None:
    mounts = mounts_of([DataMapping(source=folder / "set/a.csv", target="a.csv")], folder)
    assert data_digest_of(mounts, store) != data_digest_of((), store)


def test_a_missing_file_is_named(folder: Path, store: Store) -> None:
    mounts = mounts_of([DataMapping(source=folder / "gone.csv", target="a.csv")], folder)
    with pytest.raises(UsageError, match=r"gone\.csv can't be read: No such file"):
        data_digest_of(mounts, store)


@pytest.fixture
def setting(folder: Path, store: Store) -> Callable[[], Setting]:
    """The setting of a cell whose script, local module and prelude are in the folder, read anew at each call."""
    (folder / "train.py").write_text("import model\nSTEPS = 10\n")
    (folder / "model.py").write_text("UNITS = 3\n")
    (folder / "change.py").write_text("prelude.applied('x')\n")
    (folder / "matrix.yaml").write_text("axes:\n  six: [1.16.0]\n  script: [train.py]\n  prelude: [change.py]\n")
    lock = finished(
        environment=Environment(pins=(("six", "1.16.0"),)),
        python="3.11",
        as_of=datetime(2021, 6, 1, tzinfo=UTC),
        exemptions=(),
        packages=[LockedPackage(name="six", version="1.16.0", layer=Layer.BASE, hashes=(f"sha256:{'0' * 64}",))],
    )

    def read() -> Setting:
        matrix = Matrix.load(folder / "matrix.yaml")
        (cell,) = expand(matrix)
        return Settings(folder).of(cell, Setup.of(matrix), lock, (EngineKind.VENV, "base"), store)

    return read


def test_many_settings_have_the_trials_that_each_has_alone(store: Store, setting: Callable[[], Setting]) -> None:
    settings = [replace(setting(), base_identity=f"base-{number}") for number in range(50)]
    for number, one in enumerate(settings[::3]):
        for seed in range(number % 4):
            trial = Trial(setting=one, seed=seed)
            store.put(
                Record(
                    key=trial.key,
                    cell=dict(one.cell.id.values),
                    seed=seed,
                    engine="venv",
                    started_at="2026-01-01T00:00:00+00:00",
                    duration_s=1.0,
                    stage="after-training",
                )
            )
    found = list(stored_trials(store, settings, range(3), lambda *_: True))
    assert found == [next(stored_trials(store, [one], range(3), lambda *_: True)) for one in settings]
    assert [len(trials) for trials in found[:12:3]] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["train.py", "model.py", "change.py"])
def test_a_comment_or_a_docstring_changes_no_key_and_a_constant_does(
    folder: Path, setting: Callable[[], Setting], name: str
) -> None:
    before = setting().digest
    source = (folder / name).read_text()
    (folder / name).write_text(f'"""About this file."""\n\n# and more\n{source}')
    assert setting().digest == before
    (folder / name).write_text(source + "MORE = 1\n")
    assert setting().digest != before


@pytest.mark.parametrize(
    "experiment", ["args: [--fast]", "env: {A: 1}", "files: [set]", "network: true", "artifacts: ['*.h5']"]
)
def test_what_is_given_to_a_script_is_in_its_key_and_what_is_not_given_is_not(
    folder: Path, setting: Callable[[], Setting], experiment: str
) -> None:
    before = setting().digest
    matrix = (folder / "matrix.yaml").read_text()
    (folder / "matrix.yaml").write_text(f"{matrix}experiment: {{args: [], env: {{}}, files: [], network: false}}\n")
    assert setting().digest == before
    (folder / "matrix.yaml").write_text(f"{matrix}experiment: {{{experiment}}}\n")
    assert setting().digest != before


def test_a_module_below_src_is_the_project_s_own_copy_unless_the_project_is_installed(folder: Path) -> None:
    (folder / "src" / "mine").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    for name in ("train", "data"):
        (folder / "src" / "mine" / f"{name}.py").write_text("import keras, mine.data\n")

    def script(install: str, own: OwnPackage | None) -> Script:
        text = f"axes: {{six: [1.16.0], import: [tf.keras]}}\nexperiment: {{module: mine.train{install}}}\n"
        (folder / "matrix.yaml").write_text(text)
        matrix = Matrix.load(folder / "matrix.yaml")
        (cell,) = expand(matrix)
        setup = Setup(name="m", experiment=matrix.experiment, resources=matrix.resources, own=own)
        return Settings(folder).script(cell, setup)

    lying = script("", None)
    assert [file.path for file in lying.files] == ["src/mine/train.py", "src/mine/data.py"]
    assert "+import tensorflow.keras as keras" in lying.diff
    told = {"version": "1.0", "sha256": "", "requires": (), "requires_python": "", "digest": "0"}
    own = OwnPackage(folder=folder, name="mine", modules=("mine",), **told)
    installed = script(", install: .", own)
    assert [file.path for file in installed.files] == ["src/mine/train.py"]
    assert installed.diff == "", "what is installed is not rewritten"


def test_a_module_has_another_key_than_its_file_as_a_script(folder: Path, setting: Callable[[], Setting]) -> None:
    before = setting()
    (folder / "matrix.yaml").write_text("axes: {six: [1.16.0], prelude: [change.py]}\nexperiment: {module: train}\n")
    assert setting().script == before.script
    assert setting().digest != before.digest


def test_the_keys_of_trials_do_not_change_with_the_version(folder: Path, setting: Callable[[], Setting]) -> None:
    one = replace(setting(), preludes=())
    found = one._digest_with(probe="p", script=one.script.digest, preludes=[])
    assert found == "c99221c2854357edd9058d5971d21ebeee8bfa4b615f1edb8205e38698bf2ed4"


def test_a_comment_in_the_probe_changes_no_key_and_a_constant_does(tmp_path: Path) -> None:
    shutil.copytree(PROBE, tmp_path / "probe", ignore=shutil.ignore_patterns("__pycache__"))
    assert code_version(tmp_path / "probe") == probe_version()
    start = tmp_path / "probe" / "_runner_probe" / "__init__.py"
    source = start.read_text()
    start.write_text(source.replace('"""\n\n', '"""\n# a comment\n\n', 1))
    assert start.read_text() != source
    assert code_version(tmp_path / "probe") == probe_version()
    start.write_text(source.replace('VERSION = "', 'VERSION = "other than '))
    assert code_version(tmp_path / "probe") != probe_version()
