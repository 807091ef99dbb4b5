from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import MatrixError, UsageError
from runner.matrix.mistakes import Mistakes, Position
from runner.matrix.nodes import SIZE_LIMIT, Entries, Items, Nothing, Text, compose, read_text

FILE = Path("matrix.yaml")


def tree(text: str) -> object:
    mistakes = Mistakes(FILE)
    node = compose(text, mistakes)
    mistakes.raise_any()
    return node


def message(text: str) -> str:
    with pytest.raises(MatrixError) as caught:
        tree(text)
    return str(caught.value)


def test_an_unquoted_1_10_stays_the_text_1_10() -> None:
    assert tree("tensorflow: [1.10, 1.13.1, 1e3, true, null, 0x10, 2019-01-01]") == {
        "tensorflow": ["1.10", "1.13.1", "1e3", "true", "null", "0x10", "2019-01-01"]
    }


def test_every_value_and_key_knows_its_line_and_column() -> None:
    node = tree("axes:\n  keras: [2.2.4,\n          '2.3.1']\n")
    assert isinstance(node, Entries)
    axes = node["axes"]
    assert isinstance(axes, Entries)
    (key,) = axes
    assert key.position == Position(line=2, column=3)
    keras = axes["keras"]
    assert isinstance(keras, Items)
    assert [value.position for value in keras] == [Position(line=2, column=11), Position(line=3, column=11)]


def test_a_character_inside_a_text_is_found_behind_its_quotation_mark() -> None:
    plain, double, block = (Text.make("loss < x", Position(line=3, column=5), style) for style in ("", '"', "|"))
    assert plain.at(7) == Position(line=3, column=12)
    assert double.at(7) == Position(line=3, column=13)
    assert block.at(7) == Position(line=3, column=5)


def test_an_empty_value_is_nothing_but_an_empty_quoted_text_is_a_text() -> None:
    node = tree("a:\nb: ''\n")
    assert isinstance(node, Entries)
    assert isinstance(node["a"], Nothing)
    assert node["b"] == ""


def test_aliases_and_merge_keys_work_and_what_is_written_wins() -> None:
    text = "a: &one {x: 1, y: 2}\nb: &two {y: 3, z: 4}\nc: {<<: [*one, *two], x: 9}\nd: *one\n"
    node = tree(text)
    assert isinstance(node, Entries)
    assert node["c"] == {"y": "2", "z": "4", "x": "9"}
    assert node["d"] == node["a"]


def test_a_merged_key_keeps_the_order_of_what_it_merges() -> None:
    node = tree("a: &one {x: 1, y: 2}\nb: {<<: *one, w: 0}\n")
    assert isinstance(node, Entries)
    assert list(node["b"]) == ["x", "y", "w"]  # type: ignore[arg-type]


def test_a_merge_key_with_a_text_is_refused() -> None:
    assert message("a: {<<: b}") == "matrix.yaml:1:5: `<<` takes a mapping or a list of mappings"


def test_a_billion_laughs_file_is_refused_at_once() -> None:
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"{c}: &{c} [{', '.join([f'*{p}'] * 10)}]" for p, c in zip("abcdefgh", "bcdefghi", strict=True)]
    assert message("\n".join(lines)) == (
        f"matrix.yaml:5:4: this expands to more than {SIZE_LIMIT:,} values, each alias counted in full"
    )


def test_a_billion_laughs_file_of_merge_keys_is_refused_at_once() -> None:
    lines = ["a: &a {k: [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]}"]
    pairs = zip("abcdefgh", "bcdefghi", strict=True)
    lines += [f"{c}: &{c} {{{', '.join(f'k{i}: *{p}' for i in range(10))}, <<: *{p}}}" for p, c in pairs]
    assert "expands to more than 100,000 values" in message("\n".join(lines))


def test_too_deep_nesting_is_refused_with_its_place() -> None:
    assert message("[" * 5000 + "]" * 5000) == "matrix.yaml:1:22: nested deeper than 20 levels"


