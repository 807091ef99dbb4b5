"""The shape of `matrix.yaml` as pydantic models: what `structure` checks and what the JSON Schema is generated from.

Only shapes and single words are checked here; what values mean together is `load`'s part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    InstanceOf,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from runner.matrix.fragments import AS_OF, AXES, CONDITIONAL, EXPECT, PARTIAL, PARTIALS, SCALAR
from runner.matrix.mistakes import RefusedError, quoted
from runner.matrix.model import Experiment, Judging, Resources, Seeds
from runner.matrix.nodes import Nothing, Text, shape
from runner.matrix.quantities import count, count_from_zero, duration_s, size_bytes, truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema


ASIDE = "x-"
"""How the top-level keys begin that mean nothing to the runner; they hold anchors."""


def _reads(function: Callable[[str], object]) -> BeforeValidator:
    """A validator that reads a text with `function`; a refusal keeps its own words."""

    def read(node: object) -> object:
        if not isinstance(node, Text):
            raise PydanticCustomError("shape", "'text'")
        try:
            return function(node)
        except RefusedError as error:
            raise PydanticCustomError("refused", "{message}", {"message": error.message, "hint": error.hint}) from None

    return BeforeValidator(read)


def _whole(words: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": 1, **words})


Scalar = Annotated[Text, InstanceOf(), WithJsonSchema(SCALAR)]
Count = Annotated[int, _reads(count), _whole({})]
Size = Annotated[
    int,
    _reads(size_bytes),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?[kKmMgGtT]([iI]?[bB])?$", "examples": ["4g", "512m"]}
    ),
]
Duration = Annotated[
    float,
    _reads(duration_s),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": "^([0-9.]+h)?([0-9.]+m)?([0-9.]+s?)?$", "examples": ["30m", "90s"]},
            ]
        }
    ),
]
Truth = Annotated[bool, _reads(truth), WithJsonSchema({"type": "boolean"})]

_by_shape = Discriminator(shape)

Pairs = dict[Scalar, Scalar]
TextOrPairs = Annotated[Annotated[Scalar, Tag("text")] | Annotated[Pairs, Tag("mapping")], _by_shape]
TextOrTexts = Annotated[Annotated[Scalar, Tag("text")] | Annotated[tuple[Scalar, ...], Tag("list")], _by_shape]
AxisNode = Annotated[
    Annotated[Scalar, Tag("text")]
    | Annotated[Annotated[tuple[TextOrPairs, ...], Field(min_length=1)], Tag("list")]
    | Annotated[Pairs, Tag("mapping")],
    _by_shape,
]
PartialNode = Annotated[dict[Scalar, TextOrPairs], Field(min_length=1)]
ConditionalNode = Annotated[dict[Scalar, TextOrTexts], Field(min_length=1), WithJsonSchema(CONDITIONAL)]
PackageNode = Annotated[Annotated[Scalar, Tag("text")] | Annotated[ConditionalNode, Tag("mapping")], _by_shape]
PackagesNode = Annotated[Annotated[Scalar, Tag("text")] | Annotated[tuple[PackageNode, ...], Tag("list")], _by_shape]


class Section(BaseModel):
    """A mapping with known keys; a key with nothing after it counts as not written."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing(cls, node: object) -> object:
        if not isinstance(node, dict):
            raise PydanticCustomError("shape", "'mapping'")
        return {
            key: value for key, value in node.items() if not (isinstance(value, Nothing) and key in cls.model_fields)
        }


_EXPERIMENT = Experiment(script=None)
_RESOURCES = Resources()
_SEEDS = Seeds()
_JUDGING = Judging()


class ExperimentSection(Section):
    """What every trial does."""

    script: Annotated[Scalar | None, WithJsonSchema({"type": "string"})] = Field(
        default=None, description="The training script, relative to this file; not beside an axis named script."
    )
    args: tuple[Scalar, ...] = Field(default=(), description="The script's arguments.")
    data: tuple[TextOrPairs, ...] = Field(
        default=(),
        description="Files and folders that the script reads: a path, or source: target, where the target is relative "
        "to the working directory or starts with ~/ (such as ~/.keras/datasets/mnist.npz).",
    )
    timeout: Duration = Field(
        default=_EXPERIMENT.timeout_s, description="The longest that one trial may take: 30m, 90s. Default: 30m."
    )
    artifacts: tuple[Scalar, ...] = Field(default=(), description="Globs of the files that come back from a trial.")
    network: Truth = Field(
        default=_EXPERIMENT.network,
        description="Whether the script may use the network; the report shows it. Default: false.",
    )


class ResourcesSection(Section):
    """What one trial may use."""

    cpus: Count = Field(default=_RESOURCES.cpus, description="Processors. Default: 1.")
    memory: Size = Field(default=_RESOURCES.memory_bytes, description="Memory: 4g, 512m. Default: 4g.")
    disk: Size = Field(default=_RESOURCES.disk_bytes, description="What a trial may write. Default: 1g.")
    processes: Count = Field(default=_RESOURCES.processes, description="Processes and threads. Default: 256.")


