"""A notebook as a script: what its lines become, what is refused, and how a place in it is found again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runner.errors import UsageError
from runner.scripts.notebook_source import cell_of, notebook_source
from runner.scripts.rewriting import rewritten
from runner.scripts.script import copy_script, read_script

if TYPE_CHECKING:
    from pathlib import Path


def notebook(*cells: str, language: str = "python", version: int = 4) -> bytes:
    made = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    words = {"cell_type": "markdown", "source": "# Words", "metadata": {}}
    if version == 3:
        older = [{**cell, "input": cell["source"], "language": "python", "collapsed": False} for cell in made]
        return json.dumps(
            {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": older}]}
        ).encode()
    kernel = {"name": "k", "display_name": "K", "language": language}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": kernel}, "cells": [words, *made]}
    ).encode()


def lines(*cells: str) -> list[str]:
    """The lines of a notebook's source without the comments before the cells."""
    source = notebook_source(notebook(*cells), "study.ipynb").source.decode()
    return [line for line in source.splitlines() if not line.startswith("# ----")]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%matplotlib inline\nx = 1", ["pass", "x = 1"]),
        ("\n%%time\nx = 1", ["", "", "x = 1"]),
        ("%%capture\n%%time\nx = 1", ["", "", "x = 1"]),
        ("%time fit(\n    1)\ny = %time fit()", ["fit(", "    1)", "y = fit()"]),
        (
            "if x:\n    %load_ext tensorboard\n    !ls -l\nelse:\n    y",
            ["if x:", "    pass", "    pass", "else:", "    y"],
        ),
        ("get_ipython().run_line_magic('matplotlib', 'inline')\nprint?", ["pass", "pass"]),
        ("%env A=b c", ["__import__('os').environ['A'] = 'b c'"]),
        ("!pip install \\\n   x\nz", ["pass", "", "z"]),
        ("text = '''\n%time\n!x\n'''", ["text = '''", "%time", "!x", "'''"]),
        (">>> x = 1", ["x = 1"]),
        ("%%html\n<b>", ["", ""]),
        ("display(x)", ["display = print", "display(x)"]),
        ("str(get_ipython())", ["get_ipython = lambda: None", "str(get_ipython())"]),
    ],
)
def test_a_line_of_ipython_becomes_what_it_means_in_its_place(cell: str, expected: list[str]) -> None:
    assert lines(cell) == expected


def test_a_cell_that_writes_a_file_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines("%%writefile net.py\nx = 'a'\n", "import os")))
    assert (tmp_path / "net.py").read_text() == "x = 'a'\n\n"


def test_a_future_import_of_any_cell_comes_first() -> None:
    assert lines("x = 1", "from __future__ import annotations\ny")[0] == "from __future__ import annotations"


@pytest.mark.parametrize(
    "line",
    [
        *(
            "!wget https://example.invalid/x",
            "%run other.py",
            "x = !ls",
            "!python train.py",
            "!ls; rm -r x",
            "%timeit f()",
        ),
        *("!git clone x", "!pip install x && wget y", "%%bash\nls", "%unknown", "!echo 1 > f"),
    ],
)
def test_a_line_that_means_nothing_here_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        notebook_source(
            notebook("x = 1", f"{'' if line.startswith('%%') else '# first' + chr(10)}{line}"), "nb/s.ipynb"
        )
    number = 1 if line.startswith("%%") else 2
    assert f"  s.ipynb, cell 2, line {number}: {line.partition(chr(10))[0]}" in str(caught.value).splitlines()


def test_all_refused_lines_are_told_together() -> None:
    with pytest.raises(UsageError, match=r"cell 1, line 1: !wget a\n.*cell 1, line 2: %run b\n.*cell 2, line 1: %%sh"):
        notebook_source(notebook("!wget a\n%run b", "%%sh\nls"), "s.ipynb")


def test_what_a_cell_printed_can_not_be_read_later() -> None:
    with pytest.raises(UsageError, match=r"line 1: %%capture out \(a trial does not keep what a cell prints as out"):
        notebook_source(notebook("%%capture out\nprint(1)", "out.show()"), "s.ipynb")
    assert lines("%%capture out\nprint(1)", "x") == ["", "print(1)", "x"]


