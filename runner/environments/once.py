"""A memory of what was worked out for a key: each thing once, also where several threads ask for it at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_T = TypeVar("_T")


class Once(Generic[_T]):
    """Values by key. May be used from several threads: the second that asks for a key waits for the first."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _T] = {}
        self._locks: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value of a key, made where there is none yet; what `make` raises is raised, and not remembered."""
        with self._locks.setdefault(key, threading.Lock()):
            if key not in self._known:
                self._known[key] = make()
            return self._known[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._known

    def forget(self, key: Hashable) -> None:
        """Let the value of a key be made anew."""
        with self._locks.setdefault(key, threading.Lock()):
            self._known.pop(key, None)
