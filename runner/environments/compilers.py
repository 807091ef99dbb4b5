"""Why a source distribution was not compiled: what its builder said → the line that shows that a compiler is missing.

Old packages say it in a hundred lines that end with something else, so a user would not find the reason in them.
"""

from __future__ import annotations

import re

_COMPILER = r"(?:[\w./+-]*/)?(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|c89|c99)(?:-[\d.]+)?"
_MISSING = re.compile(
    rf"""
      command\ '{_COMPILER}'\ failed:\ No\ such\ file        # setuptools
    | ^{_COMPILER}\ .*\n.*command\ '{_COMPILER}'\ failed\ with\ exit\ status\ 1$
                                      # distutils of CPython up to 3.8, where the compiler itself said not a word
    | unable\ to\ execute\ '?{_COMPILER}'?:\ No\ such\ file  # the same where it warns
    | No\ such\ file\ or\ directory:\ '{_COMPILER}'          # what starts it without a shell
    | (?:^|\s){_COMPILER}:\ (?:command\ )?not\ found         # a shell: numpy's own distutils
    | Unknown\ compiler\(s\):                                # meson
    | No\ CMAKE_C\w*_COMPILER\ could\ be\ found              # CMake
    | linker\ `\w+`\ not\ found                              # Rust, which links with the C compiler
    | fatal\ error:\ Python\.h:\ No\ such\ file              # a CPython without its headers compiles nothing either
    """,
    re.VERBOSE | re.MULTILINE,
)


def missing_compiler(said: str) -> str | None:
    """The last line of a builder's output that shows that there is no compiler; None where it failed without one."""
    ends = [found.end() for found in _MISSING.finditer(said)]
    if not ends:
        return None
    start, end = said.rfind("\n", 0, ends[-1]) + 1, said.find("\n", ends[-1])
    return said[start : end if end >= 0 else None].strip()
