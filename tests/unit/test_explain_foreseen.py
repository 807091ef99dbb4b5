"""What the histories say of a script between two cells is part of the account, the line that raised first."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from made_account import made_account

from runner.explain.account_sentences import sentences_of
from runner.explain.candidates import Ill
from runner.explain.edit_candidates import edits_for
from runner.explain.foreseen import foreseen
from runner.explain.plain_sentences import foreseen_told
from runner.investigate.question import Combination
from runner.scripts.script import read_script

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BAD = (Combination.of({"numpy": version}) for version in ("1.23.5", "1.24.0"))
SOURCE = "import numpy as np\n\nkinds = [np.float64, np.int]\nflags = np.zeros(3, np.bool)\n"


def asking(folder: Path, raised: int, **changes: str) -> Any:
    (folder / "train.py").write_text(SOURCE)
    record = SimpleNamespace(exception=SimpleNamespace(file="train.py", line=raised))
    held = {GOOD: {"numpy": "1.23.5"}, BAD: {"numpy": "1.24.0", **changes}}
    return SimpleNamespace(
        contents={about: tuple(packages.items()) for about, packages in held.items()},
        trials={BAD: [(record, None)]},
        matrix=SimpleNamespace(folder=folder),
        script=lambda _about: read_script(folder, "train.py"),
        cell=lambda about: about.cell,
    )


def test_what_is_gone_for_the_script_is_foreseen_the_line_that_raised_first(tmp_path: Path) -> None:
    found = foreseen(asking(tmp_path, raised=4), GOOD, BAD)
    assert [(one.line, one.path, one.kind) for one in found] == [
        (4, "numpy.bool", "breaks"),
        (3, "numpy.int", "breaks"),
    ]
    said = list(sentences_of(made_account(foreseen=found, switches=())))
    assert said[2].startswith("To look at first: line 4 of train.py: ")
    assert any("without a trial: line 4 of train.py" in one and "line 3" in one for one in said[3:])


def test_between_cells_that_hold_the_same_nothing_is_foreseen(tmp_path: Path) -> None:
    assert foreseen(asking(tmp_path, raised=4, numpy="1.23.5"), GOOD, BAD) == ()
    assert foreseen(asking(tmp_path, raised=4), GOOD, Combination.of({"numpy": "9"})) == ()


def test_what_depends_on_values_is_told_as_perhaps_and_is_no_sure_cause(tmp_path: Path) -> None:
    before = asking(tmp_path, raised=3)
    (tmp_path / "train.py").write_text("import numpy as np\n\nkept = np.array([[1], [1, 2]])\n")
    (one,) = (found for found in foreseen(before, GOOD, BAD) if found.kind == "known")
    assert (one.path, one.certain, one.sure) == ("ragged-arrays", False, False)
    assert not one.message.startswith("perhaps")
    said = list(sentences_of(made_account(foreseen=(one,), switches=())))
    assert any("line 3 of train.py: perhaps: " in sentence for sentence in said)


def test_a_script_is_read_in_the_flavour_in_which_it_runs_and_edited_as_it_was_written(tmp_path: Path) -> None:
    good, bad = (Combination.of({"tensorflow": one, "import": "tf.keras"}) for one in ("1.15.0", "2.0.0"))
    experimenter = asking(tmp_path, raised=6)
    experimenter.contents = {one: (("tensorflow", one.cell.values["tensorflow"]),) for one in (good, bad)}
    source = "from keras.models import Sequential\n\nmodel = Sequential()\nmodel.compile('sgd', metrics=['accuracy'])\n"
    (tmp_path / "train.py").write_text(f"{source}logs = model.fit([1], [1]).history\nprint(logs['acc'])\n")
    assert "acc-is-accuracy" in [one.path for one in foreseen(experimenter, good, bad)]
    ill = Ill(experimenter=experimenter, account=made_account(switches=()), good=good, bad=bad, pair=(good, bad))
    diffs = [line for one in edits_for(ill) for line in one.diff.splitlines()]
    assert "+model.compile('sgd', metrics=['acc'])" in diffs
    assert not any("tensorflow" in line for line in diffs)


def test_an_import_that_is_gone_in_the_flavour_is_edited_as_it_was_written(tmp_path: Path) -> None:
    good, bad = (Combination.of({"tensorflow": one, "import": "tf.keras"}) for one in ("2.10.1", "2.16.1"))
    experimenter = asking(tmp_path, raised=2)
    keras = {good: "2.10.0", bad: "3.3.3"}
    experimenter.contents = {
        one: (("tensorflow", one.cell.values["tensorflow"]), ("keras", keras[one])) for one in (good, bad)
    }
    (tmp_path / "train.py").write_text("import numpy\nfrom keras.layers.experimental.preprocessing import Rescaling\n")
    assert [(one.kind, one.line) for one in foreseen(experimenter, good, bad)] == [("breaks", 2)]
    ill = Ill(experimenter=experimenter, account=made_account(switches=()), good=good, bad=bad, pair=(good, bad))
    diffs = [line for one in edits_for(ill) for line in one.diff.splitlines()]
    assert "+from keras.layers import Rescaling" in diffs


def test_a_line_of_a_notebook_is_told_by_its_cell(tmp_path: Path) -> None:
    code = ["import numpy as np", "size = 3\nflags = np.zeros(size, np.bool)"]
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Study"},
        *({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": one} for one in code),
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "study.ipynb").write_text(json.dumps(notebook))
    experimenter = asking(tmp_path, raised=1)
    experimenter.script = lambda _about: read_script(tmp_path, "study.ipynb")
    (found,) = foreseen(experimenter, GOOD, BAD)
    assert foreseen_told(found).startswith("line 2 of cell 2 of study.ipynb: numpy.bool")
    ill = Ill(experimenter=experimenter, account=made_account(switches=()), good=GOOD, bad=BAD, pair=(GOOD, BAD))
    assert next(one.says for one in edits_for(ill)) == "study.ipynb, cell 2, line 2: bool"
