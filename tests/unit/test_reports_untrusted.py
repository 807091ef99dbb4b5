"""Text from scripts: what a terminal would obey is shown, and colours are all that is left of escape sequences."""

from __future__ import annotations

import pytest

from runner.reports.untrusted import capped, terminal_html, visible


def test_controls_are_shown_by_their_name() -> None:
    assert visible("a\u202eb\x07c\u200bd\te\nf") == "a⟨U+202E⟩b⟨U+0007⟩c⟨U+200B⟩d\te\nf"


@pytest.mark.parametrize(
    ("log", "html"),
    [
        ("plain", "plain"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("\x1b[31mred\x1b[0m not", '<span class="ansi-red">red</span> not'),
        (
            "\x1b[1;32mboth\x1b[39mbold",
            '<span class="ansi-bold ansi-green">both</span><span class="ansi-bold">bold</span>',
        ),
        ("\x1b[38;5;196mmany colours", "many colours"),
        ("\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07", "link"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("1/8\r8/8\nnext", "8/8\nnext"),
        ("one\r\ntwo", "one\ntwo"),
        ("10%\b\b\b20%", "20%"),
        ("\x1b broken \x9b31m", "⟨U+001B⟩ broken ⟨U+009B⟩31m"),
        (
            '\x1b[31m"><script>alert(1)</script>',
            '<span class="ansi-red">&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</span>',
        ),
        ("\x1b[" + "1;" * 500 + "m" + "x", '<span class="ansi-bold">x</span>'),
    ],
)
def test_a_log_is_shown_as_a_terminal_would_in_the_end(log: str, html: str) -> None:
    assert str(terminal_html(log)) == html


def test_of_a_text_of_any_length_head_and_tail_are_shown() -> None:
    text = capped("a" * 200_000_000, 1000)
    assert text == f"{'a' * 250}\n[… 199,999,000 characters left out …]\n{'a' * 750}"
    assert capped("short") == "short"
