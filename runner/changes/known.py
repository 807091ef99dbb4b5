"""Known changes: one YAML file each in `entries/`, read into values that a static look at a script can ask.

Dotted names below `keras` are those of every Keras: an entry's `keras.Model.fit` is tf.keras' and tf_keras' too, each
with a border of its own. Scalars stay text, so that 0.22 is a release; a literal of a call is compared as its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTRIES: Final = Path(__file__).with_name("entries")
FLAVOURS: Final = {"keras": "keras", "tensorflow": "tensorflow.keras", "tf-keras": "tf_keras"}
"""Which release decides about a Keras: the package, and the root of the names that it has."""
_TEXTS: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_PLACES: Final = {"0": "its first argument", "1": "its second argument"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Border:
    """The first release that has the new behaviour."""

    package: str
    """The distribution: `tensorflow` for tf.keras, `python` for CPython."""
    release: Version

    def crossed(self, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
        """Whether the border lies between what two cells have installed, in either direction."""
        sides = [self.passed(cell) for cell in (before, after)]
        return None not in sides and sides[0] != sides[1]

    def passed(self, cell: Mapping[str, str]) -> bool | None:
        """Whether a cell has the new behaviour; None where it does not have the package, or no release of it."""
        try:
            return Version(cell[self.package]) >= self.release
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedArgument:
    """An argument that a call must give; with `values`, so that its source is like one of these (`*` stands for any).

    Quotes around a source do not count: `log` is the text 'log', `[[][[]*` a list in a list.
    """

    name: str
    """Of the keyword; a number is the place among the positional ones."""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """When a change concerns a script: all that is said here holds, of one use of one of the names."""

    uses: tuple[str, ...]
    """Dotted names of which one is called or otherwise used; a module's name: it is imported."""
    given: tuple[WantedArgument, ...] = ()
    """Arguments that the call gives, by position or keyword: all of them."""
    absent: tuple[str, ...] = ()
    """Arguments that the call does not give: none of them."""
    words: tuple[str, ...] = ()
    """Words of which one stands in the script: as a string literal, an attribute, a variable or a keyword."""
    element: bool = False
    """Whether it concerns a value that is given to an element of a column of what the names make: `t["a"][i] = 1`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownChange:
    """One change of behaviour; `name` is that of its file."""

    name: str
    package: str
    borders: tuple[Border, ...]
    concerns: tuple[Concern, ...]
    """One of them is enough."""
    where: tuple[Requirement, ...]
    """What both cells must have besides: h5py 3 concerns nobody whose TensorFlow knows it."""
    effect: str
    source: str
    """Where it can be read: `keras#9965`, or the release notes of a release."""
    case: str
    """The folder whose run on both sides proves it, from the top of the repository."""
    switch: str
    """The switch of the catalogue that turns it; empty where there is none."""
    instead: str
    """What to write to have the same on both sides; empty where nothing is known."""
    give: tuple[tuple[str, str], ...] = ()
    """Arguments that such a call is to give, each with its source text, so that it does what it did before."""
    rename: tuple[tuple[str, str, str], ...] = ()
    """Texts that an argument of such a call is to have in place of others: the argument, the text, the other."""
    write: str = ""
    """The source of such an element otherwise, of its `{table}`, `{column}` and `{index}`."""
    certain: bool = True
    """Whether all that `concerns` names comes out otherwise; False where it depends on values that only a run has."""

    def border_of(self, path: str) -> Border | None:
        """The border for a use by this dotted name, as the script's imports mean it; None where none is proven."""
        flavour = flavour_of(path) if self.package == "keras" else ""
        deciding = next((package for package, root in FLAVOURS.items() if root == flavour), self.package)
        return next((one for one in self.borders if one.package == deciding), None)

    def holds_in(self, cell: Mapping[str, str]) -> bool:
        """Whether a cell has what `where` asks for."""
        return all(one.name in cell and one.specifier.contains(cell[one.name], prereleases=True) for one in self.where)


def flavour_of(path: str) -> str:
    """The root of a dotted name of some Keras: `keras`, `tensorflow.keras`, `tf_keras`; empty for any other name."""
    return next((root for root in FLAVOURS.values() if path == root or path.startswith(f"{root}.")), "")


_HEAD: Final = """\
# Known changes

Behaviour that changed at a release and that no signature shows. `check` tells them where they concern a script. Each
was run on both sides of its border; the case that did it is named. Names below `keras` mean every Keras; the border
of tf.keras is a release of TensorFlow, that of native Keras one of Keras; where one of them is not told, the change
is not proven there. What *can* come out otherwise depends on values that only a run has.

| change | since | concerns | with it | instead | source | case |
| --- | --- | --- | --- | --- | --- | --- |
"""


