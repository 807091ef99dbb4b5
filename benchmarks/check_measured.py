"""What `check` predicts against what happened, script by script and stack by stack.

    python benchmarks/check_measured.py run --python ENVIRONMENT/bin/python --stack tensorflow==2.16.1,keras==3.3.3 \
        --kept trials *.py
    python benchmarks/check_measured.py table --kept trials > table.md

`run` executes each script once in a made environment and keeps what it raised (a JSON file a trial; what is there is
not run again); `table` holds that against the predictions. A trial that raised is of kind API where what it raised says
that a name is not there or an argument is not taken. A predicted break has happened where the script raised there, and
is false where the script came past it or raised there for another reason; behind the line that raised nobody knows.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.check.checker import Checker
from runner.check.stacks import histories_in, installed, named_versions
from runner.scripts.script import content_of, copy_script, read_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.check.findings import Finding
    from runner.scripts.script import Script

TRIALS = r"""
import json, os, re, runpy, signal, sys, time, traceback, types
class Any(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return Any(self.__name__ + "." + name)
    def __call__(self, *a, **k): return Any("x")
    def __iter__(self): return iter((Any("x"), Any("x")))
    def __getitem__(self, key): return Any("x")
for name in ("matplotlib", "matplotlib.pyplot", "PIL", "pydot", "scipy", "scipy.stats"):
    try: __import__(name)
    except ImportError: sys.modules[name] = Any(name)
import keras, tensorflow
def trial(folder, script, out):
    os.chdir(folder)
    log = open("log.txt", "w")
    os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    sys.argv = [script]
    found = {"type": None}
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit:
        pass
    except BaseException as error:
        name = os.path.basename(script)
        frames = [one for one in traceback.extract_tb(sys.exc_info()[2]) if os.path.basename(one[0]) == name]
        line = frames[-1][1] if frames else getattr(error, "lineno", None)
        inner = re.findall(re.escape(name) + r'", line (\d+)', str(error))  # where a function was traced
        line = int(inner[-1]) if inner else line
        found = {"type": type(error).__name__, "message": str(error)[:300] + str(error)[300:][-700:], "line": line}
    json.dump(found, open(out, "w"))
for folder, script, out in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        try: trial(folder, script, out)
        finally: os._exit(0)
    end = time.time() + float(sys.argv[2])
    while time.time() < end and os.waitpid(child, os.WNOHANG) == (0, 0): time.sleep(0.05)
    if time.time() >= end:
        os.kill(child, signal.SIGKILL), os.waitpid(child, 0)
        json.dump({"type": "Timeout", "message": sys.argv[2] + " s", "line": None}, open(out, "w"))
"""
"""Trials, for CPython 3.6 and later: each in a fork of a process that has imported Keras. What draws, and is not
installed there, draws nothing."""
OF_THE_API = re.compile(
    r"has no attribute|cannot import name|No module named|unexpected keyword argument|missing \d+ required"
    r"|Unrecognized keyword|positional arguments? but|not recognized: \{|Keyword argument not understood"
    r"|Unexpected keyword argument|is deprecated in the new|got multiple values for|was removed|no longer"
)
METRICS = frozenset({"acc", "accuracy", "mae", "mean_absolute_error", "mse", "mean_squared_error"})
KINDS = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError", "TypeError", "ValueError", "KeyError"})


@dataclass(frozen=True)
class Seen:
    """One trial: what was predicted, and what it came to; `line` and `type` are None where it ended well."""

    stack: str
    script: str
    type: str | None
    message: str
    line: int | None
    happened: tuple[Finding, ...]
    false: tuple[Finding, ...]
    unknown: tuple[Finding, ...]

    @property
    def is_api(self) -> bool:
        return self.type is not None and is_of_the_api(self.type, self.message)


def is_of_the_api(kind: str, message: str) -> bool:
    if kind == "KeyError":
        return message.strip("'").removeprefix("val_") in METRICS
    if kind == "ModuleNotFoundError":
        return "." in message.partition("'")[2].partition("'")[0]
    return kind in KINDS and bool(OF_THE_API.search(message))


def run(python: str, stack: str, kept: Path, scripts: Iterable[Path], limit_s: float) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        asked = {}
        for number, path in enumerate(scripts):
            out = kept.absolute() / f"{stack.replace('==', '-').replace(',', '+')}@{path.stem}.json"
            if not out.exists():
                folder = Path(root) / str(number)
                folder.mkdir()
                copy_script(read_script(path.parent.absolute(), path.name), folder)
                asked[path] = (str(folder), path.name, str(out))
        argv = [python, "-c", TRIALS, json.dumps(list(asked.values())), str(limit_s)]
        env = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg", "HOME": root}
        subprocess.run(argv, env=env, check=False) if asked else None
    for path, (_, _, name) in asked.items():
        out = Path(name)
        found = json.loads(out.read_text()) if out.exists() else {"type": "Died", "message": "", "line": None}
        out.write_text(json.dumps({**found, "script": str(path.absolute()), "stack": stack}))
        print(stack, path.name, found["type"], " ".join(str(found.get("message", "")).split())[-120:], flush=True)


def seen(kept: Path) -> Iterator[Seen]:
    histories = histories_in()
    checkers: dict[str, tuple[Script, Checker]] = {}
    for file in sorted(kept.glob("*.json")):
        trial = json.loads(file.read_text())
        path = Path(trial["script"])
        if str(path) not in checkers:
            script = read_script(path.parent, path.name)
            checkers[str(path)] = script, Checker(script, histories)
        script, checker = checkers[str(path)]
        after = installed(named_versions(trial["stack"]), script.imports, histories)
        breaks = [one for one in checker.findings(None, after) if one.kind == "breaks"]
        yield judged(trial, script, breaks)


def judged(trial: dict[str, Any], script: Script, breaks: list[Finding]) -> Seen:
    kind, line, message = trial["type"], trial.get("line"), trial.get("message", "")
    text = content_of(script, script.files[0]).decode(errors="replace")
    tree = ast.parse(text)
    if line is None:
        here, before = [], list(breaks) if kind is None else []
        unknown = [] if kind is None else breaks
    else:
        first, last = statement(tree, line)
        here = [one for one in breaks if one.file == script.path and first <= one.line <= last]
        before = [one for one in breaks if one not in here and came_past(one, line, script.path, tree)]
        unknown = [one for one in breaks if one not in here and one not in before]
    is_api = kind is not None and is_of_the_api(kind, message)
    return Seen(
        stack=trial["stack"],
        script=script.path,
        type=kind,
        message=" ".join(message.split()),
        line=line,
        happened=tuple(here) if is_api else (),
        false=(*before, *(() if is_api else here)),
        unknown=tuple(unknown),
    )


def came_past(finding: Finding, line: int, path: str, tree: ast.Module) -> bool:
    """Whether the script came past a line before it raised: the line stands at the top level, before the other."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.Try)
    inside = any(
        isinstance(node, kinds) and node.lineno <= finding.line <= (node.end_lineno or node.lineno)
        for node in ast.walk(tree)
    )
    return finding.file == path and finding.line < line and not inside


def statement(tree: ast.Module, line: int) -> tuple[int, int]:
    """The lines of the simple statement, or of the head of a compound one, that a line is in."""
    found = (line, line)
    for node in ast.walk(tree):
        simple = isinstance(node, ast.stmt) and not hasattr(node, "body")
        if simple and node.lineno <= line <= (node.end_lineno or node.lineno):
            found = (node.lineno, node.end_lineno or node.lineno)
    return found


def table(trials: Iterable[Seen]) -> Iterator[str]:
    listed = list(trials)
    api = [one for one in listed if one.is_api]
    caught = [one for one in api if one.happened]
    false = [(one, each) for one in listed for each in one.false]
    happened = sum(len(one.happened) for one in listed)
    yield f"{len(listed)} trials of {len({one.script for one in listed})} scripts:"
    yield ""
    yield "| | number |"
    yield "| --- | --- |"
    yield f"| trials that ended well | {sum(one.type is None for one in listed)} |"
    yield f"| trials that raised for a reason of the API | {len(api)} |"
    yield f"| of these, predicted where it raised (**recall**) | {len(caught)} ({share(len(caught), len(api))}) |"
    yield f"| predicted breaks that the script reached | {happened + len(false)} |"
    yield f"| of these, that happened (**precision**) | {happened} ({share(happened, happened + len(false))}) |"
    yield f"| predicted breaks behind the line that raised: nobody knows | {sum(len(one.unknown) for one in listed)} |"
    others = sum(one.type is not None and not one.is_api for one in listed)
    yield f"| trials that raised for another reason | {others} |"
    yield ""
    yield from by_stack(listed)
    yield from section("What broke", (f"{number}: `{what}`" for what, number in causes(listed)))
    yield from section("Not predicted", (at(one) for one in api if not one.happened))
    yield from section(
        "Predicted, and it did not happen", (f"{at(one)} - {each.line}: {each.message}" for one, each in false)
    )
    yield from section("Raised for another reason", (at(one) for one in listed if one.type and not one.is_api))


def by_stack(listed: list[Seen]) -> Iterator[str]:
    yield "| stack | trials | of the API | predicted | reached | happened |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for stack in dict.fromkeys(one.stack for one in listed):
        own = [one for one in listed if one.stack == stack]
        happened = sum(len(one.happened) for one in own)
        caught = sum(one.is_api and bool(one.happened) for one in own)
        reached = happened + sum(len(one.false) for one in own)
        yield f"| {stack} | {len(own)} | {sum(one.is_api for one in own)} | {caught} | {reached} | {happened} |"
    yield ""


def causes(listed: list[Seen]) -> list[tuple[str, int]]:
    found = (f"{each.path}({each.argument})" if each.argument else each.path for one in listed for each in one.happened)
    return Counter(found).most_common()


def section(title: str, lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    yield f"**{title}:** {'' if listed else 'none.'}"
    yield ""
    yield from (f"- {line}" for line in listed)
    yield ""


def at(one: Seen) -> str:
    return f"{one.stack}, {one.script}:{one.line} {one.type}: {one.message[:140]}"


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["run", "table"])
    parser.add_argument("scripts", nargs="*", type=Path)
    parser.add_argument("--python")
    parser.add_argument("--stack")
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--limit", type=float, default=60.0)
    given = parser.parse_intermixed_args()
    if given.step == "run":
        run(given.python, given.stack, given.kept, given.scripts, given.limit)
    else:
        print("\n".join(table(seen(given.kept))))


if __name__ == "__main__":
    main()
