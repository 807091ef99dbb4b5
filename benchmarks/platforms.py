"""Which TensorFlow minors have wheels for which platforms, from the index; and what of two stacks resolves for each.

Nothing of it is run: a wheel that is there may still fail to start. Writes the tables of `docs/platforms.md`.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version
from uv import find_uv_bin

from runner.environments.index.catalog import Catalog
from runner.environments.index.connection import network_settings
from runner.environments.interpreters import newest_of
from runner.environments.target import build_tools_date, stamp, wheel_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.environments.index.project import Project

PAGE = Path(__file__).parents[1] / "docs" / "platforms.md"
PLATFORMS = {
    "Linux x86-64": (r"(many)?linux.*_x86_64$", "x86_64-manylinux_2_31"),
    "Linux arm64": (r"(many)?linux.*_aarch64$", "aarch64-manylinux_2_31"),
    "macOS x86-64": (r"macosx_.*_(x86_64|universal2)$", "x86_64-apple-darwin"),
    "macOS arm64": (r"macosx_.*_(arm64|universal2)$", "aarch64-apple-darwin"),
    "Windows": (r"win_amd64$", "x86_64-pc-windows-msvc"),
}
NAMES = ("tensorflow", "tensorflow-intel", "tensorflow-macos", "tensorflow-aarch64", "tensorflow-cpu-aws")
"""The projects that TensorFlow's wheels were or are in: on some platforms its own wheel only names another one."""
LEAST_BYTES = 10**6
"""A smaller wheel of TensorFlow holds nothing but the name of another one."""
STACKS = {
    "tensorflow 1.13.1, keras 2.2.4": ("3.7", "2019-02-28", ["tensorflow==1.13.1", "keras==2.2.4"]),
    "tensorflow 2.20.0, keras 3.11.3": ("3.12", "2025-09-15", ["tensorflow==2.20.0", "keras==3.11.3"]),
}
BEGIN, END = "<!-- made by benchmarks/platforms.py -->", "<!-- end -->"


def platforms_of(filenames: Iterable[str]) -> set[str]:
    """The platforms that some wheels are for, by the names of this page."""
    tags = {tag.platform for name in filenames for tag in wheel_tags(name)}
    return {name for name, (form, _) in PLATFORMS.items() if any(re.fullmatch(form, tag) for tag in tags)}


def minors(projects: Mapping[str, Project]) -> dict[str, dict[str, str]]:
    """By minor release and platform: the project whose wheel is there, empty where none is."""
    found: dict[str, dict[str, str]] = {}
    for name in NAMES:
        for release in projects[name].releases if name in projects else ():
            if release.version.is_prerelease or release.version < Version("1.0"):
                continue
            row = found.setdefault(f"{release.version.major}.{release.version.minor}", dict.fromkeys(PLATFORMS, ""))
            files = [file for file in release.files if (file.size_bytes or LEAST_BYTES) >= LEAST_BYTES]
            for platform in platforms_of(file.filename for file in files):
                row[platform] = row[platform] or name
    of_tensorflow = {f"{one.version.major}.{one.version.minor}" for one in projects["tensorflow"].releases}
    return {minor: found[minor] for minor in sorted(found, key=Version) if minor in of_tensorflow}


def resolved(python: str, as_of: str, wanted: list[str], platform: str) -> str:
    """The number of packages that uv resolves a stack to for a platform, TensorFlow from wheels alone; or why not."""
    interpreter = newest_of(python)
    assert interpreter is not None, f"CPython {python} is needed to read what old sources need"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "wanted.in").write_text("\n".join(wanted))
        command = [find_uv_bin(), "pip", "compile", "wanted.in", "--quiet", "--no-header", "--no-annotate"]
        command += ["--color", "never", "--python", str(interpreter.path), "--python-platform", platform]
        command += ["--exclude-newer", as_of, "--only-binary", "tensorflow", "--only-binary", "tensorflow-intel"]
        for tool in ("setuptools", "wheel"):
            until = stamp(build_tools_date(python, datetime.fromisoformat(as_of).replace(tzinfo=UTC)))
            command += ["--exclude-newer-package", f"{tool}={until}"]
        variables = os.environ | network_settings()
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return f"{len(done.stdout.split())} packages"
    return "no wheel" if "no wheels" in done.stderr else " ".join(done.stderr.split())[:200]


def main() -> None:
    catalog = Catalog()
    projects = {name: project for name in NAMES if (project := catalog.project(name)) is not None}
    rows = minors(projects)
    lines = [f"| TensorFlow | {' | '.join(PLATFORMS)} |", f"| --- {'| --- ' * len(PLATFORMS)}|"]
    for minor, row in rows.items():
        cells = ["yes" if name == "tensorflow" else name or "no" for name in row.values()]
        lines.append(f"| {minor} | {' | '.join(cells)} |")
    total = [str(sum(bool(row[name]) for row in rows.values())) for name in PLATFORMS]
    lines.append(f"| of {len(rows)} | {' | '.join(total)} |")
    lines += ["", "What uv resolves, as of the days after the releases:", ""]
    lines += [f"| stack | CPython | {' | '.join(PLATFORMS)} |", f"| --- | --- {'| --- ' * len(PLATFORMS)}|"]
    for stack, (python, as_of, wanted) in STACKS.items():
        came = [resolved(python, as_of, wanted, platform) for _, platform in PLATFORMS.values()]
        lines.append(f"| {stack} | {python} | {' | '.join(came)} |")
    made = "\n".join([BEGIN, f"As the package index had it on {datetime.now(UTC):%Y-%m-%d}:", "", *lines, END])
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page[: page.index(BEGIN)] + made + page[page.index(END) + len(END) :], "utf-8")
    print(made)


if __name__ == "__main__":
    main()
