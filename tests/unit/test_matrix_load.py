from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix_files import SMALLEST, FakeIndex, loaded, written

from runner.errors import MatrixError, Mistake
from runner.matrix.axes import AxisKind
from runner.matrix.cells import cells, expand, requirements_of
from runner.matrix.criterion import Comparison, CostLimit, Measure, Operator
from runner.matrix.declaration import MatrixSections
from runner.matrix.matrix_file import Matrix, load_matrix
from runner.matrix.mistakes import Position
from runner.matrix.model import DataMapping, Experiment, Judging, Requirement, Resources, Seeds
from runner.matrix.releases import Era, Every, Latest, VersionRange
from runner.matrix.settle import settle


def test_the_smallest_matrix_has_the_defaults_of_the_model(tmp_path: Path) -> None:
    matrix = loaded(tmp_path, SMALLEST)
    assert matrix.experiment == Experiment(script="train.py")
    assert matrix.seeds == Seeds(lead=4, cap=10, fixed=False)
    assert matrix.resources == Resources()
    assert (matrix.judging, matrix.baseline, matrix.control) == (Judging(), None, False)
    assert matrix.flavour == "auto"
    assert (matrix.include, matrix.exclude, matrix.packages, matrix.criterion, matrix.expect) == ((), (), (), (), ())
    assert (matrix.as_of, matrix.dates, matrix.became) == ("release", (), ())
    assert Matrix.load(tmp_path / "matrix.yaml") == matrix


