"""A script in another import flavour: what runs, its digest and diff, and every file that can't be rewritten."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imports.corpus import FLAVOURS, forms
from probe_world import OLDEST_AND_NEWEST

from runner.errors import UsageError
from runner.scripts.counterparts import Counterparts
from runner.scripts.rewriting import rewritten
from runner.scripts.script import copy_script, read_script
from runner.scripts.source import NotRewritableError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def running(folder: Path, flavour: str) -> dict[str, bytes]:
    """The files that run, by path, when the script `train.py` has an import flavour."""
    work = folder / "work"
    copy_script(rewritten(read_script(folder, "train.py"), flavour), work)
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in work.rglob("*.py")}


def test_as_written_is_the_script_itself_and_loads_no_libcst(tmp_path: Path) -> None:
    write(tmp_path, train="print 'import keras'\r\n")
    script = read_script(tmp_path, "train.py")
    assert rewritten(script, "as-written") is script
    assert running(tmp_path, "as-written") == {"train.py": b"print 'import keras'\r\n"}
    code = (
        "import sys, pathlib; from runner.scripts.script import *; "
        "from runner.scripts.rewriting import *; folder = pathlib.Path(sys.argv[1]); "
        "copy_script(rewritten(read_script(folder, 'train.py'), 'as-written'), folder / 'work'); "
        "print('libcst' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_script_and_its_local_modules_run_rewritten(tmp_path: Path) -> None:
    write(
        tmp_path,
        train="import nets\nfrom tensorflow import keras\n",
        nets="import tensorflow as tf\n\nDense = tf.keras.layers.Dense\nimport deep.data\n",
        deep__init="",
        deep__data="rows = 3\n",
    )
    before = read_script(tmp_path, "train.py")
    after = rewritten(before, "tf_keras")
    assert [file.path for file in after.files] == [file.path for file in before.files]
    assert after.digest != before.digest
    assert (before.imports, after.imports) == ({"tensorflow"}, {"tensorflow", "tf_keras"})
    assert running(tmp_path, "tf_keras") == {
        "train.py": b"import nets\nimport tf_keras as keras\n",
        "nets.py": b"import tensorflow as tf; import tf_keras\n\nDense = tf_keras.layers.Dense\nimport deep.data\n",
        "deep/init.py": b"",
        "deep/data.py": b"rows = 3\n",
    }


def test_the_digest_is_that_of_a_script_which_was_written_so(tmp_path: Path) -> None:
    write(tmp_path, train="import tensorflow as tf\nx = tf.keras\n")
    write(tmp_path / "by_hand", train="import tensorflow as tf; import keras\nx = keras\n")
    by_hand = read_script(tmp_path / "by_hand", "train.py")
    assert rewritten(read_script(tmp_path, "train.py"), "keras").digest == by_hand.digest


def test_a_script_that_is_of_the_flavour_already_keeps_its_digest_and_has_no_diff(tmp_path: Path) -> None:
    write(tmp_path, train="import keras\nfrom keras.engine import training\n")
    script = read_script(tmp_path, "train.py")
    same = rewritten(script, "keras")
    assert (same.digest, same.diff, same.left_alone, same.files) == (script.digest, "", (), script.files)


def test_the_diff_is_unified_and_names_every_file(tmp_path: Path) -> None:
    write(tmp_path, train="import nets\nimport keras\n", nets="# Nets.\nfrom keras import layers")
    assert rewritten(read_script(tmp_path, "train.py"), "tf.keras").diff == (
        "--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,2 @@\n import nets\n-import keras\n+from tensorflow import keras\n"
        "--- a/nets.py\n+++ b/nets.py\n@@ -1,2 +1,2 @@\n # Nets.\n"
        "-from keras import layers\n\\ No newline at end of file\n"
        "+from tensorflow.keras import layers\n\\ No newline at end of file\n"
    )


def test_the_diff_has_the_line_ends_and_the_mark_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, train=b"\xef\xbb\xbfimport keras\r\n")
    assert rewritten(read_script(tmp_path, "train.py"), "tf_keras").diff == (
        "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-\ufeffimport keras\r\n+\ufeffimport tf_keras as keras\r\n"
    )


def test_what_has_no_counterpart_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        train="import nets\n\nfrom keras.engine.training import _Old, Model\n",
        nets="import keras\n\n\nx = (keras\n     .ops.add)\n",
    )
    script = rewritten(read_script(tmp_path, "train.py"), "tf_keras")
    assert script.left_alone == (
        "train.py:3: keras.engine.training._Old (private to the Keras that it is written for)",
        "nets.py:4: keras.ops.add (only Keras 3 has it)",
    )
    assert running(tmp_path, "tf_keras")["train.py"].splitlines()[2] == (
        b"from tf_keras.models import Model; from keras.engine.training import _Old"
    )


@pytest.mark.parametrize(
    ("source", "result"),
    [
        (b"import keras\r\nx = 1\r\n", b"from tensorflow import keras\r\nx = 1\r\n"),
        (b"import keras\r\nx = 1\ny = 2", b"from tensorflow import keras\r\nx = 1\ny = 2"),
        (b"import keras\rx = 1\r", b"from tensorflow import keras\rx = 1\r"),
        (b"\xef\xbb\xbfimport keras\n", b"\xef\xbb\xbffrom tensorflow import keras\n"),
        (
            b"# -*- coding: latin-1 -*-\nname = '\xe9'; import keras\n",
            b"# -*- coding: latin-1 -*-\nname = '\xe9'; from tensorflow import keras\n",
        ),
        ("é = 'ü — 漢'; import keras\n".encode(), "é = 'ü — 漢'; from tensorflow import keras\n".encode()),
        (b"import keras\n\n  # the end\n  ", b"from tensorflow import keras\n\n  # the end\n  "),
        (b"if 1:\n\timport keras\n\n\x0c\nx = 1\n", b"if 1:\n\tfrom tensorflow import keras\n\n\x0c\nx = 1\n"),
        (
            b"#!/usr/bin/python\nimport  keras  ;  x=1   \n",
            b"#!/usr/bin/python\nfrom tensorflow import keras  ;  x=1   \n",
        ),
        (
            b"from keras import (\r\n  layers, # c\r\n  ops)\r\n",
            b"from tensorflow.keras import (\r\n  layers, # c\r\n  ops)\r\n",
        ),
    ],
)
def test_encoding_marks_line_ends_and_spaces_stay_as_they_are(tmp_path: Path, source: bytes, result: bytes) -> None:
    write(tmp_path, train=source)
    assert running(tmp_path, "tf.keras") == {"train.py": result}


def test_lines_that_a_statement_gives_up_keep_their_line_ends(tmp_path: Path) -> None:
    write(tmp_path, train=b"from tensorflow import (\r\n  keras, # c\r\n)\r\nx = 1\r\n")
    assert running(tmp_path, "keras") == {"train.py": b"import keras\r\n# c\r\n\r\nx = 1\r\n"}


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        (b"import keras\n\nprint 'done'\n", 3, "it is not Python 3 (Missing parentheses in call to 'print'"),
        (b"import keras\nfit(x, async=True)\n", 2, "it is not Python 3 (invalid syntax)"),
        (b"import keras\n\nname = '\xe9'\n", 3, "it is not utf-8 text"),
        (b"# coding: klingon\nimport keras\n", 1, "unknown encoding: klingon"),
        (b"import keras\nx = " + b"(" * 9000 + b")" * 9000 + b"\n", 2, "an expression in it is nested too deeply"),
        (b"import keras\nx = " + b"1+" * 9000 + b"1\n", 1, "an expression in it is nested too deeply"),
        (b"import keras\nx = " + b"-" * 700 + b"1\n", 1, "an expression in it is nested too deeply"),
        (b"\x0cimport keras\n", 1, "LibCST loses some of its form feeds or comments"),
    ],
    ids=["print", "async", "encoding", "unknown encoding", "brackets", "sum", "signs", "form feed"],
)
def test_a_file_that_is_not_rewritable_is_named_with_line_and_way_out(
    tmp_path: Path, source: bytes, line: int, reason: str
) -> None:
    write(tmp_path, train="import old\n", old=source)
    with pytest.raises(NotRewritableError) as caught:
        rewritten(read_script(tmp_path, "train.py"), "tf.keras")
    message = str(caught.value)
    assert message.startswith(f"old.py:{line}: the Keras imports of this file can't be rewritten: {reason}")
    assert message.endswith("Use `import: as-written`, or write one script per import and an axis named `script`.")
    assert isinstance(caught.value, UsageError)


def test_syntax_newer_than_this_python_is_rewritten(tmp_path: Path) -> None:
    write(tmp_path, train="import keras\ntype Layers[T] = list[T]\nx = f'{'keras'}'\n")
    after = b"import tf_keras as keras\ntype Layers[T] = list[T]\nx = f'{'keras'}'\n"
    assert running(tmp_path, "tf_keras") == {"train.py": after}


def test_a_python_2_file_without_keras_is_not_even_parsed(tmp_path: Path) -> None:
    write(tmp_path, train="import keras, old\n", old="print 'import tensorflow as tf'\n")
    assert running(tmp_path, "tf_keras") == {
        "train.py": b"import tf_keras as keras, old\n",
        "old.py": b"print 'import tensorflow as tf'\n",
    }


def test_a_script_that_changed_since_it_was_read_is_not_rewritten(tmp_path: Path) -> None:
    write(tmp_path, train="import keras\n")
    script = read_script(tmp_path, "train.py")
    after = rewritten(script, "tf_keras")
    write(tmp_path, train="import keras # changed\n")
    with pytest.raises(UsageError, match=r"train\.py changed while the matrix was running"):
        rewritten(script, "tf_keras")
    copy_script(after, tmp_path / "work")
    assert (tmp_path / "work" / "train.py").read_text() == "import tf_keras as keras\n"


def test_a_local_module_that_is_named_like_a_keras_is_none(tmp_path: Path) -> None:
    write(tmp_path, train="import keras\nfrom tensorflow import keras as K\n", keras="from tensorflow import keras\n")
    assert running(tmp_path, "tf_keras") == {
        "train.py": b"import keras\nimport tf_keras as K\n",
        "keras.py": b"import tf_keras as keras\n",
    }
    with pytest.raises(UsageError, match=r"train\.py has a module of its own named keras, which hides the package"):
        rewritten(read_script(tmp_path, "train.py"), "keras")


def test_an_import_does_not_overwrite_a_name_of_the_module_that_takes_everything(tmp_path: Path) -> None:
    write(
        tmp_path,
        train="keras = 'own'\nfrom nets import *\n",
        nets="import tensorflow as tf\nDense = tf.keras.layers.Dense\n",
    )
    expected = b"import tensorflow as tf; import keras as _keras\nDense = _keras.layers.Dense\n"
    assert running(tmp_path, "keras")["nets.py"] == expected


def test_tensorflow_that_comes_from_a_local_module_is_named(tmp_path: Path) -> None:
    write(tmp_path, train="from common import tf\nx = tf.keras.Model\n", common="import tensorflow as tf\n")
    script = rewritten(read_script(tmp_path, "train.py"), "keras")
    assert script.left_alone == ("train.py:2: tf.keras.Model (this file does not show what `tf` is)",)
    assert rewritten(read_script(tmp_path, "train.py"), "tf.keras").left_alone == ()


def test_a_name_that_a_match_binds_is_no_longer_known_to_be_tensorflow(tmp_path: Path) -> None:
    write(tmp_path, train="import tensorflow as tf\nmatch [1]:\n    case [tf]: pass\nx = tf.keras.Model\n")
    script = rewritten(read_script(tmp_path, "train.py"), "keras")
    assert script.left_alone == ("train.py:4: tf.keras.Model (`tf` may be something else as well)",)
    assert script.diff == ""


def test_a_name_that_is_made_of_itself_many_times_over_takes_no_time(tmp_path: Path) -> None:
    again = "x = x.dimshuffle('x', 0)\nx = x.T\n" * 40
    write(tmp_path, train=f"import tensorflow as tf\nx = tf\n{again}y = x.keras.Model\n")
    script = rewritten(read_script(tmp_path, "train.py"), "keras")
    assert script.left_alone == ("train.py:83: x.keras.Model (`x` may be something else as well)",)


def test_a_flavour_that_does_not_exist_is_said_to_be_none(tmp_path: Path) -> None:
    write(tmp_path, train="")
    with pytest.raises(UsageError, match=r"Imports can't be made to mean 'theano'\. They can mean: as-written, keras"):
        rewritten(read_script(tmp_path, "train.py"), "theano")


LINES = (
    "import tensorflow as tf",
    "import tensorflow, sys;  import os",
    "from tensorflow import (nn,  # keras\n    data)",
    "x = tf.layers.dense(tf.constant(1) , 2)  # tf.keras.layers.Dense",
    "def keras(tf_keras, *, keras=None): return tf_keras.keras(keras=keras)",
    "class Keras(object):\n\tkeras = 'import keras'\n",
    "'''from tensorflow import keras\n\x0c tf.keras\n'''",
    "m = __import__('json'); n = getattr(tf, 'keras')",
    "config.keras.layers = [keras for keras in tf_keras]",
    "tf.losses.mean_squared_error, tf.metrics.mean, tf.initializers.zeros",
    "",
    "\x0c",
    "é = u'\u2028'",
)


@given(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_script_without_keras_comes_out_as_it_went_in(lines: list[str], newline: str, ended: bool) -> None:
    from runner.scripts.codemod import rewrite  # LibCST is heavy

    text = "x = 1\n" + "\n".join(lines) + "\n" * ended
    text = text.replace("\n", newline)
    for flavour in FLAVOURS:
        found = rewrite({"script.py": text}, Counterparts(flavour=flavour))["script.py"]
        assert (found.text, found.left_alone) == (text, ())


@OLDEST_AND_NEWEST
def test_what_comes_out_compiles_on_old_and_new_pythons(python: Path, tmp_path: Path) -> None:
    texts = [found.text for form in forms() if ":=" not in form.source for found in form.expected.values()]
    (tmp_path / "texts.txt").write_text("\0".join(texts))
    code = "import sys; [compile(t, 'script.py', 'exec') for t in open(sys.argv[1]).read().split('\\0')]; print('all')"
    done = subprocess.run(
        [python, "-c", code, str(tmp_path / "texts.txt")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("all\n", "")


CHOOSING = """import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # or jax
os.environ.update({"A": "é", "KERAS_BACKEND": os.environ.get("WANTED", "torch")}, KERAS_BACKEND='jax')
os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
keras.config.set_backend("torch")
print(os.environ["KERAS_BACKEND"])
"""
CHOSEN = """import os

