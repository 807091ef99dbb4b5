"""The report that is published in reports/site is the one that its own results.json makes, page by page."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from runner.outcomes.result_file import read_result
from runner.reports.site import write_site

SITE = Path(__file__).parents[2] / "reports" / "site"
CHARTS = re.compile(rb"vega-[\w.]+\.js")
"""The charts' library: its version is that of the machine which published."""
PROVENANCE = "provenance.json"
"""It has the digests of all others, that library's too."""


def files(folder: Path) -> dict[str, bytes]:
    """Names and contents, but for the version of the charts' library."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: CHARTS.sub(b"vega.js", path.read_bytes())
        for name, path in found.items()
        if not CHARTS.fullmatch(path.name.encode())
    }


def test_the_published_site_is_made_from_its_results_alone(tmp_path: Path) -> None:
    """After a change of the pages: `python -m runner publish --from reports/site/results.json --to reports/site`."""
    write_site(read_result(SITE / "results.json"), tmp_path)
    made, published = files(tmp_path), files(SITE)
    assert made.keys() == published.keys()
    different = [name for name in made if made[name] != published[name]]
    assert [name for name in different if name != PROVENANCE] == []


def test_the_provenance_names_every_published_file_as_it_lies_there() -> None:
    names = {path.relative_to(SITE).as_posix() for path in SITE.rglob("*") if path.is_file()} - {PROVENANCE}
    subjects = {one["name"]: one["digest"] for one in json.loads((SITE / PROVENANCE).read_text())["subject"]}
    assert subjects == {name: {"sha256": hashlib.sha256((SITE / name).read_bytes()).hexdigest()} for name in names}
