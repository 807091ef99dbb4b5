"""The declaration of `matrix.yaml`: every section and key once, with its shape, its meaning and its default.

`read_sections` reads a tree by it, `json_schema` gives it to editors. What values mean together is checked later.
"""

# ruff: noqa: RUF009 - `key` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner.matrix.axes import BACKENDS, IMPORT_FLAVOURS, AxisKind
from runner.matrix.experiment import VARIABLES, ArgumentList, ExperimentSection, ResourcesSection, SeedsSection
from runner.matrix.metric_patterns import METRICS, MetricSources
from runner.matrix.mistakes import Position, RefusedError, nearest, quoted
from runner.matrix.model import Fits, Judging, Mode
from runner.matrix.nodes import Entries, Nothing, Text, shape
from runner.matrix.releases import EXAMPLE, Every
from runner.matrix.scalars import COUNT_FROM_ZERO, IMAGE_NAME, INDEX_ADDRESS, PLATFORM, SEED_COUNT, TRUTH, date_or
from runner.matrix.shapes import Either, Key, ListOf, MappingOf, NodePlace, OneOrMore, Reads, Scalar, Section, Word, key
from runner.matrix.versions import specifiers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.matrix.mistakes import Mistakes
    from runner.matrix.nodes import Node
    from runner.matrix.shapes import Shape


OUTCOME_LABELS: dict[str, tuple[str, ...]] = {
    "converges": (),
    "settles": (),
    "fails": ("improving", "unconverged", "plateaued", "missed", "diverged", "nan", "oscillating"),
    "breaks": (
        "crashed-import",
        "crashed-at-start",
        "crashed-build-model",
        "crashed-training",
        "crashed-after-training",
        "timeout",
        "out-of-memory",
    ),
    "flaky": ("mostly converges", "mostly settles", "mostly fails", "neither leads", "too few to say"),
    "blocked": ("unresolvable", "image-build-failed", "install-failed", "download-failed"),
    "undecided": (),
}
"""The outcomes of a cell, and what may stand in brackets after each: mostly the trial label that its trials have."""

MEANT = {
    **{label: f"{word} ({label})" for word, labels in OUTCOME_LABELS.items() for label in labels},
    "converged": "converges",
    "settled": "settles",
    "coin flip": "flaky (neither leads)",
    **dict.fromkeys(("too-short", "too-close", "no-metrics", "unknown"), "undecided"),
}
"""The outcome that goes with a trial label or with an earlier word for it; the last four are not counted, so they
leave a cell undecided."""


def outcome_words(text: str) -> str:
    """An outcome as the runner writes it: `fails`, `fails (nan)`; `unresolvable` is short for `blocked (unresolvable)`.

    Raises RefusedError for a word that is not an outcome, naming the nearest one.
    """
    before, bracket, rest = text.partition("(")
    closed = rest.rstrip().endswith(")")
    word, label = (before.strip(), rest.rstrip()[:-1].strip()) if bracket and closed else (text.strip(), None)
    if word == "unresolvable" and label is None:
        return MEANT[word]
    if label is None and word in OUTCOME_LABELS:
        return word
    if label is not None and label in OUTCOME_LABELS.get(word, ()):
        return f"{word} ({label})"
    meant = MEANT.get(word if label is None else label)
    if meant:
        raise RefusedError(f"{quoted(text)} is not an outcome", f"did you mean {quoted(meant)}?")
    choices = [f"{word} ({known})" for known in OUTCOME_LABELS.get(word, ())] or list(OUTCOME_LABELS)
    raise RefusedError(f"{quoted(text)} is not an outcome", nearest(text, choices))


if TYPE_CHECKING:
    Pairs = dict[Text, Text]
    Match = dict[Text, Text | Pairs]
    """A partial cell as it is written: axis to value."""
    PackageEntry = Text | dict[Text, Text | tuple[Text, ...]]
    """One entry of `packages:`: a requirement, or names with versions and `when`."""
    AsOf = str | dict[Text, str]

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASIDE = "x-"
"""The prefix of top-level keys that mean nothing to the runner; they hold anchors."""


def _range_text(text: Text) -> Text:
    return Text.make(specifiers(text), text.position, text.style)


TEXT = Scalar()
_STRING = Scalar({"type": "string"})


