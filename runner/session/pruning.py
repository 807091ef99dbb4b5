"""Images that are dropped as soon as their cells are decided, so that a matrix of any size fits on a small disk.

Few images are held at a time: a new one is made when an older one is done with. Of each base that is still to come the
last image stays until the next one is made, since its layers are what that one will stand on.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from runner.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.engines.protocol import Engine, Image
    from runner.session.group import Group

IMAGES_AT_ONCE = 2
"""The trials of one run while the next is made."""
_LOOK_EVERY_S = 0.2


class Pruning:
    """The images of one run, from several threads; `groups` are all whose environments will be made."""

    def __init__(self, groups: Sequence[Group], *, engine: Engine, stopping: threading.Event) -> None:
        """Nothing is held yet."""
        self._engine = engine
        self._stopping = stopping
        self._places = threading.Semaphore(IMAGES_AT_ONCE)
        self._guard = threading.Lock()
        self._coming = Counter(group.environment.base for group in groups)
        self._undecided: dict[str, set[str]] = {}
        self._images: dict[str, Image] = {}
        self._last: dict[tuple[str, str], Image] = {}
        """By base, the image that is done with and keeps the shared layers."""

    def begin(self) -> None:
        """Wait for room to hold one more image. Raises StoppedError where the run is stopping."""
        while not self._places.acquire(timeout=_LOOK_EVERY_S):
            if self._stopping.is_set():
                raise StoppedError

    def hold(self, group: Group, image: Image, undecided: Iterable[str]) -> None:
        """Hold an image until the cells of these names are decided; at once gone where there are none."""
        name = group.environment.name
        with self._guard:
            self._images[name] = image
            self._undecided[name] = set(undecided)
        self.decided(group, "")

    def decided(self, group: Group, cell: str) -> None:
        """Take note that a cell needs its image no more; the last one of a group drops it."""
        name = group.environment.name
        with self._guard:
            if name not in self._images:
                return
            self._undecided[name].discard(cell)
            if self._undecided[name]:
                return
            image = self._images.pop(name)
        self.end(group, image)

    def end(self, group: Group, image: Image | None) -> None:
        """Give a place back, and drop what no environment to come will stand on."""
        base = group.environment.base
        gone: list[Image | None] = []
        with self._guard:
            self._coming[base] -= 1
            if image is not None:
                gone.append(self._last.pop(base, None))
                self._last[base] = image
            if not self._coming[base]:
                gone.append(self._last.pop(base, None))
        for one in gone:
            if one is not None:
                self._engine.remove_image(one.reference)
        self._places.release()
