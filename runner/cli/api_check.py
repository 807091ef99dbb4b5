"""The command `check`: what will change for a script, or for the cells of a matrix; nothing is run."""

from __future__ import annotations

import enum
import importlib.metadata
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from runner.cli.parameters import DEFAULT_MATRIX, Only, opened, options
from runner.errors import UsageError
from runner.reports.terminal.console import output_console, print_json
from runner.reports.terminal.streams import write_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.check.findings import Finding
    from runner.scripts.script import Script
    from runner.scripts.source import NotRewritableError
    from runner.session.predicted import CellFindings


class FindingsFormat(enum.StrEnum):
    """The values of `--format` for findings."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


_STYLES = {"breaks": "bold red", "ignored": "yellow", "changes": "yellow", "known": "yellow", "deprecated": "dim"}


def check(
    context: typer.Context,
    target: Annotated[
        Path, typer.Argument(metavar="[SCRIPT|MATRIX]", help="A script, or a matrix file.")
    ] = DEFAULT_MATRIX,
    before: Annotated[
        str, typer.Option("--from", metavar="RELEASES", help="What it runs with now: tensorflow==2.10,keras==2.10.")
    ] = "",
    after: Annotated[
        str, typer.Option("--to", metavar="RELEASES", help="What it shall run with; else the newest releases known.")
    ] = "",
    only: Only = None,
    output: Annotated[
        FindingsFormat, typer.Option("--format", help="A table, JSON, SARIF 2.1.0 or GitHub annotations.")
    ] = FindingsFormat.TABLE,
) -> int:
    """Tell what will break or change for a script with other releases; nothing is run. Exits with 1 where it breaks."""
    if target.suffix in {".py", ".ipynb"}:
        return _check_script(target, before, after, output)
    if after:
        raise UsageError(f"--to is for a script: the cells of {target} say what it shall run with.")
    return _check_matrix(context, target, before, only, output)


def _check_script(path: Path, before: str, after: str, output: FindingsFormat) -> int:
    from runner.changes.known import known_changes  # noqa: PLC0415 - LibCST is heavy
    from runner.check.checker import Checker  # noqa: PLC0415
    from runner.check.stacks import histories_in, installed, named_versions, newest  # noqa: PLC0415
    from runner.scripts.script import read_script  # noqa: PLC0415
    from runner.scripts.source import NotRewritableError  # noqa: PLC0415

    script = read_script(path.parent.absolute(), path.name)
    histories = histories_in(path.parent.absolute() / "history")
    try:
        checker = Checker(script, histories, known_changes())
    except NotRewritableError as error:
        raise UsageError(f"{error.path}:{error.line}: this can't be checked: {error.reason}.") from error
    was = installed(named_versions(before), script.imports, histories) if before else None
    goal = named_versions(after) if after else newest(script.imports, histories)
    now = installed(goal, script.imports, histories)
    findings = checker.findings(was, now)
    unknown = checker.without_history(now)
    if output is FindingsFormat.TABLE:
        _print_table(findings, script)
        _print_notes(unknown, checker.against(now))
    else:
        by_others = _by_others(checker.against(now))
        _print_data(findings, output, checker.project.texts, unknown, by_others)
    return int(any(one.kind == "breaks" for one in findings))


def _check_matrix(context: typer.Context, path: Path, before: str, only: str | None, output: FindingsFormat) -> int:
    from runner.changes.known import known_changes  # noqa: PLC0415 - as above
    from runner.check.stacks import named_versions  # noqa: PLC0415
    from runner.session.predicted import Predictions  # noqa: PLC0415

    with opened(context, path, options(None, None, only=only)) as session:
        found = list(Predictions(session, known_changes()).all(named_versions(before) if before else None))
        scripts = {one.cell.id: session.laboratory.records.script(one.cell, session.setup) for one in found}
    if output is FindingsFormat.TABLE:
        for group in _alike(found):
            _print_heading([one.cell for one in group])
            if group[0].refused:
                output_console().print(Text(f"  can't be checked: {group[0].refused.why}"))
            else:
                _print_table(group[0].findings, scripts[group[0].cell.id])
        for name in sorted({name for one in found for name in one.unknown}):
            output_console().print(Text(_unknown(name), style="dim"))
        for release, other in sorted({pair for one in found for pair in _by_others(one.against).items()}):
            note = f"{release} is checked by its {other}: that was looked at. `history` looks at more."
            output_console().print(Text(note, style="dim"))
    elif output is FindingsFormat.JSON:
        cells = [
            {
                "cell": str(one.cell.id),
                "refused": one.refused.why if one.refused else "",
                "findings": [_record(each) for each in one.findings],
                "without history": list(one.unknown),
                "by another release": _by_others(one.against),
            }
            for one in found
        ]
        print_json(cells)
    else:
        texts = {path: text for one in found for path, text in one.texts.items()}
        once = dict.fromkeys(each for one in found for each in one.findings)
        refused = {one.refused.why: one.refused for one in found if one.refused}
        _print_data(tuple(once), output, texts, refused=tuple(refused.values()))
    if found and found[0].refused and all(one.refused for one in found):
        raise UsageError(f"No cell of {path} can be checked: {found[0].refused.why}.")
    return int(any(one.breaks for one in found))


def _alike(found: Sequence[CellFindings]) -> Iterable[list[CellFindings]]:
    """The cells by what was found, in their order."""
    groups: dict[object, list[CellFindings]] = {}
    for one in found:
        groups.setdefault((one.findings, one.refused), []).append(one)
    return groups.values()


def _print_heading(cells: Sequence[Any]) -> None:
    names = [str(cell.id) for cell in cells[:4]]
    more = f" and {len(cells) - 4} more" if len(cells) > 4 else ""
    output_console().print(Text(f"{'; '.join(names)}{more}", style="bold"))


def _print_table(findings: Sequence[Finding], script: Script) -> None:
    from runner.check.sarif import sentence  # noqa: PLC0415 - as above

    console = output_console()
    for one in findings:
        line = Text(f"{_place(one, script)}: ")
        line.append(one.kind.value, style=_STYLES[one.kind.value])
        line.append(f" {sentence(one)}")
        console.print(line, soft_wrap=True)
    if not findings:
        console.print("Nothing is known that changes.")


def _place(finding: Finding, script: Script) -> str:
    cell = script.cell_of(finding.file, finding.line)
    if cell is not None:
        return f"{finding.file}: cell {cell[0]}, line {cell[1]}"
    return f"{finding.file}:{finding.line}:{finding.column}"


def _print_notes(unknown: Iterable[str], against: Mapping[str, tuple[str, str]]) -> None:
    console = output_console()
    for name in unknown:
        console.print(Text(_unknown(name), style="dim"))
    used = [
        f"{package} {version}" if version == looked_at else f"{package} {version} (by its {looked_at})"
        for package, (version, looked_at) in against.items()
    ]
    if used:
        console.print(Text(f"Checked against {', '.join(used)}.", style="dim"))


def _by_others(against: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The releases that were not looked at themselves, such as `keras 2.2.3`, with those below that stand for them."""
    return {f"{package} {version}": other for package, (version, other) in against.items() if version != other}


