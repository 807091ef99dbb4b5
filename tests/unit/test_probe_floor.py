"""The probe and its tools are Python of CPython 3.6: all of them compile there, where one is found."""

from __future__ import annotations

import ast
import subprocess

from probe_world import PROBE, interpreters

SOURCES = sorted(PROBE.rglob("*.py"))
COMPILE = "import sys\nfor name in sys.argv[1:]: compile(open(name, encoding='utf-8').read(), name, 'exec')"


def test_every_source_has_the_grammar_of_cpython_3_6() -> None:
    assert len(SOURCES) > 15
    for source in SOURCES:
        ast.parse(source.read_bytes(), str(source), feature_version=(3, 6))


def test_every_source_compiles_on_the_oldest_cpython_found() -> None:
    oldest = min(interpreters(), key=lambda name: int(name[2:]))
    subprocess.run([interpreters()[oldest], "-c", COMPILE, *map(str, SOURCES)], check=True)


def test_annotations_that_an_old_cpython_lacks_are_text() -> None:
    """`list[int]` and `str | None` in a signature are evaluated on import, and fail before CPython 3.9 and 3.10."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_bytes())):
            if isinstance(node, ast.FunctionDef):
                every = [*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.vararg, node.args.kwarg])]
                for annotation in [argument.annotation for argument in every] + [node.returns]:
                    assert isinstance(annotation, ast.Name | ast.Constant | None), ast.unparse(node)
