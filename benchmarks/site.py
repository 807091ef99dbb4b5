"""The site of ten thousand cells with five seeds each: time and memory to make it, and to make it again unchanged.

The report is made up (tests/made_report.py). Reading it back, as `publish --from` does, is measured apart.
"""

from __future__ import annotations

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


def main() -> None:
    from made_report import era_report, report_of_sizes  # noqa: PLC0415

    from runner.outcomes.result import as_json  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "results.json").write_text(as_json(report_of_sizes(SIZES, seeds=SEEDS, epochs=EPOCHS)))
        (place / "small.json").write_text(as_json(era_report()))
        rows = [
            measured(place, "10,000 cells", "results.json", "site"),
            measured(place, "the same again", "results.json", "site"),
            measured(place, "100 cells", "small.json", "small"),
        ]
    head = ("site", "files written", "reading, s", "writing, s", "peak memory, MB", "size, MB")
    text = f"{provenance('jinja2', 'pydantic')} {EPOCHS} epochs, two metrics.\n\n{table(head, rows)}"
    (ROOT / "reports" / "site-figures.md").write_text(f"# What the report site takes\n\n{text}")
    print(text)


def measured(place: Path, name: str, source: str, to: str) -> tuple[object, ...]:
    """One row, measured in a process of its own."""
    command = [sys.executable, __file__, "--one", str(place / source), str(place / to)]
    written, reading, writing, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    size = sum(path.stat().st_size for path in (place / to).rglob("*") if path.is_file())
    return name, written, reading, writing, peak, f"{size / 1e6:.2f}"


def one(source: Path, to: Path) -> None:
    """Make one site and print what it took."""
    from runner.outcomes.result import read_result  # noqa: PLC0415
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
