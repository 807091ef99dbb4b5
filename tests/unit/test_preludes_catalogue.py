from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from probe_world import OLDEST_AND_NEWEST, run

from runner.preludes.defaults import Default, explicit
from runner.preludes.prelude import (
    OR,
    TOOLS,
    FixPlace,
    Prelude,
    calls,
    catalogue,
    fixed_order,
    initial_weights,
    lay_out,
    looking,
    reach,
    table,
    tools_of,
    tracing,
)

if TYPE_CHECKING:
    from runner.preludes.prelude import CatalogueSwitch

REPOSITORY = Path(__file__).parents[2]
SWITCHES = [pytest.param(switch, id=name) for name, switch in catalogue().items()]


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_says_what_it_does_and_for_which_stacks(switch: CatalogueSwitch) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", switch.name)
    assert switch.does
    assert switch.how
    assert "|" not in switch.does + switch.how
    assert 1 <= switch.breadth <= 9
    assert switch.applies
    assert all(Requirement(one).name for text in switch.applies for one in text.split(OR))


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_says_how_a_person_writes_it_or_why_nobody_can(switch: CatalogueSwitch) -> None:
    fix = switch.fix
    assert bool(fix.alternatives) is (fix.place is not FixPlace.NOWHERE) is not bool(fix.why)
    assert bool(fix.where) is (fix.place in {FixPlace.CALL, FixPlace.MODULE})
    for lines in fix.alternatives if fix.place is not FixPlace.MODULE else ():
        assert ast.parse("\n".join(lines)).body


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_reverse_of_a_switch_is_a_switch_whose_reverse_is_the_first(switch: CatalogueSwitch) -> None:
    assert not switch.reverse or catalogue()[switch.reverse].reverse == switch.name


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_calls_its_function_with_the_prelude(switch: CatalogueSwitch) -> None:
    imported, called = switch.source.strip().split("\n\n")
    module = imported.removeprefix("from _runner_tools import ")
    assert called == f"{module}.{switch.name.replace('-', '_')}(prelude)"


@pytest.mark.parametrize("module", sorted(TOOLS.glob("*_switches.py")), ids=lambda path: path.stem)
def test_switches_import_no_framework(module: Path) -> None:
    nodes = list(ast.walk(ast.parse(module.read_bytes(), feature_version=(3, 6))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert names <= {"functools", "inspect", "os", "sys"}
    froms = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert froms <= {"typing", "_runner_probe.preparation"}


@OLDEST_AND_NEWEST
def test_every_switch_and_instrument_is_ready_before_the_script_begins(python: str, tmp_path: Path) -> None:
    switches = [Prelude(name=name, source=switch.source) for name, switch in catalogue().items()]
    one = Default(class_name="SGD", key="momentum", good="0.5", bad="0.0", where="")
    instruments = [
        tracing(),
        tracing(20, 2),
        calls(),
        initial_weights('{"layers": []}'),
        initial_weights('{"layers": []}', 2),
        fixed_order(),
        looking("attribute", "os", "gone"),
    ]
    lay_out([*switches, *instruments, explicit(one)], tmp_path / "preludes")
    told = run(python, tmp_path, "print('ran')", env={"RUNNER_PRELUDES": str(tmp_path / "preludes")})
    states = [(event["name"], event["state"], event["note"]) for event in told.of("prelude")]
    assert [name for name, state, _ in states if state == "failed"] == []
    assert [note for name, _, note in states if name == "looking"] == [
        '{"found": true, "where": "os", "there": false, "said": "", "near": []}'
    ]
    assert told.out == "ran\n"


def test_the_digest_of_a_prelude_follows_the_tools_that_it_imports() -> None:
    used = {tool: tools_of(f"from _runner_tools import {tool}\n") for tool in ("alignment", "execution_switches")}
    assert used["alignment"] == {"alignment", "steps", "torch_steps", "keras_reading", "model_reading"}
    assert used["execution_switches"] == {"execution_switches"}
    assert tools_of("prelude.applied('x')") == set()
    first, second = (Prelude(name="a", source=f"from _runner_tools import {tool}\n") for tool in used)
    assert first.digest != second.digest


def test_what_was_seen_of_the_reach_of_switches_is_of_switches_that_there_are() -> None:
    for stack, said in reach().items():
        assert set(said) <= set(catalogue()), stack
        assert set(said.values()) <= {"acts", "changes nothing", "breaks"}
        assert any(word == "acts" for word in said.values()), stack


def test_the_documented_table_is_that_of_the_docstrings() -> None:
    assert (REPOSITORY / "docs" / "switches.md").read_text(encoding="utf-8") == table()
