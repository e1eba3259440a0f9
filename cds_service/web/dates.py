"""Days and times as people in the UK write them: 3 March 2024, 9:30."""

from __future__ import annotations

from datetime import date, datetime, time

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def date_in_words(written: str) -> str:
    """A FHIR date or dateTime: 3 March 2024, March 2024, 3 March 2024 at 09:30; as it stands when it is none."""
    day, _, clock = written.partition("T")
    try:
        if clock:
            moment = datetime.fromisoformat(written)
            return f"{_day_in_words(moment.date())} at {moment:%H:%M}"
        return _partial_date_in_words(day)
    except (ValueError, IndexError):
        return written


def month_number(written: str) -> int:
    """The month that a number or an English name, in full or its first letters (three at least), stands for."""
    if written.isascii() and written.isdigit():
        return int(written)
    found = [
        number
        for number, name in enumerate(_MONTHS, start=1)
        if len(written) >= 3 and name.lower().startswith(written.lower())
    ]
    if len(found) != 1:
        raise ValueError(f"{written!r} is no month")
    return found[0]


def clock_text(written: str) -> str:
    """A FHIR time as hours and minutes, with seconds only where there are any."""
    moment = time.fromisoformat(written)
    return f"{moment:%H:%M}" if not moment.second else f"{moment:%H:%M:%S}"


def _partial_date_in_words(written: str) -> str:
    parts = written.split("-")
    if len(parts) == 1:
        return written
    if len(parts) == 2:
        return f"{_MONTHS[int(parts[1]) - 1]} {parts[0]}"
    return _day_in_words(date.fromisoformat(written))


def _day_in_words(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
