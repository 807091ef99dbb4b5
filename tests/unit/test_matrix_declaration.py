"""One declaration of `matrix.yaml`: what it reads an editor takes, and what it refuses an editor refuses."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.matrix.declaration import MatrixSections, json_schema, read_sections
from runner.matrix.mistakes import Mistakes
from runner.matrix.nodes import compose

VALIDATOR = Draft202012Validator(json_schema())
RIGHT: dict[str, list[str]] = {
    "title": ["A question", "'2.0: why?'"],
    "description": ["'In a sentence.'"],
    "axes": ["{keras: 2.2.4}", "{tensorflow: [{range: '>=1', every: major}, latest], env: ['', {A: 1}]}"],
    "include": ["[{keras: 2.2.4, python: 3.7}]"],
    "exclude": ["[]", "[{keras: 2.2.4, env: {A: 1}}]"],
    "experiment": ["{script: a.py, args: [1], data: [a, {b: c}], timeout: 1h30m, artifacts: ['*'], network: true}"],
    "packages": ["[pandas, {numpy: '<1.20', when: [tensorflow<2]}]"],
    "requirements": ["needs.txt", "[a.txt, {file: pyproject.toml, extras: [a], groups: [b], when: keras<2}]"],
    "indexes": ["https://h/simple", "[mine=https://h/simple]"],
    "criterion": ["loss < 1", "[loss < 1, accuracy > 0.5]"],
    "metrics": ["{}", "{acc: '(x)', from: logs/*.csv}", "{from: [a.csv, runs/]}"],
    "metric": ["accuracy"],
    "mode": ["min", "max"],
    "at": ["last", "best"],
    "skip": ["0", "7"],
    "fits": ["last", "all", "best"],
    "baseline": ["{keras: 2.2.4}"],
    "control": ["true", "false"],
    "cells": ["all", "pairwise", "3-wise"],
    "seeds": ["3", "as-written", "{lead: 2, cap: 5}"],
    "resources": ["{cpus: 2, memory: 4g, disk: 512m, processes: 64}"],
    "expect": ["[{keras: 2.2.4, outcome: fails (nan)}]"],
    "flavour": ["auto", "cpu", "full"],
    "base_image": ["cuda:11.2", "{image: h:5000/a/b-c@sha256:%s, when: keras<2}" % ("0" * 64), "[{image: a}, b_c:X.1]"],
    "platform": ["linux/amd64", "linux/arm64"],
    "as_of": ["release", "none", "'2019-03-01'", "{default: none, numpy: '2019-03-01'}"],
}
WRONG: dict[str, list[str]] = {
    "title": ["[a]"],
    "description": ["{a: b}"],
    "axes": ["[keras]", "{keras: []}", "{keras: {every: minor}}", "{python: {range: '>=3.7'}}"],
    "include": ["{keras: 1}", "[{}]", "[{keras: {range: '*'}}]"],
    "exclude": ["1", "[{keras: [1]}]"],
    "experiment": ["a.py", "{scirpt: a.py}", "{timeout: soon}", "{args: 1}", "{network: maybe}"],
    "requirements": ["{extras: [a]}", "[[a.txt]]"],
    "packages": ["needs.txt", "{pandas: 1}", "[[pandas]]", "[{numpy: ['<1']}]"],
    "indexes": ["{a: 1}", "[file:///x]"],
    "criterion": ["{loss: 1}"],
    "metrics": ["loss", "{acc: [a]}", "{from: []}", "{from: {a: b}}"],
    "metric": ["[loss]"],
    "mode": ["less"],
    "at": ["worst"],
    "skip": ["-1", "some"],
    "fits": ["first", "[last]"],
    "baseline": ["[keras]", "{}"],
    "control": ["often"],
    "cells": ["few", "2"],
    "seeds": ["0", "some", "{leed: 1}"],
    "resources": ["4g", "{cpus: 0}", "{memory: 4}"],
    "expect": ["[{keras: 1}]", "fails"],
    "flavour": ["gpu"],
    "base_image": ["[]", "Cuda", "a b", "--rm", "{when: keras<2}", "[{image: a, whence: keras<2}]", "{image: [a]}"],
    "platform": ["windows/amd64", "amd64"],
    "as_of": ["soon", "{numpy: release}"],
}


def mistakes_in(text: str) -> Mistakes:
    mistakes = Mistakes(Path("matrix.yaml"))
    read_sections(compose(text, mistakes), mistakes)
    return mistakes


def complaints(text: str) -> list[Any]:
    whole: dict[str, Any] = {"axes": {"keras": "1"}, **yaml.safe_load(text)}
    return list(VALIDATOR.iter_errors(whole))


def test_every_section_has_right_and_wrong_values_here() -> None:
    assert RIGHT.keys() == WRONG.keys() == {section.name for section in fields(MatrixSections)}


@pytest.mark.parametrize("text", [f"{name}: {value}" for name, values in RIGHT.items() for value in values])
def test_a_right_value_is_read_and_an_editor_takes_it(text: str) -> None:
    assert not mistakes_in(text).found
    assert not complaints(text)


@pytest.mark.parametrize("text", [f"{name}: {value}" for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_one_mistake_and_an_editor_refuses_it(text: str) -> None:
    assert len(mistakes_in(text).found) == 1
    assert complaints(text)


@pytest.mark.parametrize("name", sorted(section.name for section in fields(MatrixSections)))
def test_a_section_with_nothing_after_it_has_its_default(name: str) -> None:
    mistakes = Mistakes(Path("matrix.yaml"))
    sections, left_out = read_sections(compose(f"{name}:", mistakes), mistakes)
    assert sections == MatrixSections()
    assert not left_out


def test_what_is_misshapen_is_left_out_and_the_rest_is_read() -> None:
    mistakes = Mistakes(Path("matrix.yaml"))
    text = "axes: {keras: [[1]], tensorflow: 2.1}\nexclude: [1, {keras: 2}]\nseeds: {lead: x, cap: 7}\nflavour: gpu"
    sections, left_out = read_sections(compose(text, mistakes), mistakes)
    assert left_out == {"axes.keras", "exclude.0", "seeds.lead", "flavour"}
    assert sections.axes == {"tensorflow": ("2.1",)}
    assert sections.exclude == ({"keras": "2"},)
    assert len(mistakes.found) == 4
