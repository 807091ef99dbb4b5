"""The probe's own imports: a script's modules may have the names of standard ones, and each side gets its own."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, PROBE, run

MINE = "print('the script has', __name__)\nMINE = __name__\nsys = __import__('sys')\n"
RAISES = """
import sys
def deep(number):
    return 1 / number if number == 0 else deep(number - 1)
print(sorted(name for name in sys.modules if name in sys.argv[1].split() and hasattr(sys.modules[name], 'MINE')))
deep(2)
"""
"""A script that raises, after it said what of its own was imported by then."""
FINDS = "import os\nprint(' '.join(sorted({n.partition('.')[0] for n in os.listdir(os.path.dirname(os.__file__))})))"


def standard_names(python: Path, folder: Path) -> list[str]:
    """The names that files and folders of a CPython's library have, as those of modules; underscores left in."""
    found = run(python, folder, FINDS, probe=False).out.split()
    return [name for name in found if name.isidentifier() and name not in {"encodings", "site", "sitecustomize"}]


def test_all_that_the_probe_and_its_tools_import_is_loaded_before_the_script(tmp_path: Path) -> None:
    loaded = run(
        Path(sys.executable),
        tmp_path,
        f"import sys\nsys.path.insert(0, {str(PROBE)!r})\nfrom _runner_probe import own_imports as own\n"
        "print(*own.NEEDED, *own.NEEDED_BY_TOOLS, *sys.builtin_module_names)",
        probe=False,
    ).out.split()
    imported = {
        name
        for file in PROBE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    of_the_probe = {"typing", "collections.abc", "os", "_runner_probe"}  # for annotations, always there, its own
    assert {"inspect", "hashlib", "difflib"} <= imported
    assert {name for name in imported if name.partition(".")[0] not in {*loaded, *of_the_probe, "collections"}} == set()


@EVERY_PYTHON
def test_no_module_of_the_script_is_taken_for_a_standard_one_nor_the_other_way_round(
    python: Path, tmp_path: Path
) -> None:
    names = standard_names(python, tmp_path)
    for name in names:
        (tmp_path / "work" / f"{name}.py").write_text(MINE)
    bare = run(python, tmp_path, RAISES, "train.py", " ".join(names), probe=False)
    watched = run(python, tmp_path, RAISES, "train.py", " ".join(names), env={"RUNNER_SEED": "1"})
    assert len(names) > 150
    assert (watched.exit_code, watched.out, watched.err) == (1, bare.out, bare.err)
    error = watched.only("exception")
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "division by zero")
    assert (error["file"], error["line"]) == ("train.py", 4)
    assert error["source"] == "return 1 / number if number == 0 else deep(number - 1)"
    assert error["traceback"].count("in deep") == 3
    assert watched.of("probe-error") == []


@EVERY_PYTHON
def test_each_name_of_the_library_gives_the_script_what_it_gives_without_the_probe(
    python: Path, tmp_path: Path
) -> None:
    names = standard_names(python, tmp_path)
    for name in names:
        (tmp_path / "work" / f"{name}.py").write_text(MINE)
    script = f"""
for name in {names}:
    try:
        print(name, hasattr(__import__(name), "MINE"))
    except BaseException as error:
        print(name, error)
import keras
keras.models.Model().fit([0.5])
"""
    bare, watched = (run(python, tmp_path, script, probe=probe) for probe in (False, True))
    assert watched.out == bare.out
    assert watched.out.count("True") > 150
    assert [epoch["logs"] for epoch in watched.of("epoch")] == [{"loss": 0.5}]
    assert watched.of("probe-error") == []


@EVERY_PYTHON
def test_the_script_finds_no_module_imported_that_it_would_not_find_without_the_probe(
    python: Path, tmp_path: Path
) -> None:
    script = "import sys\nprint(*sorted(set(sys.modules) - set(sys.builtin_module_names)))\n"
    bare, watched = (run(python, tmp_path, script, probe=probe) for probe in (False, True))
    found = {name for name in watched.out.split() if not name.startswith(("_runner_probe", "sitecustomize"))}
    assert found - set(bare.out.split()) == set()


@OLDEST_AND_NEWEST
def test_what_a_method_takes_is_told_by_the_inspect_that_the_script_imports_later(python: Path, tmp_path: Path) -> None:
    script = """
import keras
import inspect
class Mine(keras.models.Model):
    def fit(self, x, epochs=3):
        return super(Mine, self).fit(x)
Mine.fit.__signature__ = inspect.signature(Mine.fit)
print(type(inspect.signature(keras.models.Model.fit)) is inspect.Signature)
print(inspect.getfullargspec(keras.models.Model.fit).args, inspect.signature(Mine.fit))
from multiprocessing.process import BaseProcess
print(inspect.signature(BaseProcess._bootstrap), inspect.getfullargspec(BaseProcess._bootstrap).args)
"""
    bare, watched = (run(python, tmp_path, script, probe=probe) for probe in (False, True))
    assert watched.out == bare.out
    assert watched.err == bare.err == ""
    assert watched.of("probe-error") == []


@OLDEST_AND_NEWEST
def test_a_module_random_of_the_script_s_own_is_not_seeded(python: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "random.py").write_text("SEEDS = []\nseed = SEEDS.append\n")
    told = run(python, tmp_path, "import random\nprint(random.SEEDS)", env={"RUNNER_SEED": "17"})
    assert (told.out, told.of("probe-error")) == ("[]\n", [])


@OLDEST_AND_NEWEST
def test_what_a_prelude_imports_is_the_script_s_and_what_it_seeds_stays(python: Path, tmp_path: Path) -> None:
    preludes = tmp_path / "preludes"
    preludes.mkdir()
    (preludes / "00-seeds.py").write_text("import random, _runner_tools.lookup\nrandom.seed(5)\nprelude.applied()")
    script = "import random, sys\nprint(random.random() == random.Random(5).random(), 'difflib' in sys.modules)\n"
    told = run(python, tmp_path, script, env={"RUNNER_PRELUDES": str(preludes), "RUNNER_SEED": "17"})
    assert told.out == "True False\n"
    assert told.only("prelude")["state"] == "applied"
