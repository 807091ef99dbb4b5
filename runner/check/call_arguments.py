"""One call of a script against the signature that a release has: arguments that are gone, not heeded, or relied on."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from runner.check.findings import FindingKind
from runner.check.rewrites import (
    Rewrite,
    argument_rewrite,
    dropped,
    explicit,
    input_before,
    named,
    replacements,
)
from runner.check.stack_api import KERAS, neutral

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.check.stack_api import Api
    from runner.check.uses import GivenArgument, GivenArguments, Use
    from runner.history.api import Parameter, PublicName

_UNHEEDED = re.compile(r"ignored|no longer (?:supported|used|has)|has no effect|Just remove it", re.IGNORECASE)
_OF_NEW_OPTIMIZERS = re.compile(r"keras\.optimizers\.(?:experimental\.)?[A-Z]\w+$")
_POSITIONAL = frozenset({"positional", "either"})


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFinding:
    """What a release makes of one argument."""

    kind: FindingKind
    argument: str
    since: str
    message: str
    rewrite: Rewrite = Rewrite()  # noqa: RUF009 - a frozen value
    place: GivenArgument | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CalledName:
    """A path that is called, and the APIs to compare; `text` is the file's, `input_name` what it calls `Input`."""

    use: Use
    given: GivenArguments
    path: str
    after: Api
    before: Api | None
    text: bytes
    input_name: str
    keras_before: str = ""
    """The root of the Keras that was meant before; "": the same."""

    def signature(self, release: Version) -> PublicName | None:
        """The name as it is in another release."""
        history = self.after.history(self.path)
        return history.name(self.path, release) if history else None

    @property
    def old(self) -> PublicName | None:
        """The name as it was before."""
        return self.before.name(self.path_before) if self.before is not None else None

    @property
    def path_before(self) -> str:
        """The path as it was before: in another Keras where one was meant."""
        keras = KERAS.match(self.path)
        return self.keras_before + self.path[keras.end() :] if keras and self.keras_before else self.path


def call_findings(called: CalledName) -> Iterator[CallFinding]:
    """What a release makes of a call; nothing where its signature is not known."""
    now = called.after.name(called.path)
    if now is None or now.kind not in {"class", "function", "method"} or called.after.is_opaque(called.path):
        return
    yield from _keywords(called, now)
    if now.parameters is None:
        return
    yield from _positions(called, now)
    yield from _required(called, now)
    yield from _defaults(called, now)


def _keywords(called: CalledName, now: PublicName) -> Iterator[CallFinding]:
    for given in called.given.listed:
        if not given.name:
            continue
        if _refuses(called, now, given.name, called.after.release(called.path)):
            if _was_taken(called, given.name):
                yield _gone(called, now, given)
        elif said := now.taken.get(given.name, ""):
            yield _spoken_of(called, now, given, said)


def _refuses(called: CalledName, name: PublicName, argument: str, release: Version) -> bool:
    """True where a callable of a release refuses an argument.

    One with `**kwargs` for which the argument was not tried refuses what it once named where it refuses other such, and
    every Keras that does not translate the names of Keras 1 refuses those.
    """
    of_keras_1 = argument in replacements()["arguments"]
    if of_keras_1 and _translates(called.path, release) and argument not in name.refused:
        return False
    takes = name.takes(argument)
    if takes is not None:
        return not takes
    return (bool(name.refused) or (of_keras_1 and KERAS.match(called.path) is not None)) and _was_named(
        called, argument
    )


def _was_named(called: CalledName, argument: str) -> bool:
    """True where the signature of any release has a parameter of this name."""
    history = called.after.history(called.path)
    signatures = (name for _, _, name in history.runs(called.path) if name is not None) if history else ()
    return any(one.name == argument for name in signatures for one in name.parameters or ())


def _translates(path: str, release: Version) -> bool:
    """True for Keras 2.0 to 2.3, which take the arguments of Keras 1 behind their signatures."""
    return path.startswith("keras.") and Version("2") <= release < Version("2.4")


def _was_taken(called: CalledName, argument: str) -> bool:
    """True where any release is known to take an argument: else it is a mistake of the script, or of the history."""
    history = called.after.history(called.path)
    signatures = (name for _, _, name in history.runs(called.path)) if history else ()
    return any(name is not None and name.takes(argument) is True for name in signatures)


def _gone(called: CalledName, now: PublicName, given: GivenArgument) -> CallFinding:
    def refused(release: Version) -> bool:
        name = called.signature(release)
        return name is not None and _refuses(called, name, given.name, release)

    since = called.after.since(called.path, refused)
    said = now.refused.get(given.name, "")
    words = said.partition(": {")[0]  # without the value that it was tried with
    return CallFinding(
        kind=FindingKind.BREAKS,
        argument=given.name,
        since=since,
        message=f"{called.path} takes no argument `{given.name}`"
        + (f" ({words})" if words and len(words) < 120 else ""),
        rewrite=_instead_of(called, now, given, said),
        place=given,
    )


