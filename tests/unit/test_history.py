"""The history of a package: what is folded is read back, through aliases, bases and between the releases looked at."""

from __future__ import annotations

import ast
import gzip
import json
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from runner.history.api import SHIPPED, History, Parameter, load
from runner.history.folding import Look, folded, looks_of, write_history
from runner.history.particulars import LOOKING, state_of

if TYPE_CHECKING:
    from pathlib import Path

OLD = {
    "pack": {"k": "module"},
    "pack.layers": {"k": "module"},
    "pack.layers.Layer": {"k": "class", "p": [["kwargs", None, "w"]], "a": {"input_shape": ""}, "r": {"lr": "no"}},
    "pack.layers.Layer.call": {"k": "method", "p": ["inputs"]},
    "pack.layers.Dense": {"k": "class", "p": ["units", ["use_bias", "True"]], "b": ["pack.layers.Layer"]},
    "pack.layers.Dense.build": {"k": "method", "p": []},
    "pack.Dense": {"t": "pack.layers.Dense"},
    "pack.core": {"t": "pack.layers"},
    "pack.to_categorical": {"k": "function", "p": ["y"], "d": "is deprecated"},
}
NEW = {
    "pack": {"k": "module"},
    "pack.layers": {"k": "module"},
    "pack.layers.Layer": {"k": "class", "p": []},
    "pack.layers.Dense": {"k": "class", "p": ["units", ["use_bias", "False"]], "b": ["~pack.src.Base"]},
    "~pack.src.Base": {"k": "class"},
    "~pack.src.Base.call": {"k": "method"},
    "pack.Dense": {"t": "pack.layers.Dense"},
    "pack.to_categorical": {"k": "gone", "d": "use pack.utils.to_categorical"},
    "pack.utils": {"k": "module"},
    "pack.utils.to_categorical": {"k": "function", "p": ["y"]},
}


UNSEEN = {Version("0.9"): "no wheel for it"}


def look(release: str, facts: dict[str, dict[str, object]]) -> Look:
    companions = {"numpy": release, "python": "3.7"}
    return Look(release=Version(release), companions=companions, facts=facts, state=f"state {release}")


@pytest.fixture
def history() -> History:
    return History(folded("pack", ["pack"], [look("2.0", NEW), look("1.0", OLD), look("1.2", OLD)], UNSEEN))


def test_a_release_is_answered_by_the_nearest_one_at_or_below(history: History) -> None:
    assert history.releases == (Version("1.0"), Version("1.2"), Version("2.0"))
    assert history.looked_at("1.1.5") == Version("1.0")
    assert history.looked_at("0.9") is None
    assert not history.covers("0.9")
    assert history.name("pack.Dense", "0.9") is None
    assert history.name("pack.Dense", "1.9") == history.name("pack.Dense", "1.2")
    assert history.companions("1.3") == {"numpy": "1.2", "python": "3.7"}


@pytest.mark.parametrize(
    ("release", "telling"),
    [("0.9", []), ("1.0", ["1.0"]), ("1.1", ["1.0", "1.2"]), ("1.9", ["1.2", "2.0"]), ("2.0", ["2.0"]), ("2.1", [])],
)
def test_a_release_that_was_not_looked_at_is_told_by_those_around_it(
    history: History, release: str, telling: list[str]
) -> None:
    assert [str(one) for one in history.telling(release)] == telling


def test_why_a_release_is_not_there_and_what_looked_at_the_others_are_kept(history: History) -> None:
    assert history.unseen == UNSEEN
    assert [history.state(one) for one in ("0.9", "1.0", "1.3", "2.0")] == ["", "state 1.0", "state 1.2", "state 2.0"]
    seen = History(folded("pack", ["pack"], [*looks_of(history), look("0.9", OLD)], history.unseen))
    assert seen.unseen == {}
    assert seen.state("0.9") == "state 0.9"


def test_a_file_without_states_is_read(history: History) -> None:
    head, _, lines = folded("pack", ["pack"], looks_of(history)).partition(b"\n")
    about = {key: value for key, value in json.loads(head).items() if key not in {"states", "unseen"}}
    old = History(json.dumps(about).encode() + b"\n" + lines)
    assert (old.state("1.0"), old.unseen, old.name("pack.Dense", "1.0")) == ("", {}, history.name("pack.Dense", "1.0"))


def test_signatures_come_back_as_they_were(history: History) -> None:
    dense = history.name("pack.layers.Dense", "1.0")
    assert dense is not None
    assert dense.kind == "class"
    assert dense.parameters == (
        Parameter(name="units", kind="either", default=None),
        Parameter(name="use_bias", kind="either", default="True"),
    )
    method = history.name("pack.layers.Dense.call", "2.0")
    assert method is not None
    assert method.parameters is None


def test_aliases_share_the_object_that_they_mean(history: History) -> None:
    alias = history.name("pack.Dense", "1.0")
    assert alias is not None
    assert (alias.path, alias.target, alias.kind) == ("pack.Dense", "pack.layers.Dense", "class")
    through_module = history.name("pack.core.Dense", "1.0")
    assert through_module is not None
    assert through_module.parameters == alias.parameters
    assert history.name("pack.core.Dense", "2.0") is None


