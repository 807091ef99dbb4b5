"""What will change for a script: its uses against the API and the known changes of two sets of releases.

A `Checker` reads the script once and looks up once for each distinct pair of what it uses: a hundred cells are cheap.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.check.call_arguments import CalledName, call_findings
from runner.check.concerned import ConcernedUses
from runner.check.findings import Finding, FindingKind, position
from runner.check.logged_metrics import LoggedMetrics, logged_as_given_since
from runner.check.rewrites import Rewrite, as_known, name_rewrite, renamed_path, replacing
from runner.check.stack_api import KERAS, Api, LooksKept, neutral
from runner.check.uses import GivenArguments, UseKind, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.changes.known import KnownChange
    from runner.check.call_arguments import CallFinding
    from runner.check.stack_api import Histories
    from runner.check.uses import GivenArgument, ProjectUses, Use
    from runner.history.api import PublicName
    from runner.scripts.script import Script

_ORDER = {kind: number for number, kind in enumerate(FindingKind)}
_LOGS = "callbacks.History.history"
_WATCHES = frozenset({"EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sides:
    """The two APIs, and the root of the Keras that was meant before where it was another one."""

    before: Api | None
    after: Api
    keras_before: str = ""

    def releases(self, roots: Iterable[str]) -> tuple[object, ...]:
        """The releases of both sides that a use of these packages depends on."""
        before = self.before.releases(roots) if self.before is not None else ()
        return (before, self.after.releases(roots), self.keras_before)


class Checker:
    """The findings of one script. Raises NotRewritableError where it is not Python 3."""

    def __init__(self, script: Script, histories: Histories, known: tuple[KnownChange, ...] = ()) -> None:
        self.project: ProjectUses = uses_of(script)
        self._imports = script.imports
        self._histories = histories
        self._apis: dict[tuple[tuple[str, str], ...], Api] = {}
        self._done: dict[tuple[Api | None, Api, str], tuple[Finding, ...]] = {}
        deciding = {border.package for change in known for border in change.borders}
        deciding |= {one.name for change in known for one in change.where}
        named = (history.package for root in sorted(script.imports) if (history := histories(root)) is not None)
        self._packages = frozenset(named) | deciding | {"keras", "tensorflow", "tf-keras"}
        self._input_names = _input_names(self.project)
        self._looked = LooksKept()
        self._alike = [_without_places(use) for use in self.project.uses]
        self._concerned = ConcernedUses(self.project, known)
        self._by_roots = _by_roots_of(self.project)
        self._of_roots: dict[tuple[object, ...], tuple[Finding, ...]] = {}
        self._metrics = LoggedMetrics(self.project)

    def findings(
        self, before: Mapping[str, str] | None, after: Mapping[str, str], *, keras_before: str = ""
    ) -> tuple[Finding, ...]:
        """What changes from one set of versions by package to another, in the order of the files.

        Without a `before`: what is not there in `after`, or not heeded, though other releases have it. `keras_before`
        is the root of the Keras that the imports meant before, where it was another one.
        """
        was = self._api(before) if before is not None else None
        now = self._api(after)
        key = (was, now, keras_before)
        if key not in self._done:
            found = [
                *self._of_uses(_Sides(before=was, after=now, keras_before=keras_before)),
                *self._of_known(was, now),
            ]
            found.sort(key=lambda one: (one.file, one.line, one.column, _ORDER[one.kind], one.path, one.argument))
            self._done[key] = _better_told(found)
        return self._done[key]

    def without_history(self, after: Mapping[str, str]) -> tuple[str, ...]:
        """The packages, by import name, of which nothing is known for these versions, or no version is."""
        return tuple(
            root
            for root in sorted(self._imports)
            if root not in sys.stdlib_module_names and self._api(after).history(root) is None
        )

    def against(self, after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """The packages that the script imports and that have a history: the release, and the one that was looked at."""
        api = self._api(after)
        found = {}
        for root in sorted(self._imports):
            history = api.history(root)
            if history is not None:
                found[history.package] = (after[history.package], str(api.release(root)))
        return found

    def _api(self, versions: Mapping[str, str]) -> Api:
        relevant = tuple(sorted((name, version) for name, version in versions.items() if name in self._packages))
        if relevant not in self._apis:
            self._apis[relevant] = Api(dict(relevant), self._histories, self._looked)
        return self._apis[relevant]

    def _of_uses(self, sides: _Sides) -> Iterator[Finding]:
        for roots, numbers in self._by_roots.items():
            key = (roots, sides.releases((*roots, sides.keras_before.partition(".")[0])))
            if key not in self._of_roots:
                self._of_roots[key] = tuple(dict.fromkeys(self._of_numbers(numbers, sides)))
            yield from self._of_roots[key]

    def _of_numbers(self, numbers: Iterable[int], sides: _Sides) -> Iterator[Finding]:
        """What is found in some uses; in those that are like one in which nothing was found nobody looks."""
        empty: set[tuple[object, ...]] = set()
        for number in numbers:
            alike, found = self._alike[number], False
            for one in () if alike in empty else self._found_in(self.project.uses[number], sides):
                found = True
                yield one
            if not found:
                empty.add(alike)

    def _found_in(self, use: Use, sides: _Sides) -> Iterator[Finding]:
        paths = self._meant(use, sides.after)
        found = [list(self._of_path(use, path, sides)) for path in paths]
        all_break = all(any(one.kind is FindingKind.BREAKS for one in each) for each in found)
        for each in found:
            yield from (one for one in each if one.kind is not FindingKind.BREAKS or all_break)

    def _meant(self, use: Use, after: Api) -> tuple[str, ...]:
        """The paths of a use; of names that several `from … import *` may give, those that are known."""
        if len(use.paths) < 2:
            return use.paths
        known = tuple(path for path in use.paths if "()" in path or _is_known(path, after))
        return known or use.paths

    def _of_path(self, use: Use, written: str, sides: _Sides) -> Iterator[Finding]:
        after = sides.after
        path = after.resolved(written)
        if path is None or after.history(path) is None or use.kind is UseKind.ELEMENT:
            return
        if use.kind is UseKind.KEY:
            yield from self._of_key(use, path, after)
            return
        missing = after.missing(path)
        if missing is not None:
            if missing.count(".") > path.count(".") - use.names or use.kind is UseKind.IMPORT:
                yield from self._gone(use, written, path, missing, after)
            moved = renamed_path(path, after) if use.call is not None else ""
            if use.call is not None and moved.endswith(f".{path.rpartition('.')[2]}") and after.missing(moved) is None:
                yield from self._of_call(use, use.call, moved, sides)  # what its import is mended to
            return
        name = after.name(path)
        if name is not None and _is_deprecated(name.deprecated) and (use.kind is UseKind.IMPORT or use.names):
            yield self._deprecated(use, path, name, after)
        if use.kind is UseKind.CALL and use.call is not None:
            yield from self._of_call(use, use.call, path, sides)

    def _gone(self, use: Use, written: str, path: str, missing: str, after: Api) -> Iterator[Finding]:
        history = after.history(path)
        release = after.release(path)
        was = history.last_with(missing) if history else None
        kind = history.name(missing, was) if history and was is not None else None
        if history is None or was is None or kind is None:
            return
        later = was > release and history.last_with(missing, release) is None
        if "()" in written and (kind.kind == "value" or (later and kind.kind == "property")):
            return  # what a constructor gives its objects is not seen in their class
        since = after.since(missing, lambda one: history.name(missing, one) is None)
        message = f"{missing} is not there since {history.package} {since}" if since else ""
        if not since:
            first = next((str(low) for low, _, name in history.runs(missing) if name and low > release), "")
            message = f"{missing} is there from {history.package} {first} on only"
        rewrite = name_rewrite(use, path, after, self.project.texts[use.file])
        yield self._finding(use, FindingKind.BREAKS, missing, since=since, message=message, rewrite=rewrite, api=after)

    def _deprecated(self, use: Use, path: str, name: PublicName, after: Api) -> Finding:
        history = after.history(path)

        def is_deprecated(release: object) -> bool:
            return bool(history and history.said_of(path, str(release)))

        words = name.deprecated if len(name.deprecated) < 200 else f"{name.deprecated[:190]}…"
        return self._finding(
            use,
            FindingKind.DEPRECATED,
            path,
            since=after.since(path, is_deprecated),
            message=f"{path}: {words}",
            rewrite=Rewrite(),
            api=after,
        )

    def _of_call(self, use: Use, given: GivenArguments, path: str, sides: _Sides) -> Iterator[Finding]:
        after = sides.after
        called = CalledName(
            use=use,
            given=given,
            path=path,
            after=after,
            before=sides.before,
            text=self.project.texts[use.file],
            input_name=self._input_name(use),
            keras_before=sides.keras_before,
        )
        yield from (self._argument(use, path, one, after) for one in call_findings(called))
        leaf = path.rpartition(".")[2]
        if leaf == "compile" and (optimizer := _optimizer(use, path, after)) is not None:
            implied = replace(called, given=GivenArguments(listed=(), open_ended=False, gaps=()), path=optimizer[1])
            for one in call_findings(implied):
                yield self._argument(use, optimizer[1], replace(one, place=optimizer[0]), after)
        if leaf in _WATCHES and KERAS.match(path):
            yield from self._of_monitor(use, given, path, after)

    def _of_key(self, use: Use, path: str, after: Api) -> Iterator[Finding]:
        wrong = self._metrics.unlogged(use.key, path, after) if path.endswith(_LOGS) else ""
        if wrong:
            literal = self.project.texts[use.file][use.leaf.start : use.leaf.end].decode()
            yield self._finding(
                use,
                FindingKind.BREAKS,
                path,
                argument=use.key,
                since=logged_as_given_since(path, after),
                message=f"the history has no key '{use.key}': the metric is logged as '{wrong}'",
                rewrite=Rewrite(instead=f"'{wrong}'", edit=replacing(use.leaf, literal.replace(use.key, wrong))),
                api=after,
            )

    def _of_monitor(self, use: Use, given: GivenArguments, path: str, after: Api) -> Iterator[Finding]:
        for argument in given.listed:
            literal = re.fullmatch(r"(['\"])(\w+)\1", argument.value) if argument.name == "monitor" else None
            wrong = self._metrics.unlogged(literal[2], path, after) if literal is not None else ""
            if literal is not None and wrong:
                quote, key = literal.groups()
                yield self._finding(
                    use,
                    FindingKind.IGNORED,
                    path,
                    argument="monitor",
                    since=logged_as_given_since(path, after),
                    message=f"nothing is logged as '{key}', which this callback watches: the metric is '{wrong}'",
                    rewrite=Rewrite(
                        instead=f"'{wrong}'", edit=replacing(argument.value_span, f"{quote}{wrong}{quote}")
                    ),
                    api=after,
                )

    def _input_name(self, use: Use) -> str:
        """How the file writes Keras' `Input`; "" where it has no name for it."""
        if found := re.fullmatch(r"(.+\.layers)\.\w+", use.text):
            return f"{found[1]}.Input"
        return self._input_names.get(use.file, "")

    def _argument(self, use: Use, path: str, found: CallFinding, after: Api) -> Finding:
        finding = self._finding(
            use,
            found.kind,
            path,
            argument=found.argument,
            since=found.since,
            message=found.message,
            rewrite=found.rewrite,
            api=after,
        )
        if found.place is None:
            return finding
        line, column = position(self.project.texts[use.file], found.place.span.start)
        return replace(finding, line=line, column=column)

    def _finding(
        self,
        use: Use,
        kind: FindingKind,
        path: str,
        *,
        since: str,
        message: str,
        rewrite: Rewrite,
        api: Api,
        argument: str = "",
    ) -> Finding:
        history = api.history(path)
        return Finding(
            kind=kind,
            path=path,
            argument=argument,
            file=use.file,
            line=use.line,
            column=use.column,
            package=history.package if history is not None else path.partition(".")[0],
            since=since,
            message=message,
            instead=rewrite.instead,
            edit=rewrite.edit,
        )

    def _of_known(self, before: Api | None, after: Api) -> Iterator[Finding]:
        for one in self._concerned.between(before, after) if before is not None else ():
            finding = self._finding(
                one.use,
                FindingKind.KNOWN,
                one.change.name,
                since=str(one.border.release),
                message=one.change.effect,
                rewrite=as_known(one.use, one.change),
                api=after,
            )
            given = next((name for name, _ in one.change.give), "")
            yield replace(finding, package=one.border.package, argument=given, certain=one.change.certain)


