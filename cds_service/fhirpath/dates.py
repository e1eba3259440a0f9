"""Dates and times with the precision they were written in.

A moment is a tuple of parts (year, month, day, hour, minute, nanoseconds of the minute), as many as are known: seconds
and their fraction are one precision (N1 §6.1.1). Two moments compare part by part; where one of them stops the result is
unknown.

Source: FHIRPath N1 §4.1.5–4.1.7, §6.1, §6.2, §6.6.7, http://hl7.org/fhirpath/N1/
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import ClassVar, Self

_NANOS = 1_000_000_000
_MINUTE = 60 * _NANOS
_DAY = 1440
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_TIME = re.compile(r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9})[0-9]*)?)?)?")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9})[0-9]*)?)?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
# What nearly all moments in records are written like; the same language as _DATE_TIME, without its choices.
_TO_THE_SECOND = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
WESTMOST, EASTMOST = -12 * 60, 14 * 60
"""The offsets in use, in minutes; a moment without an offset lies between."""


def _time_parts(
    hour: str, minute: str | None, second: str | None, fraction: str | None
) -> tuple[int, ...] | None:
    """None when there is no such time of day."""
    hours = int(hour)
    if minute is None:
        return (hours,) if hours < 24 else None
    minutes = int(minute)
    if hours >= 24 or minutes >= 60:
        return None
    if second is None:
        return (hours, minutes)
    nanos = int(second) * _NANOS + (int(fraction.ljust(9, "0")) if fraction else 0)
    return (hours, minutes, nanos) if nanos < _MINUTE else None


def _is_day(parts: tuple[int, ...]) -> bool:
    year, month, day = (*parts, 1, 1)[:3]
    if not (year >= 1 and 1 <= month <= 12):
        return False
    return 1 <= day <= 28 or 1 <= day <= calendar.monthrange(year, month)[1]


def _date_text(parts: tuple[int, ...]) -> str:
    return "-".join(f"{part:0{width}d}" for part, width in zip(parts, (4, 2, 2), strict=False))


def _time_text(parts: tuple[int, ...], digits: int) -> str:
    text = ":".join(f"{part:02d}" for part in parts[:2])
    if len(parts) < 3:
        return text
    second, nanos = divmod(parts[2], _NANOS)
    return f"{text}:{second:02d}" + (f".{nanos:09d}"[: digits + 1] if digits else "")


# One is made of every date that is compared, and a frozen dataclass takes four times as long to make: never change one.
@dataclass(slots=True, unsafe_hash=True)
class Date:
    """A calendar date; ``parts`` are year, month and day as far as known."""

    parts: tuple[int, ...]
    offset: ClassVar[None] = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """``YYYY[-MM[-DD]]``, None when it is no date."""
        match = _DATE.fullmatch(text)
        parts = tuple(int(part) for part in match.groups() if part) if match else (0,)
        return cls(parts) if _is_day(parts) else None

    @classmethod
    def of(cls, day: date) -> Self:
        """The whole day."""
        return cls((day.year, day.month, day.day))

    def __str__(self) -> str:
        return _date_text(self.parts)


@dataclass(slots=True, unsafe_hash=True)
class DateTime:
    """A moment; ``offset`` from UTC in minutes or unknown, ``digits`` of the second's fraction that were written."""

    parts: tuple[int, ...]
    offset: int | None = None
    digits: int = 0
    is_utc: bool = False

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """``YYYY[-MM[-DD[Thh[:mm[:ss[.fff]]][zone]]]]``, None when there is no such moment."""
        match = _TO_THE_SECOND(text)
        if match is not None:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return None
            nanos = moment.second * _NANOS
            parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, nanos)
            return cls(parts, 0, 0, True) if match[1] == "Z" else cls(parts, _offset_minutes(match[1]))
        return cls._parse_any(text)

    @classmethod
    def _parse_any(cls, text: str) -> Self | None:
        match = _DATE_TIME.fullmatch(text)
        if match is None:
            date_ = Date.parse(text)
            return None if date_ is None else cls(date_.parts)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        minute, second, fraction, zone = match.groups()
        parts: tuple[int, ...] = (moment.year, moment.month, moment.day, moment.hour)
        if second is not None:
            nanos = moment.second * _NANOS + (int(fraction.ljust(9, "0")) if fraction else 0)
            parts += (moment.minute, nanos)
        elif minute is not None:
            parts += (moment.minute,)
        return cls(parts, _offset_minutes(zone), len(fraction) if fraction else 0, zone == "Z")

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """An aware moment to the millisecond."""
        offset = moment.utcoffset() or timedelta()
        nanos = moment.second * _NANOS + moment.microsecond // 1000 * 1_000_000
        parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, nanos)
        return cls(parts, offset // timedelta(minutes=1), 3, moment.tzinfo is UTC)

    def __str__(self) -> str:
        if len(self.parts) < 4:
            return _date_text(self.parts)
        time_ = _time_text(self.parts[3:], self.digits)
        return f"{_date_text(self.parts[:3])}T{time_}{self._zone_text()}"

    def _zone_text(self) -> str:
        if self.offset is None or self.is_utc:
            return "Z" if self.is_utc else ""
        hours, minutes = divmod(abs(self.offset), 60)
        return f"{'-' if self.offset < 0 else '+'}{hours:02d}:{minutes:02d}"

    def minutes(self) -> int:
        """Minutes from the beginning of the calendar to the first it can mean, as its own clock shows them."""
        year, month, day, hour, minute = (*self.parts, *(1, 1, 0, 0)[len(self.parts) - 1 :])[:5]
        return (date(year, month, day).toordinal() * 24 + hour) * 60 + minute

    def earliest(self, offset: int) -> int:
        """The first nanosecond it can mean, were its clock ``offset`` minutes ahead of UTC."""
        return (self.minutes() - offset) * _MINUTE + (self.parts[5] if len(self.parts) == 6 else 0)

    def latest(self, offset: int) -> int:
        """The last nanosecond it can mean."""
        if len(self.parts) == 6:
            return self.earliest(offset)
        return self.earliest(offset) + _length(self.parts) * _MINUTE - 1

    def day_in(self, zone: tzinfo) -> tuple[int, ...]:
        """Its calendar day in another zone."""
        own = timezone(timedelta(minutes=self.offset or 0))
        year, month, day, hour, minute = (*self.parts, 0)[:5]
        try:
            there = datetime(year, month, day, hour, minute, tzinfo=own).astimezone(zone)
        except OverflowError:
            return self.parts[:3]  # the first or last day of the calendar
        return (there.year, there.month, there.day)


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day; ``parts`` are hour, minute and nanoseconds of the minute as far as known."""

    parts: tuple[int, ...]
    digits: int = 0
    offset: ClassVar[None] = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """``hh[:mm[:ss[.fff]]]``, None when there is no such time."""
        match = _TIME.fullmatch(text)
        parts = _time_parts(*match.groups()) if match else None
        return None if match is None or parts is None else cls(parts, len(match[4] or ""))

    def __str__(self) -> str:
        return _time_text(self.parts, self.digits)


def _offset_minutes(zone: str | None) -> int | None:
    if zone is None or zone == "Z":
        return None if zone is None else 0
    size = int(zone[1:3]) * 60 + int(zone[4:])
    return -size if zone[0] == "-" else size


def _length(parts: tuple[int, ...]) -> int:
    """How many minutes the smallest known part lasts."""
    match len(parts):
        case 1:
            return (366 if calendar.isleap(parts[0]) else 365) * _DAY
        case 2:
            return calendar.monthrange(parts[0], parts[1])[1] * _DAY
        case 3:
            return _DAY
    return 60 if len(parts) == 4 else 1


def _compare_parts(left: tuple[int, ...], right: tuple[int, ...]) -> int | None:
    common = min(len(left), len(right))
    if left[:common] != right[:common]:
        return -1 if left[:common] < right[:common] else 1
    return 0 if len(left) == len(right) else None


def compare(left: Date | DateTime, right: Date | DateTime, zone: tzinfo) -> int | None:
    """-1, 0 or 1, None when their precision cannot tell (N1 §6.2).

    A day set against a moment with an offset is compared with that moment's day in ``zone``, the zone of the evaluation;
    a moment without an offset could be in any zone, so it is only decided when all of them agree.
    """
    if left.offset == right.offset:
        return _compare_parts(left.parts, right.parts)
    if isinstance(left, DateTime) and left.offset is not None and len(right.parts) <= 3:
        return _compare_with_day(left, right.parts, zone)
    if isinstance(right, DateTime) and right.offset is not None and len(left.parts) <= 3:
        order = _compare_with_day(right, left.parts, zone)
        return None if order is None else -order
    assert isinstance(left, DateTime)  # noqa: S101 - a Date has no offset and at most three parts, so it is handled above
    assert isinstance(right, DateTime)  # noqa: S101
    return _compare_moments(left, right)


def _compare_with_day(moment: DateTime, day: tuple[int, ...], zone: tzinfo) -> int | None:
    """Another zone moves a moment by a day at most, so only days that near have to be looked at in it."""
    if len(day) == 3:
        year, month, date_ = moment.parts[:3]
        distance = ((year - day[0]) * 12 + month - day[1]) * 31 + date_ - day[2]
        if distance > _FAR or distance < -_FAR:
            return 1 if distance > 0 else -1
    return _compare_parts((*moment.day_in(zone), 0), day)


_FAR = 8
"""Counting 31 days to every month, further apart than this is more than three days apart."""


def _compare_moments(left: DateTime, right: DateTime) -> int | None:
    if left.offset is not None and right.offset is not None and len(left.parts) == len(right.parts):
        one, other = left.earliest(left.offset), right.earliest(right.offset)
        return (one > other) - (one < other)
    if _last(left) < _first(right):
        return -1
    return 1 if _first(left) > _last(right) else None


def _first(moment: DateTime) -> int:
    return moment.earliest(EASTMOST if moment.offset is None else moment.offset)


def _last(moment: DateTime) -> int:
    return moment.latest(WESTMOST if moment.offset is None else moment.offset)


def compare_times(left: Time, right: Time) -> int | None:
    """-1, 0 or 1, None when their precision cannot tell."""
    return _compare_parts(left.parts, right.parts)


def identity(moment: Date | DateTime | Time) -> tuple[object, ...]:
    """Equal for moments that compare as equal."""
    if isinstance(moment, Time):
        return ("time", moment.parts)
    if isinstance(moment, DateTime) and moment.offset is not None:
        return ("moment", len(moment.parts), moment.earliest(moment.offset))
    return ("date", moment.parts)


_MONTHS = {"year": 12, "month": 1}
_NANOSECONDS = {
    "week": 7 * _DAY * _MINUTE,
    "day": _DAY * _MINUTE,
    "hour": 60 * _MINUTE,
    "minute": _MINUTE,
    "second": _NANOS,
    "millisecond": 1_000_000,
}
_YEAR_DAYS, _MONTH_DAYS = 365, 30


def plus_time(moment: Date | DateTime, amount: int, unit: str) -> Date | DateTime | None:
    """The moment ``amount`` calendar ``unit``s later (N1 §6.6.7), as precise as before; None beyond the calendar.

    A partial date grows by whole units of its own precision: ``@2014 + 24 months`` is ``@2016``.
    """
    if unit in _MONTHS:
        return _plus_months(moment, amount * _MONTHS[unit])
    return _plus_nanoseconds(moment, amount * _NANOSECONDS[unit])


def _truncated(amount: int, size: int) -> int:
    """Whole sizes in the amount, towards zero."""
    return amount // size if amount >= 0 else -(-amount // size)


def _with(moment: Date | DateTime, parts: tuple[int, ...]) -> Date | DateTime:
    if isinstance(moment, Date):
        return Date(parts)
    digits = max(moment.digits, 3) if len(parts) == 6 and parts[5] % _NANOS else moment.digits
    return DateTime(parts, moment.offset, digits, moment.is_utc)


def _plus_months(moment: Date | DateTime, months: int) -> Date | DateTime | None:
    parts = moment.parts
    if len(parts) == 1:
        year, month = parts[0] + _truncated(months, 12), 0
    else:
        year, month = divmod(parts[0] * 12 + parts[1] - 1 + months, 12)
    if not 1 <= year <= 9999:
        return None
    day = min(parts[2], calendar.monthrange(year, month + 1)[1]) if len(parts) > 2 else 0
    return _with(moment, (year, month + 1, day)[: len(parts)] + parts[3:])


def _plus_nanoseconds(moment: Date | DateTime, nanos: int) -> Date | DateTime | None:
    parts = moment.parts
    if len(parts) < 3:
        days = _truncated(nanos, _DAY * _MINUTE)
        whole = _truncated(days, _YEAR_DAYS) * 12 if len(parts) == 1 else _truncated(days, _MONTH_DAYS)
        return _plus_months(moment, whole)
    size = (_DAY * _MINUTE, 60 * _MINUTE, _MINUTE, 1)[len(parts) - 3]
    total = _nanos_of_day(parts) + _truncated(nanos, size) * size
    days, rest = divmod(total, _DAY * _MINUTE)
    ordinal = date(parts[0], parts[1], parts[2]).toordinal() + days
    if not 1 <= ordinal <= date.max.toordinal():
        return None
    day = date.fromordinal(ordinal)
    return _with(moment, (day.year, day.month, day.day, *_clock(rest))[: len(parts)])


def plus_clock(moment: Time, amount: int, unit: str) -> Time:
    """The time of day ``amount`` hours or smaller units later, around the clock."""
    size = (60 * _MINUTE, _MINUTE, 1)[len(moment.parts) - 1]
    nanos = _truncated(amount * _NANOSECONDS[unit], size) * size
    total = (_nanos_of_day((0, 0, 0, *moment.parts)) + nanos) % (_DAY * _MINUTE)
    return Time(_clock(total)[: len(moment.parts)], moment.digits)


def _nanos_of_day(parts: tuple[int, ...]) -> int:
    hour, minute, nanos = (*parts[3:], 0, 0, 0)[:3]
    return (hour * 60 + minute) * _MINUTE + nanos


def _clock(nanos: int) -> tuple[int, int, int]:
    minutes, rest = divmod(nanos, _MINUTE)
    return (*divmod(minutes, 60), rest)
