"""What a session is asked to fetch: where its elements stand in the result, and by which names their numbers are told.

Scripts fetch the same few elements in each step, so that is found out once: a plan.
"""

import sys
import weakref

from . import step_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_PLANS = 200


class FetchPlan:
    """The steps that a run takes, and where its numbers stand in the result."""

    def __init__(self, elements: "list[Any]", steps: "list[Any]", losses: "dict[int, Any]") -> None:
        """`elements` as `elements_of` gives them; `steps` are operations; `losses` are tensors by their operation."""
        self.steps = [weakref.ref(step) for step in steps]
        self._elements = [weakref.ref(element) for element, _, _ in elements]
        own = [losses.get(id(step)) for step in steps]
        self._losses = [_path_of(loss, elements) for loss in own]
        named = [(path, _name(element, key, own)) for element, path, key in elements if hasattr(element, "op")]
        self._others = [(path, name) for path, name in named if name]
        known = {number: _path_of(loss, elements) for number, loss in losses.items()}
        self.losses = {number: path for number, path in known.items() if path is not None}
        """By the operation that minimises it the place of each loss among the fetches."""

    def is_valid(self) -> bool:
        """True where all of it is still there, so that no other element can have its number."""
        for reference in self._elements:  # noqa: SIM110 (asked in each step, where a generator takes twice as long)
            if reference() is None:
                return False
        return True

    def numbers(self, result: "Any") -> "list[dict[str, float]]":
        """The numbers of a run for each of its steps: its own loss; all others to the first.

        Those in a summary are told by their tags. Whole numbers count steps.
        """
        found: list[dict[str, float]] = [_loss_at(path, result) for path in self._losses]
        for path, name in self._others:
            value = at(path, result)
            kind = type(value).__name__
            if kind == "bytes":
                found[0].update(_summarised(value))
            elif kind.startswith("float"):
                found[0][name] = float(value)
        return found


class FetchPlans:
    """The plans of the runs that were seen last."""

    def __init__(self) -> None:
        self._plans: dict[Any, FetchPlan] = {}

    def clear(self) -> None:
        """What was fetched before may take another step now."""
        self._plans.clear()

    def known(self, graph: "Any", fetches: "Any") -> "FetchPlan | None":
        """The plan that was kept for these fetches."""
        # Of elements that are not nested that is the key already; of all else there is nothing under it.
        key = tuple(map(id, fetches)) if isinstance(fetches, (list, tuple)) else id(fetches)
        plan = self._plans.get((id(graph), key)) or self._plans.get((id(graph), _key_of(fetches)))
        return plan if plan is not None and plan.is_valid() else None

    def keep(self, graph: "Any", fetches: "Any", plan: FetchPlan) -> FetchPlan:
        """The plan, which is known from now on."""
        if len(self._plans) >= MOST_PLANS:
            self.clear()
        self._plans[id(graph), _key_of(fetches)] = plan
        return plan


def _key_of(fetches: "Any") -> "Any":
    """What tells fetches apart: their structure and the numbers of their elements."""
    if isinstance(fetches, (list, tuple)):
        return tuple([_key_of(one) for one in fetches])
    if isinstance(fetches, dict):
        keys = [key if isinstance(key, str) else id(key) for key in fetches]
        return tuple(keys), tuple([_key_of(one) for one in fetches.values()])
    return fetches if isinstance(fetches, str) else id(fetches)


def elements_of(fetches: "Any", session: "Any", path: "tuple[int, ...]" = (), key: str = "") -> "list[Any]":
    """(element, path to it, its own key) of all that is fetched, out of any nesting of lists, tuples and dicts."""
    if fetches is None:
        return []
    if isinstance(fetches, dict):
        # A MonitoredSession asks for what its hooks want beside what the "caller" asked for.
        names = ["" if key == "caller" or not isinstance(key, str) else key for key in fetches]
        parts = list(fetches.values())
    elif isinstance(fetches, (list, tuple)):
        parts, names = list(fetches), list(getattr(fetches, "_fields", None) or [""] * len(fetches))
    else:
        return [(session.graph.as_graph_element(fetches) if isinstance(fetches, str) else fetches, path, key)]
    found = []
    for place, (one, name) in enumerate(zip(parts, names)):
        found += elements_of(one, session, (*path, place), name)
    return found


def at(path: "tuple[int, ...]", result: "Any") -> "Any":
    """What stands at a place of a result; a dict's values are counted in their order."""
    for place in path:
        result = list(result.values())[place] if isinstance(result, dict) else result[place]
    return result


def _loss_at(path: "tuple[int, ...] | None", result: "Any") -> "dict[str, float]":
    value = None if path is None else step_loop.number(at(path, result))
    return {} if value is None else {"loss": value}


def _path_of(wanted: "Any", elements: "list[Any]") -> "tuple[int, ...] | None":
    return next((path for element, path, _ in elements if wanted is not None and element is wanted), None)


def _name(element: "Any", key: str, losses: "list[Any]") -> str:
    """An element's key, else its operation's name; none where it is a loss that is told as such."""
    is_loss = any(element is loss for loss in losses)
    return step_loop.metric_name(key or ("" if is_loss else str(getattr(element.op, "name", ""))))


def _summarised(value: bytes) -> "dict[str, float]":
    """The scalars of a summary as `tf.summary.scalar` and `merge_all` make it."""
    protocol = sys.modules.get("tensorflow.core.framework.summary_pb2")
    if protocol is None:
        return {}
    try:
        values = protocol.Summary.FromString(value).value
    except Exception:
        return {}  # another kind of text
    scalars = [one for one in values if one.HasField("simple_value")]
    return {step_loop.metric_name(one.tag): float(one.simple_value) for one in scalars}