def _better_told(found: list[Finding]) -> tuple[Finding, ...]:
    """Without the defaults of which a known change says what they were: `auto_deprecated` is nothing to write."""
    told = {(one.file, one.line, one.column, one.argument) for one in found if one.kind is FindingKind.KNOWN}
    return tuple(
        one
        for one in found
        if one.kind is not FindingKind.CHANGES or (one.file, one.line, one.column, one.argument) not in told
    )


def _without_places(use: Use) -> tuple[object, ...]:
    """What a use is, wherever it stands: uses that are alike are found alike."""
    given = tuple((one.name, one.value) for one in use.call.listed) if use.call is not None else None
    return (use.kind, use.paths, use.names, use.key, given, use.call is not None and use.call.open_ended)


def _by_roots_of(project: ProjectUses) -> dict[tuple[str, ...], list[int]]:
    """The numbers of the uses that are not guarded, by the import names that they depend on: arrays come from calls."""
    found: dict[tuple[str, ...], list[int]] = {}
    for number, use in enumerate(project.uses):
        roots = {path.partition(".")[0] for path in use.paths} | ({"numpy"} if "()" in "".join(use.paths) else set())
        if not use.guarded:
            found.setdefault(tuple(sorted(roots)), []).append(number)
    return found


def _is_deprecated(words: str) -> bool:
    """Whether the words of a package are on a name itself, and not on one of its arguments."""
    on_being_gone = re.compile(r"deprecat|remov|renam|replac|moved", re.IGNORECASE)
    sentence = next((one for one in re.split(r"(?<=[.:])\s", words) if on_being_gone.search(one)), "")
    return bool(sentence) and not re.search(r"argument|parameter|option", sentence, re.IGNORECASE)


def _is_known(path: str, api: Api) -> bool:
    history = api.history(path)
    return history is not None and history.last_with(path) is not None


def _optimizer(use: Use, path: str, api: Api) -> tuple[GivenArgument, str] | None:
    """The optimizer that `compile` is given by a text, and the path of its class."""
    keras = KERAS.match(path)
    if keras is None or use.call is None or not use.call.listed:
        return None
    first = use.call.listed[0]
    given = next((one for one in use.call.listed if one.name == "optimizer"), None if first.name else first)
    history = api.history(path)
    if given is None or history is None or not re.fullmatch(r"(['\"])\w+\1", given.value):
        return None
    wanted = given.value.strip("'\"").lower()
    home = f"{keras['root']}.optimizers"
    names = api.children(home)
    return next(((given, f"{home}.{name}") for name in names if name.lower() == wanted and name != wanted), None)


def _input_names(project: ProjectUses) -> dict[str, str]:
    """By file, the name that it has for Keras' `Input`."""
    return {
        use.file: use.bound
        for use in project.uses
        if use.kind is UseKind.IMPORT and re.fullmatch(r"keras\..*Input|keras\.Input", neutral(use.paths[0]))
    }
