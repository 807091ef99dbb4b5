"""Every import form of the corpus, in every flavour: its text, its meaning, and that twice gives the same as once."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from imports.corpus import FLAVOURS, ROOTS, Form, forms, tutorials
from imports.pretended import names_of

from runner.scripts.counterparts import Counterparts

if TYPE_CHECKING:
    from runner.scripts.rewriting import Rewritten

FORMS = forms()
EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=[form.title for form in FORMS])
EACH_FLAVOUR = pytest.mark.parametrize("flavour", FLAVOURS)
TUTORIALS = tutorials()
EACH_TUTORIAL = pytest.mark.parametrize("name", TUTORIALS)


@cache
def rewritten(source: str, flavour: str) -> Rewritten:
    from runner.scripts.rewriting import rewrite  # LibCST is heavy

    return rewrite({"script.py": source}, Counterparts(flavour=flavour))["script.py"]


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(FORMS) >= 50
    assert len(TUTORIALS) >= 8
    assert all(set(form.expected) == set(FLAVOURS) for form in FORMS)


@EACH_FORM
def test_a_form_becomes_what_the_corpus_says_in_as_many_lines_of_python_3_6(form: Form) -> None:
    for flavour, expected in form.expected.items():
        found = rewritten(form.source, flavour)
        assert found.text == expected.text, flavour
        assert found.left_alone == tuple(f"script.py:{line}" for line in expected.left_alone), flavour
        assert found.text.count("\n") == form.source.count("\n"), flavour
        if ":=" not in form.source:
            ast.parse(found.text, feature_version=(3, 6))


@EACH_FORM
def test_a_form_that_is_rewritten_stays_so_the_second_time(form: Form) -> None:
    for flavour, expected in form.expected.items():
        assert rewritten(expected.text, flavour).text == expected.text, flavour


@EACH_FORM
def test_every_name_of_a_form_means_the_same_thing_of_the_keras_that_is_asked_for(form: Form) -> None:
    for flavour, expected in form.expected.items():
        if expected.left_alone:
            continue
        before, after = names_of(form.source), names_of(expected.text)
        for name, paths in before.items():
            for old, new in zip(paths, after[name], strict=True):
                assert new == old if stays(old, flavour) else f"{new}.".startswith(f"{ROOTS[flavour]}."), name
                assert last_name(new) == last_name(old), name


@EACH_FLAVOUR
@EACH_TUTORIAL
def test_a_tutorial_is_of_one_keras_afterwards_and_otherwise_as_it_was(name: str, flavour: str) -> None:
    source = TUTORIALS[name]
    found = rewritten(source, flavour)
    compile(found.text, name, "exec")
    assert found.left_alone == ()
    assert kerases_in(found.text) == {ROOTS[flavour]}
    for other in FLAVOURS:
        again = rewritten(found.text, other)
        assert kerases_in(again.text) == {ROOTS[other]}
        assert again.text == found.text or other != flavour
    changed = [
        (old, new)
        for old, new in zip(source.splitlines(), found.text.splitlines(), strict=True)
        if old != new and not re.search(r"import|\b(tf|tensorflow|keras)\.", old)
    ]
    assert changed == []


def stays(path: str, flavour: str) -> bool:
    """Whether what a path leads to is no Keras, or that of the flavour by another of its names."""
    other_names = ("tensorflow.optimizers", "tensorflow.losses.MeanSquaredError", "tensorflow.compat.v")
    if flavour == "tf.keras" and path.startswith(other_names):
        return True
    return not path.startswith(other_names[:2]) and {"keras", "tf_keras"}.isdisjoint(path.split("."))


def last_name(path: str) -> str:
    """The last name of a path, by which every Keras has the same thing; modules of Keras 1 and 2 have another one."""
    moved = {"core": "layers", "normalization": "layers", "np_utils": "utils", "tf_keras": "keras"}
    name = path.rpartition(".")[2]
    return moved.get(name, name)


def kerases_in(source: str) -> set[str]:
    """The Kerases that a script names in its imports, attributes of TensorFlow and calls that import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("tf.keras", "tensorflow.keras")):
            found.add("tensorflow.keras")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            found.add(ast.literal_eval(node.args[0]))
    known = [(path, root) for path in found for root in ROOTS.values() if f"{path}.".startswith(f"{root}.")]
    return {root for _, root in known} | {path for path in found - dict(known).keys() if "keras" in path.split(".")}
