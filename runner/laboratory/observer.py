"""What a laboratory tells of while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runner.engines.protocol import JobFolder
    from runner.trials.trial import Trial


class Watcher(Protocol):
    """Hears of what is done for cells, as it happens; `environment` is called from several threads."""

    def note(self, text: str) -> None:
        """Take one line about the whole run."""

    def environment(self, name: str, text: str) -> None:
        """Take one line about a step in the making of an environment."""

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Take note that a trial began; its record channel grows in `folder`."""


class Silence:
    """A watcher that says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def environment(self, name: str, text: str) -> None:
        """Say nothing."""

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Say nothing."""