def test_a_whole_matrix_is_read(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").touch()
    text = dedent("""\
        axes:
          tensorflow: [1.13.1, 1.10, 2.10.1]
          Keras: 2.2.4
          python: [3.7, 3.10]
          import: as-written
          script: [train.py, ./sub/other.py]
          env: ["", {B: x y, A: 1}, "D=4 C=3"]
        exclude:
          - {python: 3.10, tensorflow: 1.13.1}
        include:
          - {tensorflow: 2.16.1, keras: 3.3.3, script: train.py}
        experiment:
          args: [--epochs, 10, 0.1]
          data: [mnist.npz, {mnist.npz: ~/.keras/datasets/mnist.npz}]
          timeout: 1h30m
          artifacts: ["*.png", out/*.h5]
          network: true
        packages: [pandas, Scikit_Learn >= 0.20]
        criterion: [loss < 1e-4, memory < 2x baseline, val_accuracy >= 0.9 within 5 epochs]
        mode: max
        at: best
        skip: 1
        fits: all
        baseline: {tensorflow: 2.16.1}
        control: true
        seeds: {lead: 3, cap: 9}
        resources: {cpus: 2, memory: 512m, disk: 2GB, processes: 64}
        expect:
          - {keras: 2.2.4, script: sub/other.py, outcome: fails(nan)}
          - {outcome: converges}
        flavour: cpu
        as_of: {numpy: 2019-03-01}
        """)
    matrix = loaded(tmp_path, text)
    assert [(axis.name, [value.text for value in axis.values]) for axis in matrix.axes] == [
        ("tensorflow", ["1.13.1", "1.10", "2.10.1"]),
        ("keras", ["2.2.4"]),
        ("python", ["3.7", "3.10"]),
        ("import", ["as-written"]),
        ("script", ["train.py", "sub/other.py"]),
        ("env", ["", "A=1 B='x y'", "C=3 D=4"]),
    ]
    assert matrix.base.name == "tensorflow"
    assert [axis.kind for axis in matrix.axes][1:3] == [AxisKind.PACKAGE, AxisKind.PYTHON]
    assert matrix.axes[0].values[1].position == Position(line=2, column=24)
    assert matrix.exclude[0].values == {"python": "3.10", "tensorflow": "1.13.1"}
    assert matrix.include[0].values == {"tensorflow": "2.16.1", "keras": "3.3.3", "script": "train.py"}
    assert matrix.include[0].positions["keras"] == Position(line=11, column=33)
    assert matrix.experiment == Experiment(
        script=None,
        args=("--epochs", "10", "0.1"),
        data=(
            DataMapping(source=tmp_path / "mnist.npz", target="mnist.npz"),
            DataMapping(source=tmp_path / "mnist.npz", target="~/.keras/datasets/mnist.npz"),
        ),
        timeout_s=5400.0,
        artifacts=("*.png", "out/*.h5"),
        network=True,
    )
    assert matrix.packages == (Requirement(text="pandas"), Requirement(text="scikit-learn>=0.20"))
    assert matrix.criterion == (
        Comparison(metric="loss", operator=Operator.LESS, target=1e-4),
        Comparison(metric="val_accuracy", operator=Operator.GREATER_EQUAL, target=0.9, within=5),
    )
    costs = (CostLimit(measure=Measure.MEMORY, factor=2.0),)
    assert matrix.judging == Judging(metric="loss", mode="max", at="best", skip=1, fits="all", costs=costs)
    assert matrix.criteria == ("loss < 0.0001", "val_accuracy >= 0.9 within 5 epochs", "memory < 2x baseline")
    assert matrix.baseline is not None
    assert (matrix.baseline.values, matrix.control) == ({"tensorflow": "2.16.1"}, True)
    assert matrix.seeds == Seeds(lead=3, cap=9)
    assert matrix.resources == Resources(cpus=2, memory_bytes=512 * 1024**2, disk_bytes=2 * 1024**3, processes=64)
    assert [(e.match.values, e.outcome) for e in matrix.expect] == [
        ({"keras": "2.2.4", "script": "sub/other.py"}, "fails (nan)"),
        ({}, "converges"),
    ]
    assert matrix.flavour == "cpu"
    assert (matrix.as_of, matrix.dates) == ("release", (("numpy", "2019-03-01"),))
    assert matrix.settled


@pytest.mark.parametrize(
    ("written_as", "seeds"),
    [
        ("3", Seeds(lead=3, cap=3, fixed=True)),
        ("as-written", Seeds(as_written=True)),
        ("{cap: 6}", Seeds(lead=4, cap=6)),
    ],
)
def test_seeds_are_a_number_as_written_or_a_rule(tmp_path: Path, written_as: str, seeds: Seeds) -> None:
    assert loaded(tmp_path, f"{SMALLEST}seeds: {written_as}\n").seeds == seeds


@pytest.mark.parametrize(
    ("written_as", "seconds"), [("30m", 1800), ("90s", 90), ("45", 45), ("1.5h", 5400), ("1m30", 90)]
)
def test_a_timeout_is_a_duration_or_a_number_of_seconds(tmp_path: Path, written_as: str, seconds: float) -> None:
    text = f"axes: {{keras: 2.2.4}}\nexperiment: {{script: train.py, timeout: {written_as}}}\n"
    assert loaded(tmp_path, text).experiment.timeout_s == seconds


def test_a_section_with_nothing_after_it_counts_as_not_written(tmp_path: Path) -> None:
    assert loaded(tmp_path, f"{SMALLEST}exclude:\nexpect:\nseeds:\nresources:\n") == loaded(tmp_path, SMALLEST)


def test_a_partial_match_finds_an_environment_however_it_is_written(tmp_path: Path) -> None:
    text = f"{SMALLEST}exclude:\n  - env: {{B: 2, A: 1}}\n".replace("[1.13.1]", "[1.13.1], env: ['', 'A=1  B=2']")
    assert loaded(tmp_path, text).exclude[0].values == {"env": "A=1 B=2"}


def test_an_expectation_may_name_a_value_that_include_adds(tmp_path: Path) -> None:
    text = f"{SMALLEST}include: [{{python: 3.7}}]\nexpect: [{{python: 3.7, tensorflow: 1.13.1.0, outcome: settles}}]\n"
    assert loaded(tmp_path, text).expect[0].outcome == "settles"


def test_anchors_serve_several_partial_matches(tmp_path: Path) -> None:
    text = dedent("""\
        axes: {tensorflow: [1.13.1, 2.10.1], keras: [2.2.4, 2.10.0]}
        exclude:
          - &mixed {tensorflow: 1.13.1, keras: 2.10.0}
          - {<<: *mixed, tensorflow: 2.10.1, keras: 2.2.4}
        experiment: {script: train.py}
        """)
    assert [partial.values for partial in loaded(tmp_path, text).exclude] == [
        {"tensorflow": "1.13.1", "keras": "2.10.0"},
        {"tensorflow": "2.10.1", "keras": "2.2.4"},
    ]


def test_keys_that_begin_with_x_are_ignored_and_hold_anchors(tmp_path: Path) -> None:
    aside = "x-stacks:\n  - &old {tensorflow: 1.13.1}\nx-notes:\n"
    text = f"{aside}axes: {{tensorflow: [1.13.1, 2.10.1]}}\nexclude: [*old]\nexperiment: {{script: train.py}}\n"
    assert loaded(tmp_path, text).exclude[0].values == {"tensorflow": "1.13.1"}


def test_a_matrix_may_consist_of_included_cells_alone(tmp_path: Path) -> None:
    text = dedent("""\
        include:
          - {tensorflow: 1.13.1, keras: 2.2.4}
          - {python: 3.10, keras: 2.10.0, tensorflow: 2.10.1}
        experiment: {script: train.py}
        packages: [{numpy: "<1.20", when: tensorflow<2}]
        expect: [{keras: 2.10, outcome: converges}]
        """)
    matrix = loaded(tmp_path, text)
    assert matrix.base.name == "tensorflow"
    assert [str(cell.id) for cell in expand(matrix)] == [
        "tensorflow=1.13.1,keras=2.2.4",
        "tensorflow=2.10.1,keras=2.10.0,python=3.10",
    ]


@pytest.mark.parametrize("flavour", ["as-written", "keras", "tf.keras", "tf_keras"])
def test_every_import_flavour_is_a_value(tmp_path: Path, flavour: str) -> None:
    (cell,) = expand(loaded(tmp_path, SMALLEST.replace("}", f", import: {flavour}}}", 1)))
    assert cell.import_flavour == flavour


def test_rules_stay_what_they_are_until_the_index_is_asked(tmp_path: Path) -> None:
    text = dedent("""\
        axes:
          tensorflow: [{range: ">= 1.7, <2.17", every: patch, prereleases: true}, latest-3, 1.10]
          keras: era
          numpy: {range: "*"}
        experiment: {script: train.py}
        """)
    matrix = loaded(tmp_path, text)
    assert not matrix.settled
    assert [value.rule for axis in matrix.axes for value in axis.values] == [
        VersionRange(specifiers=">=1.7,<2.17", every=Every.PATCH, prereleases=True),
        Latest(before=3),
        None,
        Era(),
        VersionRange(specifiers="", every=Every.MINOR),
    ]
    assert [value.text for axis in matrix.axes for value in axis.values] == [
        ">=1.7,<2.17 every patch with pre-releases",
        "latest-3",
        "1.10",
        "era",
        "* every minor",
    ]


def test_the_values_of_a_matrix_are_imported_without_parsers_or_pydantic() -> None:
    code = "import sys; from runner.matrix.matrix_file import Matrix; print({'lark', 'pydantic'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_loading_a_matrix_without_a_criterion_needs_no_lark(tmp_path: Path) -> None:
    written(tmp_path, SMALLEST)
    code = "import sys; from runner import Matrix; Matrix.load('matrix.yaml'); print('lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "False\n"


YAML_LINE_BREAK = re.compile("[\n\r\x85\u2028\u2029]")
WORDS = st.sampled_from(
    dedent("""\
        axes include exclude experiment packages criterion seeds resources expect flavour tensorflow keras python import
        script env train.py 1.13.1 2.2.4 3.7 as-written tf.keras A=1 outcome converges fails(nan) data args timeout 30m
        network true memory 4g lead cap << &a *a ? | > !!int --- ... '' "\\0" {range:1} loss<1 latest ../x ~ ~x/y
        range every minor >=1 * <2 era latest-1 when tensorflow<2 numpy as_of none release 2019-03-01 default x-a
        requirements
    """).split()
)
SCALARS = WORDS | st.text(max_size=8) | st.integers().map(str)
YAML_LIKE = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(WORDS, inner), max_size=4).map(
            lambda pairs: f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
        )
    ),
    max_leaves=12,
)
TOP = st.sampled_from(sorted(field.name for field in fields(MatrixSections)))
MATRICES = st.lists(st.tuples(TOP, YAML_LIKE), max_size=6).map(lambda pairs: "\n".join(f"{k}: {v}" for k, v in pairs))


