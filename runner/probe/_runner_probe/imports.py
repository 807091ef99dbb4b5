"""Runs a hook right after a module was imported, without importing anything early and without changing how it is found."""

import sys

from .enclosing_importlib_bootstrap import enclosed


def install(hooks, channel):
    """Watch for imports; `hooks` is a list of (module name, function of the module). Modules already there are told now."""
    by_name = {}
    for name, hook in hooks:
        by_name.setdefault(name, []).append(channel.shielded(hook))
    sys.meta_path.insert(0, PostImport(by_name, channel))
    for name in [name for name in by_name if name in sys.modules]:
        for hook in by_name[name]:
            hook(sys.modules[name])


class PostImport(object):
    """A finder that lets the others find, and has the found loader say when a watched module has run.

    The spec and its loader stay what they were, so that reload, pkgutil, inspect and `python -m` see nothing new.
    """

    def __init__(self, hooks, channel):
        self._hooks = hooks
        self._finding = set()
        self._follow = channel.shielded(self._follow)

    def find_spec(self, name, path=None, target=None):
        """The spec that the finders after this one have for a watched module; None for all others."""
        if name not in self._hooks or name in self._finding:
            return None
        self._finding.add(name)
        try:
            spec = self._found(name, path, target)
        finally:
            self._finding.discard(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._follow(name, spec.loader)
        return spec

    def _found(self, name, path, target):
        finders = list(sys.meta_path)
        after = finders[finders.index(self) + 1 :] if self in finders else finders
        for finder in after:
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                return spec
        return None

    def _follow(self, name, loader):
        def enter(args, kwargs):
            if loader.__dict__.get("exec_module") is exec_module:
                del loader.exec_module
            return args[0].__name__ == name, args[0]

        def leave(token, result, error):
            is_watched, module = token
            if error is None and is_watched:
                for hook in self._hooks[name]:
                    hook(module)

        exec_module = enclosed(loader.exec_module, enter, leave)
        loader.exec_module = exec_module
