"""Exceptions that do something while they are looked at: the script ends as ever, and their type is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, run

if TYPE_CHECKING:
    from pathlib import Path

WAYS = ("raise SystemExit(0)", "raise KeyboardInterrupt", "raise GeneratorExit", "return f(*_)", "return 7")
UNTOLD = "(its message can't be told)"
RAISES = """
def f(*_):
    {way}
class Meta(type):
    __getattribute__ = {meta}
class Bad(Exception, metaclass=Meta):
    __str__ = __repr__ = {text}
    __dir__ = __getattr__ = {names}
    __class__ = {kind}
    __cause__ = __context__ = __suppress_context__ = {cause}
    __traceback__ = {cause}
def fails(hidden=None):
    raise Bad("why")
fails()
"""
PARTS = ("text", "names", "kind", "cause", "meta")
PLAIN = {
    "text": "Exception.__str__",
    "names": "None",
    "kind": "property(lambda self: type(self))",
    "cause": "None",
    "meta": "type.__getattribute__",
}
HOSTILE = {"text": "f", "names": "f", "kind": "property(f)", "cause": "property(f)", "meta": "f"}
"""What of an exception misbehaves."""


def script(*hostile: str, way: str) -> str:
    return RAISES.format(way=way, **{**PLAIN, **{part: HOSTILE[part] for part in hostile}})


@pytest.mark.parametrize("way", WAYS)
@EVERY_PYTHON
def test_an_exception_whose_text_does_something_ends_the_script_as_ever(python: Path, way: str, tmp_path: Path) -> None:
    source = f"def f(*_):\n    {way}\nclass Bad(Exception):\n    __str__ = __repr__ = f\nraise Bad"
    bare, watched = (run(python, tmp_path, source, probe=probe) for probe in (False, True))
    assert (watched.exit_code, watched.err, watched.out) == (1, bare.err, bare.out)
    error = watched.only("exception")
    assert (error["type"], error["message"], error["line"]) == ("__main__.Bad", UNTOLD, 5)
    assert "line 5, in <module>" in error["traceback"]
    assert watched.only("exit") == {"kind": "exception"}


@pytest.mark.parametrize("part", [*PARTS, " ".join(PARTS)])
@OLDEST_AND_NEWEST
def test_whatever_of_an_exception_does_something_its_type_and_place_are_told(
    python: Path, part: str, tmp_path: Path
) -> None:
    source = script(*part.split(), way="raise SystemExit(0)")
    bare, watched = (run(python, tmp_path, source, probe=probe) for probe in (False, True))
    assert (watched.exit_code, watched.out) == (bare.exit_code, bare.out)
    error = watched.only("exception")
    assert (error["type"], error["file"], error["line"]) == ("__main__.Bad", "train.py", 13)
    assert error["message"] == (UNTOLD if "text" in part else "why")
    assert "in fails" in error["traceback"]


@OLDEST_AND_NEWEST
def test_a_text_that_is_no_plain_text_is_told_as_such(python: Path, tmp_path: Path) -> None:
    source = """
class Text(str):
    def __getitem__(self, place): raise SystemExit(0)
    __str__ = __format__ = __len__ = __getitem__
class Bad(Exception):
    def __str__(self): return Text("why")
Bad.__module__ = Text("place")
raise Bad
"""
    told = run(python, tmp_path, source)
    error = told.only("exception")
    assert (told.exit_code, error["message"], error["line"]) == (1, "why", 8)


@OLDEST_AND_NEWEST
def test_locals_of_frames_and_modules_that_do_something_end_nothing(python: Path, tmp_path: Path) -> None:
    source = """
import sys
def out(*_): raise SystemExit(0)
class Bad(object):
    __repr__ = __str__ = __dir__ = __getattribute__ = __eq__ = __len__ = out
    __hash__ = object.__hash__
sys.modules["bad"] = Bad()
__loader__ = Bad()
def fails(bad):
    return bad_name
fails(Bad())
"""
    bare, watched = (run(python, tmp_path, source, probe=probe) for probe in (False, True))
    assert (watched.exit_code, watched.err) == (1, bare.err)
    error = watched.only("exception")
    assert (error["type"], error["line"]) == ("NameError", 10)
    assert watched.only("exit") == {"kind": "exception"}


@OLDEST_AND_NEWEST
def test_a_failure_of_the_probe_s_own_whose_text_does_something_stays_its_own(python: Path, tmp_path: Path) -> None:
    source = """
import keras
def out(*_): raise SystemExit(0)
class Bad(Exception):
    __str__ = out
class Mine(keras.models.Model):
    @property
    def layers(self): raise Bad
    get_config = layers
Mine().fit([0.5])
print("went on")
"""
    bare, watched = (run(python, tmp_path, source, probe=probe) for probe in (False, True))
    assert (watched.exit_code, watched.out, watched.err) == (bare.exit_code, bare.out, bare.err) == (0, "went on\n", "")
