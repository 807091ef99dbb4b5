"""The JSON Schema of `matrix.yaml`, for editors; generated from the border's models. Takes nothing, gives a dict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from runner.matrix.border import MatrixFile
from runner.matrix.structure import ASIDE

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema


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