@dataclass(frozen=True, kw_only=True)
class RangeSection:
    """A range of versions in place of a version."""

    range: Text = key(
        Reads(_range_text, {"type": "string"}),
        "Versions, compared as PEP 440 says: '>=1.7,<2.17'; '*' means all.",
        Text(),
        example=EXAMPLE,
        required=True,
    )
    every: Every = key(
        Word({every.value: every for every in Every}),
        "Take the newest of each major or minor release, or every single release (patch). Default: minor.",
        Every.MINOR,
    )
    prereleases: bool = key(TRUTH, "Take pre-releases too. Default: false.", default=False)


_VERSION = {"type": ["string", "number"]}
_NAMES = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_AXIS_VALUES: Mapping[str, Key[Text | Pairs]] = {
    AxisKind.PYTHON.value: Key(
        shape=Scalar({**_VERSION, "pattern": "^3\\.[0-9]+$", "minimum": 3, "exclusiveMaximum": 4}),
        description="CPython's minor releases: 3.7. Default: the newest that has wheels for the cell.",
    ),
    AxisKind.IMPORT.value: Key(
        shape=Scalar({"enum": list(IMPORT_FLAVOURS)}), description="The Keras that the script's Keras imports mean."
    ),
    AxisKind.BACKEND.value: Key(
        shape=Scalar({"enum": list(BACKENDS)}),
        description="Keras' backend, installed beside it and set as KERAS_BACKEND.",
    ),
    AxisKind.SCRIPT.value: Key(
        shape=_STRING, description="Training scripts, relative to this file; in place of experiment.script."
    ),
    AxisKind.ARGS.value: Key(
        shape=Either(Scalar({"type": ["string", "number"], "examples": ["--epochs 10 --fast"]}), ArgumentList()),
        description="Sets of arguments, each a text or a list; they come after those of experiment.args.",
    ),
    AxisKind.PRELUDE.value: Key(
        shape=Scalar({"type": "string", "examples": ["", "resource-variables", "preludes/mine.py"]}),
        description="Code that runs before the script in its process: switches of the catalogue, or source files "
        "relative to this file.",
    ),
    AxisKind.ENV.value: Key(
        shape=Either(
            Scalar({"type": "string", "description": "NAME=value NAME2=value2; an empty text sets nothing."}),
            VARIABLES,
        ),
        description="Sets of environment variables; one set is one value.",
    ),
}
_AXIS_KEYS: Mapping[str, Key[tuple[Text | Pairs | RangeSection, ...]]] = {
    name: Key(shape=OneOrMore(one.shape), description=one.description) for name, one in _AXIS_VALUES.items()
}
_VERSION_OR_RANGE: Shape[Text | Pairs | RangeSection] = Either(Scalar(_VERSION), Section(RangeSection))
_AXES = MappingOf(
    known=_AXIS_KEYS,
    others=Key(
        shape=OneOrMore(_VERSION_OR_RANGE),
        description="Versions of a package; the first package is the base. In place of a version: a range such as "
        "{range: '>=1.7,<2.17'}; latest (latest-3 is the latest patch of the third minor release before the newest); "
        "for keras, tf-keras, torchvision, torchaudio and jaxlib era, the release of its time that goes with the base.",
    ),
    names=_NAMES,
    least=1,
    empty="such as axes: {tensorflow: [1.13.1, 2.10.1]}",
    without_value=lambda name: (f"the axis {quoted(name)} has no values", "write them as a list: [2.2.4, 2.3.1]"),
)


def _match(**outcome: Key[Text | Pairs]) -> MappingOf[Text | Pairs]:
    """The shape of a partial cell, with further keys."""
    ranges = "ranges are allowed under axes only; `plan` shows the versions that one becomes"
    return MappingOf(
        known={**_AXIS_VALUES, **outcome},
        others=Key(shape=Scalar(_VERSION, ranges), description=""),
        names=_NAMES,
        least=1,
        empty="it would match every cell",
    )