INDEX = {"tensorflow": ["1.13.1", "2.2.0"], "keras": ["2.2.4"], "numpy": ["1.16.0", "1.17.0rc1"]}


def mistakes_of(path: Path) -> tuple[Mistake, ...]:
    try:
        matrix = settle(load_matrix(path), FakeIndex(INDEX))
        assert matrix.settled
        for cell in islice(cells(matrix), 3):
            assert requirements_of(matrix.packages, cell) == tuple(sorted(requirements_of(matrix.packages, cell)))
    except MatrixError as error:
        return error.mistakes
    return ()


@given(MATRICES | YAML_LIKE | st.text(), st.booleans())
def test_any_text_gives_a_matrix_or_mistakes_with_places_inside_it(text: str, smallest: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.yaml"
        (path.parent / "train.py").touch()
        whole = SMALLEST + text if smallest else text
        path.write_bytes(whole.encode("utf-8", errors="surrogatepass"))
        for mistake in mistakes_of(path):
            assert 1 <= mistake.line <= len(YAML_LINE_BREAK.findall(whole)) + 2
            assert mistake.column >= 1
            assert mistake.message


@pytest.mark.parametrize("written", ['""', "none", '" "'])
def test_a_cell_without_a_prelude_is_named_by_the_word_none(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.py").touch()
    (tmp_path / "matrix.yaml").write_text(
        f"axes: {{six: [1.0.0], prelude: [{written}, resource-variables]}}\nexperiment: {{script: a.py}}\n"
    )
    without, with_one = expand(load_matrix(tmp_path / "matrix.yaml"))
    assert str(without.id) == "six=1.0.0,prelude=none"
    assert (without.preludes, with_one.preludes) == ((), ("resource-variables",))
