"""The user's script as a value: its local modules, its hash, and how it is copied into a trial's working directory."""

from runner.scripts.script import Script, SourceFile, copy_script, read_script

__all__ = ["Script", "SourceFile", "copy_script", "read_script"]
