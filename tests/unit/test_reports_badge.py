"""The badge: a picture that says in words what its colour says."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from reports_made import cell, report

from runner.reports.site import badge

SVG = "{http://www.w3.org/2000/svg}"
GREEN, AMBER, RED, GREY = "#1a7f37", "#8a5a00", "#b3261e", "#57606a"


def read(text: str) -> tuple[str, str]:
    """The words and the colour."""
    root = ET.fromstring(text)
    left, right = root.iter(f"{SVG}text")
    assert left.text == "convergence"
    assert root.attrib["aria-label"] == f"convergence: {right.text}"
    assert root.find(f"{SVG}title") is not None
    [whole] = root.iter(f"{SVG}rect")
    assert not any("id" in element.attrib for element in root.iter()), "two badges may stand on one page"
    return str(right.text), whole.attrib["fill"]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_it_says_how_many_cells_converge_in_words_and_in_a_colour() -> None:
    bad = {"outcome": "fails (nan)", "kind": "bad"}
    assert read(badge(report(cell(1), cell(2)))) == ("2/2 converge", GREEN)
    assert read(badge(report(cell(1), cell(2, **bad)))) == ("1/2 converge", AMBER)
    assert read(badge(report(cell(1, **bad)))) == ("0/1 converge", RED)
    missed = cell(1, expected="fails", as_expected=False)
    assert read(badge(report(missed))) == ("1/1 converge, not as expected", RED)


def test_what_did_not_run_or_is_not_known_is_never_green() -> None:
    unknown = {"outcome": "undecided", "kind": "undecided"}
    assert read(badge(report(cell(1, **unknown), complaint="Nothing was executed."))) == ("nothing ran", GREY)
    mostly = report(cell(1), cell(2, **unknown), cell(3, **unknown), complaint="Most cells are undecided: 2 of 3.")
    assert read(badge(mostly)) == ("2/3 undecided", GREY)


def test_white_words_can_be_read_on_every_colour() -> None:
    for colour in (GREEN, AMBER, RED, GREY, "#3d444d"):
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour
