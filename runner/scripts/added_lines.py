"""Lines that a person would put among the imports of a source file, and the names that the file has for packages.

Takes a file's text, gives edits of it; none where it is not Python 3.
"""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

from runner.scripts.source import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAMEWORKS = frozenset(
    {
        "keras",
        "tf_keras",
        "tensorflow",
        "torch",
        "sklearn",
        "jax",
        "xgboost",
        "lightgbm",
        "numpy",
        "h5py",
        "scipy",
        "pandas",
    }
)
_USUAL = {
    "tf": "tensorflow",
    "np": "numpy",
    "os": "os",
    "torch": "torch",
    "jax": "jax",
    "random": "random",
}
"""Names that lines to be added use, and the modules that they stand for; `keras` is the Keras of the script."""
_KERAS = ("keras", "tensorflow.keras", "tf_keras")


def added_lines(text: str, lines: Sequence[str], *, before: bool = False, guarded: bool = False) -> list[Edit]:
    """Put lines after the imports of a file; with `before` in front of the first one that is not of Python itself.

    The names `tf`, `keras`, `np`, `os` and so on in the lines become those that the file has; an import is added for
    one that it lacks. `guarded`: they are left out where that can't be imported; nothing where none is added.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    place, known = _before_imports(tree) if before else _after_imports(tree)
    bound = _bound_names(known)
    code, imports = [], dict[str, None]()
    for line in lines:
        made, needed = _with_names(line, bound)
        code.append(made)
        imports |= dict.fromkeys(needed)
    if guarded:
        if not any(FRAMEWORKS.intersection(re.findall(r"\w+", line)) for line in imports):
            return []
        code = ["try:", *(f"    {line}" for line in [*imports, *code]), "except ImportError:", "    pass"]
        imports = {}
    only_imports = all(line.startswith(("import ", "from ")) for line in lines)
    apart = [] if before or only_imports else [""]
    newline = "\r\n" if "\r\n" in text else "\n"
    added = "".join(f"{line}{newline}" for line in [*imports, *apart, *code])
    rows = text.encode().splitlines(keepends=True)
    start = sum(map(len, rows[:place]))
    if place and not rows[place - 1].endswith(b"\n"):
        added = f"{newline}{added}"
    return [Edit(start=start, end=start, text=added)]


def with_names_of(text: str, code: str) -> tuple[str, list[Edit]]:
    """Code with the names that a file has for `np`, `tf`, `keras` and so on, and the imports that it lacks."""
    made, imports = _with_names(code, _bound_names(ast.parse(text).body))
    return made, added_lines(text, imports) if imports else []


def _before_imports(tree: ast.Module) -> tuple[int, list[ast.stmt]]:
    """The number of lines before the first import that is not of Python itself, and the statements on them."""
    for number, one in enumerate(tree.body):
        names = (
            {alias.name for alias in one.names} if isinstance(one, ast.Import) else {getattr(one, "module", "") or ""}
        )
        own = {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
        is_import = isinstance(one, ast.Import | ast.ImportFrom)
        if (is_import and not own) or not (is_import or _is_text(one) or isinstance(one, ast.Expr | ast.Assign)):
            return one.lineno - 1, tree.body[:number]
    return _after_imports(tree)


def _after_imports(tree: ast.Module) -> tuple[int, list[ast.stmt]]:
    """The number of lines up to the last import of the file's head, and the statements on them."""
    frameworks: set[str] = set()
    found: tuple[int, list[ast.stmt]] = (0, [])
    for number, one in enumerate(tree.body, start=1):
        if _imports_only(one):
            bound = _bound_names([one])
            frameworks |= {
                name for path, name in bound.items() if path.partition(".")[0] in FRAMEWORKS - {"numpy", "pandas"}
            }
            found = one.end_lineno or one.lineno, tree.body[:number]
        elif number == 1 and _is_text(one):
            found = one.end_lineno or one.lineno, tree.body[:number]
        elif isinstance(one, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.With) or frameworks & {
            node.id for node in ast.walk(one) if isinstance(node, ast.Name)
        }:
            break
    return found


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _imports_only(statement: ast.stmt) -> bool:
    """True for an import, and for a `try` or `if` of imports."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Try(body=body, handlers=handlers):
            return all(map(_imports_only, body)) and all(_imports_only(one) for each in handlers for one in each.body)
        case ast.If(body=body, orelse=orelse):
            return all(map(_imports_only, [*body, *orelse]))
        case _:
            return False


def _bound_names(statements: Sequence[ast.stmt]) -> dict[str, str]:
    """By dotted path, the name that imports among the statements of a file's top level bind it to."""
    found: dict[str, str] = {}
    for one in statements:
        for node in ast.walk(one) if _imports_only(one) else ():
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found.update({alias.name: alias.asname} if alias.asname else {top: top, alias.name: alias.name})
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.update({f"{node.module}.{alias.name}": alias.asname or alias.name for alias in node.names})
    return found


