"""Texts that others wrote, in every field and in every command's output: no sink obeys any of them."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from hostile_texts import PAYLOADS, hostile_result, open_places
from markdown_it import MarkdownIt

import runner
from runner.cli.app import run_command_line
from runner.outcomes.result_file import as_json
from runner.reports.annotations import workflow_commands
from runner.reports.markdown import report_md, table_lines
from runner.reports.site import write_site
from runner.reports.spreadsheet import csv_lines
from runner.reports.terminal.cell_sheet import print_cell
from runner.reports.terminal.console import output_console
from runner.reports.terminal.matrix_sheet import print_result, print_verdicts
from runner.reports.terminal.streams import guarded, write_commands
from runner.reports.untrusted import json_text, stripped, terminal_text, without_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMAND = re.compile(r"(?m)^\s*::|##(\[|vso\[|teamcity\[)")
_OWN_SEQUENCES = re.compile(r"\x1b\[[0-9;]*m")
_OBEYED = {"Cc", "Cf", "Cs"}


def assert_only_shown(text: str) -> None:
    """No character that a terminal obeys, and no line that CI takes for a command."""
    found = {c for c in text if unicodedata.category(c) in _OBEYED} - set("\n\t\u200c\u200d\u00ad")
    assert not found
    assert _COMMAND.search(text) is None


@pytest.fixture
def ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def test_most_of_a_report_is_text_that_a_payload_can_stand_in() -> None:
    fields = {path[-1] if isinstance(path[-1], str) else path[-2] for path in open_places()}
    assert len(fields) > 70
    assert {"message", "traceback", "log", "label", "reason", "title", "matrix", "diff", "telling", "image"} <= fields


@pytest.mark.parametrize("text", PAYLOADS)
@pytest.mark.usefixtures("ci")
def test_no_output_of_a_hostile_report_is_obeyed(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = hostile_result(text)
    with guarded():
        for output in ("table", "json", "csv", "markdown"):
            print_result(result, output, missed=[text])
        print_result(result, "table", wide=True, executed=3, missed=[text])
        for output in ("table", "json"):
            print_verdicts(result, output, missed=[text])
        print_cell(result, output_console())
        sys.stderr.write(text)
    said = capsys.readouterr()
    assert_only_shown(said.out)
    assert_only_shown(said.err)


@pytest.mark.parametrize("text", PAYLOADS)
def test_annotations_are_the_only_commands_and_hold_no_others(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with guarded({"CI": "1"}):
        write_commands(sys.stderr, workflow_commands(hostile_result(text)))
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert lines
    for line in lines:
        assert re.match(r"::(error|warning|notice) file=[^,:]*(,line=\d+)?,title=[^,:]*::", line)
        assert not {c for c in line if unicodedata.category(c) in _OBEYED} - {"\t"}


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_field_and_no_name_of_a_csv_file_is_a_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO("".join(csv_lines(hostile_result(text))), newline="")))
    assert len({len(row) for row in rows}) == 1
    for field in (field for row in rows for field in row):
        assert field.lstrip("\t\r\n \x00")[:1] not in set("=+-@") or re.fullmatch(r"-?[\d.e+-]+|-?inf", field), field
        assert not {c for c in field if unicodedata.category(c) in _OBEYED} - set("\n\t")


@pytest.mark.parametrize("text", PAYLOADS)
@pytest.mark.parametrize("write", [report_md, table_lines])
def test_markdown_has_no_markup_but_its_own(text: str, write: object) -> None:
    reader = MarkdownIt("gfm-like")
    assert reader.linkify is not None
    reader.linkify.set({"fuzzy_link": False})  # GitHub makes no link of `a.py`
    html = reader.render("".join(write(hostile_result(text))))  # type: ignore[operator]
    tags = set(re.findall(r"<(/?\w+)", html))
    own = {"h1", "h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert {tag.strip("/") for tag in tags} <= own
    assert "evil.example" not in "".join(re.findall(r'(?:href|src)="([^"]*)', html))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(hostile_result("plain"), tmp_path_factory.mktemp("plain")).folder


@pytest.mark.parametrize("text", PAYLOADS)
def test_every_page_is_of_our_tags_and_its_addresses_are_files_of_the_site(
    text: str, tmp_path: Path, plain: Path
) -> None:
    site = write_site(hostile_result(text), tmp_path / "site").folder
    for page in site.rglob("*.html"):
        found, own = page.read_text("utf-8"), (plain / page.relative_to(site)).read_text("utf-8")
        assert found.count("<script") == own.count("<script")
        assert set(re.findall(r"<\w+", found)) <= {*re.findall(r"<\w+", own), "<wbr", "<br", "<span"}
        assert not {c for c in found if unicodedata.category(c) in _OBEYED} - set("\n\t")
        for address in re.findall(r'(?:href|src)="([^"#]*)', found):
            assert (page.parent / address).resolve().is_relative_to(site.resolve())
        assert "'unsafe" not in found
        assert "script-src 'self'; style-src 'self'" in found
    for script in (site / "data").glob("*.js"):
        call = script.read_text("ascii").strip()
        assert json.loads(f"[{call.removeprefix('site.receive(').removesuffix(');')}]")


def hostile_engine(text: str) -> FakeEngine:
    engine = FakeEngine()
    engine.log = text.encode("utf-8", "surrogatepass")
    engine.exits = lambda _job: 1
    return engine


_COMMANDS: Sequence[str] = (
    "run MATRIX", "table MATRIX --format csv", "table MATRIX --format markdown", "table MATRIX --format json",
    "table MATRIX --wide", "judge MATRIX", "logs CELL --matrix MATRIX", "show CELL --matrix MATRIX",
    "show CELL --matrix MATRIX --format json", "plan MATRIX", "clean MATRIX --records", "merge MATRIX",
)  # fmt: skip


@pytest.mark.parametrize("text", PAYLOADS)
@pytest.mark.usefixtures("ci")
def test_what_a_script_prints_raises_or_names_reaches_no_terminal_and_no_ci(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.trials import execution

    matrix = write_matrix(tmp_path / "m")
    real = execution._record

    def told(*args: object, **known: object) -> object:
        from runner.trials.record import ScriptException

        record = real(*args, **known)  # type: ignore[arg-type]
        raised = ScriptException(
            type=text, message=text, traceback=text, file=text, line=3, source=text, stage="training", phase=text
        )
        return record.model_copy(update={"exception": raised, "log_tail": text, "message": text})

    monkeypatch.setattr(execution, "_record", told)
    for command in _COMMANDS:
        words = [{"MATRIX": str(matrix), "CELL": "six=1.15.0,script=a.py"}.get(word, word) for word in command.split()]
        code = run_command_line(words, world_of(hostile_engine(text)))
        said = capsys.readouterr()
        own = "\n".join(line for line in said.err.splitlines() if not re.match(r"::(error|notice|warning) file=", line))
        assert_only_shown(said.out)
        assert_only_shown(own)
        assert code in {0, 1, 2}, (command, said.err)
        if command.endswith("json"):
            json.loads(said.out)


def test_json_on_a_terminal_means_what_it_says() -> None:
    for text in PAYLOADS:
        made = json_text(json.dumps({"a": text}, ensure_ascii=False, indent=2))
        assert json.loads(made) == {"a": text}
        assert_only_shown(without_commands(made, new_line=True))
        assert json.loads(json_text(as_json(hostile_result(text)))) == json.loads(as_json(hostile_result(text)))


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("1/8\r2/8\r\r\n8/8\n", "8/8"),
        ("a\x1b[31mb\x1b[0m\n", "ab\n"),
        ("::error::x", "::error::x"),
        ("a\u202eb", "a\ufffdb"),
    ],
)
def test_a_log_is_printed_as_a_terminal_would_show_it(log: str, shown: str) -> None:
    assert terminal_text(log).split("\n")[-1 if "8" in shown else 0].strip() in {shown.strip(), ""}


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["::error::x\n"], ": :error::x\n"),
        ([":", ":error::x"], "::error::x"),
        (["a ", "::error::x"], "a ::error::x"),
        (["  \t::add-mask::x"], "  \t: :add-mask::x"),
        (["\x1b[31m::error::x"], "\x1b[31m: :error::x"),
        (["x ##[group]y ##vso[a]b ## [c"], "x ## [group]y ## vso[a]b ## [c"),
    ],
)
def test_lines_that_look_like_commands_are_defused(pieces: list[str], said: str) -> None:
    new_line, out = True, ""
    for piece in pieces:
        out += without_commands(piece, new_line=new_line)
        new_line = piece.endswith("\n")
    assert out == said


def test_stripping_a_long_log_takes_no_time() -> None:
    assert len(stripped("\x1b" * 1_000_000)) == 1_000_000
    assert stripped("x\n" * 5_000_000) == "x\n" * 5_000_000
    assert len(without_commands("\n" * 1_000_000, new_line=True)) == 1_000_000


def test_nothing_writes_around_the_border() -> None:
    """Streams and consoles are made in one module; whoever prints uses those."""
    root = Path(runner.__file__).parent
    allowed = {
        "reports/terminal/streams.py",
        "engines/venv/supervisor.py",
    }  # the second talks to the engine, not to people
    outside = {"probe", "history/looking", "engines"}  # those talk to the runner, not to people
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name in allowed or any(name.startswith(f"{folder}/") for folder in outside):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"Console", "rich.print", "print", "os.write", "click.echo", "typer.echo"}, (
                    f"{name}:{node.lineno} writes text past the border: use `reports/terminal`"
                )
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in {"sys.__stdout__", "sys.__stderr__", "sys.stdout.buffer"}, name
