"""Findings as SARIF 2.1.0, which code hosts show beside the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runner.check.findings import FindingKind, position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.check.findings import Finding
    from runner.scripts.source import Edit, NotRewritableError

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {
    FindingKind.BREAKS: "error",
    FindingKind.IGNORED: "warning",
    FindingKind.CHANGES: "warning",
    FindingKind.KNOWN: "warning",
    FindingKind.DEPRECATED: "note",
}
_RULES = {
    FindingKind.BREAKS: "A name or an argument is not there in this release.",
    FindingKind.IGNORED: "An argument is accepted and not heeded.",
    FindingKind.CHANGES: "A default that the call relies on is another one.",
    FindingKind.KNOWN: "Behaviour changed that no signature shows.",
    FindingKind.DEPRECATED: "The package says that the name will go.",
}


def sentence(finding: Finding) -> str:
    """What a finding says, its border and what to write instead."""
    since = (
        f" (since {finding.package} {finding.since})" if finding.since and finding.since not in finding.message else ""
    )
    instead = f"; instead: {finding.instead}" if finding.instead else ""
    perhaps = "" if finding.certain else "perhaps: "
    return f"{perhaps}{finding.message}{since}{instead}"


def sarif(
    findings: Iterable[Finding],
    *,
    version: str,
    texts: Mapping[str, bytes],
    refused: Sequence[NotRewritableError] = (),
) -> dict[str, Any]:
    """One run of SARIF. `texts` are the UTF-8 texts of the files, which edits are in; `refused` were not checked."""
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "convergence-matrix",
                        "version": version,
                        "rules": [
                            {"id": kind.value, "shortDescription": {"text": text}} for kind, text in _RULES.items()
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not refused,
                        "toolExecutionNotifications": [_notification(one) for one in refused],
                    }
                ],
                "results": [_result(one, texts) for one in findings],
            }
        ],
    }


def _notification(refused: NotRewritableError) -> dict[str, Any]:
    place = {"uri": quote(refused.path), "uriBaseId": "%SRCROOT%"}
    region = {"startLine": max(1, refused.line)}
    return {
        "level": "error",
        "message": {"text": f"This can't be checked: {refused.reason}."},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": region}}],
    }


def _result(finding: Finding, texts: Mapping[str, bytes]) -> dict[str, Any]:
    place = {"uri": quote(finding.file), "uriBaseId": "%SRCROOT%"}
    result: dict[str, Any] = {
        "ruleId": finding.kind.value,
        "level": LEVELS[finding.kind],
        "message": {"text": sentence(finding)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": place,
                    "region": {"startLine": finding.line, "startColumn": finding.column},
                }
            }
        ],
        "properties": {
            "path": finding.path,
            "argument": finding.argument,
            "package": finding.package,
            "since": finding.since,
        },
    }
    if finding.edit is not None:
        result["fixes"] = [_fix(finding, finding.edit, place, texts[finding.file])]
    return result


def _fix(finding: Finding, edit: Edit, place: dict[str, str], text: bytes) -> dict[str, Any]:
    start, end = position(text, edit.start), position(text, edit.end)
    return {
        "description": {"text": f"Write {finding.instead}"},
        "artifactChanges": [
            {
                "artifactLocation": place,
                "replacements": [
                    {
                        "deletedRegion": {
                            "startLine": start[0],
                            "startColumn": start[1],
                            "endLine": end[0],
                            "endColumn": end[1],
                        },
                        "insertedContent": {"text": edit.text},
                    }
                ],
            }
        ],
    }
