"""What `check` finds that no signature shows: the names by which metrics are logged, and known changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from checked_scripts import KERAS, NEW, NUMPY, OLD, Checked
from histories_made import by_root
from packaging.requirements import Requirement
from packaging.version import Version

from runner.changes.known import Border, Concern, KnownChange, WantedArgument
from runner.check.checker import Checker
from runner.scripts.script import read_script
from runner.scripts.source import edited

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


def test_a_metric_is_looked_for_by_the_name_that_it_is_logged_by(checked: Checked) -> None:
    head = "import keras\nm = keras.Model(1, 2)\nm.compile('sgd', metrics=['accuracy'])\nh = m.fit(1, 2)\n"
    assert checked.breaks(f"{head}print(h.history['val_acc'])\n") == ["keras.callbacks.History.history.val_acc"]
    assert checked.mended(f"{head}print(h.history['acc'])\n").endswith("h.history['accuracy'])\n")
    assert checked.breaks(f"{head}h.history['acc']\n", after=OLD) == []
    assert checked.breaks(f"{head}h.history['accuracy']\n", after=OLD) == ["keras.callbacks.History.history.accuracy"]
    text = f"{head}keras.callbacks.EarlyStopping(monitor='val_acc')\n"
    assert [(one.kind, one.argument) for one in checked.find(text)] == [("ignored", "monitor")]


def test_a_metric_is_written_in_the_quotes_that_it_stands_in(checked: Checked) -> None:
    head = "import keras\nm = keras.Model(1, 2)\nm.compile('sgd', metrics=['accuracy'])\nh = m.fit(1, 2)\n"
    assert checked.mended(f"{head}h.history[u'acc']\n").endswith("h.history[u'accuracy']\n")
    assert checked.mended(f'{head}h.history["""acc"""]\n').endswith('h.history["""accuracy"""]\n')
    watching = 'keras.callbacks.EarlyStopping(monitor="acc")\n'
    assert checked.mended(f"{head}{watching}").endswith('EarlyStopping(monitor="accuracy")\n')


def test_a_variable_that_is_called_as_a_metric_is_none(checked: Checked) -> None:
    head = "import keras\nm = keras.Model(1, 2)\nm.compile('sgd', metrics=['accuracy'])\nacc = 'loss'\n"
    assert checked.find(f"{head}keras.callbacks.EarlyStopping(monitor=acc)\n") == ()


def test_other_metrics_had_long_names(checked: Checked) -> None:
    head = "import keras\nm = keras.Model(1, 2)\nm.compile('sgd', metrics=['mae'])\nh = m.fit(1, 2)\n"
    assert checked.mended(f"{head}h.history['val_mean_absolute_error']\n").endswith("h.history['val_mae']\n")
    assert checked.breaks(f"{head}h.history['mae']\n", after=OLD) == ["keras.callbacks.History.history.mae"]
    assert checked.breaks(f"{head}h.history['loss']\n") == []


def _known(**changed: object) -> KnownChange:
    fields = {
        "name": "frozen",
        "package": "keras",
        "borders": (Border(package="keras", release=Version("2.11.0")),),
        "concerns": (Concern(uses=("keras.Model.fit",)),),
        "where": (),
        "effect": "It trains otherwise.",
        "source": "keras#1",
        "case": "x",
        "switch": "",
        "instead": "nothing",
    }
    return KnownChange(**{**fields, **changed})


def _names_of_known(folder: Path, text: str, change: KnownChange, before: dict, after: dict) -> list[tuple[str, int]]:
    (folder / "train.py").write_text(text)
    checker = Checker(read_script(folder, "train.py"), by_root(KERAS, NUMPY), (change,))
    return [(one.path, one.line) for one in checker.findings(before, after) if one.kind == "known"]


def test_a_known_change_concerns_a_script_between_whose_releases_its_border_lies(tmp_path: Path) -> None:
    text = "from keras.models import Sequential\nmodel = Sequential()\nmodel.fit(1, 2, epochs=3)\n"
    frozen = ("frozen", 3)
    assert _names_of_known(tmp_path, text, _known(), OLD, NEW) == [frozen]
    assert _names_of_known(tmp_path, text, _known(), OLD, {"keras": "2.10.0"}) == []
    given = Concern(uses=("keras.Model.fit",), given=(WantedArgument(name="epochs", values=("3",)),))
    assert _names_of_known(tmp_path, text, _known(concerns=(given,)), OLD, NEW) == [frozen]
    other = Concern(uses=("keras.Model.fit",), given=(WantedArgument(name="epochs", values=("4",)),))
    assert _names_of_known(tmp_path, text, _known(concerns=(other,)), OLD, NEW) == []
    absent = Concern(uses=("keras.Model.fit",), absent=("epochs",))
    assert _names_of_known(tmp_path, text, _known(concerns=(absent,)), OLD, NEW) == []
    words = Concern(uses=("keras.Model.fit",), words=("trainable",))
    assert _names_of_known(tmp_path, text, _known(concerns=(words,)), OLD, NEW) == []
    assert _names_of_known(tmp_path, f"{text}model.trainable = False\n", _known(concerns=(words,)), OLD, NEW) == [
        frozen
    ]


@pytest.mark.parametrize(
    ("metrics", "written"),
    [
        ("['mae', \"accuracy\"]", "['mae', \"acc\"]"),
        ("[accuracy, 'accuracy_of_mine']", None),
    ],
)
def test_a_text_within_an_argument_is_given_its_other_name_and_nothing_beside_it(
    tmp_path: Path, metrics: str, written: str | None
) -> None:
    call = f"model.compile('sgd', loss='accuracy', metrics={metrics})\n"
    (tmp_path / "train.py").write_text(f"from keras.models import Sequential\nmodel = Sequential()\n{call}")
    concern = Concern(uses=("keras.Model.compile",))
    change = _known(concerns=(concern,), rename=(("metrics", "accuracy", "acc"),))
    checker = Checker(read_script(tmp_path, "train.py"), by_root(KERAS, NUMPY), (change,))
    (found,) = [one for one in checker.findings(OLD, NEW) if one.kind == "known"]
    assert (found.edit.text if found.edit else None) == written


ELEMENTS = """\
import pandas as pd

