"""The import flavour of a script, and its backend: the same script and local modules, with every Keras meaning one.

Takes a script as it was read, gives one whose digest is that of what runs, with its diff and what was left alone.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.code_digest import code_digest
from runner.errors import UsageError
from runner.scripts.counterparts import ALIASES, ROOTS, Counterparts
from runner.scripts.script import content_of, imported_names
from runner.scripts.source import Edit, NotRewritableError, decode, edited

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.scripts.script import Script
    from runner.scripts.source import SourceText


FLAVOURS = ("as-written", *ROOTS)
_VARIABLE = "KERAS_BACKEND"


def rewritten(script: Script, flavour: str, backend: str | None = None) -> Script:
    """The script in an import flavour, one of `FLAVOURS`, and with a backend wherever it chooses one itself.

    Itself where the flavour is `as-written` and it chooses none. A file that can't use Keras is not even parsed. Raises
    NotRewritableError for one that may and is not Python 3, and UsageError where a file has changed since it was read
    or a local module hides the Keras that is meant.
    """
    if flavour not in FLAVOURS:
        raise UsageError(f"Imports can't be made to mean {flavour!r}. They can mean: {', '.join(FLAVOURS)}.")
    if backend is not None:
        script = _with_backend(script, backend)
    return script if flavour == "as-written" else _in_flavour(script, flavour)


def _with_backend(script: Script, backend: str) -> Script:
    contents = {file.path: content_of(script, file) for file in script.sources}
    sources = {path: decode(content, path) for path, content in contents.items() if b"backend" in content.lower()}
    after = {path: edited(source.text, _backend_edits(source.text, backend)) for path, source in sources.items()}
    changed = with_texts(script, sources, after)
    return changed if changed is script else replace(changed, has_other_backend=True)


def _backend_edits(text: str, backend: str) -> Iterator[Edit]:
    """What becomes of the expressions that choose a backend; none where the text is not Python 3."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for value in (value for node in ast.walk(tree) for value in _backends_in(node)):
        end = starts[(value.end_lineno or value.lineno) - 1] + (value.end_col_offset or 0)
        yield Edit(start=starts[value.lineno - 1] + value.col_offset, end=end, text=f'"{backend}"')


def _backends_in(node: ast.AST) -> Iterator[ast.expr]:
    """`x` of `os.environ["KERAS_BACKEND"] = x`, of `{"KERAS_BACKEND": x}` and of `keras.config.set_backend(x)`."""
    match node:
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=key))], value=value) if key == _VARIABLE:
            yield value
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == _VARIABLE)
        case ast.keyword(arg=str(name), value=value) if name == _VARIABLE:
            yield value
        case ast.Call(func=ast.Attribute(attr="set_backend", value=ast.Attribute(attr="config")), args=[value]):
            yield value
        case _:
            pass


def _in_flavour(script: Script, flavour: str) -> Script:
    from runner.scripts.codemod import rewrite  # noqa: PLC0415 - LibCST is heavy, most runs rewrite nothing

    contents = {file.path: content_of(script, file) for file in script.sources}
    to = _counterparts(script, contents, flavour)
    sources = {path: decode(content, path) for path, content in contents.items() if _may_use_keras(content)}
    try:
        results = rewrite({path: source.text for path, source in sources.items()}, to)
    except NotRewritableError as error:
        place = script.cell_of(error.path, error.line)
        if place is None:
            raise
        raise NotRewritableError(path=f"{error.path}, cell {place[0]}", line=place[1], reason=error.reason) from error
    done = with_texts(script, sources, {path: result.text for path, result in results.items()}, local=to.local)
    return replace(
        done,
        left_alone=tuple(script.in_cells(line) for result in results.values() for line in result.left_alone),
    )


def with_texts(
    script: Script,
    sources: Mapping[str, SourceText],
    after: Mapping[str, str],
    *,
    local: frozenset[str] | None = None,
) -> Script:
    """The script with other texts of some of its sources; itself where all of them are as before.

    `local` are the names of the script's own modules, where the texts may import something else than before.
    """
    changed = {path: source.with_text(after[path]) for path, source in sources.items() if after[path] != source.text}
    if not changed:
        return script
    files = tuple(
        replace(
            file,
            sha256=hashlib.sha256(changed[file.path]).hexdigest(),
            code=code_digest(changed[file.path]),
            rewritten=changed[file.path],
        )
        if file.path in changed
        else file
        for file in script.files
    )
    diff = script.diff + "".join(_diff(path, sources[path], after[path]) for path in changed)
    done = replace(script, files=files, diff=diff)
    if local is None:
        return done
    imports = {name for file in done.sources for name in imported_names(content_of(done, file))}
    return replace(done, imports=frozenset(imports - local))


def _may_use_keras(content: bytes) -> bool:
    """True where a file names Keras, or TensorFlow and one of its modules that are Keras."""
    return b"keras" in content or (b"tensorflow" in content and any(name.encode() in content for name in ALIASES))


def _counterparts(script: Script, contents: Mapping[str, bytes], flavour: str) -> Counterparts:
    """The names of a flavour, as this script sees them: what is one of its own modules is no Keras."""
    imported = {name for content in contents.values() for name in imported_names(content)}
    local = frozenset(imported - script.imports)
    package = ROOTS[flavour].partition(".")[0]
    if package in local:
        raise UsageError(
            f"{script.path} has a module of its own named {package}, which hides the package: its imports can't be "
            f"rewritten to {flavour}. Rename that module, or use `import: as-written`."
        )
    return Counterparts(flavour=flavour, local=local)


def _diff(path: str, source: SourceText, after: str) -> str:
    """A unified diff that `patch -p1` and `git apply` take."""
    mark = source.mark.decode()
    lines = difflib.unified_diff(_lines(mark + source.text), _lines(mark + after), f"a/{path}", f"b/{path}")
    return "".join(_ended(line) for line in lines)


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline="\n"))


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
