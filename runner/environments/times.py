"""The rules of time of an environment, `as_of` and `dates`: up to when what is on the index may be from.

A limit is a time (UTC) that files were uploaded before; None is no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from runner.errors import UsageError
from runner.matrix.releases import end_of_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""The time of files of which the index gives none, where the rules allow such files."""
WIDEST_DAYS = 30
"""A wheel that came later than this after its release does not count: it was not there as of then."""
_STEPS_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, WIDEST_DAYS)


def day_after(when: datetime, days: int = 1) -> datetime:
    """The end (UTC) of the day that comes `days` after a time."""
    return end_of_day(when, days)


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Up to when releases may be from, for all packages and for those with a rule of their own."""

    by_release: bool
    """True where the release of the base is the measure for all; `limit` says nothing then."""
    limit: datetime | None
    own: Mapping[str, datetime | None]

    def steps(self, base_out: datetime) -> tuple[datetime | None, ...]:
        """The limits to try, in their order, for a base that came out at a time."""
        if self.by_release:
            return tuple(day_after(base_out, days) for days in _STEPS_DAYS)
        return (self.limit,)

    def until(self, name: str, as_of: datetime | None) -> datetime | None:
        """The limit of one package where `as_of` is that of all."""
        return self.own.get(name, as_of)

    def files_until(self, name: str, released: datetime) -> datetime | None:
        """The limit for the files of a pinned release, which may be newer than what else is seen."""
        soon = released + timedelta(days=WIDEST_DAYS)
        if self.by_release and name not in self.own:
            return soon
        limit = self.until(name, self.limit)
        return limit if limit is None or released < limit else soon

    def pythons_until(self, base_released: datetime) -> datetime | None:
        """The limit for CPython itself."""
        if self.by_release:
            return day_after(base_released)
        return None if self.limit is None else max(self.limit, day_after(base_released))


def times_of(as_of: str, dates: Iterable[tuple[str, str]]) -> Times:
    """The rules of an environment. Raises UsageError for one that is neither `release` (for all), `none` nor a date."""
    return Times(
        by_release=as_of == "release",
        limit=None if as_of == "release" else _limit(as_of),
        own={str(canonicalize_name(name)): _limit(rule) for name, rule in dates},
    )


def undated_in(as_of: str, dates: Iterable[tuple[str, str]]) -> Callable[[str], bool]:
    """True where a package's files may lack a time of upload: those of a package that has no limit may."""
    return partial(_has_no_limit, times_of(as_of, dates))  # a value, which travels to other machines


def _has_no_limit(times: Times, name: str) -> bool:
    return not (times.by_release and name not in times.own) and times.until(name, times.limit) is None


def _limit(rule: str) -> datetime | None:
    if rule == "none":
        return None
    try:
        return day_after(datetime.combine(date.fromisoformat(rule), time(), UTC), days=0)
    except ValueError:
        raise UsageError(
            f"as_of: {rule!r} is neither `none` nor a date such as 2021-06-30; `release` may stand for all packages."
        ) from None
