"""`explain` on behaviour changes that were reported in public: the account must be the right one, and say no more.

The cheapest cases by default, all of them with RUNNER_ALL_CASES=1; what they found is in reports/cases/.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from known_cases import Case, cases, explained, wrong

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

CHOSEN = [case for case in cases() if case.cheap or os.environ.get("RUNNER_ALL_CASES") == "1"]


@pytest.mark.network
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_a_reported_behaviour_change_gets_the_account_that_is_known_to_be_right(case: Case, tmp_path: Path) -> None:
    account = explained(case, tmp_path / case.name)
    assert wrong(case, account) == [], "\n".join(account["sentences"])
