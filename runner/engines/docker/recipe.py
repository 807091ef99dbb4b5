"""A lock's image without this tool: lock and catalog → a Dockerfile, with the commands that build it.

The steps are those of `docker/Dockerfile`, but the files come from the package index, each checked by its hash; index,
credentials and certificates of a closed network come in as secrets of the build, which no layer keeps. The wheels of
the user's own project, which no index has, are copied beside the recipe first.
"""

from __future__ import annotations

import shlex
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from runner.engines.docker.base_images import recipe_folder
from runner.environments.file_store import sha256_of
from runner.environments.interpreters import REPRODUCIBLE
from runner.environments.local_wheels import local_wheel
from runner.environments.lock import Layer
from runner.environments.own_project import own_wheel
from runner.environments.target import build_tools_date, stamp
from runner.environments.times import UNDATED, day_after
from runner.environments.wheelhouse import best_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from runner.engines.docker.environment_images import InterpreterImage
    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Lock, LockedPackage


_INSTALL = "/mnt/uv/bin/uv pip install --python /env/bin/python --link-mode hardlink --no-deps --require-hashes"
_WHEELS = "own-wheels"
"""The folder beside the recipe that the wheels of the user's project are copied to."""
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


def recipe(
    lock: Lock,
    interpreter: InterpreterImage,
    address: str | None,
    catalog: Catalog,
    toolchain: Callable[[], Toolchain],
) -> str:
    """The text of the Dockerfile; `address` is what FROM names, None where only this machine has the base image.

    `toolchain` builds the user's own project where its package is compiled. Raises MachineError where the index does
    not answer, or no longer has a file; BuildFailedError where the project can't be built.
    """
    environment = lock.environment
    own = own_wheel(environment.own, lock.python, toolchain, lambda _: None) if environment.own else None
    wheels = {wheel.sha256: wheel.file for wheel in map(local_wheel, environment.packages) if wheel}
    beside = {digest: wheels[digest] for package in lock.packages for digest in _digests(package) & wheels.keys()}
    copied = [*beside.values(), *([own] if own else [])]
    lines = [*_head(lock, interpreter, address, copied), f"FROM {address or interpreter.base_tag}", ""]
    lines += ["USER 0", "ENTRYPOINT []", "CMD []", "HEALTHCHECK NONE", ""] if environment.base_image else []
    lines += [
        "RUN --mount=type=bind,target=/mnt \\",
        "    python3 -m venv --without-pip /env \\",
        " && PYTHONHASHSEED=0 python3 -S /mnt/compile_bytecode.py stdlib",
    ]
    for layer in Layer:
        lines += ["", f"# {layer.value}", *_layer(lock, layer, catalog, beside, own)]
    return "\n".join(lines) + "\n"


def _head(lock: Lock, interpreter: InterpreterImage, address: str | None, copied: Iterable[Path]) -> Iterator[str]:
    folder = recipe_folder()
    context = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    yield f"# The image of {lock.environment.name}, lock {lock.digest[:12]}, CPython {interpreter.python_full}."
    yield "# Save this text as Dockerfile; these commands make the image without the tool that printed it:"
    yield "#"
    tools = shlex.quote(f"{context}/uv")
    yield f"#   python3 -m pip install --no-deps --target {tools} uv=={version_of('uv')}"
    if files := " ".join(shlex.quote(str(file)) for file in copied):
        folder_of_wheels = shlex.quote(f"{context}/{_WHEELS}")
        yield f"#   mkdir -p {folder_of_wheels} && cp {files} {folder_of_wheels}"
    name = f"{lock.environment.name}".replace("+", "-").lower()
    yield f"#   DOCKER_BUILDKIT=1 docker build --file Dockerfile --tag {name} {shlex.quote(str(context))}"
    yield "#"
    yield "# Where the package index is not the public one, give the last command uv's settings and certificates:"
    yield "#   --secret id=uv.toml,src=UV.TOML --secret id=certificates,src=CERTIFICATES.PEM"
    if address is None:
        yield f"# The base image is of this machine; {context}/README.md says how it is made."
    elif "@" not in address:
        yield f"# The base image {address} is this machine's of that name; content: {interpreter.identity}."


def _layer(lock: Lock, layer: Layer, catalog: Catalog, beside: Mapping[str, Path], own: Path | None) -> Iterator[str]:
    """One step: all wheels at once, then those from beside, then source distributions by the date of their build tools.

    `beside` are the wheel files of the project by their hash, `own` is the wheel of its own package.
    """
    indexes = [f" --index {shlex.quote(address)}" for address in lock.environment.indexes]
    asked = "".join([*indexes, " --index-strategy unsafe-best-match"]) if indexes else ""
    groups: dict[str, list[str]] = {}
    for package in lock.of_layer(layer):
        digest = next(iter(_digests(package) & beside.keys()), "")
        options = f" --no-index --find-links /mnt/{_WHEELS}"
        if not digest:
            file = best_file(package, lock, catalog)
            digest, options = file.sha256, asked
            options += "" if file.is_wheel else _build_options(package.name, file, lock.python)
        groups.setdefault(options, []).append(f"{package.name}=={package.version} --hash=sha256:{digest}")
    if own and layer is Layer.OVERLAY:
        name, version, _, _ = parse_wheel_filename(own.name)
        line = f"{name}=={version} --hash=sha256:{sha256_of(own)}"
        groups.setdefault(f" --no-index --find-links /mnt/{_WHEELS}", []).append(line)
    yield f"RUN {' '.join(_MOUNTS)} \\"
    yield f"    export {' '.join(f'{name}={text}' for name, text in _SETTINGS.items())} \\"
    for options, requirements in sorted(groups.items()):
        yield " && printf '%s\\n' \\"
        yield from (f"      {shlex.quote(text)} \\" for text in requirements)
        yield "      >/env/.wanted \\"
        yield f" && {_INSTALL}{options} --requirement /env/.wanted \\"
    yield " && rm -rf /env/.uv /env/.wanted /tmp/uv-*.lock \\"
    yield " && /env/bin/python -S /mnt/compile_bytecode.py purelib"


def _digests(package: LockedPackage) -> frozenset[str]:
    return frozenset(text.removeprefix("sha256:") for text in package.hashes)


def _build_options(name: str, file: IndexFile, python: str) -> str:
    """Up to when the build tools of a source distribution may be from; it itself may be of its own day."""
    if file.uploaded == UNDATED:
        return ""
    tools = stamp(build_tools_date(python, file.uploaded))
    return f" --exclude-newer {tools} --exclude-newer-package {name}={stamp(day_after(file.uploaded))}"