def test_an_alias_inside_what_it_names_is_refused() -> None:
    assert message("a: &a [1, *a]") == "matrix.yaml:1:11: the alias 'a' is used inside the value that it names"


def test_an_alias_without_an_anchor_names_the_nearest_one() -> None:
    assert message("a: &old [1]\nb: *odl\n") == (
        "matrix.yaml:2:4: the alias 'odl' has no anchor before it (did you mean 'old'?)"
    )


def test_a_duplicate_key_is_named_with_both_lines_and_the_reading_goes_on() -> None:
    assert message("a: 1\nb: 2\na: 3\nb: 4\n").splitlines() == [
        "matrix.yaml:3:1: the key 'a' appears twice (first on line 1)",
        "matrix.yaml:4:1: the key 'b' appears twice (first on line 2)",
    ]


def test_a_second_document_is_refused() -> None:
    assert message("a: 1\n---\nb: 2\n") == (
        "matrix.yaml:2:1: a second document begins here (a matrix file holds one document)"
    )


def test_a_tag_is_refused() -> None:
    assert message("a: !!python/name:os.system x") == (
        "matrix.yaml:1:4: the tag 'tag:yaml.org,2002:python/name:os.system' has no meaning here "
        "(leave it out; put a text with ! in quotes)"
    )


def test_a_tab_is_named_as_what_it_is() -> None:
    assert message("axes:\n\tkeras: 1\n") == (
        "matrix.yaml:2:1: not YAML: a tab is used here (YAML is indented with spaces)"
    )


def test_a_syntax_error_says_where_what_it_belongs_to_begins() -> None:
    text = message("axes:\n  keras: [2.2.4\nseeds: 3\n")
    assert text.startswith("matrix.yaml:3:6: not YAML: ")
    assert text.endswith("(while parsing a flow sequence that begins on line 2)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: \x07", "matrix.yaml:1:4: the character U+0007 is not allowed"),
        ('a: "x\\0"', "matrix.yaml:1:4: the character U+0000 is not allowed"),
        ('a: "\\ud800"', "matrix.yaml:1:4: the character U+D800 is not allowed"),
        ('a: "\\UFFFFFFFF"', "matrix.yaml:1:7: not YAML: a number in it is out of range"),
        ("{[1]: 2}", "matrix.yaml:1:2: a key must be a text, not a list"),
        ("? \n: 2", "matrix.yaml:1:2: a key must be a text, not nothing"),
    ],
)
def test_what_no_matrix_can_hold_is_refused_with_its_place(text: str, expected: str) -> None:
    assert message(text) == expected


def test_a_file_that_is_not_utf_8_is_refused_at_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_bytes("# é\nab".encode() + b"\xff\n")
    with pytest.raises(MatrixError) as caught:
        read_text(path)
    assert str(caught.value) == f"{path}:2:3: the file is not UTF-8: byte 0xff has no meaning here"


def test_a_file_of_more_than_1_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_bytes(b"#" * (1024**2 + 1))
    with pytest.raises(MatrixError, match=r":1:1: the file is larger than 1 MB$"):
        read_text(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_bytes(b"\xef\xbb\xbfaxes: 1")
    assert read_text(path) == "axes: 1"


def test_a_missing_file_and_a_folder_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope\.yaml can't be read: No such file or directory"):
        read_text(tmp_path / "nope.yaml")
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {range: >=1.7,<2.17}", "1:12: not YAML: found character '>' that cannot start any token"),
        ("a: [>=1.7]", "1:5: not YAML: found character '>' that cannot start any token"),
        ("a:\n  range: >=1.7", "2:11: not YAML: expected chomping or indentation indicators, but found '='"),
        ("a: {range: *}", "1:13: not YAML: expected alphabetic or numeric character, but found '}'"),
    ],
)
def test_a_range_without_its_quotes_gets_the_hint_that_it_needs_them(text: str, expected: str) -> None:
    character = text[text.index("e: ") + 3] if "range" in text else ">"
    assert message(text) == f"matrix.yaml:{expected} (put a text that begins with {character} in quotes)"
