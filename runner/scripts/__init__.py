"""The user's script as a value: its local modules, its hash, its import flavour, and how it is copied into a trial."""

from runner.scripts.errors import NotRewritableError
from runner.scripts.rewriting import FLAVOURS, rewritten
from runner.scripts.script import Script, SourceFile, copy_script, read_script

__all__ = ["FLAVOURS", "NotRewritableError", "Script", "SourceFile", "copy_script", "read_script", "rewritten"]
