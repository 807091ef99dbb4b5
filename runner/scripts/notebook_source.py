"""A notebook as one script: its code cells in their order, with what IPython's lines mean outside of a notebook.

A line that is not Python runs what it holds, does nothing, is taken out as a requirement, or is refused. A comment
stands before each cell, by which a line of the script is found in its cell again.
"""

from __future__ import annotations

import ast
import bisect
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_NO_EFFECT = re.compile(
    "autoreload|cls|clear|colors|config|debug|doctest_mode|gui|hist|history|lsmagic|load_ext|ls|matplotlib|notebook|page"
    "|pdb|pdef|pdoc|pfile|pinfo|pinfo2|precision|pprint|psource|pwd|quickref|reload_ext|reset|tensorboard"
    "|tensorflow_version|unload_ext|watermark|who|who_ls|whos|xdel|xmode"
)
"""Magics that show something or set up the notebook: nothing that trains depends on them."""
_ONLY_SHOWN = frozenset({"HTML", "html", "javascript", "js", "latex", "markdown", "svg", "SVG"})
"""Cells of another language that only show something."""
_WHOLE_BODY = frozenset({"time", "capture"})
_LOOK = re.compile(
    r"(?:cat|date|df|du|echo|free|head|hostname|ls|lscpu|lsb_release|nproc|nvcc|nvidia-smi|ps|pwd|sleep|tail|tree|uname"
    r"|uptime|wc|which|whoami)(?:\s.*)?|(?:pip|conda|python)[\d.]*\s+(?:check|freeze|info|list|show|--version|-V)(?:\s.*)?"
)
"""Commands that show something."""
_INSTALLER = re.compile(
    r"(?:\{?sys\.executable\}?|python[\d.]*)?\s*(?:-m\s+)?(?:uv\s+)?(?P<tool>pip|conda|mamba)[\d.]*\s+install\b(?P<rest>.*)"
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_CALL = re.compile(r"^(?P<before>\s*(?:[^#'\"]*?=\s*)?)get_ipython\(\)\.(?P<way>\w+)\((?P<args>.*)\)\s*;?\s*$")
_FUTURE = re.compile(r"^from\s+__future__\s+import\s+[^(\\#\n]+$")
_MOST_LINES = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenOut:
    """A line that installs something: a requirement, which belongs into the matrix."""

    place: str
    """Such as `study.ipynb, cell 2, line 1`."""
    line: str
    packages: tuple[str, ...]

    def told(self, there: Collection[str]) -> str:
        """What a user should know of it, where the trial has packages of these names; empty where it has them all."""
        lacking = [name for name in self.packages if canonicalize_name(name) not in there]
        if self.packages and not lacking:
            return ""
        named = f": {', '.join(lacking)}" if lacking else ""
        return f"{self.place}: `{self.line}` is taken out. It is a requirement, put it under `packages:`{named}"


@dataclass(frozen=True, kw_only=True, slots=True)
class NotebookSource:
    """A notebook as the Python source that runs in its place, and what was taken out of it."""

    source: bytes
    taken_out: tuple[TakenOut, ...]


def notebook_source(content: bytes, path: str) -> NotebookSource:
    """The source of a notebook, whose path is relative to the matrix's folder.

    Raises UsageError where it is no notebook, is one of another language, or has lines that mean nothing in a trial.
    """
    name = path.rpartition("/")[2]
    reader = _NotebookReader(name=name)
    cells = list(_code_cells(content, path))
    for number, text in enumerate(cells, 1):
        reader.read(number, text, others="\n".join(cells[: number - 1] + cells[number:]))
    if reader.refused:
        listed = "\n".join(f"  {line}" for line in reader.refused)
        raise UsageError(f"{path} has lines that mean nothing in a trial. Take them out:\n{listed}")
    return NotebookSource(source=reader.source().encode(), taken_out=tuple(reader.taken_out))


def cell_of(source: str, line: int) -> tuple[int, int] | None:
    """The cell and the line in it that a line of a notebook's source is from; None for what stands before the cells."""
    lines = source.split("\n")
    starts = [(number, int(found[1])) for number, text in enumerate(lines, 1) if (found := _MARK.fullmatch(text))]
    place = bisect.bisect_left(starts, (line, 0)) - 1
    return None if place < 0 else (starts[place][1], line - starts[place][0])


def in_cells(text: str, source: str, path: str) -> str:
    """A text with the places in a notebook's source, as Python writes them, told by cell and line."""
    name = path.rpartition("/")[2]
    file = rf'(?:[^\s":]*/)?{re.escape(name)}'

    def placed(match: re.Match[str]) -> str:
        found = cell_of(source, int(match["frame"] or match["warning"] or match["syntax"]))
        if found is None:
            return match[0]
        place = f"{name}, cell {found[0]}"
        if match["syntax"]:
            return f"({place}, line {found[1]})"
        return f'File "{place}", line {found[1]}' if match["frame"] else f"{place}:{found[1]}:"

    frame = rf'File "{file}", line (?P<frame>\d{{1,9}})'
    warning, syntax = rf"(?<!\S){file}:(?P<warning>\d{{1,9}}):", rf"\({file}, line (?P<syntax>\d{{1,9}})\)"
    return re.sub(f"{frame}|{warning}|{syntax}", placed, text)


_MARK = re.compile(r"# ---- .+, cell (\d{1,9})")


def _code_cells(content: bytes, path: str) -> Iterator[str]:
    """The texts of the code cells that are not empty: Jupyter counts them so when all are run."""
    import nbformat  # noqa: PLC0415 - heavy, and only for notebooks

    try:
        with warnings.catch_warnings(action="ignore"):
            notebook: Any = nbformat.reads(content.decode(), as_version=4)  # type: ignore[no-untyped-call]
        language = notebook.metadata.get("kernelspec", {}).get("language", "python")
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        for text in cells:
            str(text).encode()  # half of a character is no source
    except Exception as error:
        reason = str(error).partition("\n")[0][:200].rstrip(".") or "its format is broken"
        raise UsageError(f"{path} can't be read as a notebook: {reason}.") from error
    if str(language).lower() != "python":
        raise UsageError(f"{path} is a notebook for {language}; only notebooks for Python can run.")
    yield from (str(text) for text in cells if str(text).strip())


@dataclass(kw_only=True)
class _NotebookReader:
    """Puts the cells of a notebook together."""

    name: str
    refused: list[str] = field(default_factory=list)
    taken_out: list[TakenOut] = field(default_factory=list)
    _first: list[str] = field(default_factory=list)
    """The lines that must stand first."""
    _lines: list[str] = field(default_factory=list)

    def read(self, number: int, text: str, others: str) -> None:
        """Add a cell; `others` are the texts of all others."""
        cell = _CellReader(notebook=self, place=f"{self.name}, cell {number}", others=others)
        self._lines.append(f"# ---- {self.name}, cell {number}")
        for line in cell.lines(text.split("\n")[:_MOST_LINES]):
            hoisted = _FUTURE.match(line)
            self._first += [line] if hoisted else []
            self._lines.append("pass" if hoisted else line)

    def source(self) -> str:
        """The whole source; what a notebook has without an import stands before the cells, where it is used."""
        body = "\n".join(self._lines)
        if re.search(r"\bdisplay\(", body) and not re.search(r"import[^\n]*\bdisplay\b|def display\b", body):
            self._first.append("display = print")
        if re.search(r"\bget_ipython\b", body) and not re.search(r"import[^\n]*\bget_ipython\b", body):
            self._first.append("get_ipython = lambda: None")
        return "\n".join([*self._first, body, ""])


@dataclass(kw_only=True)
class _CellReader:
    """Puts one cell into Python, line for line."""

    notebook: _NotebookReader
    place: str
    others: str

    def lines(self, lines: list[str]) -> list[str]:
        """The cell's lines as Python; as many as it has."""
        first = next((number for number, line in enumerate(lines) if line.strip()), 0)
        if lines[first].startswith("%%"):
            return self._cell_magic(lines, first)
        return [*lines[:first], *self._transformed(lines[first:], first)]

    def _transformed(self, lines: list[str], before: int) -> list[str]:
        """Lines with what IPython's syntax in them means; each line of Python stays in its place."""
        from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415 - heavy, and only for notebooks

        manager: Any = TransformerManager()  # type: ignore[no-untyped-call]
        shown = [f"{line}\n" for line in lines]
        for transform in manager.cleanup_transforms[1:]:  # the first takes blank lines away
            shown = transform(shown)
        for _ in lines:
            with warnings.catch_warnings(action="ignore"):  # of what it makes of lines that are none
                changed, after = manager.do_one_token_transform(shown)
            if not changed:
                break
            pairs = enumerate(zip(shown, after, strict=False))
            place = next((number for number, (one, other) in pairs if one != other), 0)
            plain = self._line(after[place].rstrip("\n"), before + place + 1, own=lines[place].strip())
            shown = [*after[:place], f"{plain}\n", *(["\n"] * (len(shown) - len(after))), *after[place + 1 :]]
        ends = [line.rstrip("\n") for line in shown]
        return [self._line(line, before + place, own=line.strip()) for place, line in enumerate(ends, 1)]

    def _cell_magic(self, lines: list[str], first: int) -> list[str]:
        name, _, rest = lines[first][2:].strip().partition(" ")
        blank = [""] * (first + 1)
        body = lines[first + 1 :]
        if name in _WHOLE_BODY:
            wanted = _NAME.match(rest.strip()) if name == "capture" else None
            if wanted and re.search(rf"\b{re.escape(wanted[0])}\b", self.others):
                self._refuse(first + 1, lines[first], f"a trial does not keep what a cell prints as {wanted[0]}")
            return [*blank, *self.lines(body)] if any(line.strip() for line in body) else [*blank, *body]
        if name in {"writefile", "file"}:
            return self._written(lines, first, rest.strip())
        if name not in _ONLY_SHOWN:
            self._refuse(first + 1, lines[first], "")
        return [""] * len(lines)

    def _written(self, lines: list[str], first: int, rest: str) -> list[str]:
        """A cell that is written to a file: one statement, and blank lines for the others."""
        *options, file = rest.split() or [""]
        mode = "a" if "-a" in options else "w"
        text = "\n".join([*lines[first + 1 :], ""])
        statement = f"with open({file!r}, {mode!r}, encoding='utf-8') as _file: _file.write({text!r})"
        return [*([""] * first), statement, *([""] * (len(lines) - first - 1))]

    def _line(self, line: str, number: int, *, own: str) -> str:
        """One line of the cell as plain Python; `own` is how it was written."""
        found = _CALL.match(line)
        if found is None:
            return line
        try:
            args = ast.literal_eval(f"({found['args']},)")
        except (SyntaxError, ValueError):
            return line
        name, rest = (str(args[0]), str(args[1])) if len(args) > 1 else ("", str(args[0]) if args else "")
        if found["way"] == "magic":
            name, _, rest = rest.lstrip("%").partition(" ")
        elif found["way"] in {"system", "getoutput"}:
            return found["before"] + self._command(rest, own, number, assigned=bool(found["before"].strip()))
        elif found["way"] != "run_line_magic":
            return line
        return found["before"] + self._line_magic(name, rest, own, number, assigned=bool(found["before"].strip()))

    def _line_magic(self, name: str, rest: str, own: str, number: int, *, assigned: bool) -> str:
        nothing = "None" if assigned else "pass"
        if name == "time":
            return rest.strip() or nothing
        if name in {"pip", "conda", "mamba"}:
            return self._command(f"{name} {rest}", own, number, assigned=assigned)
        if name in {"env", "set_env"}:
            variable, sign, value = rest.partition("=") if "=" in rest else rest.strip().partition(" ")
            return f"__import__('os').environ[{variable.strip()!r}] = {value.strip()!r}" if sign else nothing
        if name == "cd":
            return f"__import__('os').chdir({rest.strip()!r})"
        if not _NO_EFFECT.fullmatch(name):
            self._refuse(number, own, "")
        return nothing

    def _command(self, command: str, own: str, number: int, *, assigned: bool) -> str:
        """A command of the system: requirements are taken out, what only shows something does nothing."""
        nothing = "[]" if assigned else "pass"
        installs = _INSTALLER.fullmatch(command.strip())
        if installs and not re.search(r"[;|&]", command):
            named = (_NAME.match(word) for word in installs["rest"].replace("'", " ").replace('"', " ").split())
            packages = tuple(found[0] for found in named if found is not None)
            place = f"{self.place}, line {number}"
            self.notebook.taken_out.append(TakenOut(place=place, line=own.rstrip("\\ "), packages=packages))
        elif assigned or not _LOOK.fullmatch(command.strip()) or re.search(r"[;|&>`]|\$\(", command):
            self._refuse(number, own, "")
        return nothing

    def _refuse(self, number: int, line: str, why: str) -> None:
        self.notebook.refused.append(f"{self.place}, line {number}: {line.strip()}{f' ({why})' if why else ''}")
