"""What `check` finds in the names and calls of small scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from checked_scripts import KERAS, NEW, OLD, Checked
from histories_made import MODULE, by_root, cls, function, history, method

from runner.check.checker import Checker
from runner.check.findings import FindingKind
from runner.scripts.script import read_script
from runner.scripts.source import NotRewritableError

if TYPE_CHECKING:
    from pathlib import Path

    from runner.check.findings import Finding


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


def test_a_method_of_an_object_whose_class_is_known_is_gone_since_a_release(checked: Checked) -> None:
    text = "from keras.models import Sequential\nmodel = Sequential()\nmodel.fit_generator(data)\n"
    (found,) = checked.find(text)
    assert (found.kind, found.path) == (FindingKind.BREAKS, "keras.models.Sequential.fit_generator")
    assert (found.file, found.line, found.column) == ("train.py", 3, 7)
    assert (found.package, found.since, found.instead) == ("keras", "3.3.3", "fit")
    assert checked.mended(text).endswith("model.fit(data)\n")


@pytest.mark.parametrize(
    "text",
    [
        "import keras as K\nm = K.models.Sequential()\nm.fit_generator(1)",
        "from keras import models as ms\nmake = ms.Sequential\nm = make()\nm.fit_generator(1)",
        "from keras import *\nSequential().fit_generator(1)",
        "import keras\ndef build():\n    m = keras.Model(1, 2)\n    return m\nbuild().fit_generator(1)",
        "import keras\ndef train(m, n=1):\n    m.fit_generator(1)\ntrain(keras.Model(1, 2))",
        "import keras\nclass Mine(keras.Model):\n    def go(self):\n        self.fit_generator(1)\nMine().go()",
        "import keras\nclass A:\n  def __init__(self):\n   self.m = keras.Model(1)\n  def b(s): s.m.fit_generator(1)",
        "import keras\nclass Mine(keras.Model):\n    def go(self):\n        super().fit_generator(1)",
        "import keras\nm = keras.models.load_model('x')\nm.fit_generator(1)",
        "import keras\nm = None\nm = keras.Model(1, 2)\nm.fit_generator(1)",
    ],
)
def test_it_is_found_however_the_object_came_to_its_name(checked: Checked, text: str) -> None:
    assert [path.rpartition(".")[2] for path in checked.breaks(text)] == ["fit_generator"]


@pytest.mark.parametrize(
    "text",
    [
        "import keras\nm = keras.Model(1, 2)\nm = other(m)\nm.fit_generator(1)",
        "import keras\nclass Mine(keras.Model):\n    def fit_generator(self, x): ...\nMine().fit_generator(1)",
        "import keras\nm = keras.Model(1, 2)\ntry:\n    m.fit_generator(1)\nexcept AttributeError:\n    m.fit(1, 2)",
        "import keras\nm = keras.Model(1, 2)\nif hasattr(m, 'fit_generator'):\n    m.fit_generator(1)",
        "import keras\nm = keras.Model(1, 2)\nif keras.__version__ < '3':\n  m.fit_generator(1)\nelse:\n  m.fit(1, 2)",
        "import keras\nOLD = keras.__version__ < '3'\nm = keras.Model(1, 2)\nif OLD:\n    m.fit_generator(1)",
        "import keras\nm = keras.Model(1)\nif keras.__version__ > '3':\n  pass\nelif deep:\n  m.fit_generator(1)",
        "import keras\nm = keras.Model(1)\nif hasattr(m, 'f'):\n  pass\nelif a:\n  pass\nelse:\n  m.fit_generator(1)",
        "import keras\nm = keras.Model(1)\nif hasattr(m, 'fit'):\n  pass\nelif m.fit_generator(1):\n  pass",
        "import keras\nm = keras.Model(1)\nif deep:\n  pass\nelif hasattr(m, 'fit'):\n  m.fit_generator(1)",
        "import keras\ndef never():\n    keras.Model(1, 2).fit_generator(1)",
        "try:\n  from keras.layers.core import Dense\nexcept ImportError:\n  from keras.layers import Dense\nDense(1)",
        "import keras\nkeras.Model(1, 2).never_heard_of()",
        "import keras\nm = keras.Model(1, 2)\nm.fit_generator = m.fit",
        "import keras\nm = keras.Model(1, 2)\nm.fit_generator(1) if keras.__version__ < '3' else m.fit(1, 2)",
        "import keras\nm = keras.Model(1, 2)\nhasattr(m, 'fit_generator') and m.fit_generator(1)",
        "import keras\nn = 1 if keras.__version__ else 2\nm = keras.Model(1)\nif OLD_VERSION:\n    m.fit_generator(1)",
        "import keras\nm = other()\nif deep:\n    m = keras.Model(1, 2)\nm.fit_generator(1)",
        "import keras\nm = keras.Model(1, 2) if deep else keras.layers.Dense(1)\nm.fit_generator(1)",
    ],
)
def test_what_is_asked_for_first_or_not_known_is_no_break(checked: Checked, text: str) -> None:
    assert checked.breaks(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import keras\nm = keras.Model(1)\nif deep:\n  m.fit_generator(1)\nelif keras.__version__ > '3':\n  pass",
        "import keras\nm = keras.Model(1)\nif hasattr(m, 'fit'):\n  pass\nelif deep:\n  pass\nm.fit_generator(1)",
    ],
)
def test_what_comes_before_such_a_test_or_after_it_is_a_break(checked: Checked, text: str) -> None:
    assert [path.rpartition(".")[2] for path in checked.breaks(text)] == ["fit_generator"]


def test_the_same_break_is_told_on_every_line(checked: Checked) -> None:
    found = checked.find("import keras\nm = keras.Model(1, 2)\nm.fit_generator(1)\nm.fit_generator(1)\n")
    assert [one.line for one in found] == [3, 4]


def test_local_modules_are_looked_through(checked: Checked) -> None:
    helper = "from keras.models import Sequential\ndef build():\n    return Sequential()\n"
    found = checked.find("from nets import build\nbuild().predict_classes(1)\n", nets=helper)
    assert [(one.file, one.line, one.path) for one in found] == [
        ("train.py", 2, "keras.models.Sequential.predict_classes")
    ]
    found = checked.find("import nets\nnets.go()\n", nets="import numpy as np\ndef go():\n    return np.float(1)\n")
    assert [(one.file, one.line, one.column) for one in found] == [("nets.py", 3, 15)]


def test_predicted_classes_are_the_largest_of_what_is_predicted(checked: Checked) -> None:
    text = "from keras.models import Sequential\nm = Sequential()\nc = m.predict_classes(x[:2])\n"
    assert checked.mended(text).endswith("c = m.predict(x[:2]).argmax(axis=-1)\n")


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("from keras.layers.core import Dense", "from keras.layers import Dense"),
        ("from keras.layers.core import Dense, Activation", "from keras.layers import Dense, Activation"),
        ("from keras.utils import np_utils", "from keras import utils as np_utils"),
        ("from keras.utils.np_utils import to_categorical", "from keras.utils import to_categorical"),
        ("from sklearn import cross_validation", "from sklearn import model_selection as cross_validation"),
        ("from sklearn.cross_validation import KFold as K", "from sklearn.model_selection import KFold as K"),
        ("from sklearn.externals import joblib", "import joblib"),
        ("import numpy as np\nx = np.float_(1)", "import numpy as np\nx = np.float64(1)"),
        ("import numpy as np\nx = np.array(1).astype(np.float)", "import numpy as np\nx = np.array(1).astype(float)"),
    ],
)
def test_a_name_that_moved_is_written_as_it_is_called_now(checked: Checked, line: str, new: str) -> None:
    assert checked.mended(f"{line}\n") == f"{new}\n"


def test_a_gone_module_is_told_once_where_it_is_imported(checked: Checked) -> None:
    text = "from keras.utils import np_utils\ny = np_utils.to_categorical(1)\nz = np_utils.to_categorical(2)\n"
    assert [(one.line, one.path) for one in checked.find(text)] == [(1, "keras.utils.np_utils")]


def test_a_call_of_a_class_that_moved_is_looked_at_where_it_is_now(checked: Checked) -> None:
    found = checked.find("from keras.layers.core import Dense\nDense(3, batch_input_shape=(1, 2))\n")
    assert [(one.kind, one.path, one.argument, one.line) for one in found] == [
        (FindingKind.BREAKS, "keras.layers.core", "", 1),
        (FindingKind.BREAKS, "keras.layers.Dense", "batch_input_shape", 2),
    ]


def test_an_argument_that_is_refused_is_written_by_its_new_name(checked: Checked) -> None:
    text = "from keras.optimizers import SGD\nSGD(lr=0.1)\n"
    (found,) = checked.find(text)
    assert (found.kind, found.path, found.argument) == (FindingKind.BREAKS, "keras.optimizers.SGD", "lr")
    assert (found.line, found.column, found.since, found.instead) == (2, 5, "3.3.3", "learning_rate=0.1")
    assert checked.mended(text).endswith("SGD(learning_rate=0.1)\n")


def test_an_argument_is_not_written_twice(checked: Checked) -> None:
    (found,) = checked.find("from keras.optimizers import SGD\nSGD(lr=0.1, learning_rate=0.2)\n")
    assert (found.argument, found.instead, found.edit) == ("lr", "learning_rate=", None)


def test_an_argument_that_is_taken_and_not_heeded_is_said_to_be_ignored(checked: Checked) -> None:
    (found,) = checked.find("from keras.optimizers import SGD\nSGD(lr=0.1)\n", after={"keras": "2.11.0"})
    assert (found.kind, found.argument, found.since) == (FindingKind.IGNORED, "lr", "2.11.0")
    assert checked.find("from keras.optimizers import SGD\nSGD(lr=0.1)\n", after={"keras": "2.10.0"}) == ()


def test_an_argument_that_is_gone_and_had_its_default_is_dropped(checked: Checked) -> None:
    text = (
        "import keras\nkeras.optimizers.Adadelta(decay=0.0, learning_rate=1)\nkeras.optimizers.Adadelta(1, decay=0.5)\n"
    )
    found = [(one.argument, one.edit is None) for one in checked.find(text) if one.kind == "breaks"]
    assert found == [("decay", False), ("decay", True)]
    assert "Adadelta(learning_rate=1)" in checked.mended(text)


def test_a_default_that_changed_matters_where_the_call_relies_on_it(checked: Checked) -> None:
    text = "import keras\nkeras.optimizers.Adadelta()\nkeras.optimizers.Adadelta(0.5)\n"
    (found,) = checked.find(text)
    assert (found.kind, found.line, found.argument, found.since) == (FindingKind.CHANGES, 2, "learning_rate", "2.10.0")
    assert found.instead == "learning_rate=1.0"
    assert "Adadelta(learning_rate=1.0)" in checked.mended(text)
    assert checked.find(text, before=None) == ()


def test_an_optimizer_by_its_name_relies_on_all_its_defaults(checked: Checked) -> None:
    text = (
        "import keras\nkeras.Model(1, 2).compile('adadelta')\nkeras.Model(1, 2).compile(optimizer='sgd', loss='mse')\n"
    )
    found = [one for one in checked.find(text) if one.kind == "changes"]
    assert [(one.line, one.column, one.path, one.argument) for one in found] == [
        (2, 27, "keras.optimizers.Adadelta", "learning_rate")
    ]


def test_a_batch_shape_goes_to_an_input_before_the_layer(checked: Checked) -> None:
    text = "import keras\nm = keras.Sequential([keras.layers.Dense(1, batch_input_shape=(4, 2))])\n"
    assert "Sequential([keras.layers.Input(batch_shape=(4, 2)), keras.layers.Dense(1)])" in checked.mended(text)
    text = "import keras\nm = keras.Sequential()\nm.add(keras.layers.Dense(1, batch_input_shape=(4, 2)))\n"
    assert "\nm.add(keras.layers.Input(batch_shape=(4, 2))); m.add(keras.layers.Dense(1))\n" in checked.mended(text)


def test_a_position_that_means_another_parameter_is_given_by_name(checked: Checked) -> None:
    text = (
        "import keras\nclass L(keras.layers.Layer):\n  def build(self, s):\n    self.w = self.add_weight('w', (1,))\n"
    )
    found = checked.find(text)
    assert [(one.kind, one.argument) for one in found] == [("changes", "name"), ("changes", "shape")]
    assert "self.add_weight(name='w', shape=(1,))" in checked.mended(text)


def test_what_became_keyword_only_breaks_by_position(checked: Checked) -> None:
    text = "from sklearn.model_selection import KFold\nKFold(3, True)\n"
    (found,) = checked.find(text)
    assert (found.kind, found.argument, found.since) == (FindingKind.BREAKS, "shuffle", "1.0.2")
    assert "KFold(3, shuffle=True)" in checked.mended(text)
    assert checked.find("from sklearn.model_selection import KFold\nKFold(*more, 3, True)\n") == ()


def test_without_a_before_what_other_releases_have_and_this_one_lacks_is_found(checked: Checked) -> None:
    text = "import keras\nkeras.Model(1, 2).fit_generator(1)\n"
    assert len(checked.breaks(text, before=None)) == 1
    assert checked.breaks(text, before=None, after={"keras": "2.10.0"}) == []
    assert checked.breaks(text, before=None, after={"keras": "1.0"}) == []


def test_what_is_there_later_only_is_told_from_which_release_on(checked: Checked) -> None:
    (found,) = checked.find("import numpy as np\nnp.float\n", after={"numpy": "1.19.5"}) or (None,)
    assert found is None
    text = "from keras.optimizers import SGD\nSGD(learning_rate=0.1)\n"
    assert checked.breaks(text, before=None, after=OLD) == ["keras.optimizers.SGD.learning_rate"]


def test_names_of_packages_without_a_history_are_told_and_not_guessed(checked: Checked) -> None:
    (checked.folder / "train.py").write_text("import os, keras, pandas\npandas.Panel()\n")
    checker = Checker(read_script(checked.folder, "train.py"), by_root(KERAS))
    assert checker.findings(None, NEW) == ()
    assert checker.without_history(NEW) == ("pandas",)
    assert checker.without_history({}) == ("keras", "pandas")


def test_python_2_is_one_clear_message(checked: Checked) -> None:
    with pytest.raises(NotRewritableError, match="not Python 3"):
        checked.find("print 'loss'\n")


def test_an_older_name_of_an_argument_had_its_default(checked: Checked) -> None:
    text = "from keras.optimizers import SGD\nSGD()\n"
    assert checked.find(text) == ()


def test_another_keras_may_have_another_default(checked: Checked) -> None:
    facts = {"tensorflow": MODULE, "tensorflow.keras": MODULE, "tensorflow.keras.optimizers": MODULE}
    facts["tensorflow.keras.optimizers.Adadelta"] = cls(["learning_rate", "0.001"])
    tensorflow = history("tensorflow", {"1.13.1": facts})
    (checked.folder / "train.py").write_text("import tensorflow as tf\ntf.keras.optimizers.Adadelta()\n")
    checker = Checker(read_script(checked.folder, "train.py"), by_root(KERAS, tensorflow))
    stack = {"keras": "2.2.4", "tensorflow": "1.13.1"}
    (found,) = checker.findings(stack, stack, keras_before="keras")
    assert (found.kind, found.argument, found.since, found.line) == ("changes", "learning_rate", "", 2)
    assert checker.findings(stack, stack) == ()


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("`tf.x` is deprecated. Use y.", ["deprecated"]),
        ("SOME ARGUMENTS ARE DEPRECATED: (a).", []),
        ("Must end in .keras. The save_format argument is deprecated.", []),
        ("A tensor object which we augment", []),
    ],
)
def test_words_on_a_name_are_told_and_those_on_its_arguments_are_not(
    tmp_path: Path, words: str, kinds: list[str]
) -> None:
    facts = {"six": MODULE, "six.old": function("x", d=words)}
    (tmp_path / "train.py").write_text("import six\nsix.old(1)\n")
    checker = Checker(read_script(tmp_path, "train.py"), by_root(history("six", {"1.0": facts})))
    assert [one.kind for one in checker.findings(None, {"six": "1.0"})] == kinds


def _found(folder: Path, text: str, facts: dict[str, dict], before: str, after: str) -> list[Finding]:
    package = next(iter(facts[after])).partition(".")[0]
    (folder / "train.py").write_text(text)
    checker = Checker(read_script(folder, "train.py"), by_root(history(package, facts)))
    return list(checker.findings({package: before} if before else None, {package: after}))


@pytest.mark.parametrize(
    ("call", "before", "breaks"),
    [
        ("six.split(1)", "1.1", [("size", "1.2")]),
        ("six.split(1)", "", [("size", "1.2")]),
        ("six.split(1, 2)", "1.1", []),
        ("six.split(1, size=2)", "1.1", []),
        ("six.split(*all)", "1.1", []),
        ("six.split(1)", "1.2", []),
    ],
)
def test_an_argument_that_could_be_left_out_and_is_needed_breaks(
    tmp_path: Path, call: str, before: str, breaks: list[tuple[str, str]]
) -> None:
    facts = {
        release: {"six": MODULE, "six.split": function("x", size)}
        for release, size in {"1.0": ["size", "1"], "1.1": ["size", "1"], "1.2": "size", "1.3": "size"}.items()
    }
    found = _found(tmp_path, f"import six\n{call}\n", facts, before, "1.3")
    assert [(one.argument, one.since) for one in found if one.kind is FindingKind.BREAKS] == breaks


def test_keras_2_takes_what_keras_1_called_otherwise_for_a_while(tmp_path: Path) -> None:
    facts = {
        release: {"keras": MODULE, "keras.Model": cls(), "keras.Model.fit": method("x", [epochs, "1"])}
        for release, epochs in {"1.2.2": "nb_epoch", "2.2.4": "epochs", "2.10.0": "epochs"}.items()
    }
    text = "import keras\nkeras.Model().fit(1, nb_epoch=3)\n"
    assert _found(tmp_path, text, facts, "1.2.2", "2.2.4") == []
    assert [one.argument for one in _found(tmp_path, text, facts, "1.2.2", "2.10.0")] == ["nb_epoch"]


def test_what_tensorflow_moved_is_written_as_it_is_called_in_its_first_version(tmp_path: Path) -> None:
    new = dict.fromkeys(("tensorflow", "tensorflow.compat", "tensorflow.compat.v1"), MODULE)
    new["tensorflow.compat.v1.placeholder"] = function("dtype")
    facts = {"1.15.0": {**new, "tensorflow.placeholder": function("dtype")}, "2.0.0": new}
    (found,) = _found(tmp_path, "import tensorflow as tf\ntf.placeholder(1)\n", facts, "1.15.0", "2.0.0")
    assert found.instead == "tensorflow.compat.v1.placeholder"
    assert found.edit is not None
    assert found.edit.text == "tf.compat.v1.placeholder"


def test_a_property_of_later_releases_may_have_been_given_by_the_constructor(tmp_path: Path) -> None:
    old = {"six": MODULE, "six.Kept": cls()}
    facts = {"1.0": old, "1.1": {**old, "six.Kept.size": {"k": "property"}, "six.Kept.grow": method()}}
    found = _found(tmp_path, "import six\nkept = six.Kept()\nkept.size\nkept.grow()\n", facts, "", "1.0")
    assert [one.message for one in found] == ["six.Kept.grow is there from six 1.1 on only"]


def test_what_a_package_says_not_to_write_is_not_what_to_write_instead(checked: Checked) -> None:
    (found,) = checked.find("import keras\nkeras.layers.Dense(3, input_shape=(4,))\n")
    assert (found.kind, found.argument, found.instead, found.edit) == ("deprecated", "input_shape", "", None)
