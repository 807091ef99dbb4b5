"""What an environment is made of, as a CycloneDX 1.6 document (https://cyclonedx.org/docs/1.6/json/).

CPython with what it stands on, and every locked release with the hashes of the files that may be installed for it.
"""

from __future__ import annotations

import importlib.metadata
import uuid
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

    from runner.environments.lock import Lock, LockedPackage

_TOOL = "convergence-matrix"
_SPACE = uuid.UUID("2f6d9a52-6f4e-5d0c-9b1c-6f0a3d1e7c44")
"""Where the serial numbers of these documents are from: the same lock and base always have the same one."""


def bill_of_materials(lock: Lock, *, base_identity: str | None) -> str:
    """The document of one locked environment, as JSON.

    `base_identity` is that of the image or interpreter that it stands on, None where nobody knows it yet.

    Raises UsageError where the library that writes it is not installed.
    """
    try:
        from cyclonedx.model import Property  # noqa: PLC0415 - an extra
        from cyclonedx.model.bom import Bom  # noqa: PLC0415
        from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
        from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"A bill of materials needs cyclonedx-python-lib: `pip install '{_TOOL}[sbom]'` ({error})."
        ) from error
    base = [] if base_identity is None else [Property(name=f"{_TOOL}:base", value=base_identity)]
    python = Component(
        name="cpython", version=lock.python, type=ComponentType.PLATFORM, bom_ref="cpython", properties=base
    )
    packages = {package.name: _component(package) for package in lock.packages}
    bom = Bom(
        serial_number=uuid.uuid5(_SPACE, f"{lock.digest} {base_identity}"),
        components=[python, *packages.values()],
    )
    needed = [[one for one in lock.packages if name in one.needed_by] for name in packages]
    for component, needs in zip(packages.values(), needed, strict=True):
        bom.register_dependency(component, [packages[one.name] for one in needs])
    bom.metadata.component = Component(
        name=lock.environment.name,
        type=ComponentType.APPLICATION,
        bom_ref="environment",
        properties=[
            Property(name=f"{_TOOL}:lock", value=f"sha256:{lock.digest}"),
        ],
    )
    bom.metadata.tools.components.add(
        Component(name=_TOOL, version=importlib.metadata.version(_TOOL), type=ComponentType.APPLICATION)
    )
    asked = [packages[one.name] for one in lock.packages if not set(one.needed_by) & set(packages)]
    bom.register_dependency(bom.metadata.component, [python, *asked])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(package: LockedPackage) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property  # noqa: PLC0415 - as above
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    address = PackageURL("pypi", None, package.name, package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=address,
        bom_ref=address.to_string(),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one.removeprefix("sha256:")) for one in package.hashes],
        properties=[Property(name=f"{_TOOL}:layer", value=package.layer.value)],
    )
