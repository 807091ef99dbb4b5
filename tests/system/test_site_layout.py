"""How the pages lie in a window and on paper: grids that are too wide or small, and a cell's history as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_report import era_report, made_report, report_of_sizes
from playwright.sync_api import expect

from runner.check.findings import FindingKind
from runner.outcomes.predicted_change import PredictedChange
from runner.reports.past_runs import continued
from runner.reports.site import write_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from runner.outcomes.result import Result

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(120)]

LONG = ("experiments/sequential_input_tf_keras_of_the_second_kind.py", "experiments/functional_keras_and_more.py")
BROKEN = """() => {
    const texts = document.createTreeWalker(document.querySelector("#panels"), NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        const range = document.createRange();
        range.selectNodeContents(texts.currentNode);
        const lines = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
        if (lines.size > 1 && !/\\s/.test(texts.currentNode.data.trim())) found.push(texts.currentNode.data);
    }
    return found;
}"""
"""The words in the grid that stand in more than one line."""


@pytest.fixture
def open_at(browser: Browser, tmp_path: Path) -> Iterator[object]:
    """Opens the matrix page of a report in a window of a width."""
    contexts = []

    def opened(report: Result, width: int, name: str = "index.html", address: str = "") -> Page:
        folder = write_site(report, tmp_path).folder
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}))
        page = contexts[-1].new_page()
        page.goto((folder / name).as_uri() + address)
        if name == "index.html":
            page.wait_for_selector("a.cell")
        return page

    yield opened
    for context in contexts:
        context.close()


def chosen(page: Page, name: str) -> str:
    label: str = page.get_by_label(name, exact=True).evaluate("one => one.selectedOptions[0].textContent")
    return label


def test_a_grid_that_does_not_fit_is_turned_unless_somebody_chose(open_at) -> None:
    report = report_of_sizes({"tensorflow": 10, "script": 3})
    wide = open_at(report, 1900)
    assert (chosen(wide, "Rows"), chosen(wide, "Columns")) == ("script", "tensorflow")
    page = open_at(report, 900)
    assert (chosen(page, "Rows"), chosen(page, "Columns")) == ("tensorflow", "script")
    assert "#" not in page.url
    page.get_by_label("Rows").select_option(label="script")
    assert (chosen(page, "Rows"), chosen(page, "Columns")) == ("script", "tensorflow")
    assert page.url.endswith("#columns=tensorflow&rows=script")
    assert page.evaluate("document.documentElement.scrollWidth") <= 900
    sent = open_at(report, 900, address="#columns=tensorflow&rows=script")
    assert chosen(sent, "Columns") == "tensorflow", "what somebody chose is seen in every window"


def test_a_grid_too_wide_either_way_scrolls_below_and_beside_its_heads(open_at) -> None:
    page = open_at(report_of_sizes({"tensorflow": 24, "models": 20}), 1000)
    box = page.locator(".scroll.over").first
    box.evaluate("one => one.scrollTo(600, 500)")
    top, left = box.evaluate("one => [one.getBoundingClientRect().top, one.getBoundingClientRect().left]")
    head = page.locator("thead th").nth(5).evaluate("one => one.getBoundingClientRect().top")
    label = page.locator("tbody th").nth(5).evaluate("one => one.getBoundingClientRect().left")
    assert (head - top, label - left) == pytest.approx((0, 0), abs=4)


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_names_are_broken_between_their_words_only(open_at, width: int) -> None:
    report = made_report({"tensorflow": ("1.13.1", "2.4.4", "2.10.1"), "script": LONG, "import": ("keras", "tf.keras")})
    page = open_at(report, width)
    assert page.evaluate(BROKEN) == []
    page.get_by_label("Rows").select_option(label="script")
    assert page.evaluate(BROKEN) == []
    overlapping = page.locator(".cell").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert overlapping == 0


def test_a_single_axis_stands_in_lines_that_fit(open_at) -> None:
    page = open_at(report_of_sizes({"tensorflow": 24}), 390)
    assert page.locator("a.cell").count() == 24
    assert page.locator(".panel table").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".scroll.over").count() == 0


@pytest.mark.parametrize("sizes", [{"tensorflow": 3, "import": 2}, {"tensorflow": 4, "script": 5}])
def test_a_small_grid_takes_the_room_that_it_has(open_at, sizes: dict[str, int]) -> None:
    page = open_at(report_of_sizes(sizes), 1280)
    table, room = (page.locator(one).first.evaluate("one => one.clientWidth") for one in (".panel table", "#panels"))
    assert table > 0.75 * room


def test_printing_shows_every_row_and_every_column_within_the_paper(open_at) -> None:
    report = report_of_sizes({"tensorflow": 60, "models": 11})
    page = open_at(report, 1280)
    assert page.locator("a.cell").count() < 660, "on the screen rows are made when they come near"
    page.set_viewport_size({"width": 700, "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("a.cell").count() == 660
    assert page.locator(".gap").count() == 0
    widest = page.locator(".panel table").evaluate_all(
        "all => Math.max(...all.map(one => one.getBoundingClientRect().right))"
    )
    assert widest <= 700
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("a.cell").count() < 660


def test_title_and_description_are_the_head_of_the_site(open_at) -> None:
    said = {"title": "Which Keras trains it?", "description": "First words.\n\nSecond words."}
    page = open_at(era_report().model_copy(update=said), 1280)
    expect(page.locator(".brand")).to_have_text(said["title"])
    assert page.title() == said["title"]
    assert page.locator(".description").all_inner_texts() == ["First words.", "Second words."]


def test_what_is_predicted_stands_beside_what_came_out(open_at) -> None:
    report = era_report()
    two = tuple(cell.id for cell in report.cells[:2])
    told = {"file": "train.py", "line": 7, "package": "keras", "since": "3.0.0", "cells": two}
    known = PredictedChange(
        kind=FindingKind.KNOWN,
        path="acc-is-accuracy",
        message="The key is `accuracy`.",
        instead="`accuracy`",
        source="keras#1",
        case="tests/system/changes/acc-is-accuracy",
        **told,
    )
    gone = PredictedChange(
        kind=FindingKind.BREAKS, path="keras.gone", message="It is gone.", instead="keras.new", **told
    )
    page = open_at(report.model_copy(update={"predicted": (gone, known)}), 390)
    page.get_by_role("link", name="Predicted").click()
    changes = page.get_by_role("region", name="Known changes that concern this script").locator("tbody tr")
    expect(changes).to_have_count(1)
    expect(changes).to_contain_text("keras 3.0.0")
    expect(changes).to_contain_text("keras#1")
    expect(changes.locator("code").first).to_have_text("accuracy")
    said = page.get_by_role("region", name="What the history of the API says")
    expect(said.locator("tbody tr")).to_contain_text("keras.new")
    said.get_by_text("train.py:7, 2 cells").click()
    expect(said.get_by_role("link", name=report.cells[0].told).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [
        one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in {"serious", "critical"}
    ] == []


def test_the_history_of_a_cell_is_drawn_by_value_and_outcome(open_at) -> None:
    report = continued(era_report(salt=2), continued(era_report(salt=1), era_report()))
    changed = next(
        cell
        for cell in report.cells
        if cell.kind == "good"
        and cell.id in report.history[-1].cells | report.history[0].cells
        and report.history[0].cells[cell.id].kind == "bad"
    )
    page = open_at(report, 1280, f"cells/{changed.id}.html")
    chart = page.locator("#history-chart")
    expect(chart.locator("svg")).to_be_visible()
    expect(chart.locator(".mark-symbol.role-mark path")).to_have_count(3)
    expect(chart).to_contain_text("bad")
    expect(chart).to_contain_text("2026-03-03 12:00")
    expect(page.locator("#history-note")).to_contain_text("of 3 runs without a finite value")
