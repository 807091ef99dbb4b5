"""Edits that a fix is made of: what they write, that nothing else moves, and that a patched script is its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from runner.scripts.added_lines import added_lines, guarded_import
from runner.scripts.edits import (
    positional,
    renamed_argument,
    replaced_name,
    taken_from,
    with_argument,
    with_call_argument,
    without_argument,
)
from runner.scripts.patching import Patch, lines_changed, patched
from runner.scripts.rewriting import rewritten
from runner.scripts.script import read_script
from runner.scripts.source import Edit, edited

if TYPE_CHECKING:
    from pathlib import Path


def changed(text: str, edits: list[Edit]) -> list[str]:
    """The lines that edits make, without those that were there."""
    return [line for line in edited(text, edits).splitlines() if line and line not in text.splitlines()]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("SGD()", "SGD(momentum=0.5)"),
        ("SGD(0.1)", "SGD(0.1, momentum=0.5)"),
        ("SGD(0.1,)", "SGD(0.1, momentum=0.5,)"),
        ("SGD((0.1))", "SGD((0.1), momentum=0.5)"),
        ("SGD(( 0.1 ))", "SGD(( 0.1 ), momentum=0.5)"),
        ("SGD( lr = 0.1 ) # kept", "SGD( lr = 0.1, momentum=0.5 ) # kept"),
        ("SGD(inertia=0.3)", "SGD(momentum=0.3)"),
    ],
)
def test_an_argument_is_written_where_a_call_goes_by_the_default(line: str, after: str) -> None:
    text = f"from keras.optimizers import SGD\none = {line}\n"
    assert changed(text, with_argument(text, "a.py", "SGD", "momentum", "0.5", older=["inertia"])) == [f"one = {after}"]


@pytest.mark.parametrize(
    "text",
    [
        "from keras.optimizers import SGD\none = SGD(momentum=0.1)\n",
        "from keras.optimizers import SGD\none = SGD(**given)\n",
        "class SGD:\n    pass\none = SGD()\n",
        "from mine import SGD\none = SGD()\n",
        "print 'not Python 3'\n",
    ],
)
def test_a_call_that_has_it_or_is_of_another_class_stays(text: str) -> None:
    assert with_argument(text, "a.py", "SGD", "momentum", "0.5") == []


@pytest.mark.parametrize(
    ("imports", "reference", "added"),
    [
        ("import keras", "keras.optimizers.Adadelta", []),
        ("import tensorflow as tf", "tf.keras.optimizers.Adadelta", []),
        ("from tensorflow import keras as k", "k.optimizers.Adadelta", []),
        ("from keras.layers import Dense", "Adadelta", ["from keras.optimizers import Adadelta"]),
        ("from tensorflow.keras.layers import Dense", "Adadelta", ["from tensorflow.keras.optimizers import Adadelta"]),
    ],
)
def test_an_optimizer_that_is_named_by_a_text_becomes_a_call(imports: str, reference: str, added: list[str]) -> None:
    text = f"{imports}\nmodel.compile('adadelta', 'mse')\nmodel.fit(x, y)\n"
    made = changed(text, with_argument(text, "a.py", "Adadelta", "learning_rate", "1.0"))
    assert made == [*added, f"model.compile({reference}(learning_rate=1.0), 'mse')"]


def test_an_argument_of_a_method_is_added_to_calls_on_objects_and_not_to_functions_of_modules() -> None:
    text = "import re\nfrom keras import Model\nmodel = Model()\nre.compile('a')\nmodel.compile('sgd')\n"
    edits = with_call_argument(text, "a.py", "compile", "jit_compile", "False")
    assert changed(text, edits) == ["model.compile('sgd', jit_compile=False)"]


def test_an_argument_of_all_classes_of_a_module_is_added_or_gets_another_value() -> None:
    text = (
        "import torch\nfrom torch import optim\na = torch.optim.SGD(p, fused=True)\nb = optim.Adam(p)\nc = optim.lr()\n"
    )
    edits = with_call_argument(text, "a.py", "torch.optim", "fused", "False")
    assert changed(text, edits) == ["a = torch.optim.SGD(p, fused=False)", "b = optim.Adam(p, fused=False)"]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("import keras\na = keras.optimizers.SGD(0.1)\n", ["a = keras.optimizers.legacy.SGD(0.1)"]),
        ("from tensorflow.keras.optimizers import SGD\n", ["from tensorflow.keras.optimizers.legacy import SGD"]),
        ("from keras.optimizers import SGD, serialize\n", []),
        ("import keras\nm.compile('adam')\n", ["m.compile(keras.optimizers.legacy.Adam())"]),
    ],
)
def test_classes_are_taken_from_another_module(text: str, after: list[str]) -> None:
    assert changed(text, taken_from(text, "a.py", "keras.optimizers.legacy", ("SGD", "Adam"))) == after


def test_an_argument_loses_its_name_or_gets_another_one() -> None:
    text = "from keras.optimizers import SGD\none = SGD(lr=0.1, momentum=0.9)\n"
    assert changed(text, positional(text, "a.py", 2, "lr")) == ["one = SGD(0.1, momentum=0.9)"]
    assert positional(text, "a.py", 2, "momentum") == []
    renamed = renamed_argument(text, "a.py", "SGD", "lr", "learning_rate")
    assert changed(text, renamed) == ["one = SGD(learning_rate=0.1, momentum=0.9)"]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("m.fit(x, workers=2)", "m.fit(x)"),
        ("m.fit(workers=2, epochs=1)", "m.fit(epochs=1)"),
        ("m.fit(workers=2)", "m.fit()"),
        ("m.fit(x, workers=2, epochs=1)", "m.fit(x, epochs=1)"),
        ("m.fit(x, workers=2,)", "m.fit(x,)"),
    ],
)
def test_an_argument_is_left_out(line: str, after: str) -> None:
    assert edited(line, without_argument(line, "a.py", "fit", "workers")) == after


@pytest.mark.parametrize(
    ("text", "gone", "template", "after"),
    [
        ("import numpy as n\ny = x.astype(n.bool)\n", ("numpy", "bool"), "bool", ["y = x.astype(bool)"]),
        ("import numpy as n\ny = n.infty\n", ("numpy", "infty"), "inf", ["y = n.inf"]),
        ("import numpy as n\ny = x.bool\n", ("numpy.random", "bool"), "bool", []),
        (
            "import numpy as n\ny = net.predict_classes(rows, verbose=0)\n",
            ("Sequential", "predict_classes"),
            "np.argmax(model.predict(x), axis=-1)",
            ["y = n.argmax(net.predict(rows, verbose=0), axis=-1)"],
        ),
        ("from a.b import (\n    old,  # c\n    more)\n", ("a.b", "old"), "new", ["    new as old,  # c"]),
        ("from a.b import old as o\n", ("a.b", "old"), "new", ["from a.b import new as o"]),
        ("y = net.predict_classes\n", ("Sequential", "predict_classes"), "np.argmax(model.predict(x), axis=-1)", []),
    ],
)
def test_a_name_that_is_gone_is_replaced_where_it_is_used(
    text: str, gone: tuple[str, str], template: str, after: list[str]
) -> None:
    made = changed(text, replaced_name(text, "a.py", *gone, template))
    assert [line for line in made if not line.startswith("import ")] == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            '"""Doc."""\nimport keras\n\nkeras.Model()\n',
            '"""Doc."""\nimport keras\nimport tensorflow as tf\n\ntf.f()\n\nkeras.Model()\n',
        ),
        ("import tensorflow\nmodel = 1\n", "import tensorflow\n\ntensorflow.f()\nmodel = 1\n"),
        (
            "import tensorflow as t\nk = t.keras\nimport numpy\n",
            "import tensorflow as t\n\nt.f()\nk = t.keras\nimport numpy\n",
        ),
        (
            "import os\nos.environ['A'] = '1'\nimport tensorflow as tf",
            "import os\nos.environ['A'] = '1'\nimport tensorflow as tf\n\ntf.f()\n",
        ),
        ("import tensorflow as tf\r\ny = 1\r\n", "import tensorflow as tf\r\n\r\ntf.f()\r\ny = 1\r\n"),
    ],
)
def test_lines_come_after_the_imports_with_the_names_that_the_file_has(text: str, after: str) -> None:
    assert edited(text, added_lines(text, ["tf.f()"])) == after


def test_a_variable_comes_before_the_first_framework_and_after_what_must_be_first() -> None:
    text = '"""Doc."""\nfrom __future__ import annotations\nimport os\nimport keras\n'
    made = edited(text, added_lines(text, ['os.environ["A"] = "1"'], before=True))
    assert made == '"""Doc."""\nfrom __future__ import annotations\nimport os\nos.environ["A"] = "1"\nimport keras\n'
    assert "import os\nos.environ" in edited(
        "import keras\n", added_lines("import keras\n", ['os.environ["A"] = "1"'], before=True)
    )


def test_an_import_that_only_new_releases_have_is_tried_first() -> None:
    text = "if True:\n    from keras.a import b  # c\n"
    start = text.index("keras.a")
    edits = guarded_import(text, Edit(start=start, end=start + len("keras.a"), text="keras.z"))
    compile(edited(text, edits), "a.py", "exec")
    assert changed(text, edits) == [
        "    try:",
        "        from keras.z import b  # c",
        "    except ImportError:",
        "        from keras.a import b  # c",
    ]


def test_a_patched_script_has_its_own_digest_and_a_diff_that_applies(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("import keras\nrate = 1\n")
    (tmp_path / "train.py").write_text("import nets\nprint(nets.rate)\n")
    script = read_script(tmp_path, "train.py")
    patch = Patch.of(script, {"nets.py": [Edit(start=20, end=21, text="2")], "train.py": []})
    done = patched(script, patch)
    assert done.digest != script.digest
    assert patched(script, Patch()) is script
    assert lines_changed(done.diff) == 1
    (tmp_path / "fix.patch").write_text(done.diff)
    subprocess.run(["patch", "-p1", "-i", "fix.patch"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "nets.py").read_text() == "import keras\nrate = 2\n"
    assert read_script(tmp_path, "train.py").digest == done.digest


def test_what_a_patch_imports_is_no_module_of_the_script_and_is_rewritten_with_its_flavour(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from keras.models import Model\nModel().compile('sgd')\n")
    script = read_script(tmp_path, "train.py")
    edits = with_argument((tmp_path / "train.py").read_text(), "train.py", "SGD", "momentum", "0.5")
    done = rewritten(patched(script, Patch.of(script, {"train.py": edits})), "tf.keras")
    assert b"from tensorflow.keras.optimizers import SGD" in (done.files[0].rewritten or b"")
    assert done.imports == {"tensorflow"}
