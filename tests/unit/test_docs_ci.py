"""The workflow that users copy: valid by GitHub's schema, its commands are ours, no value of a matrix is shell text."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from runner.cli.app import application

DOCS = Path(__file__).parents[2] / "docs"
FILE = DOCS / "github-actions.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(FILE.read_text(), yaml.BaseLoader)  # `on` stays a word
    return loaded


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(workflow: dict[str, Any]) -> list[list[str]]:
    text = "\n".join(step.get("run", "") for step in steps(workflow))
    found = re.findall(r"convergence-matrix ([^\n|)]*)", text)
    return [
        shlex.split(
            line.replace('"$@"', "--baseline earlier.json").replace("parts/*", "parts/a parts/b"), comments=True
        )
        for line in found
    ]


def test_it_is_valid_by_the_schema_of_github_workflows() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_in_it_is_one_of_ours_with_options_that_it_has(workflow: dict[str, Any]) -> None:
    ours = typer.main.get_command(application())
    assert isinstance(ours, click.Group) or hasattr(ours, "commands")
    known = ours.commands  # type: ignore[attr-defined]
    values = {"$MATRIX": "matrix.yaml", "$SHARDS": "4", "$ONLY": "six=1.16.0", "$SHARD": "1/4"}
    used = commands(workflow)
    assert {words[0] for words in used} == {"lock", "plan", "run", "merge", "publish", "table"}
    for name, *words in used:
        known[name].make_context(name, [values.get(word, word) for word in words])


def test_no_value_of_the_matrix_or_of_a_pull_request_is_text_of_a_shell(workflow: dict[str, Any]) -> None:
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


def test_the_jobs_fit_together(workflow: dict[str, Any]) -> None:
    jobs = workflow["jobs"]
    assert jobs["run"]["strategy"]["matrix"] == "${{ fromJSON(needs.plan.outputs.jobs) }}"
    assert "steps.plan.outputs.jobs" in jobs["plan"]["outputs"]["jobs"]
    uploads = {step["with"]["name"] for step in steps(workflow) if "upload-artifact" in step.get("uses", "")}
    assert uploads == {"store", "part-${{ strategy.job-index }}", "site"}
    hidden = [
        step["with"]
        for step in steps(workflow)
        if "upload" in step.get("uses", "") and step["with"]["path"] == ".runner"
    ]
    assert [one["include-hidden-files"] for one in hidden] == ["true", "true"]
    assert workflow["permissions"] == {"contents": "read"}


def test_the_page_about_ci_names_every_option_and_label() -> None:
    from runner.outcomes.earlier import EarlierLabel
    from runner.session.results import FailOn

    page = (DOCS / "ci.md").read_text()
    for word in (*EarlierLabel, *(f"--fail-on {kind}" for kind in FailOn), "--junit", "--baseline", "--annotations"):
        assert f"`{word}" in page or f", {word}`" in page, word


@pytest.mark.parametrize("cells_and_seeds", re.findall(r"(\d) up to (\d+)", (DOCS / "ci.md").read_text()))
def test_the_seeds_that_it_names_are_those_that_the_tests_need(cells_and_seeds: tuple[str, str]) -> None:
    from runner.outcomes.significance import seeds_to_tell_apart

    seeds, cells = map(int, cells_and_seeds)
    assert seeds_to_tell_apart(cells) == seeds < seeds_to_tell_apart(cells + 1)
