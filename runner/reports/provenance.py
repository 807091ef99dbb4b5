"""Where a published report comes from, as an in-toto statement with SLSA's provenance (https://slsa.dev/spec/v1.0/provenance).

Its subjects are the files of the site; what they were made of are the script's files, the locks and what they stand on.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.outcomes.result import Result

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
_NAME = "urn:convergence-matrix"
_END = "\n"


def provenance_parts(report: Result, digests: Mapping[str, str]) -> Iterator[str]:
    """The statement of a report, as JSON in parts; `digests` are the SHA-256 of the site's files by their names."""
    statement = {
        "_type": STATEMENT,
        "subject": [],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": f"{_NAME}:publish:v1",
                "externalParameters": {"matrix": {"sha256": hashlib.sha256(report.matrix.encode()).hexdigest()}},
                "resolvedDependencies": [*_sources(report), *_locks(report), *_bases(report)],
            },
            "runDetails": {
                "builder": {"id": _NAME, "version": {"convergence-matrix": report.runner_version}},
                "metadata": {"finishedOn": report.made_at},
            },
        },
    }
    before, empty, after = json.dumps(statement, indent=1).partition('"subject": []')
    yield before + (empty if not digests else '"subject": [')
    comma = ""
    for name in sorted(digests):
        subject = json.dumps({"name": name, "digest": {"sha256": digests[name]}}, indent=1)
        yield f"{comma}\n  {subject.replace(_END, f'{_END}  ')}"
        comma = ","
    yield (f"\n ]{after}\n" if digests else f"{after}\n")


def _sources(report: Result) -> Iterator[dict[str, object]]:
    """The script's files; the commit that they are in, where they are in one as they are."""
    for name, digest in report.sources.items():
        yield {"name": name, "digest": {"sha256": digest}, **_annotated(kind="source")}
    if report.commit:
        yield {"name": "commit", "digest": {"gitCommit": report.commit}, **_annotated(kind="commit")}


def _locks(report: Result) -> Iterator[dict[str, object]]:
    for digest, lock in report.locks.items():
        yield {"name": lock.name, "digest": {"sha256": digest}, **_annotated(kind="lock", python=lock.python)}


def _bases(report: Result) -> Iterator[dict[str, object]]:
    """The images, or interpreters, that environments stand on; an image is named by its digest."""
    for cell in {cell.base_identity: cell for cell in report.cells if cell.base_identity}.values():
        yield {"name": cell.base_identity, **_annotated(kind="base", engine=cell.engine)}


def _annotated(**values: str) -> dict[str, object]:
    return {"annotations": values}
