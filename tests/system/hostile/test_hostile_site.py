"""Reports full of payloads, published and opened in a browser: nothing runs, nothing is asked of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hostile_texts import PAYLOADS, hostile_result

from runner.outcomes.result_file import as_json, read_result
from runner.reports.site import write_site

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_a_payload_in_every_field_of_a_report_does_nothing_on_any_page(
    browser: Browser, tmp_path: Path, number: int
) -> None:
    source = tmp_path / "results.json"
    source.write_text(as_json(hostile_result(PAYLOADS[number])), "utf-8")
    result = read_result(source)
    site = write_site(result, tmp_path / "site").folder
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    first, second = result.cells[0].id, result.cells[1].id
    pages = [path.relative_to(site).as_posix() for path in site.glob("*.html")]
    for name in (*sorted(pages), f"cells/{first}.html", f"cells/{second}.html"):
        page.goto((site / name).as_uri() + (f"#a={first}&b={second}" if name == "compare.html" else ""))
        page.wait_for_timeout(200)
        for summary in page.locator("summary:visible").all()[:5]:
            summary.click()
        assert page.evaluate("window.hacked") is None, name
        strange = "img, iframe, object, embed, base, meta[http-equiv=refresh], form[action], [href^='javascript']"
        assert page.evaluate(f'document.querySelectorAll("{strange}").length') == 0, name
        handlers = "[...document.querySelectorAll('*')].some((e) => [...e.attributes].some((a) => /^on/.test(a.name)))"
        assert page.evaluate(handlers) is False, name
        policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content") or ""
        assert "'unsafe" not in policy
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert page.url.startswith(site.as_uri())
    context.close()
    assert all(url.startswith((site.as_uri(), "data:image/")) for url in asked), asked
    assert set(said) <= {"Failed to load resource: net::ERR_FILE_NOT_FOUND"}  # of a lock that the report does not have
