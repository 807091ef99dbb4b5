"""Builds of old sources get setuptools and wheel of a later time, and the environment itself those of then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.environments.needs import newest_visible
from runner.environments.target import build_tools_date

if TYPE_CHECKING:
    from datetime import datetime

    from runner.environments.index import Catalog
    from runner.environments.plan import Plan
    from runner.environments.solver import Question

_BUILD_TOOLS = ("setuptools", "wheel")


def with_build_tools(question: Question, plan: Plan, catalog: Catalog) -> Question:
    """A question whose builds may use the tools that they need.

    The exemption alone would let them into the environment too, where something requires them at run time: there they
    are held to those of then.
    """
    tools = None if question.as_of is None else build_tools_date(plan.python, question.as_of)
    until: dict[str, datetime | None] = dict(question.exemptions)
    constraints = list(question.constraints)
    for name in _BUILD_TOOLS:
        then = until.get(name, question.as_of)
        if name in plan.pins or then is None or (tools is not None and then >= tools):
            continue
        until[name] = tools
        newest = newest_visible(name, then, python=plan.python, catalog=catalog)
        if newest is not None:
            constraints.append(f"{name}<={newest}")
    return replace(question, exemptions=tuple(sorted(until.items())), constraints=tuple(constraints))
