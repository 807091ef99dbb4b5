"""The account as data: what earlier versions stored still opens, and is written as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.outcomes.account import Account, Factor

ROOT = Path(__file__).parents[2]
STORED = sorted([*(ROOT / "reports" / "cases").glob("*.json"), *(ROOT / "reports").glob("*/account.json")])


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_account_opens_and_is_written_with_the_same_keys_and_values(path: Path) -> None:
    stored = json.loads(path.read_text("utf-8"))
    written = json.loads(Account.model_validate(stored).model_dump_json())
    assert _without_defaults(written, stored) == stored


def _without_defaults(written: object, stored: object) -> object:
    """What is written without the keys that an earlier version did not have."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return {key: _without_defaults(written[key], stored[key]) for key in stored}
    if isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        return [_without_defaults(one, other) for one, other in zip(written, stored, strict=True)]
    return written


def test_what_a_search_needs_to_know_of_a_factor_is_not_stored() -> None:
    assert Factor(name="numpy", good="1", bad="2", pinned=True).model_dump() == {
        "name": "numpy",
        "good": "1",
        "bad": "2",
    }
