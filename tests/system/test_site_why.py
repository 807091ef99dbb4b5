"""The page of accounts in a real browser: it is there, it is read with any light and width, and it obeys no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_account import DIFF, made_account, made_fixes
from made_report import era_report
from playwright.sync_api import expect
from test_site import EVIL

from runner.reports.site import write_site

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fixes = made_fixes()
    advised = {"fixes": fixes, "advice": tuple(one.sentence for one in fixes)}
    accounts = (made_account(**advised), made_account(id="ba9876543210", sentences=(EVIL,), telling=EVIL, command=EVIL))
    report = era_report()
    own = report.cells[0].model_copy(update={"accounts": (accounts[0].id,)})
    first = report.failures[0].model_copy(update={"accounts": (accounts[0].id,)})
    explained = {
        "accounts": accounts,
        "advice": ("This script works up to 2.10.1.",),
        "cells": (own, *report.cells[1:]),
        "failures": (first, *report.failures[1:]),
    }
    return write_site(report.model_copy(update=explained), tmp_path_factory.mktemp("site")).folder


def test_a_cell_leads_to_its_account_and_so_does_one_that_fails_for_the_same_reason(page: Page, site: Path) -> None:
    report = era_report()
    alike = next(cell for cell in report.cells[1:] if 0 in cell.failures)
    for cell, words in ((report.cells[0], ""), (alike, "Of another cell that fails for the same reason")):
        page.goto((site / "cells" / f"{cell.id}.html").as_uri())
        why = page.get_by_role("region", name="Why")
        expect(why).to_contain_text(words)
        why.get_by_role("link").click()
        expect(page).to_have_url((site / "why.html").as_uri() + f"#a-{made_account().id}")
    page.goto((site / "index.html").as_uri())
    page.locator(".failure").first.get_by_role("link", name="Why it fails").click()
    expect(page).to_have_url((site / "why.html").as_uri() + f"#a-{made_account().id}")


def test_failures_are_listed_with_their_accounts_and_without(page: Page, site: Path) -> None:
    page.goto((site / "why.html").as_uri())
    groups = page.get_by_role("region", name="By failure").locator("li")
    bad = {cell.id for cell in era_report().cells if cell.kind == "bad"}
    expect(groups).to_have_count(sum(not bad.isdisjoint(one.cells) for one in era_report().failures))
    expect(groups.first.get_by_role("link")).to_have_count(1)
    expect(groups.nth(1)).to_contain_text("no account yet")


def test_the_account_is_reached_from_the_matrix_and_shows_every_experiment(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="Why", exact=True).click()
    expect(page.get_by_role("heading", name="import tf.keras against keras").first).to_be_visible()
    expect(page.get_by_text("It is caused by resource-variables.")).to_be_visible()
    switches = page.get_by_role("region", name="Switches").first
    expect(switches.locator("tbody tr").first).to_contain_text("caused by")
    expect(switches.locator("tbody tr").first).to_contain_text("reference-variables: 4 good of 16")
    releases = page.get_by_role("region", name="Releases").first
    expect(releases.locator("tbody tr")).to_have_count(12)
    expect(releases).to_contain_text("nothing resolves")
    expect(page.get_by_text("Step 1: the loss agrees.").first).to_be_visible()


def test_what_was_run_to_mend_it_stands_with_every_cell_and_the_change_can_be_copied(
    page: Page, site: Path, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="What to do").click()
    expect(page.get_by_text("This script works up to 2.10.1.")).to_be_visible()
    expect(page.get_by_role("heading", name="import tf.keras against keras")).to_be_visible()
    rows = page.get_by_role("region", name="Where it was run: resource variables").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("the bad cell")
    expect(rows.first).to_contain_text("4/4")
    expect(rows.nth(2)).to_contain_text("runs other files")
    page.get_by_role("button", name="Copy the change: resource variables").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == DIFF
    page.get_by_text("1 further candidate").click()
    expect(page.get_by_role("region", name="Where it was run: numpy<1.20")).to_contain_text("ImportError")
    page.get_by_role("link", name="Why it fails").click()
    expect(page).to_have_url((site / "why.html").as_uri() + f"#a-{made_account().id}")


def test_hostile_texts_do_nothing(page: Page, site: Path) -> None:
    page.goto((site / "why.html").as_uri())
    expect(page.get_by_text(EVIL).first).to_be_visible()
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("name", ["why.html", "advice.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1360])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(
    browser: Browser, site: Path, name: str, scheme: str, width: int
) -> None:
    opened = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        page = opened.new_page()
        page.goto((site / name).as_uri())
        found = [
            one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in {"serious", "critical"}
        ]
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        opened.close()
