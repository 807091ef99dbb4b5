from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from matrix_files import SMALLEST, FakeIndex, written

if TYPE_CHECKING:
    from types import ModuleType

TOXFILE = Path(__file__).parents[2] / "toxfile.py"


class FakeCatalog:
    """The catalog that `toxfile` makes for itself, with the pages of a fake index."""

    index = FakeIndex({"tensorflow": ["2.16.1 2024-03-08", "2.15.0 2023-11-14"], "keras": ["3.0.5 2024-02-14"]})

    def __init__(self) -> None:
        self.connection = self

    def project(self, name: str) -> FakeCatalog | None:
        self.releases = self.index(name)
        return self if self.releases is not None else None

    def close(self) -> None:
        pass


@pytest.fixture
def toxfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("toxfile_under_test", TOXFILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr("runner.environments.index.catalog.Catalog", FakeCatalog)
    FakeCatalog.index.asked.clear()
    return module


def test_tox_environments_of_concrete_versions_need_no_index(toxfile: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, SMALLEST)
    assert toxfile.combinations() == {"tf1.13.1": "tensorflow=1.13.1"}
    assert not FakeCatalog.index.asked


def test_tox_environments_of_a_range_are_those_that_it_became(toxfile: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, "axes: {tensorflow: {range: '>=2.16'}, keras: era}\nexperiment: {script: train.py}\n")
    assert toxfile.combinations() == {"keras3.0.5-tf2.16.1": "tensorflow=2.16.1,keras=3.0.5"}


def test_a_range_without_an_answer_is_told_and_tox_goes_on(
    toxfile: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "axes: {tensorflow: {range: '>=9'}}\nexperiment: {script: train.py}\n")
    assert toxfile.combinations() == {}
    assert "no release of tensorflow is in >=9; the newest is 2.16.1" in capsys.readouterr().err
