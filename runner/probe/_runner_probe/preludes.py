"""Runs the trial's preludes: sources that change one thing before the script begins, and say that they did."""

import os

NOTE = 1000


class Prelude(object):
    """What a prelude's source sees under the name `prelude`."""

    def __init__(self, name, channel, hooks):
        self._name = name
        self._channel = channel
        self._hooks = hooks

    def after_import(self, module, function):
        """Call `function` with the module of this name right after the script, or what it imports, imported it."""

        def call(imported):
            try:
                function(imported)
            except Exception as error:
                self.failed(error)

        self._hooks.append((module, call))

    def applied(self, note=""):
        """Say that the change was made; without that, the trial counts as one in which nothing was changed."""
        self._channel.emit("prelude", name=self._name, state="applied", note=str(note)[:NOTE])

    def failed(self, error):
        """Say that the change could not be made."""
        note = "%s: %s" % (type(error).__name__, error)
        self._channel.emit("prelude", name=self._name, state="failed", note=note[:NOTE])


def run(folder, channel):
    """Run every source in the folder in the order of their names; (module name, hook) for what they wait for."""
    hooks = []
    for file in sorted(os.listdir(folder)):
        prelude = Prelude(file.split("-", 1)[1][: -len(".py")], channel, hooks)
        try:
            with open(os.path.join(folder, file), encoding="utf-8") as stream:
                code = compile(stream.read(), "<prelude %s>" % file, "exec", dont_inherit=True)
            exec(code, {"__name__": "__prelude__", "prelude": prelude})
        except Exception as error:
            prelude.failed(error)
    return hooks
