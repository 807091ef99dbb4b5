from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import SMALLEST, mistakes_in

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "axes: {tensorflow: [1.13.1, 2.10.1], keras: [2.2.4, 2.10.0]}\n"
EXPERIMENT = "experiment: {script: train.py}\n"


def test_all_mistakes_of_a_file_are_reported_together_in_its_order(tmp_path: Path) -> None:
    text = """\
axes:
  tensorflow: [1.13.1, 2.x]
  keras: []
exclude:
  - {tensorflow: 1.13.2}
inclde: []
experiment:
  script: trian.py
  timeout: soon
criterion: loss <> 1
seeds: some
expect:
  - {tensorflow: 1.13.1, outcome: converged}
flavour: gpu
"""
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:2:24: tensorflow: '2.x' is no version (PEP 440) (write it like 2.2.4)",
        "matrix.yaml:3:10: the axis 'keras' has no values (write them as a list, such as [2.2.4, 2.3.1])",
        "matrix.yaml:5:18: the axis 'tensorflow' has no value '1.13.2' (did you mean '1.13.1'?)",
        "matrix.yaml:6:1: unknown key 'inclde' (did you mean 'include'?)",
        "matrix.yaml:8:11: there is no script 'trian.py' in FOLDER (did you mean 'train.py'?)",
        (
            "matrix.yaml:9:12: experiment.timeout: 'soon' is no duration between 0 seconds and 30 days "
            "(write it like 30m, 90s or 1h30m)"
        ),
        (
            "matrix.yaml:10:18: the criterion 'loss <> 1' does not parse: expected a number, found '>' "
            "(write it like 'loss < 1e-4' or 'val_accuracy >= 0.9 within 5 epochs')"
        ),
        "matrix.yaml:11:8: seeds: 'some' is no number from 1 on (a number, as-written, or {lead: 4, cap: 10})",
        "matrix.yaml:13:35: 'converged' is no outcome (did you mean 'converges'?)",
        "matrix.yaml:14:10: flavour: 'gpu' is no right word here (did you mean 'cpu'?)",
    ]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("{keras: }", "1:8: the axis 'keras' has no values (write them as a list, such as [2.2.4, 2.3.1])"),
        ("{keras: [1.0, 1.0.0]}", "1:21: the axis 'keras' has the value '1.0.0' twice, the same release as '1.0'"),
        ("{keras: [1.0, 1.0]}", "1:21: the axis 'keras' has the value '1.0' twice"),
        ("{tf_a: 1.0, TF-a: 2.0}", "1:19: the axis 'tf-a' is there twice (names are compared as PEP 503 says)"),
        (
            "{k: 1, python: [3.77]}",
            "1:23: python: '3.77' is no CPython minor release that the runner knows (did you mean '3.7'?)",
        ),
        (
            "{k: 1, python: 3.7.16}",
            "1:22: python: '3.7.16' is no CPython minor release that the runner knows (did you mean '3.7'?)",
        ),
        ("{k: 1, import: tf.kears}", "1:22: import: 'tf.kears' is no import flavour (did you mean 'tf.keras'?)"),
        (
            "{k: 1, import: tf.keras}",
            (
                "1:22: import: this version of the runner does not rewrite imports yet, so not to 'tf.keras' "
                "(write one script per import and an axis named script)"
            ),
        ),
        ("{k: latest-3}", "1:11: k: this version of the runner does not take 'latest-3' yet (name the versions)"),
        ("{k: [era]}", "1:12: k: this version of the runner does not take 'era' yet (name the versions)"),
        ("{k: '>=1.7'}", "1:11: k: this version of the runner does not take version ranges yet (name the versions)"),
        (
            '{k: {range: ">=1"}}',
            "1:12: k: this version of the runner does not take version ranges yet (name the versions)",
        ),
        (
            "{scripts: a.py}",
            "1:17: scripts: 'a.py' is no version (PEP 440) (write it like 2.2.4; or did you mean 'script'?)",
        ),
        ("{'-k': 1}", "1:8: '-k' can be neither a package nor an axis (possible: env, import, python, script)"),
        ("{k: 1, env: [A]}", "1:20: env: 'A' sets no environment variable (write it like NAME=value NAME2=value2)"),
        ("{k: 1, env: {1A: x}}", "1:20: env: '1A' can be no environment variable's name"),
        ("{k: 1, env: [A=1 A=2]}", "1:20: env: the environment variable 'A' is set twice"),
        ("{k: 1, env: [A='1]}", '1:20: env: "A=\'1" has a quotation mark without its partner'),
        ("{k: 1, env: [A=1, {A: 1}]}", "1:26: the axis 'env' has the value 'A=1' twice"),
        ("{k: [[1]]}", "1:12: an entry of axes.k must be a text or a mapping, not a list"),
        ("{python: 3.7}", "1:8: there is no axis of package versions (such as axes: {tensorflow: [1.13.1, 2.10.1]})"),
        ("[k]", "1:7: axes must be a mapping, not a list"),
    ],
)
def test_a_mistake_in_an_axis_says_what_is_wrong_and_where(tmp_path: Path, axes: str, expected: str) -> None:
    assert mistakes_in(tmp_path, f"axes: {axes}\n{EXPERIMENT}") == [f"matrix.yaml:{expected}"]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("exclude: [{kears: 2.2.4}]", "3:12: there is no axis 'kears' (did you mean 'keras'?)"),
        ("exclude: [{keras: 2.2.5}]", "3:19: the axis 'keras' has no value '2.2.5' (did you mean '2.2.4'?)"),
        ("exclude: [{}]", "3:11: an entry of exclude must not be empty (it would match every cell)"),
        ("exclude: [keras]", "3:11: an entry of exclude must be a mapping, not a text"),
        ("exclude: {keras: 2.2.4}", "3:1: exclude must be a list, not a mapping"),
        (
            "exclude: [{tensorflow: 1.13.1}, {tensorflow: 2.10.1}]",
            "3:12: no cell is left: every combination is excluded",
        ),
        (
            "include: [{keras: 3.3.3}]",
            "3:12: this makes a new cell, which needs a value for tensorflow (no cell matches it, so it extends none)",
        ),
        ("include: [{keras: abc}]", "3:19: keras: 'abc' is no version (PEP 440) (write it like 2.2.4)"),
        (
            "include: [{keras: 2.2.4, script: train.py}]",
            "3:34: an included cell has a script, but no axis is named script (an axis named script takes several)",
        ),
        ("expect: [{keras: 2.2.4}]", "3:11: this expectation has no outcome (such as outcome: converges)"),
        ("expect: [{kers: 2.2.4, outcome: fails}]", "3:11: there is no axis 'kers' (did you mean 'keras'?)"),
        ("expect: [{keras: 2.2.4, outcome: fials}]", "3:34: 'fials' is no outcome (did you mean 'fails'?)"),
        ("expect: [{outcome: undecided (x)}]", "3:20: 'undecided (x)' is no outcome (did you mean 'undecided'?)"),
        ("expect: [{outcome: nan}]", "3:20: 'nan' is no outcome (did you mean 'fails (nan)'?)"),
        ("expect: [{outcome: fail (nan)}]", "3:20: 'fail (nan)' is no outcome (did you mean 'fails (nan)'?)"),
        ("expect: [{outcome: fails (nen)}]", "3:20: 'fails (nen)' is no outcome (did you mean 'fails (nan)'?)"),
        (
            "expect: [{outcome: fails (timeout)}]",
            "3:20: 'fails (timeout)' is no outcome (did you mean 'undecided'?)",
        ),
        (
            (
                "exclude: [{tensorflow: 2.10.1, keras: 2.2.4}]\n"
                "expect: [{tensorflow: 2.10.1, keras: 2.2.4, outcome: fails}]"
            ),
            "4:11: this expectation matches no cell (each value alone is known)",
        ),
    ],
)
def test_a_mistake_in_a_partial_match_names_the_nearest_right_word(tmp_path: Path, section: str, expected: str) -> None:
    assert mistakes_in(tmp_path, f"{HEAD}{EXPERIMENT}{section}\n") == [f"matrix.yaml:{expected}"]


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (
            "{script: ../x.py}",
            "2:22: the script '../x.py' is not inside the matrix's folder (write its path from there)",
        ),
        ("{script: /x.py}", "2:22: the script '/x.py' is not inside the matrix's folder (write its path from there)"),
        ("{script: sub}", "2:22: there is no script 'sub' in FOLDER (possible: train.py)"),
        ("{script: sub/othr.py}", "2:22: there is no script 'sub/othr.py' in FOLDER (did you mean 'other.py'?)"),
        ("{}", "1:1: there is no script (write experiment: {script: train.py}, or an axis named script)"),
        ("{script: train.py, args: --fast}", "2:38: experiment.args must be a list, not a text"),
        ("{script: train.py, data: [no.csv]}", "2:39: there is no data 'no.csv' (looked for no.csv)"),
        (
            "{script: train.py, data: [train.py, train.py]}",
            "2:49: two data mappings have the target 'train.py'",
        ),
        (
            "{script: train.py, data: [{train.py: ~/../x}]}",
            (
                "2:40: the data target '~/../x' is neither in the working directory nor under ~/ "
                "(name one: {source: target})"
            ),
        ),
        ("{script: train.py, artifacts: [../x]}", "2:44: the artifact '../x' is not inside the working directory"),
        ("{script: train.py, network: yes}", "2:41: experiment.network: 'yes' is neither true nor false"),
        (
            "{script: train.py, timeout: 0}",
            (
                "2:41: experiment.timeout: '0' is no duration between 0 seconds and 30 days "
                "(write it like 30m, 90s or 1h30m)"
            ),
        ),
        ("{script: train.py, arg: [1]}", "2:32: unknown key 'arg' (did you mean 'args'?)"),
        ("train.py", "2:13: experiment must be a mapping, not a text"),
    ],
)
def test_a_mistake_in_the_experiment_says_what_is_wrong_and_where(
    tmp_path: Path, experiment: str, expected: str
) -> None:
    assert mistakes_in(tmp_path, f"{HEAD}experiment: {experiment}\n") == [f"matrix.yaml:{expected}"]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "seeds: 0",
            "3:8: seeds: '0' is no number from 1 on (a number, as-written, or {lead: 4, cap: 10})",
        ),
        ("seeds: {lead: 5, cap: 3}", "3:1: seeds: 3 seeds can never lead by 5 (lead must not be above cap)"),
        ("seeds: [1, 2]", "3:8: seeds must be a text or a mapping, not a list"),
        ("resources: {cpus: 1.5}", "3:19: resources.cpus: '1.5' is no whole number from 1 to 1,000,000"),
        ("resources: {memory: 4}", "3:21: resources.memory: '4' is no size of at least 16m (write it like 4g or 512m)"),
        ("resources: {memory: [4g]}", "3:21: resources.memory must be a text, not a list"),
        ("resources: {memry: 4g}", "3:13: unknown key 'memry' (did you mean 'memory'?)"),
        (
            "criterion: loss",
            (
                "3:16: the criterion 'loss' does not parse: expected <, <=, > or >=, found the end "
                "(write it like 'loss < 1e-4' or 'val_accuracy >= 0.9 within 5 epochs')"
            ),
        ),
        ("criterion: {loss: 1}", "3:1: criterion must be a text or a list, not a mapping"),
        (
            "packages: [-r x.txt]",
            "3:12: '-r x.txt' is an option, not a package (the runner's own settings go to the resolver)",
        ),
        ("packages: [./x]", "3:12: './x' is no requirement (PEP 508) (write it like scikit-learn>=0.20)"),
        (
            "packages: [x @ file:///x]",
            "3:12: 'x @ file:///x' names an address or a path (packages come from the package index)",
        ),
        ("packages: [Keras>2]", "3:12: 'keras' is an axis already (leave it out here)"),
        (
            "packages: pandas",
            (
                "3:11: packages: pandas can't be read: No such file or directory "
                "(a list of packages is written [pandas, scikit-learn])"
            ),
        ),
    ],
)
def test_a_mistake_in_another_section_says_what_is_wrong_and_where(tmp_path: Path, section: str, expected: str) -> None:
    assert mistakes_in(tmp_path, f"{HEAD}{EXPERIMENT}{section}\n") == [f"matrix.yaml:{expected}"]


