from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from runner.preludes import catalogue
from runner.preludes.table import table

if TYPE_CHECKING:
    from runner.preludes import Switch

REPOSITORY = Path(__file__).parents[2]
SWITCHES = [pytest.param(switch, id=name) for name, switch in catalogue().items()]


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_says_what_it_does_and_for_which_stacks(switch: Switch) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", switch.name)
    assert switch.does
    assert switch.how
    assert "|" not in switch.does + switch.how
    assert 1 <= switch.breadth <= 9
    assert all(Requirement(one).name for one in switch.applies)


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_reverse_of_a_switch_is_a_switch_whose_reverse_is_the_first(switch: Switch) -> None:
    assert not switch.reverse or catalogue()[switch.reverse].reverse == switch.name


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_is_written_for_cpython_3_6_says_that_it_applied_and_imports_no_framework(switch: Switch) -> None:
    tree = ast.parse(switch.source, feature_version=(3, 6))
    assert "prelude.applied(" in switch.source
    nodes = list(ast.walk(tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert names <= {"functools", "inspect", "os", "sys"}
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom)]


def test_the_documented_table_is_that_of_the_headers() -> None:
    assert (REPOSITORY / "docs" / "switches.md").read_text(encoding="utf-8") == table()