table = pd.DataFrame({"heat": [1.0], "cold": [1.0]}).dropna()
table["heat"][table.heat < 0] = 0
table.cold[table["cold"] > 1] += 1
table["cold"][0:1] = 3
"""
NO_ELEMENTS = """\
import pandas as pd

table = pd.DataFrame({"heat": [1.0]})
table["heat"] = 0
table.loc[0, "heat"] = 1
table.loc[0]["heat"] = 2
table.values[0] = 1
shares = {"heat": [1]}
shares["heat"][0] = 2
rows = pd.DataFrame({"heat": [1.0]}).dropna().to_dict()
rows["heat"][0] = 1
fields = table.to_records()
fields["heat"][0] = 1
"""


def test_each_element_of_a_column_that_is_given_a_value_is_written_as_its_table_takes_it(tmp_path: Path) -> None:
    change = _known(
        package="pandas",
        borders=(Border(package="pandas", release=Version("3.0.0")),),
        concerns=(Concern(uses=("pandas.DataFrame",), element=True),),
        write="{table}.loc[{index}, {column}]",
    )
    found = {}
    for text in (ELEMENTS, NO_ELEMENTS):
        (tmp_path / "train.py").write_text(text)
        checker = Checker(read_script(tmp_path, "train.py"), by_root(KERAS, NUMPY), (change,))
        found[text] = checker.findings({"pandas": "2.3.3"}, {"pandas": "3.0.0"})
    assert found[NO_ELEMENTS] == ()
    assert [one.line for one in found[ELEMENTS]] == [4, 5, 6]
    assert edited(ELEMENTS, {one.edit for one in found[ELEMENTS] if one.edit is not None}).splitlines()[3:] == [
        'table.loc[table.heat < 0, "heat"] = 0',
        'table.loc[table["cold"] > 1, "cold"] += 1',
        'table["cold"][0:1] = 3',
    ]


def test_what_is_to_be_written_otherwise_is_told_wherever_it_stands_and_all_else_once(tmp_path: Path) -> None:
    text = "from keras.models import Sequential\nmodel = Sequential()\nmodel.fit(1, 2)\nmodel.fit(3, 4)\n"
    assert _names_of_known(tmp_path, text, _known(), OLD, NEW) == [("frozen", 3)]
    written = _known(give=(("shuffle", "False"),))
    assert _names_of_known(tmp_path, text, written, OLD, NEW) == [("frozen", 3), ("frozen", 4)]


def test_a_known_change_of_a_module_concerns_who_imports_from_it(tmp_path: Path) -> None:
    change = _known(concerns=(Concern(uses=("keras.layers",)),))
    assert _names_of_known(tmp_path, "from keras.layers import Dense\n", change, OLD, NEW) == [("frozen", 1)]
    assert _names_of_known(tmp_path, "import numpy\n", change, OLD, NEW) == []


def test_a_known_change_of_a_few_stacks_concerns_those_alone(tmp_path: Path) -> None:
    text = "from keras.models import Sequential\nSequential().fit(1, 2)\n"
    for where, found in {"numpy>=1": [("frozen", 2)], "numpy<2": [], "scipy": []}.items():
        change = _known(where=(Requirement(where),))
        assert _names_of_known(tmp_path, text, change, OLD, NEW) == found


@pytest.mark.parametrize("metrics", ["['accuracy', top]", "['acc', 'accuracy']"])
def test_where_a_metric_may_be_logged_by_several_names_none_is_missed(checked: Checked, metrics: str) -> None:
    head = f"import keras\nm = keras.Model(1, 2)\nm.compile('sgd', metrics={metrics})\nh = m.fit(1, 2)\n"
    assert checked.breaks(f"{head}h.history['acc']\n") == []
