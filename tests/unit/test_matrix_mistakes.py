from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import mistakes_in

if TYPE_CHECKING:
    from pathlib import Path

from runner.matrix.criterion import EXAMPLE

HEAD = "axes: {tensorflow: [1.13.1, 2.10.1], keras: [2.2.4, 2.10.0]}\n"
NAME_IT = "name its axis values, such as baseline: {tensorflow: 2.10.1}"
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
        "matrix.yaml:2:24: tensorflow: '2.x' is not a version (PEP 440) (write it like 2.2.4)",
        "matrix.yaml:3:10: the axis 'keras' has no values (write them as a list: [2.2.4, 2.3.1])",
        "matrix.yaml:5:18: the axis 'tensorflow' has no value '1.13.2' (did you mean '1.13.1'?)",
        "matrix.yaml:6:1: unknown key 'inclde' (did you mean 'include'?)",
        "matrix.yaml:8:11: there is no script 'trian.py' in FOLDER (did you mean 'train.py'?)",
        (
            "matrix.yaml:9:12: experiment.timeout: 'soon' is not a duration between 0 seconds and 30 days "
            "(write it like 30m, 90s or 1h30m)"
        ),
        (
            "matrix.yaml:10:18: the criterion 'loss <> 1' does not parse: expected a number, found '>' "
            "(write it like 'loss < 1e-4' or 'val_accuracy >= 0.9 within 5 epochs')"
        ),
        "matrix.yaml:11:8: seeds: 'some' is not a whole number from 1 on (a number, as-written, or {lead: 4, cap: 10})",
        "matrix.yaml:13:35: 'converged' is not an outcome (did you mean 'converges'?)",
        "matrix.yaml:14:10: flavour: 'gpu' is not a known value (did you mean 'cpu'?)",
    ]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("{keras: }", "1:8: the axis 'keras' has no values (write them as a list: [2.2.4, 2.3.1])"),
        ("{keras: [1.0, 1.0.0]}", "1:21: the axis 'keras' has the value '1.0.0' twice, the same release as '1.0'"),
        ("{keras: [1.0, 1.0]}", "1:21: the axis 'keras' has the value '1.0' twice"),
        ("{tf_a: 1.0, TF-a: 2.0}", "1:19: the axis 'tf-a' appears twice (names are compared as PEP 503 says)"),
        (
            "{k: 1, python: [3.77]}",
            "1:23: python: '3.77' is not a CPython minor release that the runner knows (did you mean '3.7'?)",
        ),
        (
            "{k: 1, python: 3.7.16}",
            "1:22: python: '3.7.16' is not a CPython minor release that the runner knows (did you mean '3.7'?)",
        ),
        (
            "{k: 1, import: tf.kears}",
            "1:22: import: 'tf.kears' is not a Keras that imports can mean (did you mean 'tf.keras'?)",
        ),
        (
            "{k: latest-0}",
            (
                "1:11: k: 'latest-0' is not a version (PEP 440) "
                "(latest is the newest release, latest-1 is of the minor release before it)"
            ),
        ),
        ("{k: [latest, latest]}", "1:20: the axis 'k' has the value 'latest' twice"),
        (
            "{k: [{range: '>=1'}, {range: '>= 1', every: minor}]}",
            "1:36: the axis 'k' has the value '>=1 every minor' twice",
        ),
        (
            "{k: '>=1.7'}",
            "1:11: k: '>=1.7' is not a version (PEP 440) (a range is written {range: \">=1.7,<2.17\", every: minor})",
        ),
        (
            "{k: {every: minor}}",
            '1:8: axes.k has no range (such as {range: ">=1.7,<2.17", every: minor})',
        ),
        (
            "{k: {}}",
            '1:8: axes.k has no range (such as {range: ">=1.7,<2.17", every: minor})',
        ),
        ("{k: {range: '>=1', evry: minor}}", "1:26: unknown key 'evry' (did you mean 'every'?)"),
        ("{k: {range: '>=1', every: minr}}", "1:33: axes.k.every: 'minr' is not a known value (did you mean 'minor'?)"),
        ("{k: {range: '>=1', prereleases: yes}}", "1:39: axes.k.prereleases: 'yes' is neither true nor false"),
        (
            "{k: {range: 1.7}}",
            "1:19: axes.k.range: '1.7' is not a version range (PEP 440) (one version is written ==1.7)",
        ),
        (
            "{k: {range: '>=x'}}",
            "1:19: axes.k.range: '>=x' is not a version range (PEP 440) (write it like >=1.7,<2.17)",
        ),
        ("{k: {range: }}", '1:8: axes.k has no range (such as {range: ">=1.7,<2.17", every: minor})'),
        (
            "{k: 1, python: {range: '>=3.7'}}",
            "1:14: axes.python must be a text or a list, not a mapping",
        ),
        (
            "{tensorflow: 1, numpy: era}",
            (
                "1:30: numpy: era works for keras, tf-keras, torchvision, torchaudio, jaxlib only (for other packages: "
                "versions, a range or latest; under packages: they are of the base's time)"
            ),
        ),
        (
            "{tensorflow: era}",
            (
                "1:20: tensorflow: era works for keras, tf-keras, torchvision, torchaudio, jaxlib only (for other "
                "packages: versions, a range or latest; under packages: they are of the base's time)"
            ),
        ),
        (
            "{keras: [2.2.4, era], tensorflow: 1}",
            (
                "1:23: keras: era needs tensorflow or torch or jax as the base, but the base is 'keras' "
                "(the first package axis is the base)"
            ),
        ),
        (
            "{scripts: a.py}",
            "1:17: scripts: 'a.py' is not a version (PEP 440) (write it like 2.2.4; or did you mean 'script'?)",
        ),
        (
            "{'-k': 1}",
            (
                "1:8: '-k' can be neither a package nor an axis "
                "(possible: args, backend, env, import, prelude, python, script)"
            ),
        ),
        ("{k: 1, env: [A]}", "1:20: env: 'A' sets no environment variable (write it like NAME=value NAME2=value2)"),
        ("{k: 1, env: {1A: x}}", "1:20: env: '1A' cannot be the name of an environment variable"),
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
        (
            "exclude: [{keras: era}]",
            "3:19: keras: 'era' is allowed under axes only (name a version that it becomes: `plan` shows them)",
        ),
        (
            "exclude: [{keras: {range: '>=2'}}]",
            (
                "3:12: exclude.keras must be a text, not a mapping "
                "(ranges are allowed under axes only; `plan` shows the versions that one becomes)"
            ),
        ),
        (
            "exclude: [{keras: {2.2.4: x}}]",
            (
                "3:12: exclude.keras must be a text, not a mapping "
                "(ranges are allowed under axes only; `plan` shows the versions that one becomes)"
            ),
        ),
        (
            "include: [{tensorflow: latest}]",
            "3:24: tensorflow: 'latest' is allowed under axes only (name a version that it becomes: `plan` shows them)",
        ),
        (
            "expect: [{keras: latest-2, outcome: fails}]",
            "3:18: keras: 'latest-2' is allowed under axes only (name a version that it becomes: `plan` shows them)",
        ),
        ("include: [{keras: abc}]", "3:19: keras: 'abc' is not a version (PEP 440) (write it like 2.2.4)"),
        (
            "include: [{keras: 2.2.4, script: train.py}]",
            "3:34: an included cell has a script, but no axis is named script (an axis named script takes several)",
        ),
        ("expect: [{keras: 2.2.4}]", "3:10: an entry of expect has no outcome (such as outcome: converges)"),
        ("expect: [{kers: 2.2.4, outcome: fails}]", "3:11: there is no axis 'kers' (did you mean 'keras'?)"),
        ("expect: [{keras: 2.2.4, outcome: fials}]", "3:34: 'fials' is not an outcome (did you mean 'fails'?)"),
        ("expect: [{outcome: undecided (x)}]", "3:20: 'undecided (x)' is not an outcome (did you mean 'undecided'?)"),
        ("expect: [{outcome: nan}]", "3:20: 'nan' is not an outcome (did you mean 'fails (nan)'?)"),
        ("expect: [{outcome: fail (nan)}]", "3:20: 'fail (nan)' is not an outcome (did you mean 'fails (nan)'?)"),
        ("expect: [{outcome: fails (nen)}]", "3:20: 'fails (nen)' is not an outcome (did you mean 'fails (nan)'?)"),
        (
            "expect: [{outcome: fails (timeout)}]",
            "3:20: 'fails (timeout)' is not an outcome (did you mean 'breaks (timeout)'?)",
        ),
        (
            "expect: [{outcome: blocked (crashed-import)}]",
            "3:20: 'blocked (crashed-import)' is not an outcome (did you mean 'breaks (crashed-import)'?)",
        ),
        (
            "expect: [{outcome: flaky (coin flip)}]",
            "3:20: 'flaky (coin flip)' is not an outcome (did you mean 'flaky (neither leads)'?)",
        ),
        (
            (
                "exclude: [{tensorflow: 2.10.1, keras: 2.2.4}]\n"
                "expect: [{tensorflow: 2.10.1, keras: 2.2.4, outcome: fails}]"
            ),
            "4:11: this expectation matches no cell (each value exists, but not in this combination)",
        ),
    ],
)
def test_a_mistake_in_a_partial_match_names_the_nearest_right_word(tmp_path: Path, section: str, expected: str) -> None:
    assert mistakes_in(tmp_path, f"{HEAD}{EXPERIMENT}{section}\n") == [f"matrix.yaml:{expected}"]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "seeds: 0",
            "3:8: seeds: '0' is not a whole number from 1 on (a number, as-written, or {lead: 4, cap: 10})",
        ),
        ("seeds: {lead: 5, cap: 3}", "3:1: seeds: 3 seeds can never lead by 5 (lead must not be above cap)"),
        ("seeds: [1, 2]", "3:8: seeds must be a text or a mapping, not a list"),
        ("resources: {cpus: 1.5}", "3:19: resources.cpus: '1.5' is not a whole number from 1 to 1,000,000"),
        (
            "resources: {memory: 4}",
            "3:21: resources.memory: '4' is not a size of at least 16m (write it like 4g or 512m)",
        ),
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
        ("packages: [./x]", "3:12: './x' is not a requirement (PEP 508) (write it like scikit-learn>=0.20)"),
        (
            "packages: [x @ file:///x]",
            "3:12: 'x @ file:///x' names an address or a path (packages come from the package index)",
        ),
        ("packages: [Keras>2]", "3:12: 'keras' is an axis already (leave it out here)"),
        ("packages: [[x]]", "3:12: an entry of packages must be a text or a mapping, not a list"),
        ("packages: [{}]", "3:12: an entry of packages must not be empty"),
        (
            "packages: [{when: tensorflow<2}]",
            '3:13: this entry names no package (such as {numpy: "<1.20", when: "tensorflow<2.4"})',
        ),
        ("packages: [{numpy: 1.20}]", "3:20: '1.20' is not a version range (PEP 440) (one version is written ==1.20)"),
        ("packages: [{numpy: '<=>1'}]", "3:20: '<=>1' is not a version range (PEP 440) (write it like >=1.7,<2.17)"),
        (
            "packages: [{numpy: ['<1']}]",
            "3:20: packages.numpy must be a text, not a list (such as '>=1.18,<1.20')",
        ),
        ("packages: [{numpy: }]", "3:13: packages.numpy must be a text, not empty"),
        (
            "packages: [{numpy>1: <2}]",
            "3:13: 'numpy>1' is more than a package's name (write its versions after the colon)",
        ),
        ("packages: [{Keras: '<2'}]", "3:13: 'keras' is an axis already (leave it out here)"),
        (
            "packages: [{numpy: '<2', when: tensorfow<2}]",
            "3:32: when: there is no axis 'tensorfow' (did you mean 'tensorflow'?)",
        ),
        (
            "packages: [{numpy: '<2', when: [keras<3, python<3.8]}]",
            "3:42: when: there is no axis 'python' (possible: tensorflow, keras)",
        ),
        (
            "packages: [{numpy: '<2', when: tensorflow}]",
            "3:32: when: 'tensorflow' is not a condition on an axis (write it like tensorflow<2.4)",
        ),
        (
            "packages: [{numpy: '<2', when: 'tensorflow < two'}]",
            "3:32: when: 'tensorflow < two' is not a condition on an axis (write it like tensorflow<2.4)",
        ),
        (
            "as_of: relase",
            "3:8: as_of: 'relase' is neither release, none nor a date (did you mean 'release'?)",
        ),
        (
            "as_of: 1 March 2019",
            "3:8: as_of: '1 March 2019' is neither release, none nor a date (a date is written 2019-03-01)",
        ),
        ("as_of: 2019-02-30", "3:8: as_of: '2019-02-30' is not a date (a date is written 2019-03-01)"),
        (
            "as_of: 20190301",
            "3:8: as_of: '20190301' is neither release, none nor a date (a date is written 2019-03-01)",
        ),
        (
            "criterion: loss < 1\nmetric: accuracy",
            "4:9: the criterion judges 'loss', and another metric is named here (leave it out, or name it there first)",
        ),
        ("mode: less", "3:7: mode: 'less' is not a known value (possible: min, max)"),
        ("at: worst", "3:5: at: 'worst' is not a known value (possible: last, best)"),
        ("skip: -1", "3:7: skip: '-1' is not a whole number from 0 to 1,000,000"),
        ("control: often", "3:10: control: 'often' is neither true nor false"),
        (
            "criterion: [loss < 1, epoch < 2x baseline]",
            f"3:23: 'epoch < 2x baseline' needs to know which cell that is ({NAME_IT})",
        ),
        (
            "criterion: seconds < 0.5x baseline",
            f"3:22: the limit is what the baseline takes times a number above 1, and not 0.5 ({EXAMPLE})",
        ),
        ("baseline: {keras: 2.2.5}", "3:19: the axis 'keras' has no value '2.2.5' (did you mean '2.2.4'?)"),
        (
            "exclude: [{keras: 2.2.4, tensorflow: 1.13.1}]\nbaseline: {keras: 2.2.4, tensorflow: 1.13.1}",
            "4:12: the baseline matches no cell (each value exists, but not in this combination)",
        ),
        ("baseline: {keras: }", "3:12: baseline.keras must be a text, not empty"),
        ("baseline: {}", "3:1: baseline must not be empty (it would match every cell)"),
        ("as_of: [none]", "3:8: as_of must be a text or a mapping, not a list"),
        (
            "as_of: {numpy: release}",
            (
                "3:16: as_of.numpy: 'release' is the rule of all packages that have none of their own "
                "(leave the package out)"
            ),
        ),
        ("as_of: {numpy: non}", "3:16: as_of.numpy: 'non' is neither none nor a date (did you mean 'none'?)"),
        (
            "as_of: {default: soon}",
            "3:18: as_of.default: 'soon' is neither release, none nor a date (a date is written 2019-03-01)",
        ),
        (
            "as_of: {tf_keras: none, TF.keras: none}",
            "3:25: as_of: the package 'tf-keras' appears twice (names are compared as PEP 503 says)",
        ),
        ("as_of: {python: none}", "3:9: as_of: 'python' is not a package (only packages have rules of their own)"),
        (
            "y-mine: 1",
            (
                "3:1: unknown key 'y-mine' (possible: axes, include, exclude, cells, experiment, packages, "
                "requirements, indexes, criterion, metrics, metric, mode, …)"
            ),
        ),
        (
            "packages: pandas",
            (
                "3:11: packages must be a list, not a text "
                "(such as [pandas, scikit-learn]; a file of them goes under requirements:)"
            ),
        ),
        (
            "requirements: needs.txt",
            "3:15: requirements: needs.txt can't be read: No such file or directory",
        ),
    ],
)
def test_a_mistake_in_another_section_says_what_is_wrong_and_where(tmp_path: Path, section: str, expected: str) -> None:
    assert mistakes_in(tmp_path, f"{HEAD}{EXPERIMENT}{section}\n") == [f"matrix.yaml:{expected}"]