_OUTCOME: Key[Text | Pairs] = Key(
    shape=Scalar({"type": "string", "pattern": f"^({'|'.join(OUTCOME_LABELS)})( *\\([a-z -]+\\))?$"}),
    description="The outcome that must come out: converges, fails (nan), fails (any that is bad), "
    "breaks (crashed-import), blocked (unresolvable), …",
    example="outcome: converges",
    required=True,
)
_WHEN: Key[Text | tuple[Text, ...]] = Key(
    shape=Either(
        Scalar({"type": "string", "examples": ["tensorflow<2.4", "backend==torch"]}),
        ListOf(Scalar({"type": "string", "examples": ["tensorflow<2.4"]}), least=1),
    ),
    description="The condition on an axis that a cell must meet; all of a list.",
)
_PACKAGE: MappingOf[Text | tuple[Text, ...]] = MappingOf(
    known={"when": _WHEN},
    others=Key(
        shape=Scalar({"type": "string", "examples": ["<1.20", "*"]}, "such as '>=1.18,<1.20'"),
        description="Versions of this package.",
    ),
    least=1,
)
_PACKAGE_ENTRY: Shape[PackageEntry] = Either(TEXT, _PACKAGE)
_PACKAGES: Shape[tuple[PackageEntry, ...]] = ListOf(
    _PACKAGE_ENTRY, hint="such as [pandas, scikit-learn]; a file of them goes under requirements:"
)


@dataclass(frozen=True, kw_only=True)
class RequirementsSection:
    """One file of `requirements:` with what is taken of it, and for which cells."""

    file: Text = key(
        Scalar({"type": "string"}),
        "The file, relative to this one.",
        Text(),
        example="file: pyproject.toml",
        required=True,
    )
    extras: tuple[Text, ...] = key(ListOf(TEXT), "Extras of a pyproject.toml, beside its dependencies.", ())
    groups: tuple[Text, ...] = key(ListOf(TEXT), "Dependency groups of a pyproject.toml, beside its dependencies.", ())
    when: tuple[Text, ...] = key(OneOrMore(TEXT), "The condition on an axis that a cell must meet; all of a list.", ())


_REQUIREMENTS: Shape[tuple[Text | RequirementsSection, ...]] = OneOrMore(
    Either(_STRING, Section(RequirementsSection)), least=0
)
_AS_OF: Shape[AsOf] = Either(
    date_or("release", "none"),
    MappingOf(
        known={"default": Key(shape=date_or("release", "none"), description="The rule of all others.")},
        others=Key(shape=date_or("none"), description="The rule of this package."),
    ),
)
_JUDGING = Judging()


@dataclass(frozen=True, kw_only=True)
class BaseImageSection:
    """One entry of `base_image:`: an image, and the cells that it is for."""

    image: Text = key(
        IMAGE_NAME,
        "The image, by its name in the engine or in a registry.",
        Text(),
        example="image: cuda-11.2-py3.9:1",
        required=True,
    )
    when: tuple[Text, ...] = key(OneOrMore(TEXT), "The condition on an axis that a cell must meet; all of a list.", ())


_BASE_IMAGE: Shape[tuple[Text | BaseImageSection, ...]] = OneOrMore(Either(IMAGE_NAME, Section(BaseImageSection)))


