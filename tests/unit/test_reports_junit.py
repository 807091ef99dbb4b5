"""The report as JUnit XML: valid whatever a script printed, and each kind of cell told as what it is."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped
from reports_made import HOSTILE, cell, exception, hostile_report, report, trial

from runner.reports.junit import junit


def read(text: str) -> JUnitXml:
    return JUnitXml.fromstring(text.encode())


@pytest.mark.parametrize("text", HOSTILE)
def test_it_is_xml_whatever_a_script_printed(text: str) -> None:
    found = read(junit(hostile_report(text)))
    assert (found.tests, found.failures, found.errors, found.skipped) == (4, 1, 1, 1)


@given(st.text())
def test_it_is_xml_whatever_text_there_is(text: str) -> None:
    ET.fromstring(junit(hostile_report(text)).encode())


def test_each_cell_is_a_case_and_each_kind_is_told_as_what_it_is() -> None:
    blocked = {"outcome": "blocked (install-failed)", "kind": "untestable"}
    made = report(
        cell(1),
        cell(2, outcome="fails (nan)", kind="bad", reason="4 nan"),
        cell(3, **blocked, exception=exception("no module")),
        cell(4, outcome="undecided", kind="undecided", reason="none ran"),
        cell(5, outcome="fails (nan)", kind="bad", expected="fails", as_expected=True),
        cell(6, **blocked, expected="converges", as_expected=False),
    )
    [suite] = list(read(junit(made)))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 2, 1, 1)
    results = [case.result for case in suite]
    assert [type(result[0]) if result else None for result in results] == [
        None,
        Failure,
        Skipped,
        Error,
        None,
        Failure,
    ]
    assert results[2][0].message == "blocked (install-failed): ValueError: no module"
    assert results[5][0].message == "expected converges, got blocked (install-failed)"
    case = next(iter(suite))
    assert (case.name, case.time) == ("six=1.1.0,script=a.py", 6.0)
    properties = {one.get("name"): one.get("value") for one in case._elem.iter("property")}
    assert properties["six"] == "1.1.0"
    assert properties["converged"] == "4/4"


def test_a_failure_has_its_traceback_its_log_and_how_to_see_it_again() -> None:
    failing = cell(1, outcome="breaks (crashed-training)", kind="bad", exception=exception("bad shape"))
    failing = failing.model_copy(update={"trials": (trial("crashed-training", log="\x1b[1mlast words"),)})
    [suite] = list(read(junit(report(failing))))
    case = next(iter(suite))
    assert "Trace: bad shape" in case.result[0].text
    assert "convergence-matrix matrix.yaml --only x" in case.result[0].text
    assert case.system_out == "last words"


def test_a_matrix_of_which_nothing_ran_is_not_green() -> None:
    blocked = cell(1, outcome="blocked (unresolvable)", kind="untestable")
    found = read(junit(report(blocked, complaint="Nothing was executed: no cell has a finished trial.")))
    assert (found.tests, found.errors, found.skipped) == (2, 1, 1)


def test_the_elements_stand_where_the_schema_of_junit_wants_them() -> None:
    """The order and names that the XSDs in use (Jenkins, Surefire) have in common."""
    allowed = {
        "testsuites": ["testsuite"],
        "testsuite": ["testcase"],
        "testcase": ["properties", "skipped", "error", "failure", "system-out"],
        "properties": ["property"],
    }
    needed = {"testsuite": {"name", "tests"}, "testcase": {"name", "classname"}, "property": {"name", "value"}}
    for element in ET.fromstring(junit(hostile_report("x")).encode()).iter():
        names = [child.tag for child in element]
        places = [allowed.get(element.tag, []).index(name) for name in names]
        assert places == sorted(places), element.tag
        assert needed.get(element.tag, set()) <= element.attrib.keys()