@pytest.mark.parametrize(
    ("line", "packages"),
    [
        ("!pip install -q 'keras>=2' pandas[all]==1.0", ("keras", "pandas")),
        ("%pip install scikit-learn", ("scikit-learn",)),
        ("!{sys.executable} -m pip install x", ("x",)),
        ("!python3 -m pip install x", ("x",)),
        ("!conda install -y x", ("x",)),
    ],
)
def test_a_requirement_is_taken_out_and_told_until_the_matrix_has_it(line: str, packages: tuple[str, ...]) -> None:
    (taken,) = notebook_source(notebook("import sys", line), "study.ipynb").taken_out
    assert (taken.place, taken.line, taken.packages) == ("study.ipynb, cell 2, line 1", line, packages)
    assert taken.told(["numpy"]).endswith(f"put it under `packages:`: {', '.join(packages)}")
    assert taken.told(packages) == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"x = 1", "s.ipynb can't be read as a notebook: Notebook does not appear to be JSON"),
        (b"{}", "s.ipynb can't be read as a notebook: "),
        (b"[1]", "s.ipynb can't be read as a notebook: "),
        (b"\xff", "s.ipynb can't be read as a notebook: "),
        (notebook("x", language="R"), "s.ipynb is a notebook for R; only notebooks for Python can run."),
    ],
)
def test_what_is_no_notebook_for_python_is_refused(content: bytes, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        notebook_source(content, "s.ipynb")
    assert str(caught.value).startswith(expected)


def test_an_old_notebook_is_read() -> None:
    assert notebook_source(notebook("x = 1", version=3), "s.ipynb").source.decode().splitlines()[-1] == "x = 1"


def test_a_line_of_the_source_is_found_in_its_cell(tmp_path: Path) -> None:
    (tmp_path / "nb").mkdir()
    (tmp_path / "nb/study.ipynb").write_bytes(notebook("import near\ndisplay(1)", "", "\n%%time\nx = 1\n1 / 0"))
    (tmp_path / "nb/near.py").touch()
    script = read_script(tmp_path, "nb/study.ipynb")
    assert [file.path for file in script.files] == ["nb/study.ipynb", "nb/near.py"]
    copy_script(script, tmp_path / "work")
    source = (tmp_path / "work/nb/study.ipynb").read_text()
    number = source.splitlines().index("1 / 0") + 1
    assert cell_of(source, number) == script.cell_of(script.path, number) == (2, 4)
    assert script.cell_of("nb/near.py", number) is None
    assert script.place(script.path, number) == "nb/study.ipynb, cell 2, line 4"
    assert script.place("nb/near.py", 7) == "nb/near.py:7"
    assert cell_of(source, 1) is None
    said = f"""\
  File "/work/nb/study.ipynb", line {number}, in <module>
  File "/work/nb/near.py", line {number}, in f
study.ipynb:{number}: UserWarning: x
invalid syntax (study.ipynb, line {number})
"""
    assert script.in_cells(said).splitlines() == [
        '  File "study.ipynb, cell 2", line 4, in <module>',
        f'  File "/work/nb/near.py", line {number}, in f',
        "study.ipynb, cell 2:4: UserWarning: x",
        "invalid syntax (study.ipynb, cell 2, line 4)",
    ]


def test_outputs_and_words_change_no_digest_and_code_does(tmp_path: Path) -> None:
    path = tmp_path / "s.ipynb"
    path.write_bytes(notebook("x = 1"))
    before = read_script(tmp_path, "s.ipynb").digest
    path.write_bytes(notebook("x = 1  # a comment").replace(b"# Words", b"# Others"))
    assert read_script(tmp_path, "s.ipynb").digest == before
    path.write_bytes(notebook("x = 2"))
    assert read_script(tmp_path, "s.ipynb").digest != before


def test_a_notebook_is_rewritten_to_another_keras(tmp_path: Path) -> None:
    (tmp_path / "s.ipynb").write_bytes(notebook("%matplotlib inline", "import keras\n\nkeras.layers.Dense(1)"))
    script = rewritten(read_script(tmp_path, "s.ipynb"), "tf.keras")
    assert script.files[0].rewritten is not None
    lines = script.files[0].rewritten.decode().splitlines()
    assert "from tensorflow import keras" in lines
    assert script.cell_of("s.ipynb", lines.index("keras.layers.Dense(1)") + 1) == (2, 3)


def test_what_can_not_be_rewritten_is_told_by_cell(tmp_path: Path) -> None:
    (tmp_path / "s.ipynb").write_bytes(notebook("x = 1", "import keras\nx = = 1"))
    with pytest.raises(UsageError, match=r"^s\.ipynb, cell 2:2: the Keras imports of this file can't be rewritten"):
        rewritten(read_script(tmp_path, "s.ipynb"), "tf.keras")
