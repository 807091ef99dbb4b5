"""Charts: one Vega-Lite specification each kind, drawn by the pages themselves and here as SVG without a browser."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cache import cache_folder, read_sealed, write_sealed
from runner.reports.notation import SYMBOLS, convergence
from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from runner.outcomes.result import AxisResult, CellResult, Result

_SPECS = Path(__file__).parent / "specs"
_VEGA_LITE = "6.4"
MOST_PANELS = 24
"""Small multiples in the chart; more would not be a summary."""


@cache
def spec(name: str) -> dict[str, Any]:
    """The specification of one kind of chart, without its data."""
    found: dict[str, Any] = json.loads((_SPECS / f"{name}.json").read_text("utf-8"))
    return found


def specs_script() -> str:
    """All specifications as one script for the pages."""
    specs = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(_SPECS.glob("*.json"))}
    return f'site.receive("specs",{json.dumps(specs, separators=(",", ":"))});\n'


def bundle_name() -> str:
    """The file name of the charts' library: another version is another file."""
    return f"vega-{version('vl-convert-python')}.js"


def bundle() -> bytes:
    """The library that draws charts, as one script; made once on a machine, which takes seconds."""
    kept = cache_folder() / "charts" / bundle_name()
    found = read_sealed(kept)
    if found is None:
        import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

        code = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", _VEGA_LITE)
        found = f"(() => {{\n{code}\n}})();\n".encode()  # its many short names stay its own
        write_sealed(kept, found)
    return found


def summary_svg(report: Result) -> str:
    """The matrix as one picture: two axes as rows and columns, the others as small multiples."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    chart = json.loads(json.dumps(spec("summary")))
    columns, rows, rest = summary_axes(report)
    panels = Counter(_panel(cell, rest) for cell in report.cells)
    shown = list(panels)[:MOST_PANELS]
    chart["data"]["values"] = [
        {
            "column": visible(cell.values.get(columns.name, "")),
            "row": visible(cell.values.get(rows.name, "")) if rows else "",
            "panel": _panel(cell, rest),
            "kind": cell.kind,
            "word": f"{SYMBOLS[cell.kind]} {convergence(cell)}".rstrip(),
        }
        for cell in report.cells
        if _panel(cell, rest) in shown
    ]
    inner = chart["spec"]["encoding"]
    inner["x"] |= {"title": visible(columns.name), "sort": list(map(visible, columns.values))}
    inner["y"] |= {"title": visible(rows.name), "sort": list(map(visible, rows.values))} if rows else {"axis": None}
    chart["facet"]["sort"] = shown
    svg: str = vl_convert.vegalite_to_svg(chart, vl_version=_VEGA_LITE)
    return svg


def summary_axes(report: Result) -> tuple[AxisResult, AxisResult | None, list[AxisResult]]:
    """The axis for columns (the base), the one for rows (the longest of the others), and what is left.

    An axis that follows the base, as Keras its TensorFlow, says nothing of its own and is left out.
    """
    axes = {axis.name: axis for axis in report.axes}
    columns = axes.get(report.base) or report.axes[0]
    free = [axis for axis in report.axes if axis is not columns and not _follows(axis, columns, report.cells)]
    if not free:
        return columns, None, []
    rows = max(free, key=lambda axis: len(axis.values))
    return columns, rows, [axis for axis in free if axis is not rows]


def _follows(axis: AxisResult, other: AxisResult, cells: tuple[CellResult, ...]) -> bool:
    pairs = {(cell.values.get(other.name), cell.values.get(axis.name)) for cell in cells}
    return len(pairs) == len({one for one, _ in pairs})


def _panel(cell: CellResult, rest: list[AxisResult]) -> str:
    return visible(", ".join(f"{axis.name} {cell.values.get(axis.name, '')}" for axis in rest if len(axis.values) > 1))
