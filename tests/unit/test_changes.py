"""The entries of known changes, and the proof that each must have: a case with cells on both sides of every border."""

from __future__ import annotations

import itertools
import pydoc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from packaging.version import Version

from runner.changes.known import Border, KnownChange, known_changes, read, table
from runner.check.checker import Checker
from runner.check.findings import FindingKind
from runner.check.stacks import histories_in
from runner.history.api import load
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix
from runner.preludes.prelude import catalogue
from runner.scripts.rewriting import rewritten
from runner.scripts.script import read_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.history.api import History
    from runner.matrix.cell_id import CellId

REPOSITORY = Path(__file__).parents[2]
CHANGES = [pytest.param(change, id=change.name) for change in known_changes()]
HISTORIES = histories_in()
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
ENTRY = """\
package: scikit-learn
border: 0.22
concerns: {uses: sklearn.svm.SVC, without: gamma}
effect: The width of the kernel follows the data.
source: release notes of 0.22
case: a-case
"""


def unproven(change: KnownChange, repository: Path) -> list[str]:
    """What a change lacks of its proof: a case whose cells are on both sides of each border, and come out unlike."""
    folder = repository / change.case
    if not (folder / "matrix.yaml").is_file() or not any(folder.glob("locks/*.txt")):
        return [f"{change.case} is no folder with a matrix and locks"]
    matrix = Matrix.load(folder / "matrix.yaml")
    outcomes = {cell.id: _outcome(matrix, cell.id) for cell in expand(matrix)}
    asked = (folder / "expected.yaml").is_file()  # `explain` shows that its two cells differ
    lacking = []
    for border in change.borders:
        pairs = list(_across(border, list(outcomes)))
        if not pairs:
            lacking.append(f"no two cells are on both sides of {border.package} {border.release}")
        elif not asked and not any(_unlike(outcomes[old], outcomes[new]) for old, new in pairs):
            lacking.append(f"no outcomes are expected that differ at {border.package} {border.release}")
    return lacking


def _outcome(matrix: Matrix, cell: CellId) -> str:
    return next((one.outcome for one in matrix.expect if cell.matches(one.match.values)), "")


def _unlike(old: str, new: str) -> bool:
    return bool(old and new) and old != new


def _across(border: Border, cells: list[CellId]) -> Iterator[tuple[CellId, CellId]]:
    """Cells before and after a border that are alike but for versions, and import the Keras whose release it is."""
    flavour = {"keras": "keras", "tensorflow": "tf.keras"}.get(border.package, "")
    cells = [cell for cell in cells if cell.values.get("import", flavour) == flavour or not flavour]
    for old, new in itertools.permutations(cells, 2):
        fixed = [{axis: one.values.get(axis) for axis in ("import", "script", "env", "backend")} for one in (old, new)]
        if border.passed(old.values) is False and border.passed(new.values) and fixed[0] == fixed[1]:
            yield old, new


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_proven_by_a_case(change: KnownChange) -> None:
    assert unproven(change, REPOSITORY) == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_switch_of_a_change_is_one_of_the_catalogue(change: KnownChange) -> None:
    assert not change.switch or change.switch in catalogue()


@pytest.mark.parametrize("change", CHANGES)
def test_check_finds_a_change_in_the_script_of_its_case(change: KnownChange) -> None:
    matrix = Matrix.load(REPOSITORY / change.case / "matrix.yaml")
    script = read_script(matrix.folder, "train.py")
    for border in change.borders:
        old, new = next(_across(border, [cell.id for cell in expand(matrix)]))
        told = rewritten(script, old.values.get("import", "as-written"))
        found = Checker(told, HISTORIES, (change,)).findings(old.values, new.values)
        assert {one.package for one in found if one.kind is FindingKind.KNOWN} == {border.package}


@pytest.mark.parametrize("change", CHANGES)
def test_the_names_that_a_change_concerns_are_there(change: KnownChange) -> None:
    """Those of packages in their histories, where these reach a border; those of Python itself by looking."""
    for name in (name for condition in change.concerns for name in condition.uses):
        if name.partition(".")[0] in sys.stdlib_module_names:
            assert pydoc.locate(name) is not None, name
        else:
            histories = list(_histories(change, name))
            assert not histories or any(history.last_with(path) for history, path in histories), name


@pytest.mark.parametrize("change", [pytest.param(one, id=one.name) for one in known_changes() if one.give])
def test_check_writes_what_a_change_says_to_give(change: KnownChange) -> None:
    matrix = Matrix.load(REPOSITORY / change.case / "matrix.yaml")
    checker = Checker(read_script(matrix.folder, "train.py"), HISTORIES, (change,))
    old, new = next(_across(change.borders[0], [cell.id for cell in expand(matrix)]))
    found = checker.findings(old.values, new.values)
    edits = [one.edit for one in found if one.kind is FindingKind.KNOWN]
    assert all(edit is not None and change.give[0][1] in edit.text for edit in edits)
    assert edits
    assert [one for one in found if one.kind is FindingKind.CHANGES and one.argument == change.give[0][0]] == []


def _histories(change: KnownChange, name: str) -> Iterator[tuple[History, str]]:
    """The histories that should have a name, each with the path that it has there."""
    root = name.partition(".")[0]
    for package, prefix in (
        {"keras": "keras", "tensorflow": "tensorflow.keras"}.items() if root == "keras" else [(root, root)]
    ):
        history = load(DISTRIBUTIONS.get(package, package))
        borders = [one.release for one in change.borders if one.package == DISTRIBUTIONS.get(package, package)]
        if history is not None and borders and history.releases[-1] >= min(borders):
            yield history, prefix + name.removeprefix(root)


