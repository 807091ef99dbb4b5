"""Charts: one Vega-Lite specification each kind, drawn by the pages themselves."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from runner.cache import cache_folder, read_sealed, write_sealed

_SPECS = Path(__file__).parent / "specs"
_VEGA_LITE = "6.4"


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