def _with_names(code: str, bound: dict[str, str]) -> tuple[str, list[str]]:
    """Code with the file's own names for what it uses, and the imports of what the file lacks."""
    if code.startswith(("import ", "from ")):
        return code, []
    imports = []
    tree = ast.parse(code)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in sorted(used & {*_USUAL, "keras"}):
        known, needed = _keras(bound) if name == "keras" else (bound.get(_USUAL[name], ""), "")
        if not known and not needed:
            needed = f"import {_USUAL[name]}" + (f" as {name}" if name != _USUAL[name] else "")
        imports += [needed] if needed else []
        code = re.sub(rf"(?<![\w.]){name}(?=\.)", known or name, code)
    return code, imports


def _keras(bound: dict[str, str]) -> tuple[str, str]:
    """The script's name for its Keras, or the import that gives one."""
    known = next((bound[root] for root in _KERAS if root in bound), "")
    if not known and "tensorflow" in bound and _root(bound) == "tensorflow.keras":
        known = f"{bound['tensorflow']}.keras"
    root = _root(bound)
    package, _, name = root.rpartition(".")
    return known, "" if known else (f"from {package} import {name}" if package else f"import {root}")


def _root(bound: dict[str, str]) -> str:
    """The Keras that a script imports from."""
    for root in ("tensorflow.keras", "keras", "tf_keras"):
        if any(path == root or path.startswith(f"{root}.") for path in bound):
            return root
    return "tensorflow.keras" if "tensorflow" in bound else "keras"


def keras_name(text: str, below: str) -> tuple[str, list[Edit]]:
    """A name below Keras as the script can write it, and the import that this needs."""
    bound = _bound_names(ast.parse(text).body)
    for root in _KERAS:
        if root in bound:
            return f"{bound[root]}.{below}", []
    if "tensorflow" in bound and not any(path.startswith(("keras.", "tf_keras.")) for path in bound):
        return f"{bound['tensorflow']}.keras.{below}", []
    module, _, name = below.rpartition(".")
    if (path := f"{_root(bound)}.{below}") in bound:
        return bound[path], []
    return name, added_lines(text, [f"from {_root(bound)}.{module} import {name}"])


def guarded_import(text: str, edit: Edit) -> list[Edit]:
    """An edit within an import of one line as a `try`, with the line as it was where that can't be imported."""
    data = text.encode()
    start = data.rfind(b"\n", 0, edit.start) + 1
    end = data.find(b"\n", edit.end)
    end = len(data) if end < 0 else end
    line = data[start:end].decode()
    if not re.match(r"\s*(?:from\s+[\w.]+\s+import\s|import\s)", line) or line.rstrip().endswith(("(", "\\")):
        return []
    indent = line[: len(line) - len(line.lstrip())]
    new = (data[start : edit.start].decode() + edit.text + data[edit.end : end].decode()).strip()
    made = f"{indent}try:\n{indent}    {new}\n{indent}except ImportError:\n{indent}    {line.strip()}"
    return [Edit(start=start, end=end, text=made)]