def _unknown(name: str) -> str:
    from runner.check.stacks import package_of  # noqa: PLC0415 - as above

    package = package_of(name)
    return (
        f"{name}: its uses are not checked, but for known changes: no release of {package} is named"
        f" (`--to {package}==…`), or none was looked at (`history {package}` does that)."
    )


def _print_data(
    findings: Sequence[Finding],
    output: FindingsFormat,
    texts: Mapping[str, bytes],
    unknown: Sequence[str] = (),
    by_others: Mapping[str, str] | None = None,
    refused: Sequence[NotRewritableError] = (),
) -> None:
    from runner.check.sarif import sarif  # noqa: PLC0415 - as above
    from runner.reports.annotations import finding_commands  # noqa: PLC0415

    if output is FindingsFormat.JSON:
        data: Any = {
            "findings": [_record(one) for one in findings],
            "without history": list(unknown),
            "by another release": dict(by_others or {}),
        }
    elif output is FindingsFormat.SARIF:
        version = importlib.metadata.version("convergence-matrix")
        data = sarif(findings, version=version, texts=texts, refused=refused)
    else:
        write_commands(sys.stdout, finding_commands(findings, refused))
        return
    print_json(data)


def _record(finding: Finding) -> dict[str, Any]:
    edit = finding.edit
    return {
        "kind": finding.kind.value,
        "path": finding.path,
        "argument": finding.argument,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "package": finding.package,
        "since": finding.since,
        "message": finding.message,
        "certain": finding.certain,
        "instead": finding.instead,
        "edit": {"start": edit.start, "end": edit.end, "text": edit.text} if edit is not None else None,
    }


COMMANDS = (check,)