def _instead_of(called: CalledName, now: PublicName, given: GivenArgument, said: str) -> Rewrite:
    taken = (*(one.name for one in now.parameters or ()), *now.taken)
    if given.name == "batch_input_shape":
        return input_before(called.use, given, called.text, called.input_name)
    renamed = argument_rewrite(called.use, given, taken, f"{said} {_last_said(called, given.name)}")
    if renamed.instead:
        return renamed
    return dropped(called.use, given, called.path, _last_default(called, given.name))


def _last_said(called: CalledName, argument: str) -> str:
    """What releases that take an argument say of it."""
    history = called.after.history(called.path)
    runs = history.runs(called.path) if history else ()
    return " ".join(name.taken.get(argument, "") for _, _, name in runs if name is not None)


def _last_default(called: CalledName, argument: str) -> str | None:
    """The default that an argument had last."""
    history = called.after.history(called.path)
    found = None
    for _, last, name in history.runs(called.path) if history else ():
        if last <= called.after.release(called.path) and name is not None and name.parameters:
            found = next((one.default for one in name.parameters if one.name == argument), found)
    return found


def _spoken_of(called: CalledName, now: PublicName, given: GivenArgument, said: str) -> CallFinding:
    """An argument that is taken, of which the package says something."""
    unheeded = bool(_UNHEEDED.search(said)) or (given.name == "lr" and _forgets_lr(called, said))

    def says_so(release: Version) -> bool:
        name = called.signature(release)
        return name is not None and name.taken.get(given.name, "") == said

    taken = (*(one.name for one in now.parameters or ()), *now.taken)
    rewrite = argument_rewrite(called.use, given, taken, said)
    words = said if len(said) < 160 else f"{said[:150]}…"
    return CallFinding(
        kind=FindingKind.IGNORED if unheeded else FindingKind.DEPRECATED,
        argument=given.name,
        since=called.after.since(called.path, says_so),
        message=f"{called.path} takes `{given.name}` and does not heed it: {words}"
        if unheeded
        else f"`{given.name}` of {called.path}: {words}",
        rewrite=rewrite if rewrite.instead else dropped(called.use, given, called.path, None),
        place=given,
    )


def _forgets_lr(called: CalledName, said: str) -> bool:
    """True for the optimizers of Keras 2.11 to 2.15, which speak of their elders and leave `lr` unread."""
    return bool(_OF_NEW_OPTIMIZERS.search(neutral(called.path))) and "legacy" in said


def _positions(called: CalledName, now: PublicName) -> Iterator[CallFinding]:
    """Arguments by position: too many, or another parameter than it was."""
    if called.given.open_ended:
        return
    parameters = now.parameters or ()
    places = [one for one in parameters if one.kind in _POSITIONAL]
    positional = [one for one in called.given.listed if not one.name]
    open_ended = any(one.kind == "args" for one in parameters)
    names = _old_positions(called)
    for index, given in enumerate(positional):
        old = names[index] if index < len(names) else ""
        if index >= len(places) and not open_ended:
            if old and _had_position(called, index):
                yield _without_place(called, now, given, index, old)
            return
        if old and index < len(places) and places[index].name != old and called.old is not None:
            own = {one.name for one in parameters}
            if old in own:
                yield CallFinding(
                    kind=FindingKind.CHANGES,
                    argument=old,
                    since="",
                    message=f"argument {index + 1} of {called.path} was `{old}` and is `{places[index].name}`",
                    rewrite=named(given, old),
                    place=given,
                )


def _old_positions(called: CalledName) -> list[str]:
    """The names of what is given by position, as it was before; without a before, in the last release that had more."""
    if called.old is not None:
        return [one.name for one in called.old.parameters or () if one.kind in _POSITIONAL]
    history = called.after.history(called.path)
    runs = history.runs(called.path) if history else ()
    listed = [
        [one.name for one in name.parameters or () if one.kind in _POSITIONAL]
        for _, last, name in runs
        if name is not None and last < called.after.release(called.path)
    ]
    return max(reversed(listed), key=len, default=[])


def _had_position(called: CalledName, index: int) -> bool:
    """True where any release takes so many arguments by position."""
    history = called.after.history(called.path)
    for _, _, name in history.runs(called.path) if history else ():
        if name is not None and sum(one.kind in _POSITIONAL for one in name.parameters or ()) > index:
            return True
    return False