def test_a_mistake_in_a_requirements_file_is_placed_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "needs.txt").write_text("pandas\n  --index-url x\n")
    assert mistakes_in(tmp_path, f"{HEAD}{EXPERIMENT}packages: needs.txt\n") == [
        "needs.txt:2:3: '--index-url x' is an option, not a package (the runner's own settings go to the resolver)"
    ]


def test_a_script_in_the_experiment_and_as_an_axis_is_one_too_many(tmp_path: Path) -> None:
    text = "axes: {keras: 2.2.4, script: sub/other.py}\nexperiment: {script: train.py}\n"
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:2:22: a script stands here, and there is an axis named script too (the axis is on line 1)"
    ]


def test_every_value_of_a_script_axis_must_be_there(tmp_path: Path) -> None:
    assert mistakes_in(tmp_path, "axes: {keras: 2.2.4, script: [train.py, tarin.py]}\n") == [
        "matrix.yaml:1:41: script: there is no script 'tarin.py' in FOLDER (did you mean 'train.py'?)"
    ]


def test_an_included_cell_needs_a_script_where_an_axis_names_them(tmp_path: Path) -> None:
    text = "axes: {keras: 2.2.4, script: train.py}\ninclude: [{keras: 2.3.1}]\n"
    (mistake,) = mistakes_in(tmp_path, text)
    assert mistake.startswith("matrix.yaml:2:12: this makes a new cell, which needs a value for script")


def test_a_misshapen_axis_causes_no_further_mistakes_where_it_is_named(tmp_path: Path) -> None:
    text = "axes: {keras: [[2.2.4]], script: train.py}\nexpect: [{keras: 2.2.4, outcome: converges}]\n"
    assert mistakes_in(tmp_path, text) == [
        "matrix.yaml:1:16: an entry of axes.keras must be a text or a mapping, not a list"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty (`python -m runner init script.py` writes a matrix)"),
        ("# only a comment\n", "1:1: the file is empty (`python -m runner init script.py` writes a matrix)"),
        ("- a\n", "1:1: a matrix is a mapping with keys such as axes, not a list"),
        (EXPERIMENT, "1:1: there are no axes (such as axes: {tensorflow: [1.13.1, 2.10.1]})"),
    ],
)
def test_a_file_that_is_no_matrix_at_all_gets_one_message(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes_in(tmp_path, text) == [f"matrix.yaml:{expected}"]


def test_a_mistake_that_an_alias_repeats_is_reported_once(tmp_path: Path) -> None:
    text = f"{SMALLEST}exclude: [&x {{kers: 1}}, *x]\n"
    assert len(mistakes_in(tmp_path, text)) == 1
