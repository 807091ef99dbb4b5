"""Findings as SARIF and as annotations, and the releases that a few named ones mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories_made import MODULE, by_root, history

from runner.check.findings import Finding, FindingKind
from runner.check.sarif import sarif, sentence
from runner.check.stacks import installed, named_versions
from runner.errors import UsageError
from runner.reports.annotations import finding_commands
from runner.scripts.source import Edit, NotRewritableError

FOUND = Finding(
    kind=FindingKind.BREAKS,
    path="keras.optimizers.SGD",
    argument="lr",
    file="nets/train.py",
    line=2,
    column=7,
    package="keras",
    since="3.0.0",
    message="keras.optimizers.SGD takes no argument `lr`",
    instead="learning_rate=0.1",
    edit=Edit(start=14, end=16, text="learning_rate"),
)
TEXT = "# größe\nSGD(lr=0.1)\n".encode()


def test_a_finding_is_one_sentence_with_its_border_and_what_to_write() -> None:
    assert sentence(FOUND) == (
        "keras.optimizers.SGD takes no argument `lr` (since keras 3.0.0); instead: learning_rate=0.1"
    )


def test_sarif_has_the_place_the_level_and_the_fix() -> None:
    run = sarif([FOUND], version="1", texts={"nets/train.py": TEXT})["runs"][0]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("breaks", "error")
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {kind.value for kind in FindingKind}
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "nets/train.py"
    assert place["region"] == {"startLine": 2, "startColumn": 7}
    (change,) = result["fixes"][0]["artifactChanges"]
    (replacement,) = change["replacements"]
    assert replacement["deletedRegion"] == {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 7}
    assert replacement["insertedContent"] == {"text": "learning_rate"}


def test_an_annotation_stands_on_its_line() -> None:
    line = finding_commands([FOUND])
    assert line.startswith("::error file=nets/train.py,line=2,col=7,title=breaks::keras.optimizers.SGD takes")
    assert line.endswith("\n")
    line = finding_commands([replace(FOUND, file="a,b.py", kind=FindingKind.DEPRECATED)])
    assert line.startswith("::notice file=a%2Cb.py,line=2")


def test_the_file_of_a_finding_is_an_address_in_sarif() -> None:
    found = replace(FOUND, file="my nets/train.py")
    (result,) = sarif([found], version="1", texts={found.file: TEXT})["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "my%20nets/train.py"


def test_a_file_that_can_not_be_checked_is_a_notification_and_a_warning() -> None:
    refused = NotRewritableError(path="my nets/old.py", line=3, reason="it is not Python 3")
    run = sarif([FOUND], version="1", texts={"nets/train.py": TEXT}, refused=[refused])["runs"][0]
    (invocation,) = run["invocations"]
    (said,) = invocation["toolExecutionNotifications"]
    assert (invocation["executionSuccessful"], said["level"]) == (False, "error")
    assert said["message"]["text"] == "This can't be checked: it is not Python 3."
    place = said["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == ("my%20nets/old.py", {"startLine": 3})
    (fine,) = sarif([FOUND], version="1", texts={"nets/train.py": TEXT})["runs"][0]["invocations"]
    assert fine == {"executionSuccessful": True, "toolExecutionNotifications": []}
    other = NotRewritableError(path="a,b.py", line=3, reason="it is not Python 3")
    assert finding_commands([], [other]) == (
        "::warning file=a%2Cb.py,line=3,title=not checked::This can't be checked: it is not Python 3.\n"
    )


TENSORFLOW = history(
    "tensorflow",
    {release: {"tensorflow": MODULE} for release in ("1.13.1", "2.10.0", "2.16.1", "2.16.2")},
    {
        "2.10.0": {"keras": "2.10.0", "numpy": "1.23.2", "tensorflow": "2.10.0"},
        "2.16.2": {"keras": "3.3.3", "numpy": "1.26.4", "tensorflow": "2.16.2"},
    },
)
KERAS = history(
    "keras",
    {release: {"keras": MODULE} for release in ("2.2.4", "2.2.5", "2.10.0", "3.3.3")},
    {"2.2.4": {"tensorflow": "1.13.1"}, "2.2.5": {"tensorflow": "1.14.0"}, "3.3.3": {"tensorflow": "2.16.1"}},
)


def test_a_release_of_two_numbers_is_its_last_patch_and_brings_what_it_was_looked_at_with() -> None:
    stack = installed(named_versions("tensorflow==2.16"), ["tensorflow", "keras"], by_root(TENSORFLOW, KERAS))
    assert stack == {"tensorflow": "2.16.2", "keras": "3.3.3", "numpy": "1.26.4"}


def test_what_is_named_stays_and_what_nothing_brings_is_of_the_time() -> None:
    histories = by_root(TENSORFLOW, KERAS)
    named = named_versions("tensorflow-cpu==2.10.0, keras==2.2.4")
    assert installed(named, ["keras"], histories)["keras"] == "2.2.4"
    assert installed({"tensorflow": "1.13.1"}, ["keras"], histories)["keras"] == "2.2.4"
    assert "keras" not in installed({"tensorflow": "1.13.1"}, ["numpy"], histories)


@pytest.mark.parametrize("text", ["tensorflow", "tensorflow>=2", "tensorflow==x", ""])
def test_anything_else_than_releases_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"write it like tensorflow==2\.16"):
        named_versions(text)
