"""Histories as small as a test needs them: by release, what each name is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.version import Version

from runner.history.api import History
from runner.history.folding import Look, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Facts = Mapping[str, Mapping[str, Any]]


def cls(*parameters: Any, bases: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {"k": "class", "p": list(parameters), **({"b": list(bases)} if bases else {}), **more}


def function(*parameters: Any, **more: Any) -> dict[str, Any]:
    return {"k": "function", "p": list(parameters), **more}


def method(*parameters: Any) -> dict[str, Any]:
    return {"k": "method", "p": list(parameters)}


MODULE = {"k": "module"}
VALUE = {"k": "value"}
KWARGS = ["kwargs", None, "w"]


def history(
    package: str, releases: Mapping[str, Facts], companions: Mapping[str, Mapping[str, str]] | None = None
) -> History:
    looks = (
        Look(release=Version(release), companions=(companions or {}).get(release, {}), facts=dict(facts))
        for release, facts in releases.items()
    )
    root = {"scikit-learn": "sklearn"}.get(package, package)
    return History(folded(package, [root], looks))


def by_root(*histories: History) -> Callable[[str], History | None]:
    known = {root: one for one in histories for root in one.roots}
    return known.get