class SeedsSection(Section):
    """One more seed while fewer than `cap` are counted and neither side leads by `lead`."""

    lead: Count = Field(default=_SEEDS.lead, description="By how many seeds good or bad must lead. Default: 4.")
    cap: Count = Field(default=_SEEDS.cap, description="The most seeds of one cell. Default: 10.")

    @model_validator(mode="after")
    def _cap_can_be_led(self) -> SeedsSection:
        if self.lead > self.cap:
            words = {"message": f"{self.cap} seeds can never lead by {self.lead}", "hint": "lead must not be above cap"}
            raise PydanticCustomError("refused", "{message}", words)
        return self


def _fixed_seeds(text: str) -> int | Literal["as-written"]:
    if text == "as-written":
        return "as-written"
    try:
        return count(text)
    except RefusedError:
        raise RefusedError(
            f"{quoted(text)} is no number from 1 on", "a number, as-written, or {lead: 4, cap: 10}"
        ) from None


FixedSeeds = Annotated[
    int | Literal["as-written"],
    _reads(_fixed_seeds),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "as-written"}]}),
]


class MatrixFile(Section):
    """One training script, many library versions: what a convergence matrix tries."""

    axes: dict[Scalar, AxisNode] = Field(
        description="Each name a list of values; every combination is a cell. A name is a package, or python, import, "
        "script or env. The first package is the base that environments are resolved around.",
        default_factory=dict,
        json_schema_extra=AXES,
    )
    include: tuple[PartialNode, ...] = Field(
        default=(),
        description="Cells to add, or values to add to the cells that match, as in a GitHub Actions matrix.",
        json_schema_extra=PARTIALS,
    )
    exclude: tuple[PartialNode, ...] = Field(
        default=(),
        description="Partial matches; every cell that matches one is left out.",
        json_schema_extra=PARTIALS,
    )
    experiment: ExperimentSection = Field(default=ExperimentSection(), description="What every trial does.")
    packages: PackagesNode = Field(
        default=(),
        description="Further requirements of every cell (PEP 508), with `when` of some cells; or the path of a "
        "requirements file.",
    )
    criterion: TextOrTexts = Field(
        default=(),
        description="When training has converged: 'loss < 1e-4', 'val_accuracy >= 0.9 within 5 epochs'. All must hold; "
        "the first names the judged metric.",
    )
    metric: Annotated[Scalar | None, WithJsonSchema({"type": "string"})] = Field(
        default=None, description="The judged metric where no criterion names it. Default: loss."
    )
    mode: Literal["min", "max"] | None = Field(
        default=None, description="Whether less or more of the metric is better. Default: as its name says."
    )
    at: Literal["last", "best"] = Field(
        default=_JUDGING.at,
        description="Whether the value that a trial ended with is judged, or the best so far (as checkpoints keep it). "
        "Default: last.",
    )
    skip: Annotated[int, _reads(count_from_zero), WithJsonSchema({"type": "integer", "minimum": 0})] = Field(
        default=_JUDGING.skip, description="How many first epochs are not judged. Default: 0."
    )
    baseline: Annotated[PartialNode | None, WithJsonSchema(PARTIAL)] = Field(
        default=None,
        description="Axis values of the cell that others are compared with. Default: the cell that converges best.",
    )
    control: Truth = Field(
        default=False,
        description="Whether the baseline is run a second time, with other seeds, to see whether equal cells look "
        "different. Default: false.",
    )
    seeds: Annotated[Annotated[FixedSeeds, Tag("text")] | Annotated[SeedsSection, Tag("mapping")], _by_shape] = Field(
        default=SeedsSection(), description="A fixed number, as-written, or {lead: 4, cap: 10}."
    )
    resources: ResourcesSection = Field(default=ResourcesSection(), description="What one trial may use.")
    expect: tuple[PartialNode, ...] = Field(
        default=(),
        description="Outcomes that cells must have; a mismatch makes the exit code 1.",
        json_schema_extra=EXPECT,
    )
    flavour: Literal["auto", "cpu", "full"] = Field(
        default="auto", description="Whether tensorflow is installed as tensorflow-cpu where both exist. Default: auto."
    )
    as_of: Annotated[TextOrPairs, WithJsonSchema(AS_OF)] = Field(
        default=Text("release"),
        description="What environments may be made of: release (as the index stood the day after the base came out), "
        "none (all there is) or a date; or a mapping of packages to none or a date, `default` for the others.",
    )


SECTIONS: dict[str, type[Section]] = {
    "experiment": ExperimentSection,
    "resources": ResourcesSection,
    "seeds": SeedsSection,
}


class _ForEditors(GenerateJsonSchema):
    """Without titles (a field's name again) and without defaults (typed values, which no one writes that way)."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a matrix file."""
    schema = MatrixFile.model_json_schema(schema_generator=_ForEditors)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "title": "matrix.yaml",
        "anyOf": [{"required": ["axes"]}, {"required": ["include"]}],
        "patternProperties": {f"^{ASIDE}": {"description": "Ignored; a place for anchors."}},
    }
