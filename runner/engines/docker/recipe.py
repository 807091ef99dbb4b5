"""A lock's image without this tool: lock and catalog → a Dockerfile, with the two commands that build it.

The steps are those of `docker/Dockerfile`, but the files come from the package index, each checked by its hash; index,
credentials and certificates of a closed network come in as secrets of the build, which no layer keeps.
"""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engines.docker.base_images import recipe_folder
from runner.environments.interpreters import REPRODUCIBLE
from runner.environments.local_wheels import local_wheel
from runner.environments.lock import Layer
from runner.environments.target import build_tools_date, stamp
from runner.environments.times import UNDATED, day_after
from runner.environments.wheelhouse import best_file
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.engines.docker.environment_images import InterpreterImage
    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile
    from runner.environments.lock import Lock


_INSTALL = "/mnt/uv/bin/uv pip install --python /env/bin/python --link-mode hardlink --no-deps --require-hashes"
_SETTINGS = {
    "UV_CACHE_DIR": "/env/.uv",
    "UV_NO_INSTALLER_METADATA": "1",
    "SSL_CERT_FILE": "/run/secrets/certificates",
    **REPRODUCIBLE,
}
_MOUNTS = (
    "--mount=type=bind,target=/mnt",
    "--mount=type=secret,id=uv.toml,target=/etc/uv/uv.toml",
    "--mount=type=secret,id=certificates",
)


def recipe(lock: Lock, interpreter: InterpreterImage, address: str | None, catalog: Catalog) -> str:
    """The text of the Dockerfile; `address` is what FROM names, None where only this machine has the base image.

    Raises MachineError where the index does not answer, or no longer has a file; UsageError where an image holds what
    is on no index.
    """
    environment = lock.environment
    wheels = [wheel.filename for wheel in map(local_wheel, environment.packages) if wheel]
    if files := [*([environment.own.name] if environment.own else []), *wheels]:
        raise UsageError(
            f"The image holds {', '.join(files)} of this project, which no index has: a Dockerfile that stands alone"
            " can't install it. Leave it out of the matrix to print one for all else."
        )
    lines = [*_head(lock, interpreter, address), f"FROM {address or interpreter.base_tag}", ""]
    lines += [
        "RUN --mount=type=bind,target=/mnt \\",
        "    python3 -m venv --without-pip /env \\",
        " && PYTHONHASHSEED=0 python3 -S /mnt/compile_bytecode.py stdlib",
    ]
    for layer in Layer:
        lines += ["", f"# {layer.value}", *_layer(lock, layer, catalog)]
    return "\n".join(lines) + "\n"


def _head(lock: Lock, interpreter: InterpreterImage, address: str | None) -> Iterator[str]:
    folder = recipe_folder()
    context = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    yield f"# The image of {lock.environment.name}, lock {lock.digest[:12]}, CPython {interpreter.python_full}."
    yield "# Save this text as Dockerfile; these two commands make the image without the tool that printed it:"
    yield "#"
    tools = shlex.quote(f"{context}/uv")
    yield f"#   python3 -m pip install --no-deps --target {tools} uv=={version('uv')}"
    name = f"{lock.environment.name}".replace("+", "-").lower()
    yield f"#   DOCKER_BUILDKIT=1 docker build --file Dockerfile --tag {name} {shlex.quote(str(context))}"
    yield "#"
    yield "# Where the package index is not the public one, give the second command uv's settings and certificates:"
    yield "#   --secret id=uv.toml,src=UV.TOML --secret id=certificates,src=CERTIFICATES.PEM"
    if address is None:
        yield f"# The base image is of this machine; {context}/README.md says how it is made."


def _layer(lock: Lock, layer: Layer, catalog: Catalog) -> Iterator[str]:
    """One step: all wheels at once, then the source distributions by the date of their build tools."""
    packages = lock.of_layer(layer)
    groups: dict[str, list[str]] = {}
    for package in packages:
        file = best_file(package, lock, catalog)
        options = "" if file.is_wheel else _build_options(package.name, file, lock.python)
        groups.setdefault(options, []).append(f"{package.name}=={package.version} --hash=sha256:{file.sha256}")
    yield f"RUN {' '.join(_MOUNTS)} \\"
    yield f"    export {' '.join(f'{name}={text}' for name, text in _SETTINGS.items())} \\"
    for options, requirements in sorted(groups.items()):
        yield " && printf '%s\\n' \\"
        yield from (f"      {shlex.quote(text)} \\" for text in requirements)
        yield "      >/env/.wanted \\"
        yield f" && {_INSTALL}{options} --requirement /env/.wanted \\"
    yield " && rm -rf /env/.uv /env/.wanted /tmp/uv-*.lock \\"
    yield " && /env/bin/python -S /mnt/compile_bytecode.py purelib"


def _build_options(name: str, file: IndexFile, python: str) -> str:
    """Up to when the build tools of a source distribution may be from; it itself may be of its own day."""
    if file.uploaded == UNDATED:
        return ""
    tools = stamp(build_tools_date(python, file.uploaded))
    return f" --exclude-newer {tools} --exclude-newer-package {name}={stamp(day_after(file.uploaded))}"
