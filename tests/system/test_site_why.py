"""The page of accounts in a real browser: it is there, it is read with any light and width, and it obeys no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_account import made_account
from made_report import era_report
from playwright.sync_api import expect
from test_site import EVIL

from runner.reports.site import write_site

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    accounts = (made_account(), made_account(id="ba9876543210", sentences=(EVIL,), telling=EVIL, command=EVIL))
    return write_site(era_report().model_copy(update={"accounts": accounts}), tmp_path_factory.mktemp("site")).folder


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


def test_hostile_texts_do_nothing(page: Page, site: Path) -> None:
    page.goto((site / "why.html").as_uri())
    expect(page.get_by_text(EVIL).first).to_be_visible()
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1360])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(
    browser: Browser, site: Path, scheme: str, width: int
) -> None:
    opened = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        page = opened.new_page()
        page.goto((site / "why.html").as_uri())
        found = [
            one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in {"serious", "critical"}
        ]
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        opened.close()
