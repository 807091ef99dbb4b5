"""The report in a real browser, opened from disk: what a reader does, what a hostile script can't."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_report import era_report, report_of_sizes
from playwright.sync_api import expect
from scipy.stats import fisher_exact, mannwhitneyu

from runner.outcomes.assembly import LOG_BYTES
from runner.reports import pages
from runner.reports.pages import matrix_page
from runner.reports.past_runs import News, continued, news_of
from runner.reports.site import write_site
from runner.trials.job_files import excerpt

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from runner.outcomes.result import Result

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(120)]

EVIL = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'><a href='javascript:window.hacked=3'>x</a>"
BIDI = "\u202egnp.exe\u2066"
ANSI = "\x1b[31mred\x1b[0m \x1b]8;;javascript:window.hacked=4\x07click\x1b]8;;\x07 \x1b[2J"


@pytest.fixture(scope="session")
def report() -> Result:
    return continued(era_report(salt=2), continued(era_report(salt=1), era_report()))


@pytest.fixture(scope="session")
def site(report: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(report, tmp_path_factory.mktemp("site")).folder


def open_page(page: Page, site: Path, name: str = "index.html", address: str = "") -> None:
    page.goto((site / name).as_uri() + address)
    if name == "index.html":
        page.wait_for_selector("a.cell")


def cell_of(report: Result, kind: str) -> str:
    return next(cell.id for cell in report.cells if cell.kind == kind)


def shown(page: Page) -> list[str]:
    """The ids of the cells in the grid."""
    ids: list[str] = page.locator("a.cell").evaluate_all("all => all.map(one => one.pathname.slice(-17, -5))")
    return ids


def test_the_matrix_is_there_with_its_sentence_outcomes_and_failures(page: Page, site: Path, report: Result) -> None:
    open_page(page, site)
    expect(page.get_by_text(report.sentences[0])).to_be_visible()
    expect(page.locator("a.cell")).to_have_count(100)
    first = page.locator("a.cell").first
    expect(first).to_have_text(re.compile(r"✗.*nan.*0/4 · NaN"))
    expect(page.locator("thead").first).to_contain_text("keras 2.2.4")
    expect(page.locator(".failure")).to_have_count(len([one for one in report.failures if one.cells]))
    page.locator(".failure summary").first.click()
    expect(page.locator(".failure").first.locator("li a")).to_have_count(len(report.failures[0].cells))


def test_axes_are_switched_and_the_address_alone_gives_the_same_view(
    page: Page, site: Path, report: Result, context: BrowserContext
) -> None:
    good = sum(cell.kind == "good" and cell.values["script"] == "functional.py" for cell in report.cells)
    open_page(page, site)
    page.get_by_label("Rows").select_option(label="import")
    expect(page.locator(".panel")).to_have_count(5)
    page.get_by_label("script", exact=True).select_option(label="functional.py")
    expect(page.locator(".panel")).to_have_count(1)
    page.get_by_label("Columns").select_option(label="import")
    expect(page.locator("thead")).to_contain_text("tf.keras")
    page.get_by_label("Filter").fill("outcome:good")
    expect(page.get_by_role("status")).to_have_text(f"{good} of 100 cells")
    seen = page.locator("#panels").inner_text()
    sent = context.new_page()
    sent.goto(page.url)
    sent.wait_for_selector("a.cell")
    assert sent.locator("#panels").inner_text() == seen
    assert sent.get_by_label("Filter").input_value() == "outcome:good"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("outcome:bad", lambda cell: cell.kind == "bad"),
        ("outcome:nan", lambda cell: "nan" in str(cell.outcome)),
        ("-outcome:good import:tf.keras", lambda cell: cell.kind != "good" and cell.values["import"] == "tf.keras"),
        ("tensorflow:>=2.4,<2.11", lambda cell: cell.values["tensorflow"] in {"2.4.4", "2.6.5", "2.10.1"}),
        ("tensorflow:1.13,2.6", lambda cell: cell.values["tensorflow"] in {"1.13.1", "2.6.5"}),
        ("final:<1e-8", lambda cell: cell.final is not None and cell.final < 1e-8),
        ("final:nan", lambda cell: cell.final is not None and cell.final != cell.final),
        ("exception:TypeError", lambda cell: cell.exception is not None),
        ('"4 of 4" script:functional', lambda cell: "4 of 4" in cell.reason and "functional" in cell.values["script"]),
    ],
)
def test_a_query_shows_the_cells_it_means(page: Page, site: Path, report: Result, query: str, wanted) -> None:
    open_page(page, site)
    page.get_by_label("Filter").fill(query)
    meant = [cell.id for cell in report.cells if wanted(cell)]
    assert meant
    expect(page.get_by_role("status")).to_have_text(f"{len(meant)} of 100 cells")
    expect(page.locator("a.cell")).to_have_count(len(meant))
    assert sorted(shown(page)) == sorted(meant)


@pytest.mark.parametrize("arrow", ["→", "->"])
def test_a_step_along_an_axis_shows_the_cells_on_its_both_sides(
    page: Page, site: Path, report: Result, arrow: str
) -> None:
    kinds = {cell.id: cell.kind for cell in report.cells}
    open_page(page, site)
    page.get_by_label("Filter").fill(f"fail{arrow}pass along tensorflow")
    steps = [one for one in report.changes if (kinds[one.before], kinds[one.after]) == ("bad", "good")]
    meant = {cell for step in steps for cell in (step.before, step.after)}
    assert meant
    expect(page.locator("a.cell")).to_have_count(len(meant))
    assert set(shown(page)) == meant


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("kers:1", "There is no axis or field “kers”; did you mean “keras”?"),
        ("final:<much", "needs a number"),
        ("up->down", "“up” is no outcome"),
        ("pass->fail along time", "There is no axis “time”"),
        ("keras:", "Write a value after the colon"),
    ],
)
def test_a_query_that_means_nothing_is_told(page: Page, site: Path, query: str, complaint: str) -> None:
    open_page(page, site)
    page.get_by_label("Filter").fill(query)
    expect(page.get_by_role("status")).to_contain_text(complaint)


def test_pointing_at_a_cell_tells_of_it_and_a_click_opens_it(page: Page, site: Path) -> None:
    open_page(page, site)
    cell = page.locator("a.cell").first
    cell.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("0 of 4 converged")
    cell.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("fails (nan)")
    expect(page.locator("#curves-chart svg")).to_be_visible()
    expect(page.locator("#curves-note")).to_contain_text("not finite, in 4 trials")


def test_a_cell_shows_its_evidence(page: Page, site: Path, report: Result) -> None:
    broken = next(cell.id for cell in report.cells if cell.outcome.breaks)
    open_page(page, site, f"cells/{broken}.html")
    for words in ("TypeError", "in stage build-model, train.py:14", "model.add(Input(batch_shape=(2, 4, 1)))"):
        expect(page.locator(".exception")).to_contain_text(words)
    expect(page.locator("#log-text .ansi-yellow")).to_have_text("WARNING")
    page.get_by_label("Search").fill("warning")
    expect(page.locator("#found")).to_have_text("1 found")
    page.get_by_text("All packages (32)").click()
    expect(page.locator(".packages li")).to_have_count(32)
    open_page(page, site, f"cells/{cell_of(report, 'good')}.html")
    expect(page.locator("#curves-note")).to_have_text("Logarithmic scale.")
    expect(page.locator("#memory-chart svg")).to_be_visible()
    page.get_by_role("button", name="val_loss").click()
    expect(page.locator("#curves-chart svg")).to_contain_text("val_loss")
    expect(page.get_by_role("heading", name="The nearest cell with another outcome")).to_be_visible()


def test_commands_are_copied(page: Page, site: Path, report: Result, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    cell = next(cell for cell in report.cells if cell.commands)
    open_page(page, site, f"cells/{cell.id}.html")
    page.get_by_role("button", name="Copy the commands without it").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert cell.commands is not None
    assert page.evaluate("navigator.clipboard.readText()") == "\n".join(cell.commands.without_runner)


def test_two_cells_are_compared_and_the_address_says_which(page: Page, site: Path, report: Result) -> None:
    good, bad = cell_of(report, "good"), cell_of(report, "bad")
    open_page(page, site, "compare.html", f"#a={good}&b={bad}")
    expect(page.locator("#statement")).to_contain_text("A succeeds in 4 of 4, B in 0 of 4: they differ")
    expect(page.locator("#caveat")).to_contain_text("not corrected for having chosen this pair")
    expect(page.locator("#curves-chart svg")).to_be_visible()
    expect(page.locator("#finals-chart svg")).to_be_visible()
    expect(page.locator("#differs")).to_contain_text("import")
    page.get_by_role("button", name="Swap A and B").click()
    expect(page.locator("#statement")).to_contain_text("A succeeds in 0 of 4, B in 4 of 4")
    assert page.url.endswith(f"#a={bad}&b={good}")
    page.locator("#side-a").get_by_label("tensorflow").select_option(label="2.10.1")
    expect(page.locator("#statement")).to_contain_text("A succeeds in 4 of 4")
    expect(page.locator("#differs")).to_contain_text("h5py")


def test_the_exact_tests_of_the_compare_page_are_those_of_scipy(page: Page, site: Path) -> None:
    open_page(page, site, "compare.html")
    for a, n, b, m in [(4, 4, 0, 4), (5, 6, 1, 6), (3, 4, 4, 4), (10, 10, 2, 9), (0, 5, 0, 5)]:
        p = page.evaluate("([a, n, b, m]) => site.statistics.fisher(a, n, b, m)", [a, n, b, m])
        assert p == pytest.approx(fisher_exact([[a, b], [n - a, m - b]])[1])
    for ours, theirs in [
        ([1, 2, 3, 4], [5, 6, 7, 8]),
        ([1, 4, 6, 7, 9], [2, 3, 5, 8]),
        ([1.5, 9, 3, 4, 5.5], [2, 8, 7, 6]),
    ]:
        p = page.evaluate("([ours, theirs]) => site.statistics.mannWhitney(ours, theirs).p", [ours, theirs])
        assert p == pytest.approx(mannwhitneyu(ours, theirs, method="exact").pvalue)
    assert page.evaluate("site.statistics.mannWhitney([1, 2], [2, 3]).p") is None


def test_changes_tell_what_became_of_cells(page: Page, site: Path, report: Result) -> None:
    news = Counter(one.news for one in news_of(report))
    open_page(page, site, "changes.html")
    for kind in (News.BETTER, News.STILL_FAILING):
        assert news[kind]
        expect(page.get_by_role("heading", name=f"{kind.value} {news[kind]}")).to_be_visible()
    moved = page.get_by_role("row", name="tensorflow 1.14.0, keras 2.2.5, script functional.py, import keras")
    assert moved.locator(".step .unseen").all_inner_texts() == ["fails (nan)", "fails (nan)", "converges"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "compare.html", "changes.html", "good", "bad", "untestable"])
def test_axe_finds_nothing_serious(browser: Browser, site: Path, report: Result, scheme: str, name: str) -> None:
    with browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        open_page(page, site, name if name.endswith(".html") else f"cells/{cell_of(report, name)}.html")
        if not name.startswith(("index", "changes", "untestable")):
            page.wait_for_selector("#curves-chart svg")
        found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in {"serious", "critical"}]
    assert serious == []


def test_dark_mode_is_dark_also_in_the_charts(browser: Browser, site: Path, report: Result) -> None:
    brightness = """name => {
        const colour = getComputedStyle(document.querySelector(name)).backgroundColor;
        return colour.match(/\\d+/g).reduce((sum, part) => sum + Number(part), 0);
    }"""
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        open_page(page, site, f"cells/{cell_of(report, 'good')}.html")
        label = page.locator("#curves-chart text").first
        dark = label.get_attribute("fill")
        assert page.evaluate(brightness, "body") < 150
        page.emulate_media(color_scheme="light")
        assert page.evaluate(brightness, "body") > 600
        expect(page.locator("#curves-chart text").first).not_to_have_attribute("fill", str(dark))


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, site: Path) -> None:
    open_page(page, site)
    page.wait_for_selector('a.cell[tabindex="0"]')
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Filter")).to_be_focused()
    page.keyboard.type("import:tf.keras")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('cell')"):
            break
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    place = page.locator("a.cell:focus").evaluate("one => [one.closest('tr').rowIndex, one.closest('td').cellIndex]")
    assert place == [2, 3]
    page.get_by_label("Filter").fill("")
    tables = page.locator(".panel table")
    expect(tables.nth(1).locator("a.cell")).to_have_count(50)
    tables.first.locator("a.cell[tabindex='0']").focus()
    page.keyboard.press("Tab")
    expect(tables.nth(1).locator("a.cell").first).to_be_focused()
    expect(page.get_by_role("tooltip")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/cells/*.html")


@pytest.mark.parametrize("name", ["index.html", "compare.html", "changes.html", "good", "untestable"])
def test_no_page_is_wider_than_a_phone(browser: Browser, site: Path, report: Result, name: str) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        open_page(page, site, name if name.endswith(".html") else f"cells/{cell_of(report, name)}.html")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_nothing_that_a_script_wrote_is_obeyed(page: Page, report: Result, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stream:
        stream.write(f"{EVIL}{BIDI}{ANSI}first words\n".encode())
        stream.truncate(200_000_000)
        stream.seek(0, 2)
        stream.write(f"\n{EVIL}last words\n".encode())
    evil = f"{EVIL}{BIDI}{ANSI}"
    cell = next(cell for cell in report.cells if cell.exception)
    assert cell.exception is not None
    raised = cell.exception.model_copy(
        update=dict.fromkeys(("type", "message", "traceback", "file", "source", "phase"), evil)
    )
    curves = {f"loss{evil}": (1.0, 0.5), "__proto__": (1.0, 2.0)}
    trial = cell.trials[0].model_copy(
        update={
            "log": excerpt(log, LOG_BYTES),
            "reason": evil,
            "message": evil,
            "flags": (evil,),
            "curves": curves,
            "epochs": (1, 2),
            "exception": raised,
        }
    )
    hostile = cell.model_copy(
        update={
            "values": {**cell.values, "script": evil},
            "reason": evil,
            "diff": f"+{evil}",
            "exception": raised,
            "trials": (trial,),
            "flags": (evil,),
            "image": evil,
            "expected": evil,
            "as_expected": False,
            "imported": {evil: evil},
        }
    )
    axes = tuple(
        axis.model_copy(update={"values": (*axis.values, evil)}) if axis.name == "script" else axis
        for axis in report.axes
    )
    cells = tuple(hostile if one is cell else one for one in report.cells)
    failures = tuple(one.model_copy(update={"reason": evil}) for one in report.failures)
    made = report.model_copy(
        update={"axes": axes, "cells": cells, "failures": failures, "title": evil, "sentences": (evil,)}
    )
    site = write_site(made, tmp_path / "site").folder
    assert (site / "cells" / f"{cell.id}.html").stat().st_size < 100_000
    for name in ("index.html", f"cells/{cell.id}.html", "compare.html", "changes.html"):
        open_page(page, site, name, f"#a={cell.id}&b={cell.id}" if name.startswith("compare") else "")
        page.wait_for_timeout(300)
        text = page.locator("body").inner_text()
        assert page.evaluate("window.hacked") is None, name
        assert page.evaluate("document.querySelectorAll('img, [href^=\"javascript\"], [onerror]').length") == 0, name
        assert "\u202e" not in text, name
        assert "⟨U+202E⟩gnp.exe" in text, name
    open_page(page, site)
    cell_with_it = page.locator(f'a.cell[href*="{cell.id}"]').first
    cell_with_it.scroll_into_view_if_needed()
    page.wait_for_timeout(200)  # scrolling hides what is told of a cell
    cell_with_it.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("<script>window.hacked=1")
    open_page(page, site, f"cells/{cell.id}.html")
    expect(page.locator("#log-text")).to_contain_text("last words")
    expect(page.locator("#log-text")).to_contain_text("bytes left out")
    assert page.evaluate("window.hacked") is None


def test_ten_thousand_cells_are_counted_by_what_a_reader_asks_for(browser: Browser, tmp_path: Path) -> None:
    report = report_of_sizes({"tensorflow": 20, "models": 25, "numpy": 5, "import": 4}, seeds=1, epochs=3)
    small = write_site(report.model_copy(update={"cells": report.cells[:1], "changes": ()}), tmp_path)
    (small.folder / "index.html").write_text(matrix_page(report))
    (small.folder / "data" / "matrix.js").write_text(pages.matrix_script(report))
    kinds = Counter(cell.kind for cell in report.cells)
    page = browser.new_page()
    open_page(page, small.folder)
    for query, count in (("outcome:bad", kinds["bad"]), ("-outcome:good", 10_000 - kinds["good"])):
        page.locator("#query").fill(query)
        expect(page.get_by_role("status")).to_contain_text(f"{count} of 10000 cells")
    page.close()
