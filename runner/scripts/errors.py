"""How rewriting a script's imports fails: the file, the line, the reason, and what to do instead."""

from __future__ import annotations

from runner.errors import UsageError


class NotRewritableError(UsageError):
    """A source file of the script can't be rewritten to another import flavour; `line` counts from 1."""

    def __init__(self, *, path: str, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        super().__init__(
            f"{path}:{line}: the Keras imports of this file can't be rewritten: {reason}. Use `import: as-written`, or "
            f"write one script per import and an axis named `script`."
        )
