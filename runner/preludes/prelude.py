"""A prelude: a declared source file that runs before the script in the same process, so that one thing is changed.

Data to the runner and part of a trial's key. Its source sees the name `prelude`: `prelude.after_import(module,
call)` calls a function with a module right after its import, `prelude.applied(note)` says that the change was made.
It may import the runner's own tools from `_runner_tools`.
"""

from __future__ import annotations

import ast
import enum
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runner import foreign_json
from runner.code_digest import code_digest
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


TOOLS = Path(__file__).parents[1] / "probe" / "_runner_tools"
"""The package that the sources of preludes may import: it rides in every trial, beside the probe."""
_USE = re.compile(
    r"^[ \t]*(?:from (?:_runner_tools|\.) import (?P<names>[\w, ]+)"
    r"|(?:from|import) (?:_runner_tools)?\.(?P<module>\w+))",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Prelude:
    """`name` is unique among the preludes of a trial: lower-case words joined by hyphens."""

    name: str
    source: str
    """Python for CPython 3.6 and later."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what the source does, and the tools that it imports."""
        uses = "".join(f" {name} {_tool_digest(name)}" for name in sorted(tools_of(self.source)))
        return hashlib.sha256(f"{code_digest(self.source.encode())}{uses}".encode()).hexdigest()


def lay_out(preludes: Iterable[Prelude], folder: Path) -> None:
    """Write preludes so that the probe runs them in their order."""
    for number, prelude in enumerate(preludes):
        folder.mkdir(exist_ok=True)
        (folder / f"{number:02}-{prelude.name}.py").write_text(prelude.source, encoding="utf-8")


def tools_of(source: str) -> frozenset[str]:
    """The names of the tools that a source imports, directly or through one another."""
    found: set[str] = set()
    waiting = [source]
    while waiting:
        for match in _USE.finditer(waiting.pop()):
            for name in (match["module"] or match["names"]).replace(" ", "").split(","):
                if name not in found and (TOOLS / f"{name}.py").is_file():
                    found.add(name)
                    waiting.append((TOOLS / f"{name}.py").read_text("utf-8"))
    return frozenset(found)


@cache
def _tool_digest(name: str) -> str:
    return code_digest((TOOLS / f"{name}.py").read_bytes())


TRACE_FILE = "runner-trace.jsonl"
CALLS_FILE = "runner-calls.jsonl"
INITIAL_FILE = "runner-initial-weights.json"
INITIAL_BYTES = 4 * 1024**2
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DTYPE = re.compile(r"b?float\d{2}|u?int\d{1,2}|bool")


def tracing(steps: int = 200, fit: int = 1) -> Prelude:
    """The prelude that records the first `steps` steps, then those at powers of two: `TRACE_FILE`, `INITIAL_FILE`.

    Traced is the model that the fit of this number trains, from there on.
    """
    return Prelude(name="trace", source=_call("step_trace", "install", int(steps), *_from(fit)))


def _from(fit: int) -> tuple[int, ...]:
    """The argument that names a later fit; none for the first: the sources, and so the trials, stay what they were."""
    return (int(fit),) if fit > 1 else ()


def calls() -> Prelude:
    """The prelude that records what `fit`, `evaluate`, `predict` and callbacks are given, do and return."""
    return Prelude(name="calls", source=_call("calls", "install"))


def initial_weights(text: str, fit: int = 1) -> Prelude:
    """The prelude that sets the initial weights to those of another trial; `text`, its `INITIAL_FILE`, is not trusted.

    They are set right before the first step of the fit of this number.

    Raises UsageError where the text is no such file.
    """
    given = json.dumps(_checked(text), sort_keys=True)
    return Prelude(
        name="initial-weights",
        source="import json\n\nfrom _runner_tools import alignment\n\n"
        f"alignment.set_initial_weights({', '.join(['prelude', f'json.loads({given!r})', *map(str, _from(fit))])})\n",
    )


def fixed_order() -> Prelude:
    """The prelude that has every `fit` cut its batches from the data in the data's own order."""
    return Prelude(name="data-order", source=_call("alignment", "fix_order"))


def looking(kind: str, owner: str, name: str) -> Prelude:
    """The prelude that only asks, when the script has ended, `owner` for an attribute or argument `name`."""
    return Prelude(name="looking", source=_call("lookup", "install", kind, owner, name))


def _call(tool: str, function: str, *arguments: str | int) -> str:
    """The source that calls a function of a tool."""
    given = ", ".join(["prelude", *map(repr, arguments)])
    return f"from _runner_tools import {tool}\n\n{tool}.{function}({given})\n"


def _checked(text: str) -> dict[str, Any]:
    try:
        layers = [
            {
                "class": _text(layer["class"]),
                "name": _text(layer["name"]),
                "weights": [_weight(weight) for weight in layer["weights"]],
            }
            for layer in foreign_json.loads(text[:INITIAL_BYTES])["layers"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"The recorded initial weights can't be used: {type(error).__name__}: {error}. A trial with the "
            f"prelude trace writes them to {INITIAL_FILE}, up to 4 MB; take that file as it is."
        ) from error
    return {"layers": layers}


def _weight(weight: dict[str, Any]) -> dict[str, Any]:
    shape, dtype, data = weight["shape"], weight["dtype"], weight["data"]
    if not all(isinstance(length, int) and 0 <= length < 2**31 for length in shape) or len(shape) > 16:
        raise ValueError("a weight's shape is not a list of lengths")
    if not _DTYPE.fullmatch(dtype) or not _BASE64.fullmatch(data):
        raise ValueError("a weight's type or data can't be read")
    return {"role": _text(weight["role"]), "shape": shape, "dtype": dtype, "data": data}


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("a name is not a text of at most 200 characters")
    return value


OR: Final = " or "
"""Between requirements of which one is enough."""
_FIELD = re.compile(r"^(?P<key>how|fix|applies|reverse|breadth): (?P<value>.+(?:\n    .+)*)$", re.MULTILINE)
_PLACE = re.compile(r"(?P<place>before the imports|none|in [\w.]+|from [\w.]+): (?P<rest>.+)")
_HEAD: Final = """\
# Switches

Each switch changes one thing in what a script's libraries do. It is a value of the axis `prelude:`; several in one
value, parted by spaces, are made together. A trial tells whether the change was made: where a stack has no such
thing, or does it anyway, it was not. The reverse turns the same thing the other way, often on other stacks. Breadth
says how much a switch changes, from 1 (one default of one kind of object) to 9 (the whole way of execution).
In a script it is what a person writes to the same effect, which `explain --fix` tries: lines after the imports, or
before them, or an argument; the first of several that works. Where there is no public way, it says why.
What is written was run as the switches were, and had their effect, on TensorFlow 1.13.1 with Keras 2.2.4 and on
TensorFlow 2.10.1 (`tests/system/test_switches_written.py`); two did not there: BatchNormalization of native Keras
2.2.4 has no `fused`, and with control flow of version 2 that of TensorFlow 1.13.1 raises over resource variables.
What is for other stacks alone was not run so.

| switch | with it | how | in a script | for | reverse | breadth |
| --- | --- | --- | --- | --- | --- | --- |
"""


class FixPlace(enum.Enum):
    """Where in a script a person writes what a switch does."""

    AFTER = "after the imports"
    BEFORE = "before the imports"
    CALL = "in calls"
    """An argument of each call of a method, a class, or of the classes of a module."""
    MODULE = "from a module"
    """Classes are taken from another module."""
    NOWHERE = "none"
    """There is no public way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicWay:
    """How a person writes a switch in a script."""

    place: FixPlace
    alternatives: tuple[tuple[str, ...], ...]
    """Lines of code, of which the first that work are taken: `tf`, `keras`, `os` and so on are the packages.

    In calls it is one line, `name=value`; from a module the names of its classes.
    """
    where: str = ""
    """What is called, or the module."""
    why: str = ""
    """Why there is none."""

    @classmethod
    def parse(cls, text: str) -> PublicWay:
        """The way that a `fix:` tells."""
        found = _PLACE.fullmatch(text)
        place, rest = (found["place"], found["rest"]) if found else ("", text)
        kinds = {
            "none": FixPlace.NOWHERE,
            "before the imports": FixPlace.BEFORE,
            "in": FixPlace.CALL,
            "from": FixPlace.MODULE,
        }
        kind = kinds.get(place) or kinds.get(place.partition(" ")[0], FixPlace.AFTER)
        if kind is FixPlace.NOWHERE:
            return cls(place=kind, alternatives=(), why=rest)
        ways = tuple(tuple(line.strip() for line in way.split("; ")) for way in rest.split(" | "))
        return cls(place=kind, alternatives=ways, where="" if kind is FixPlace.BEFORE else place.partition(" ")[2])


REACH = Path(__file__).with_name("reach.json")
"""By stack and switch what a trial said: whether the change was made. Made by running, `benchmarks/reach.py`."""
_REACHING: Final = """
## Where each was seen to act

Each switch was run on those of the stacks below that have what it is about, whatever releases it claims, in one small
training with images, normalization that is frozen and not, dropout and SGD: ● the change was made, ○ it changes
nothing there, ! the script then fails. An empty place: the stack lacks what it is about.

"""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueSwitch:
    """One switch; its `name` is what the axis `prelude` takes."""

    name: str
    does: str
    """The difference that it makes, as a clause."""
    how: str
    """The call or setting that makes the difference."""
    fix: PublicWay
    """How a person writes it in a script."""
    applies: tuple[str, ...]
    """The stacks that it is for, as requirements that must all hold (PEP 508), or one of some parted by `OR`."""
    reverse: str
    """The switch that does the opposite; empty where there is none."""
    breadth: int
    """The extent of its change, from 1 (one default of one kind of object) to 9 (the whole way of execution)."""
    source: str


@cache
def catalogue() -> dict[str, CatalogueSwitch]:
    """All switches by name, sorted."""
    found = (switch for path in TOOLS.glob("*_switches.py") for switch in _switches(path))
    return {switch.name: switch for switch in sorted(found, key=lambda switch: switch.name)}


def table() -> str:
    """The catalogue as a page in Markdown, which `docs/switches.md` has."""
    return _HEAD + "".join(_row(switch) for switch in catalogue().values()) + _reach_table(reach())


def reach() -> dict[str, dict[str, str]]:
    """By stack and switch `acts`, `changes nothing` or `breaks`; switches of which a stack lacks all are left out."""
    found: dict[str, dict[str, str]] = json.loads(REACH.read_text("utf-8"))
    return found


def _reach_table(found: dict[str, dict[str, str]]) -> str:
    signs = {"acts": "●", "changes nothing": "○", "breaks": "!"}
    lines = [["switch", *found], ["---", *[":-:"] * len(found)]]
    for name in catalogue():
        row = [signs.get(said.get(name, ""), "") for said in found.values()]
        lines += [[f"`{name}`", *row]] if any(row) else []
    return _REACHING + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _switches(path: Path) -> Iterator[CatalogueSwitch]:
    """The switches of one module; it is read, not run: it belongs into a trial."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            fields = {match["key"]: " ".join(match["value"].split()) for match in _FIELD.finditer(text)}
            yield CatalogueSwitch(
                name=node.name.replace("_", "-"),
                does=text.partition("\n")[0],
                how=fields["how"],
                fix=PublicWay.parse(fields["fix"]),
                applies=tuple(one.strip() for one in fields.get("applies", "").split(";") if one.strip()),
                reverse=fields.get("reverse", ""),
                breadth=int(fields["breadth"]),
                source=f"from _runner_tools import {path.stem}\n\n{path.stem}.{node.name}(prelude)\n",
            )


def _written(fix: PublicWay) -> str:
    ways = " or ".join(f"`{'; '.join(lines)}`" for lines in fix.alternatives)
    match fix.place:
        case FixPlace.NOWHERE:
            return fix.why
        case FixPlace.CALL | FixPlace.BEFORE:
            return f"{ways} {f'in calls of `{fix.where}`' if fix.where else fix.place.value}"
        case FixPlace.MODULE:
            return f"the classes of `{fix.where}`"
        case FixPlace.AFTER:
            return ways


def _row(switch: CatalogueSwitch) -> str:
    stacks = ", ".join(f"`{one}`" for one in switch.applies).replace(OR, f"`{OR}`")
    reverse = f"`{switch.reverse}`" if switch.reverse else ""
    does, written = f"{switch.does} | {switch.how}", _written(switch.fix)
    return f"| `{switch.name}` | {does} | {written} | {stacks} | {reverse} | {switch.breadth} |\n"