@pytest.mark.parametrize(
    ("path", "release", "there"),
    [
        ("pack.layers.Dense.call", "1.0", True),
        ("pack.Dense.call", "1.0", True),
        ("pack.core.Dense.call", "1.0", True),
        ("pack.layers.Dense.call", "2.0", True),
        ("pack.layers.Layer.call", "2.0", False),
        ("pack.layers.Dense.build", "2.0", False),
        ("pack.to_categorical", "2.0", False),
        ("pack.layers.Den", "1.0", False),
        ("other.layers", "1.0", False),
    ],
)
def test_what_is_inherited_is_there(history: History, path: str, release: str, there: bool) -> None:
    assert (history.name(path, release) is not None) is there


def test_the_runs_of_a_name_are_told_by_their_releases(history: History) -> None:
    runs = history.runs("pack.layers.Dense")
    assert [(str(first), str(last)) for first, last, _ in runs] == [("1.0", "1.2"), ("2.0", "2.0")]
    assert history.first_without("pack.to_categorical", "1.0") == Version("2.0")
    assert history.last_with("pack.to_categorical") == Version("1.2")
    assert history.last_with("pack.utils") == Version("2.0")
    assert history.last_with("pack.utils", "1.2") is None
    assert history.first_without("pack.Dense", "1.0") is None


def test_a_missing_name_is_looked_for_elsewhere_and_beside_it(history: History) -> None:
    assert history.near("pack.to_categorical", "2.0") == ("pack.utils.to_categorical",)
    assert history.near("pack.layers.Dens", "1.0") == ("pack.layers.Dense",)


def test_what_a_package_says_of_a_name_is_kept(history: History) -> None:
    assert history.said_of("pack.to_categorical", "1.0") == "is deprecated"
    assert history.said_of("pack.to_categorical", "2.0") == "use pack.utils.to_categorical"
    assert history.said_of("pack.Dense", "2.0") == ""


@pytest.mark.parametrize(("argument", "takes"), [("input_shape", True), ("lr", False), ("any", None)])
def test_arguments_beside_the_signature_are_known_where_they_were_tried(
    history: History, argument: str, takes: bool | None
) -> None:
    layer = history.name("pack.layers.Layer", "1.0")
    dense = history.name("pack.layers.Dense", "1.0")
    assert layer is not None
    assert dense is not None
    assert layer.takes(argument) is takes
    assert dense.takes(argument) is False
    assert dense.takes("units") is True


def test_the_children_of_a_name_are_those_of_its_release(history: History) -> None:
    assert history.children("pack.Dense", "1.0") == ("build", "call")
    assert history.children("pack", "2.0") == ("Dense", "layers", "utils")


def test_folding_what_was_read_gives_the_same_file(history: History, tmp_path: Path) -> None:
    content = folded(history.package, history.roots, looks_of(history), history.unseen)
    assert content == folded("pack", ["pack"], [look("1.0", OLD), look("1.2", OLD), look("2.0", NEW)], UNSEEN)
    write_history(tmp_path / "pack.gz", content)
    first = (tmp_path / "pack.gz").read_bytes()
    write_history(tmp_path / "pack.gz", content)
    assert (tmp_path / "pack.gz").read_bytes() == first
    assert gzip.decompress(first) == content


def test_a_folder_of_the_users_comes_before_what_is_shipped(tmp_path: Path) -> None:
    assert load("pack", tmp_path) is None
    write_history(tmp_path / "pack.gz", folded("pack", ["pack"], [look("1.0", OLD)]))
    loaded = load("Pack", tmp_path)
    assert loaded is not None
    assert loaded.package == "pack"
    assert load("Pack", tmp_path) is loaded
    write_history(tmp_path / "pack.gz", folded("pack", ["pack"], [look("1.0", OLD), look("2.0", NEW)]))
    renewed = load("pack", tmp_path)
    assert renewed is not None
    assert len(renewed.releases) == 2


PROGRAMS = sorted(LOOKING.glob("*.py"))


def test_the_state_of_a_look_is_that_of_its_programs_and_of_the_packages_particulars() -> None:
    assert state_of("numpy") == state_of("h5py")
    assert state_of("numpy") != state_of("keras")
    assert len(state_of("keras")) == 12


def test_what_runs_in_an_environment_is_python_of_cpython_3_6() -> None:
    assert len(PROGRAMS) == 3
    for source in PROGRAMS:
        ast.parse(source.read_bytes(), str(source), feature_version=(3, 6))


def test_what_is_shipped_is_small_and_has_the_commonest_breaks() -> None:
    files = sorted(SHIPPED.glob("*.gz"))
    assert sum(file.stat().st_size for file in files) < 5_000_000
    for file in files:
        shipped = load(file.stem)
        assert shipped is not None
        assert shipped.releases == tuple(sorted(shipped.releases))
        assert all(shipped.companions(release)["python"] for release in shipped.releases)
    keras = load("keras")
    assert keras is not None
    taken = {}
    for path, argument in [
        ("keras.optimizers.SGD", "lr"),
        ("keras.optimizers.SGD", "learning_rate"),
        ("keras.layers.Dense", "batch_input_shape"),
        ("keras.layers.Dense", "input_shape"),
        ("keras.layers.Dense", "no_such_argument"),
    ]:
        names = [keras.name(path, release) for release in ("2.2.4", "3.3.3")]
        taken[path.rpartition(".")[2], argument] = [one and one.takes(argument) for one in names]
    assert taken == {
        ("SGD", "lr"): [True, False],
        ("SGD", "learning_rate"): [False, True],
        ("Dense", "batch_input_shape"): [True, False],
        ("Dense", "input_shape"): [True, True],
        ("Dense", "no_such_argument"): [None, None],
    }