os.environ["KERAS_BACKEND"] = "theano"  # or jax
os.environ.update({"A": "é", "KERAS_BACKEND": "theano"}, KERAS_BACKEND="theano")
os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
keras.config.set_backend("theano")
print(os.environ["KERAS_BACKEND"])
"""


def test_a_script_that_chooses_its_backend_itself_gets_that_of_the_cell(tmp_path: Path) -> None:
    write(tmp_path, train="import nets\n", nets=CHOOSING, plain="backend = 1\n")
    script = rewritten(read_script(tmp_path, "train.py"), "as-written", "theano")
    copy_script(script, tmp_path / "work")
    assert (tmp_path / "work" / "nets.py").read_text("utf-8") == CHOSEN
    subprocess.run(["patch", "-p1", "-d", tmp_path], input=script.diff, text=True, check=True, capture_output=True)
    assert (tmp_path / "nets.py").read_text("utf-8") == CHOSEN


@pytest.mark.parametrize("source", ["import keras\nx = keras.backend\n", "print 'KERAS_BACKEND'\n"])
def test_a_script_that_chooses_no_backend_stays_itself(tmp_path: Path, source: str) -> None:
    write(tmp_path, train=source)
    script = read_script(tmp_path, "train.py")
    assert rewritten(script, "as-written", "jax") is script


@pytest.mark.parametrize(
    ("source", "chooses"),
    [
        ('import keras\nkeras.config.set_backend("torch")\n', True),
        ('import os, keras\nos.environ["KERAS_BACKEND"] = "jax"\n', False),  # that of the cell
        ('import os, keras\nos.environ.setdefault("KERAS_BACKEND", "torch")\n', False),
    ],
)
def test_a_script_knows_whether_it_chooses_another_backend(tmp_path: Path, source: str, chooses: bool) -> None:
    write(tmp_path, train=source)
    for flavour in ("as-written", "keras"):
        assert rewritten(read_script(tmp_path, "train.py"), flavour, "jax").has_other_backend is chooses


def test_flavour_and_backend_are_changed_together(tmp_path: Path) -> None:
    write(tmp_path, train='import os\nos.environ["KERAS_BACKEND"] = "jax"\nfrom tensorflow import keras\n')
    script = rewritten(read_script(tmp_path, "train.py"), "keras", "torch")
    copy_script(script, tmp_path / "work")
    after = 'import os\nos.environ["KERAS_BACKEND"] = "torch"\nimport keras\n'
    assert (tmp_path / "work" / "train.py").read_text() == after
    subprocess.run(["patch", "-p1", "-d", tmp_path], input=script.diff, text=True, check=True, capture_output=True)
    assert (tmp_path / "train.py").read_text() == after
