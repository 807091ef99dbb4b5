"""Numbers of things in words."""

import pytest

from runner.plurals import counted


@pytest.mark.parametrize(("number", "words"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials")])
def test_only_one_thing_has_no_s(number: int, words: str) -> None:
    assert counted(number, "trial") == words
