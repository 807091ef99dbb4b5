"""What to write instead of what is gone, and the edit that writes it: from the history, or from `replacements.toml`."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.check.stack_api import KERAS, like, neutral
from runner.check.uses import UseKind
from runner.scripts.source import Edit

if TYPE_CHECKING:
    from runner.changes.known import KnownChange
    from runner.check.stack_api import Api
    from runner.check.uses import GivenArgument, SourceSpan, Use
    from runner.history.api import History

_FILE = Path(__file__).with_name("replacements.toml")
_QUOTED = re.compile(r"[`'\"](?:tf\.|np\.)?([A-Za-z_][\w.]*)(?:\(.*?\))?[`'\"]")
_REFUSED = re.compile(r"\b[Dd](?:o not|on't)\b[^.]*\.?")
"""What a package says not to write."""
_USE_INSTEAD = re.compile(r"(?:[Uu]se|in favor of|renamed to|moved to|replaced by)\s+[`'\"]?([A-Za-z_][\w.]*\w)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """What to write instead; `edit` is None where a person must."""

    instead: str = ""
    edit: Edit | None = None


@cache
def replacements() -> dict[str, dict[str, Any]]:
    """The tables of `replacements.toml`."""
    return tomllib.loads(_FILE.read_text("utf-8"))


def renamed_path(path: str, api: Api) -> str:
    """The path that means here what `path` meant where it was there; "" where nobody knows."""
    if (by_hand := _by_hand(path, api)) is not None:
        return by_hand
    history = api.history(path)
    if history is None:
        return ""
    rest = path.partition(".")[2]
    if path.startswith("tensorflow.") and api.name(f"tensorflow.compat.v1.{rest}") is not None:
        return f"tensorflow.compat.v1.{rest}"
    owner, _, leaf = path.rpartition(".")
    said = _USE_INSTEAD.search(history.said_of(path, api.release(path)) or _last_words(path, api))
    found = _known(said[1], owner, api) if said else ""
    alike = (one for one in api.children(owner) if one.lower() == leaf.lower())
    return found or next((f"{owner}.{one}" for one in alike), "") or _elsewhere(path, history, api)


def _elsewhere(path: str, history: History, api: Api) -> str:
    """The same name in another module of the package, where it is a class, a function or a value as it was."""
    was = history.last_with(path)
    old = history.name(path, was) if was is not None else None
    for near in history.near(path, api.release(path)) if old and old.kind not in {"module", "method"} else ():
        name = api.name(near)
        if old and near.rpartition(".")[2] == path.rpartition(".")[2] and name is not None and name.kind == old.kind:
            return near
    return ""


def _by_hand(path: str, api: Api) -> str | None:
    """What the table says of a path, or of what it is below; None where it says nothing that is there."""
    table = replacements()["names"]
    names = neutral(path).split(".")
    for length in range(len(names), 1, -1):
        new = table.get(".".join(names[:length]))
        if new is not None:
            found = like(".".join((new, *names[length:])), path) if new else ""
            return found if not found or api.history(found) is None or api.name(found) is not None else None
    return None


def _last_words(path: str, api: Api) -> str:
    """What the last release that has a path says of it."""
    history = api.history(path)
    was = history.last_with(path, api.release(path)) if history else None
    return history.said_of(path, was) if history and was is not None else ""


def _known(said: str, owner: str, api: Api) -> str:
    """The path that a package names in its own words, where it is there."""
    root = owner.partition(".")[0]
    spelled = re.sub(r"^(?:tf|np)\.", f"{root}.", said)
    candidates = (spelled, f"{owner}.{said}", f"{root}.{said}")
    return next((one for one in candidates if "." in one and api.name(one) is not None), "")


def name_rewrite(use: Use, path: str, api: Api, text: bytes) -> Rewrite:
    """What to write for a name that is not there."""
    leaf = path.rpartition(".")[2]
    if KERAS.match(path) and "()." in use.paths[0]:
        if leaf == "predict_classes":
            return _predicted_classes(use, text)
        new = replacements()["methods"].get(leaf)
        if new is not None:
            return Rewrite(instead=new, edit=replacing(use.leaf, new))
    new = renamed_path(path, api)
    if not new or new == path:
        return Rewrite()
    if use.kind is UseKind.IMPORT:
        return Rewrite(instead=new, edit=_import_edit(use, path, new, api))
    return Rewrite(instead=new, edit=_chain_edit(use, path, new))


def _predicted_classes(use: Use, text: bytes) -> Rewrite:
    """`predict_classes` of a model, as one expression."""
    if use.kind is not UseKind.CALL:
        return Rewrite(instead="predict(…).argmax(axis=-1)")
    called = text[use.span.start : use.leaf.start] + b"predict" + text[use.leaf.end : use.span.end]
    return Rewrite(instead="predict(…).argmax(axis=-1)", edit=replacing(use.span, f"{called.decode()}.argmax(axis=-1)"))


def _chain_edit(use: Use, path: str, new: str) -> Edit | None:
    """The edit of `base.name.name`, where its base stays what it is or is needed no more."""
    names, goal = path.split("."), new.split(".")
    if "." not in new:
        return replacing(use.chain, new)
    covered = len(names) - use.names
    if covered < 1 or goal[:covered] != names[:covered] or "(" in use.text:
        return None
    base = re.split(r"\s*\.\s*", use.text)[0]
    return replacing(use.chain, ".".join((base, *goal[covered:])))


def _import_edit(use: Use, path: str, new: str, api: Api) -> Edit | None:
    module, _, leaf = new.rpartition(".")
    if use.module is None:
        renamed = use.text.replace(path, new, 1) if use.text.startswith(path) else ""
        return replacing(use.span, renamed) if renamed and use.bound != path.partition(".")[0] else None
    imported = leaf if use.bound == leaf else f"{leaf} as {use.bound}"
    if module == path.rpartition(".")[0]:
        return replacing(use.span, imported)
    if len(use.siblings) == 1:
        statement = f"from {module} import {imported}" if module else f"import {imported}"
        return replacing(use.statement, statement)
    others = [renamed_path(one, api) or one for one in use.siblings]
    leaves = [one.rpartition(".")[2] for one in use.siblings]
    moved = others == [f"{module}.{name}" for name in leaves]
    return replacing(use.module, module) if moved and imported == use.bound else None


def argument_rewrite(use: Use, given: GivenArgument, taken: tuple[str, ...], said: str) -> Rewrite:
    """What to write for an argument by name that is not taken any more; `taken` are the names that are."""
    new = replacements()["arguments"].get(given.name, "")
    if not new or new not in taken:
        found = [one for one in _QUOTED.findall(_REFUSED.sub("", said)) if one in taken and one != given.name]
        new = found[0] if found else ""
    if new and given.keyword is not None:
        if use.call is not None and any(one.name == new for one in use.call.listed):
            return Rewrite(instead=f"{new}=")
        return Rewrite(instead=f"{new}={given.value}", edit=replacing(given.keyword, new))
    return Rewrite()


def dropped(use: Use, given: GivenArgument, path: str, old_default: str | None) -> Rewrite:
    """Without an argument that is not heeded or not taken, where its value is what happens without it."""
    if use.call is None or not (_means(given.value, old_default) or _is_droppable(path, given)):
        return Rewrite()
    gap = use.call.gaps[use.call.listed.index(given)]
    return Rewrite(instead=f"nothing: {given.name}={given.value} is what happens without it", edit=replacing(gap, ""))


def _is_droppable(path: str, given: GivenArgument) -> bool:
    names = neutral(path).split(".")
    for length in range(len(names), 0, -1):
        values = replacements()["droppable"].get(".".join(names[:length]), {}).get(given.name)
        if values is not None:
            return not values or given.value in values
    return False


def _means(value: str, default: str | None) -> bool:
    try:
        return default is not None and bool(ast.literal_eval(value) == ast.literal_eval(default))
    except (ValueError, SyntaxError):
        return value == default


def explicit(use: Use, name: str, value: str) -> Rewrite:
    """An argument by name at the end of a call, with the default that it had."""
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return Rewrite(instead=f"{name}={value}")
    return _added(use, name, value)


def _added(use: Use, name: str, value: str) -> Rewrite:
    if use.call is None or use.call.open_ended:
        return Rewrite(instead=f"{name}={value}")
    if not use.call.listed:
        place = use.span.end - 1
        return Rewrite(instead=f"{name}={value}", edit=Edit(start=place, end=place, text=f"{name}={value}"))
    place = use.call.listed[-1].span.end
    return Rewrite(instead=f"{name}={value}", edit=Edit(start=place, end=place, text=f", {name}={value}"))


def as_known(use: Use, change: KnownChange) -> Rewrite:
    """What a known change says to write.

    The edit gives its arguments, or others in place of those that are given, or other texts within one, or writes an
    element of a column otherwise.
    """
    if change.write and use.index and use.outer is not None:
        text = change.write.format(table=use.receiver, column=use.key, index=use.index)
        return Rewrite(instead=" ".join(text.split()), edit=replacing(use.outer, text))
    for one in use.call.listed if use.call is not None else ():
        after = one.value
        for name, old, new in change.rename:
            after = re.sub(rf"(['\"]){re.escape(old)}\1", rf"\g<1>{new}\1", after) if one.name == name else after
        if after != one.value:
            return Rewrite(instead=change.instead, edit=replacing(one.value_span, after))
    if len(change.give) == 1 and use.call is not None:
        (name, value), *_ = change.give
        given = next((one for one in use.call.listed if one.name == name), None)
        edit = replacing(given.value_span, value) if given is not None else _added(use, name, value).edit
        return Rewrite(instead=change.instead, edit=edit)
    return Rewrite(instead=change.instead)


def named(given: GivenArgument, name: str) -> Rewrite:
    """A positional argument given by its name."""
    start = given.span.start
    return Rewrite(instead=f"{name}={given.value}", edit=Edit(start=start, end=start, text=f"{name}="))


def input_before(use: Use, given: GivenArgument, text: bytes, input_name: str) -> Rewrite:
    """An Input with the batch's shape before the layer that was given it, as an edit where the place allows one."""
    instead = f"{input_name or 'Input'}(batch_shape={given.value}) before the layer"
    if use.call is None or not input_name or not use.receiver:
        return Rewrite(instead=instead)
    gap = use.call.gaps[use.call.listed.index(given)]
    layer = (text[use.span.start : gap.start] + text[gap.end : use.span.end]).decode()
    made = f"{input_name}(batch_shape={given.value})"
    if use.receiver == "[":
        return Rewrite(instead=instead, edit=replacing(use.span, f"{made}, {layer}"))
    if use.outer is None:
        return Rewrite(instead=instead)
    return Rewrite(
        instead=instead, edit=replacing(use.outer, f"{use.receiver}.add({made}); {use.receiver}.add({layer})")
    )


def replacing(span: SourceSpan, text: str) -> Edit:
    """The edit that writes a text in place of a stretch."""
    return Edit(start=span.start, end=span.end, text=text)
