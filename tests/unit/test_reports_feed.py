"""The Atom feed of a site: what RFC 4287 asks for, and an entry for each run that brought something else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from made_report import era_report, report_of_sizes

from runner.reports.feed import ATOM, feed
from runner.reports.past_runs import continued, states, turns

if TYPE_CHECKING:
    from runner.outcomes.result import Result

NAMES = {"a": ATOM}


def read(report: Result) -> ET.Element:
    return ET.fromstring(feed(report))


def texts(root: ET.Element, path: str) -> list[str]:
    return [one.text or "" for one in root.findall(path, NAMES)]


@pytest.fixture(scope="module")
def third() -> Result:
    return continued(era_report(salt=2), continued(era_report(salt=1), era_report()))


def test_a_feed_and_its_entries_have_what_atom_requires(third: Result) -> None:
    root = read(third)
    assert root.tag == f"{{{ATOM}}}feed"
    for required in ("a:id", "a:title", "a:updated", "a:author/a:name"):
        assert len(texts(root, required)) == 1
    entries = root.findall("a:entry", NAMES)
    for entry in entries:
        assert [len(texts(entry, name)) for name in ("a:id", "a:title", "a:updated", "a:content")] == [1, 1, 1, 1]
        assert entry.find("a:link[@rel='alternate']", NAMES) is not None
        assert datetime.fromisoformat(texts(entry, "a:updated")[0]).tzinfo is not None
    identities = texts(root, "a:id") + texts(root, "a:entry/a:id")
    assert len(set(identities)) == len(entries) + 1
    assert all(one.startswith("urn:uuid:") for one in identities)


def test_each_run_that_came_to_something_else_is_an_entry_the_newest_first_and_keeps_its_id(third: Result) -> None:
    root = read(third)
    assert texts(root, "a:entry/a:updated") == [third.made_at, third.history[-1].made_at]
    assert texts(root, "a:entry/a:title") == ["6 became better", "6 became better"]
    content = texts(root, "a:entry/a:content")[0]
    assert content.count("<li>") == 6
    assert "fails (nan) NaN → converges" in content
    before = read(continued(era_report(salt=1), era_report()))
    assert texts(before, "a:entry/a:id") == texts(root, "a:entry/a:id")[1:]
    assert texts(before, "a:id") == texts(root, "a:id")


def test_cells_that_are_gone_and_new_ones_are_told_in_the_matrixs_order(third: Result) -> None:
    last = continued(third.model_copy(update={"cells": third.cells[6:], "made_at": "2026-04-01T00:00:00+00:00"}), third)
    (title, *_) = texts(read(last), "a:entry/a:title")
    assert title == "6 no longer in the matrix"
    gone = [turn.cell for turn in turns(last)[-1][1]]
    assert gone == [cell for cell in states(last.history)[-1][1] if cell in {one.id for one in third.cells[:6]}]
    again = continued(third.model_copy(update={"made_at": "2026-05-01T00:00:00+00:00"}), last)
    assert texts(read(again), "a:entry/a:title")[0] == "6 new in the matrix"


def test_a_first_run_is_an_entry_and_what_a_script_wrote_is_text() -> None:
    evil = "<script>\x00\x1b[31m&amp;"
    report = report_of_sizes({"tensorflow": 2}).model_copy(update={"title": evil, "description": evil})
    root = read(report)
    assert texts(root, "a:title")[0].startswith("<script>")
    assert [one.partition(" ")[0] for one in texts(root, "a:entry/a:title")] == ["First"]
    assert texts(root, "a:entry/a:content")[0].startswith("<p>")
