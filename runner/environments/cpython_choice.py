"""The CPython of an environment: the newest that fits the pins and, where one does, all that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.environments.lock import Lock, Unresolvable
from runner.environments.resolution_plan import fits
from runner.environments.resolve import Resolution, resolve_with
from runner.environments.target import machine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.environments.index.catalog import Catalog
    from runner.environments.interpreters import Toolchain
    from runner.environments.lock import Environment


def resolve(
    environment: Environment,
    *,
    catalog: Catalog,
    pythons: Sequence[str],
    toolchain: Callable[[str], Toolchain],
    say: Callable[[str], None] = lambda _: None,
) -> Lock | Unresolvable:
    """Lock an environment. `pythons` are the CPython minor releases that the engine can provide, newest first.

    The newest is taken that has wheels for all pins. Where something that they need resolves only with an older one, or
    has wheels for that one alone, that one is taken, and `say` is told so.

    Raises MachineError where index, disk or engine fail, UsageError for requirements that can't be locked.
    """
    first = found = resolve_with(environment, catalog, pythons, toolchain)
    tried = found
    while environment.python is None and tried.python and (left := _older(tried, pythons, catalog)):
        tried = resolve_with(environment, catalog, left, toolchain)
        is_first = isinstance(found.answer, Unresolvable)
        if isinstance(tried.answer, Lock) and (is_first or not _older(tried, pythons, catalog)):
            found = tried
    if found is not first:
        say(f"with CPython {found.python}, as {first.why(catalog)} with {first.python}")
    return found.answer


def _older(tried: Resolution, pythons: Sequence[str], catalog: Catalog) -> Sequence[str]:
    """The CPythons older than the one that was tried that may do better; none where that one is as good as any."""
    left = pythons[pythons.index(tried.python) + 1 :] if tried.python in pythons else ()
    if isinstance(tried.answer, Unresolvable):
        return left if "python" in tried.answer.reason.lower() else ()
    machine = machine_of(tried.answer.platform)
    lacking = [
        files for files in tried.without_wheels(catalog).values() if any(fits(files, one, machine) for one in left)
    ]
    return [one for one in left if all(fits(files, one, machine) for files in lacking)] if lacking else ()