def test_the_documented_table_is_that_of_the_entries() -> None:
    assert (REPOSITORY / "docs" / "changes.md").read_text("utf-8") == table()


def made_case(
    folder: Path, *, cells: str = "[0.21.3, 0.22.1]", outcomes: tuple[str, str] = ("converges", "fails")
) -> None:
    (folder / "a-case" / "locks").mkdir(parents=True)
    (folder / "a-case" / "locks" / "a.txt").touch()
    (folder / "a-case" / "train.py").touch()
    expect = [
        {"scikit-learn": version, "outcome": one} for version, one in zip(("0.21.3", "0.22.1"), outcomes, strict=True)
    ]
    text = f"axes: {{scikit-learn: {cells}}}\nexperiment: {{script: train.py}}\n"
    if "," in cells:
        text += yaml.safe_dump({"expect": expect})
    (folder / "a-case" / "matrix.yaml").write_text(text)


def made_change(folder: Path, text: str = ENTRY) -> KnownChange:
    path = folder / "svc-gamma.yaml"
    path.write_text(text)
    return read(path)


def test_an_entry_is_read(tmp_path: Path) -> None:
    change = made_change(tmp_path)
    assert change.name == "svc-gamma"
    assert change.borders == (Border(package="scikit-learn", release=Version("0.22")),)
    assert (change.concerns[0].uses, change.concerns[0].absent) == (("sklearn.svm.SVC",), ("gamma",))


def test_arguments_are_given_by_name_or_with_a_literal(tmp_path: Path) -> None:
    change = made_change(
        tmp_path, ENTRY.replace("without: gamma", "with: [kernel, {shrinking: 'False', cache: [1, 2]}]")
    )
    given = [(one.name, one.values) for one in change.concerns[0].given]
    assert given == [("kernel", ()), ("shrinking", ("False",)), ("cache", ("1", "2"))]


def test_a_case_that_shows_both_sides_proves_a_change(tmp_path: Path) -> None:
    made_case(tmp_path)
    assert unproven(made_change(tmp_path), tmp_path) == []


def test_a_change_without_its_case_is_refused(tmp_path: Path) -> None:
    assert unproven(made_change(tmp_path), tmp_path) == ["a-case is no folder with a matrix and locks"]


@pytest.mark.parametrize("border", ["0.21", "0.23"])
def test_a_border_that_is_not_between_the_cells_is_refused(border: str, tmp_path: Path) -> None:
    made_case(tmp_path)
    change = made_change(tmp_path, ENTRY.replace("0.22\n", f"{border}\n", 1))
    assert unproven(change, tmp_path) == [f"no two cells are on both sides of scikit-learn {border}"]


def test_a_matrix_with_one_cell_proves_nothing(tmp_path: Path) -> None:
    made_case(tmp_path, cells="[0.22.1]")
    assert unproven(made_change(tmp_path), tmp_path) == ["no two cells are on both sides of scikit-learn 0.22"]


def test_two_sides_that_come_out_alike_prove_nothing(tmp_path: Path) -> None:
    made_case(tmp_path, outcomes=("converges", "converges"))
    lacking = ["no outcomes are expected that differ at scikit-learn 0.22"]
    assert unproven(made_change(tmp_path), tmp_path) == lacking


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.replace("border: 0.22", "border: new"),
        ENTRY.replace("uses: sklearn.svm.SVC, ", ""),
        ENTRY.replace("effect: The width of the kernel follows the data.\n", ""),
        ENTRY + "because: nothing\n",
    ],
    ids=["no release", "no use", "no effect", "unknown field"],
)
def test_an_entry_that_lacks_something_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"known|Field required|no release|_Entry"):
        made_change(tmp_path, text)


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("tensorflow.keras.layers.BatchNormalization", "tensorflow"),
        ("keras.layers.BatchNormalization", "keras"),
        ("tf_keras.layers.BatchNormalization", None),
    ],
)
def test_the_border_of_a_keras_is_that_of_the_flavour_that_the_script_uses(path: str, package: str | None) -> None:
    releases = {"keras": Version("2.4.0"), "tensorflow": Version("2.0.0")}
    borders = tuple(Border(package=one, release=release) for one, release in releases.items())
    change = KnownChange(
        name="a",
        package="keras",
        borders=borders,
        concerns=(),
        where=(),
        effect="",
        source="",
        case="",
        switch="",
        instead="",
    )
    assert change.border_of(path) == next((one for one in borders if one.package == package), None)


@pytest.mark.parametrize(
    ("before", "after", "crossed"),
    [("0.21.3", "0.22", True), ("1.0", "0.21", True), ("0.22", "1.0", False), ("", "1.0", False)],
)
def test_a_border_is_crossed_where_the_releases_are_on_its_two_sides(before: str, after: str, crossed: bool) -> None:
    border = Border(package="scikit-learn", release=Version("0.22"))
    assert border.crossed({"scikit-learn": before}, {"scikit-learn": after}) is crossed


def test_a_change_of_a_few_stacks_asks_for_them(tmp_path: Path) -> None:
    change = made_change(tmp_path, ENTRY + "where: tensorflow<2.4\n")
    assert change.holds_in({"tensorflow": "1.15.0"})
    assert not change.holds_in({"tensorflow": "2.4.0"})
    assert not change.holds_in({"numpy": "1.20"})
