"""What code does decides its digest: comments, docstrings and layout do not, constants and names do."""

from __future__ import annotations

import pytest

from runner.code_digest import code_digest

SOURCE = '''"""A module."""
import os


class Model:
    """A model."""

    rate = 0.1

    def fit(self, x, name="a"):
        """Trains."""
        return f"{name!r}: {x + 1:>{self.width}}"  # not a comment: #
'''
ALIKE = {
    "another comment": SOURCE.replace("# not a comment: #", "# another one"),
    "no comment": SOURCE.replace("  # not a comment: #", ""),
    "other docstrings": SOURCE.replace('"""Trains."""', '"""Trains the model,\n\n        step by step.\n        """'),
    "no docstring of the module": SOURCE.replace('"""A module."""\n', ""),
    "no docstring of the class": SOURCE.replace('    """A model."""\n', ""),
    "blank lines": SOURCE.replace("\n\n\n", "\n"),
    "another indentation": SOURCE.replace("    ", "  "),
    "ends of lines": SOURCE.replace("\n", "\r\n"),
    "no last newline": SOURCE.rstrip("\n"),
    "a parenthesis over lines": SOURCE.replace("(self, x, ", "(self,\n        x,  # data\n        "),
}
OTHERWISE = {
    "a constant": SOURCE.replace("0.1", "0.2"),
    "a name": SOURCE.replace("rate", "rates"),
    "a string": SOURCE.replace('name="a"', 'name="b"'),
    "the text of an f-string": SOURCE.replace("!r}: ", "!r}; "),
    "the expression of an f-string": SOURCE.replace("{x + 1", "{x + 2"),
    "a statement": SOURCE + "os.abort()\n",
    "the place of a statement": SOURCE.replace("        return", "    return"),
}


def digest(source: str) -> str:
    return code_digest(source.encode())


@pytest.mark.parametrize("source", ALIKE.values(), ids=ALIKE)
def test_what_does_the_same_has_the_same_digest(source: str) -> None:
    assert source != SOURCE
    assert digest(source) == digest(SOURCE)


@pytest.mark.parametrize("source", OTHERWISE.values(), ids=OTHERWISE)
def test_what_does_something_else_has_another_digest(source: str) -> None:
    assert digest(source) != digest(SOURCE)


def test_the_digest_stays_what_it_was_or_every_trial_runs_again() -> None:
    assert digest(SOURCE) == "cd098b9722a637a2ca743a8510a38f2cc4145477d14f497cb42af2dda0941956"


@pytest.mark.parametrize("use", ["print(__doc__)", "import docopt", "import inspect\ninspect.getdoc(Model)"])
def test_docstrings_that_the_code_reads_count(use: str) -> None:
    assert digest(SOURCE + use) != digest(SOURCE.replace("Trains", "Fits") + use)


def test_a_file_in_another_encoding_is_what_it_says() -> None:
    latin = "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1")
    assert code_digest(latin) == code_digest("name = 'é'\n".encode())


def test_a_script_for_an_older_python_has_tokens_all_the_same() -> None:
    assert digest("print 'a'  # said\n") == digest("print 'a'\n")


@pytest.mark.parametrize("source", [b"\xff\xfe", b"# coding: nothing\n", b'print(f"{x["#"]}")\n'])
def test_what_can_not_be_cut_counts_byte_by_byte(source: bytes) -> None:
    assert code_digest(source) != code_digest(source + b"# a\n")
