"""The site of ten thousand cells with five seeds each: time and memory to make it, and to make it again unchanged.

The report is made up (tests/made_report.py). Reading it back, as `publish --from` does, is measured apart. What a
reader waits for (the first paint of its first page, an answer to a query) is taken in Chromium, from disk.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from measured import provenance, table  # noqa: E402

SIZES = {"tensorflow": 20, "keras-models": 25, "numpy": 5, "import": 4}
SEEDS, EPOCHS = 5, 12
QUERIES = ("outcome:bad", "tensorflow:>=1.5", "nan", "fail->pass along tensorflow", "keras-models:>=2 -outcome:good")
ANSWERED = """async (text) => {
    const query = document.getElementById("query");
    const begun = performance.now();
    query.value = text;
    query.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - begun;
}"""


def main() -> None:
    from made_report import era_report, report_of_sizes  # noqa: PLC0415

    from runner.outcomes.result_file import as_json  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "results.json").write_text(as_json(report_of_sizes(SIZES, seeds=SEEDS, epochs=EPOCHS)))
        (place / "small.json").write_text(as_json(era_report()))
        rows = [
            measured(place, "10,000 cells", "results.json", "site"),
            measured(place, "the same again", "results.json", "site"),
            measured(place, "100 cells", "small.json", "small"),
        ]
        waited = [("10,000 cells", *waits(place / "site")), ("100 cells", *waits(place / "small"))]
    head = ("site", "files written", "reading, s", "writing, s", "peak memory, MB", "size, MB")
    text = (
        f"{provenance('jinja2', 'pydantic')} {EPOCHS} epochs, two metrics.\n\n{table(head, rows)}\n"
        f"{table(('page', 'first paint, ms', 'answer to a query, ms'), waited)}"
    )
    (ROOT / "reports" / "site-figures.md").write_text(f"# What the report site takes\n\n{text}")
    print(text)


def measured(place: Path, name: str, source: str, to: str) -> tuple[object, ...]:
    """One row, measured in a process of its own."""
    command = [sys.executable, __file__, "--one", str(place / source), str(place / to)]
    written, reading, writing, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    size = sum(path.stat().st_size for path in (place / to).rglob("*") if path.is_file())
    return name, written, reading, writing, peak, f"{size / 1e6:.2f}"


def waits(site: Path) -> tuple[str, str]:
    """Medians in milliseconds: first paint of the first page (3 times), and answer to a query (one of each)."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    painted = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        for _ in range(3):
            page.goto((site / "index.html").as_uri())
            page.wait_for_selector("a.cell")
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        answered = [page.evaluate(ANSWERED, query) for query in QUERIES]
        browser.close()
    return f"{statistics.median(painted):.0f}", f"{statistics.median(answered):.0f}"


def one(source: Path, to: Path) -> None:
    """Make one site and print what it took."""
    from runner.outcomes.result_file import read_result  # noqa: PLC0415
    from runner.reports.site import write_site  # noqa: PLC0415

    begun = time.perf_counter()
    report = read_result(source)
    read = time.perf_counter()
    written = write_site(report, to)
    done = time.perf_counter()
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024  # of this process alone, unlike getrusage
    print(written.written, f"{read - begun:.1f}", f"{done - read:.1f}", f"{peak / 1e6:.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
