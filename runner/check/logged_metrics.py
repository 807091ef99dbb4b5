"""The names by which a training logs the metrics that `compile` is given: `acc` once, `accuracy` now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from runner.check.stack_api import Api
    from runner.check.uses import ProjectUses

_AS_GIVEN = {"keras": "2.3.0", "tensorflow": "2.0.0"}
"""The release from which on a metric is logged by the name that `compile` was given: `accuracy`, where it was `acc`."""
_SHORT = {
    "acc": "accuracy",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}


class LoggedMetrics:
    """The metrics that a project's calls of `compile` are given by name; none where any is given otherwise."""

    def __init__(self, project: ProjectUses) -> None:
        given = " ".join(
            argument.value
            for use in project.uses
            if use.call is not None and use.paths[0].endswith(".compile")
            for argument in use.call.listed
            if argument.name == "metrics"
        )
        only_names = re.fullmatch(r"(?:['\"]\w+['\"]|[\[\](),\s])*", given)
        self._given = frozenset(re.findall(r"['\"](\w+)['\"]", given)) if only_names else frozenset()

    def unlogged(self, key: str, path: str, api: Api) -> str:
        """The name by which a metric is logged where a key is not that; "" where it is, or may be.

        The release is that of the package of `path`.
        """
        part, name = ("val_", key[4:]) if key.startswith("val_") else ("", key)
        history = api.history(path)
        long = _SHORT.get(name, name)
        given = [one for one in self._given if _SHORT.get(one, one) == long]
        if long not in _SHORT.values() or history is None or len(given) != 1:
            return ""
        as_given = api.release(path) >= Version(_AS_GIVEN.get(history.package, "0"))
        logged = given[0] if as_given else "acc" if long == "accuracy" else long
        return "" if name == logged else f"{part}{logged}"


def logged_as_given_since(path: str, api: Api) -> str:
    """The release since which metrics are logged by the names that they are given; "" before it."""
    history = api.history(path)
    since = _AS_GIVEN.get(history.package, "") if history is not None else ""
    return since if since and api.release(path) >= Version(since) else ""