@dataclass(frozen=True, kw_only=True)
class MatrixSections:
    """All sections of a matrix file, with the right shapes and nothing else checked."""

    axes: dict[Text, tuple[Text | Pairs | RangeSection, ...]] = key(
        _AXES,
        "Each name has a list of values; every combination is a cell. A name is a package, or python, import, script, "
        "args, env, prelude or backend. The first package is the base that environments are resolved around.",
        {},
    )
    include: tuple[Match, ...] = key(
        ListOf(_match()), "Cells to add, or values to add to the cells that match, as in a GitHub Actions matrix.", ()
    )
    exclude: tuple[Match, ...] = key(ListOf(_match()), "Partial matches; every cell that matches one is left out.", ())
    cells: int = key(Word({"all": 0, "pairwise": 2, "3-wise": 3}), "Cells to run; docs/sparse.md. Default: all.", 0)
    experiment: ExperimentSection = key(Section(ExperimentSection), "What every trial runs.", ExperimentSection())
    packages: tuple[PackageEntry, ...] = key(
        _PACKAGES, "Further requirements of every cell (PEP 508), with `when` of some cells.", ()
    )
    requirements: tuple[Text | RequirementsSection, ...] = key(
        _REQUIREMENTS,
        "Files that say what the project needs: requirements files, pyproject.toml (pyproject.toml[train] with "
        "extras), the pip part of an environment.yml. What they say of an axis is left to the axis.",
        (),
    )
    indexes: tuple[str, ...] = key(
        OneOrMore(INDEX_ADDRESS, least=0),
        "Further package indexes, such as the one that has a framework's wheels for processors only: an address, or "
        "name=address with its credentials in UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD.",
        (),
    )
    criterion: tuple[Text, ...] = key(
        OneOrMore(TEXT, least=0),
        "When training has converged: 'loss < 1e-4', 'val_accuracy >= 0.9 within 5 epochs'; and what it may cost: "
        "'seconds < 1.5x baseline' (or epoch, memory). All must hold; the first metric is the judged one.",
        (),
    )
    metrics: MetricSources = key(
        METRICS,
        "Metrics that are read from what the script prints, by name, and from the files that it writes.",
        {},
    )
    metric: Text | None = key(
        _STRING,
        "The judged metric where no criterion names it. Default: the first pattern of `metrics`, else loss.",
        None,
    )
    mode: Mode | None = key(
        Word({"min": "min", "max": "max"}), "Which way the metric is better. Default: as its name suggests.", None
    )
    at: Literal["last", "best"] = key(
        Word({"last": "last", "best": "best"}),
        "The value that is judged: the last one of a trial, or the best so far (as checkpoints keep it). "
        "Default: last.",
        _JUDGING.at,
    )
    skip: int = key(COUNT_FROM_ZERO, "How many first epochs are not judged. Default: 0.", _JUDGING.skip)
    fits: Fits = key(
        Word({"last": "last", "all": "all", "best": "best"}),
        "Which training is judged where a trial has several: the last one that reported the metric, all of them (by "
        "the worst), or the best. Default: last.",
        _JUDGING.fits,
    )
    baseline: Match | None = key(
        _match(),
        "Axis values of the cell that others are compared with. Default: the cell that converges best.",
        None,
    )
    control: bool = key(
        TRUTH,
        "Run the baseline a second time, with other seeds, to see how often equal cells look different. "
        "Default: false.",
        default=False,
    )
    seeds: int | Literal["as-written"] | SeedsSection = key(
        Either(SEED_COUNT, Section(SeedsSection)),
        "A fixed number, as-written, or {lead: 4, cap: 10}.",
        SeedsSection(),
    )
    resources: ResourcesSection = key(Section(ResourcesSection), "What one trial may use.", ResourcesSection())
    expect: tuple[Match, ...] = key(
        ListOf(_match(outcome=_OUTCOME)), "Outcomes that cells must have; a mismatch makes the exit code 1.", ()
    )
    flavour: str = key(
        Word({"auto": "auto", "cpu": "cpu", "full": "full"}),
        "How tensorflow is installed where tensorflow-cpu exists too: cpu, full, or auto. Default: auto.",
        "auto",
    )
    base_image: tuple[Text | BaseImageSection, ...] = key(
        _BASE_IMAGE,
        "The image that environments are made on under docker, which has a CPython of its own; several with `when`, of "
        "which a cell has the first that it meets. Default: one for each CPython.",
        (),
    )
    platform: str = key(PLATFORM, "What trials run on; docs/platforms.md. Default: what the engine is.", "")
    as_of: AsOf = key(
        _AS_OF,
        "From when the packages of an environment may be: release (up to the day after the base came out), none (any "
        "time) or a date; or a mapping of packages to none or a date, `default` for the others.",
        "release",
    )
    title: Text = key(_STRING, "The title of the report. Default: the name of the folder.", Text())
    description: Text = key(_STRING, "What is asked here, for the head of the report.", Text())


_MATRIX = Section(MatrixSections, aside=ASIDE)


def read_sections(tree: Node | None, mistakes: Mistakes) -> tuple[MatrixSections, frozenset[str]]:
    """The sections that have the right shape, and the names of what was left out: `axes`, `axes.keras`, `exclude.2`.

    Every misshapen part is noted in `mistakes`. Raises MatrixError where the tree is not a mapping at all.
    """
    if tree is None or isinstance(tree, Nothing):
        top = Position(line=1, column=1)
        mistakes.stop(top, "the file is empty", "`convergence-matrix init script.py` writes a matrix")
    if not isinstance(tree, Entries):
        mistakes.stop(tree.position, f"a matrix is a mapping with keys such as axes, not a {shape(tree)}")
    left_out: set[str] = set()
    place = NodePlace(mistakes=mistakes, left_out=left_out, position=tree.position)
    return _MATRIX.read(tree, place), frozenset(left_out)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a matrix file."""
    return {
        "$schema": SCHEMA_DIALECT,
        "title": "matrix.yaml",
        "description": "One training script, many library versions: what a convergence matrix tries.",
        **_MATRIX.schema(),
        "anyOf": [{"required": ["axes"]}, {"required": ["include"]}],
        "patternProperties": {f"^{ASIDE}": {"description": "Ignored; a place for anchors."}},
    }
