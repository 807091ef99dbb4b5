"""Calls that import by a literal name in another flavour: `importlib.import_module("keras")`, `__import__("keras")`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.scripts.counterparts import Missing
from runner.scripts.sourcetext import Edit
from runner.scripts.syntax import Change, LeftAlone

if TYPE_CHECKING:
    import libcst as cst

    from runner.scripts.bindings import Bindings, ImportCall
    from runner.scripts.counterparts import Counterparts
    from runner.scripts.syntax import Syntax

_KERAS_IN_STRING = re.compile(r"""["'](keras|tf_keras|tensorflow(?:\.\w+)*\.keras)\b""")


def call_change(call: cst.Call, syntax: Syntax, bindings: Bindings, to: Counterparts) -> Change:
    """The change to a call; none where it imports no Keras."""
    found = bindings.import_call(call)
    if found is not None:
        return _literal_change(found, syntax, to)
    if bindings.import_function(call) is None:
        return Change()
    code = " ".join(syntax.code(call).split())
    put_together = _KERAS_IN_STRING.search(code)
    if put_together is None or to.of(put_together[1]) == put_together[1]:
        return Change()
    return Change(left_alone=(LeftAlone(start=syntax.start(call), use=code, reason="no single literal name"),))


def _literal_change(call: ImportCall, syntax: Syntax, to: Counterparts) -> Change:
    found = to.of(call.name, module=True)
    if found == call.name:
        return Change()
    left = (
        (LeftAlone(start=syntax.start(call.call), use=call.name, reason=found.reason),)
        if isinstance(found, Missing)
        else ()
    )
    name = _imported(call, found, to)
    if name is None:
        return Change(left_alone=left)
    if call.whole or name != "tensorflow.keras":
        return Change(edits=(_renamed(call, name, syntax),), left_alone=left)
    end = syntax.end(call.call)  # `__import__` returns the first package of a dotted name
    return Change(
        edits=(_renamed(call, "tensorflow", syntax), Edit(start=end, end=end, text=".keras")), left_alone=left
    )


def _imported(call: ImportCall, found: str | Missing, to: Counterparts) -> str | None:
    """What a call imports instead; None where it stays."""
    if call.whole:
        return found if isinstance(found, str) else None
    top = call.name.partition(".")[0]
    if to.place(top) is None:
        return top if isinstance(found, str) else None
    root = to.of(top)
    return found if isinstance(found, str) and root != "tensorflow.keras" else str(root)


def _renamed(call: ImportCall, name: str, syntax: Syntax) -> Edit:
    return syntax.replacement(call.literal, call.literal.value.replace(call.name, name, 1))


def rooted_call(call: ImportCall, syntax: Syntax, to: Counterparts) -> str:
    """The call that gives the Keras that is asked for, where the call itself gave a package around another one."""
    function, quote = syntax.code(call.call.func), call.literal.quote
    if function.endswith("__import__"):
        top, _, below = to.root.partition(".")
        return f"{function}({quote}{top}{quote})" + (f".{below}" if below else "")
    return f"{function}({quote}{to.root}{quote})"