def _without_place(called: CalledName, now: PublicName, given: GivenArgument, index: int, old: str) -> CallFinding:
    def too_many(release: Version) -> bool:
        name = called.signature(release)
        parameters = name.parameters if name is not None else None
        return parameters is not None and sum(one.kind in _POSITIONAL for one in parameters) <= index

    keyword = any(one.name == old and one.kind == "keyword" for one in now.parameters or ())
    return CallFinding(
        kind=FindingKind.BREAKS,
        argument=old,
        since=called.after.since(called.path, too_many),
        message=f"{called.path} takes `{old}` by name only"
        if keyword
        else f"{called.path} takes {index} arguments by position, and no `{old}`",
        rewrite=named(given, old) if keyword else Rewrite(),
        place=given,
    )


def _required(called: CalledName, now: PublicName) -> Iterator[CallFinding]:
    """Parameters without a default that the call does not give, though a release does without them."""
    any_number = any(one.kind == "args" for one in now.parameters or ())
    if called.given.open_ended or any_number or _translates(called.path, called.after.release(called.path)):
        return
    for parameter in _not_given(called.given, now.parameters or ()):
        if parameter.default is not None or not _did_without(called):
            continue

        def needs(release: Version, name: str = parameter.name) -> bool:
            known = called.signature(release)
            return known is not None and any(one.name == name and one.default is None for one in known.parameters or ())

        yield CallFinding(
            kind=FindingKind.BREAKS,
            argument=parameter.name,
            since=called.after.since(called.path, needs),
            message=f"{called.path} needs the argument `{parameter.name}`",
        )


def _did_without(called: CalledName) -> bool:
    """True where the release before, or without one an earlier one, took the same call."""
    history = called.after.history(called.path)
    if called.before is not None:
        earlier = [called.old]
    else:
        now = called.after.release(called.path)
        earlier = [name for _, last, name in history.runs(called.path) if last < now] if history else []
    for name in earlier:
        if name is None or name.parameters is None:
            continue
        accepted = all(name.takes(one.name) is not False for one in called.given.listed if one.name)
        missing = [one for one in _not_given(called.given, name.parameters) if one.default is None]
        if accepted and not missing:
            return True
    return False


def _not_given(given: GivenArguments, parameters: tuple[Parameter, ...]) -> list[Parameter]:
    """The parameters of which a call gives nothing."""
    by_name = {one.name for one in given.listed if one.name}
    positional = sum(not one.name for one in given.listed)
    places = [one for one in parameters if one.kind in _POSITIONAL][positional:]
    rest = [*places, *(one for one in parameters if one.kind == "keyword")]
    return [one for one in rest if one.name not in by_name]


def _defaults(called: CalledName, now: PublicName) -> Iterator[CallFinding]:
    """Defaults that are other ones than before, and that the call relies on."""
    old = called.old
    if old is None or old.parameters is None or called.given.open_ended:
        return
    before = {one.name: one.default for one in old.parameters if one.default is not None}
    for parameter in _not_given(called.given, now.parameters or ()):
        was, default = _default_before(parameter.name, before), parameter.default
        if was is None or default is None or _same(parameter.name, was, default):
            continue

        def has_it(release: Version, name: str = parameter.name, value: str = default) -> bool:
            known = called.signature(release)
            return known is not None and any(
                one.name == name and one.default is not None and _same(name, one.default, value)
                for one in known.parameters or ()
            )

        yield CallFinding(
            kind=FindingKind.CHANGES,
            argument=parameter.name,
            since=called.after.since(called.path, has_it) if called.path == called.path_before else "",
            message=f"{called.path} is called without `{parameter.name}`: its default was {was} and is {default}",
            rewrite=explicit(called.use, parameter.name, was) if called.use.call is called.given else Rewrite(),
        )


def _default_before(name: str, before: Mapping[str, str]) -> str | None:
    """The default of an argument before, under its older name too."""
    if name in before:
        return before[name]
    older = (old for old, new in replacements()["arguments"].items() if new == name and old in before)
    return next((before[one] for one in older), None)


def _same(name: str, one: str, other: str) -> bool:
    """True where two defaults mean the same, or where their texts can't say."""
    if one == other or "<" in one or "<" in other:
        return True
    group = replacements()["same"].get(name, ())
    if (one in group and other in group) or {one, other} == {"None", "False"}:
        return True
    if "*" in group and (len(group) == 1 or "None" in {one, other}):
        return True
    try:
        values = ast.literal_eval(one), ast.literal_eval(other)
    except (ValueError, SyntaxError):
        return one.rpartition(".")[2] == other.rpartition(".")[2] or "." in one + other
    return bool(values[0] == values[1]) or str(values[0]).lower().replace("_", "") == str(values[1]).lower().replace(
        "_", ""
    )
