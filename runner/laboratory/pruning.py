"""Images that are dropped as soon as their trials are done, so that a matrix of any size fits on a small disk.

Few images are held at a time: a new one is made when an older one is done with. Of each base that is still to come the
last image stays until the next one is made, since its layers are what that one will stand on.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from runner.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.engines.protocol import Engine, Image
    from runner.environments.lock import Environment

IMAGES_AT_ONCE = 2
"""The trials of one run while the next is made."""
_LOOK_EVERY_S = 0.2


class Pruning:
    """The images of one run; `environments` are all that will be made. `wait` is called from several threads."""

    def __init__(self, environments: Iterable[Environment], *, engine: Engine, stopping: threading.Event) -> None:
        """Nothing is held yet."""
        self._engine = engine
        self._stopping = stopping
        self._places = threading.Semaphore(IMAGES_AT_ONCE)
        self._coming = Counter(environment.base for environment in environments)
        self._last: dict[tuple[str, str], Image] = {}
        """By base, the image that is done with and keeps the shared layers."""

    def wait(self) -> None:
        """Wait for room to hold one more image. Raises StoppedError where the run is stopping."""
        while not self._places.acquire(timeout=_LOOK_EVERY_S):
            if self._stopping.is_set():
                raise StoppedError

    def end(self, environment: Environment, image: Image | None) -> None:
        """Give a place back, and drop what no environment to come will stand on; None where no image was made."""
        base = environment.base
        gone: list[Image | None] = []
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
