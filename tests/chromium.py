"""The browser that the report is tested in: Debian's Chromium, which Playwright drives without fetching one."""

from __future__ import annotations

import shutil


def chromium() -> str | None:
    """The Chromium of this machine; None where it has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")