def table() -> str:
    """All entries as a page in Markdown, which `docs/changes.md` has."""
    return _HEAD + "".join(f"| {' | '.join(_row(change))} |\n" for change in known_changes())


def _row(change: KnownChange) -> tuple[str, ...]:
    since = ", ".join(f"{one.package} {one.release}" for one in change.borders)
    where = "".join(f", beside `{one}`" for one in change.where)
    concerns = "; or ".join(map(_in_words, change.concerns))
    switch = f" (the switch `{change.switch}` turns it)" if change.switch else ""
    case = f"[{Path(change.case).name}](../{change.case})"
    return (
        f"`{change.name}`",
        since + where,
        concerns,
        ("" if change.certain else "*Can:* ") + change.effect + switch,
        change.instead,
        change.source,
        case,
    )


def _in_words(condition: Concern) -> str:
    given = [_given_in_words(one) for one in condition.given]
    parts = (
        _any_of(condition.uses),
        f"with {' and '.join(given)}" if given else "",
        f"without {_any_of(condition.absent)}" if condition.absent else "",
        f"where {_any_of(condition.words)} occurs" if condition.words else "",
        "where an element of a column is given a value" if condition.element else "",
    )
    return " ".join(part for part in parts if part)


def _given_in_words(argument: WantedArgument) -> str:
    name = _PLACES.get(argument.name, f"`{argument.name}`")
    values = " or ".join(f"`{value.replace('[[]', '[').replace('*', '…')}`" for value in argument.values)
    return f"{name} = {values}" if values else name


def _any_of(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@cache
def known_changes() -> tuple[KnownChange, ...]:
    """All entries, by name."""
    return tuple(read(path) for path in sorted(ENTRIES.glob("*.yaml")))


def read(path: Path) -> KnownChange:
    """One entry; raises ValueError, with what is wrong, where it does not have the fields that an entry has."""
    entry = _Entry.model_validate(yaml.load(path.read_text("utf-8"), Loader=_TEXTS))  # noqa: S506 - texts only
    return KnownChange(
        name=path.stem,
        package=entry.package,
        borders=tuple(Border(package=package, release=release) for package, release in entry.border.items()),
        concerns=tuple(one.condition for one in entry.concerns),
        where=tuple(Requirement(one) for one in entry.where),
        effect=entry.effect,
        source=entry.source,
        case=entry.case,
        switch=entry.switch,
        instead=entry.instead,
        give=tuple(entry.give.items()),
        rename=tuple((name, old, new) for name, texts in entry.rename.items() for old, new in texts.items()),
        write=entry.write,
        certain=entry.certain,
    )


def _release(text: object) -> Version:
    try:
        return Version(str(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no release") from error


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | dict) else value


_Sentence = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\n]+$", strip_whitespace=True)]
_DottedName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]
_Names = Annotated[tuple[_DottedName, ...], BeforeValidator(_listed)]
_Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
_Release = Annotated[Version, BeforeValidator(_release)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class _WrittenConcern(_Strict):
    """`with:` is a list of names, or of `{name: literal}` and `{name: [literal, …]}`."""

    uses: _Names = Field(min_length=1)
    with_: Annotated[tuple[str | dict[str, _Texts], ...], BeforeValidator(_listed)] = Field((), alias="with")
    without: _Texts = ()
    words: _Texts = ()
    element: bool = False

    @property
    def condition(self) -> Concern:
        given = [{one: ()} if isinstance(one, str) else one for one in self.with_]
        return Concern(
            uses=self.uses,
            given=tuple(WantedArgument(name=name, values=values) for one in given for name, values in one.items()),
            absent=self.without,
            words=self.words,
            element=self.element,
        )


class _Entry(_Strict):
    """An entry as it is written."""

    package: str = Field(min_length=1)
    border: dict[str, _Release] = Field(min_length=1)
    concerns: Annotated[tuple[_WrittenConcern, ...], BeforeValidator(_listed)] = Field(min_length=1)
    where: _Texts = ()
    effect: _Sentence
    source: _Sentence
    case: _Sentence
    switch: str = ""
    instead: str = ""
    give: dict[str, str] = Field(default_factory=dict)
    rename: dict[str, dict[str, str]] = Field(default_factory=dict)
    write: str = ""
    certain: bool = True

    @model_validator(mode="before")
    @classmethod
    def _one_border(cls, entry: Any) -> Any:
        """`border: 0.22` is that of the entry's own package."""
        if isinstance(entry, dict) and isinstance(entry.get("border"), str):
            return {**entry, "border": {entry.get("package"): entry["border"]}}
        return entry
