"""What a person typed, read as the value that a question wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, tzinfo

from cds_service.web.dates import month_number

# FHIR integers have 32 bits; more digits than these no decimal of a record has.
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,10})?|\.[0-9]{1,10})")
_CLOCK = re.compile(r"([0-9]{1,2})[:.]?([0-9]{2})(?::([0-9]{2}))?")
_INTEGERS = range(-(2**31), 2**31)


class UnreadableEntryError(ValueError):
    """An entry that is no value of its question; ``words`` say what it must be."""

    def __init__(self, words: str) -> None:
        self.words = words
        super().__init__(words)


def plain(typed: str) -> str:
    """Text with one kind of line break, without blanks around it and without the characters that FHIR forbids."""
    text = typed.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each >= " " or each in "\n\t").strip()


def typed_text(typed: str) -> str:
    """Any text."""
    return typed


def typed_integer(typed: str) -> int:
    """A whole number. UnreadableEntryError for anything else."""
    if _WHOLE.fullmatch(typed) and int(typed) in _INTEGERS:
        return int(typed)
    raise UnreadableEntryError("Must be a whole number, like 3")


def typed_decimal(typed: str) -> int | float:
    """A number with or without decimals, written with a point. UnreadableEntryError for anything else."""
    if not _DECIMAL.fullmatch(typed):
        raise UnreadableEntryError("Must be a number, like 2 or 2.5")
    return float(typed) if "." in typed else int(typed)


def typed_url(typed: str) -> str:
    """An address. UnreadableEntryError when it has blanks in it."""
    if any(each.isspace() for each in typed):
        raise UnreadableEntryError("Must be an address without spaces, like https://www.example.org")
    return typed


def typed_time(typed: str) -> str:
    """A time of day: 9:30, 09:30, 0930. UnreadableEntryError for anything else."""
    found = _CLOCK.fullmatch(typed)
    try:
        if found:
            return time(int(found[1]), int(found[2]), int(found[3] or 0)).isoformat()
    except ValueError:
        pass
    raise UnreadableEntryError("Must be a time, like 9:30 or 14:05")


def typed_date(day: str, month: str, year: str) -> str:
    """A day of three entries; the month may be its name. UnreadableEntryError saying what is missing or wrong."""
    missing = [name for name, typed in (("day", day), ("month", month), ("year", year)) if not typed]
    if missing:
        raise UnreadableEntryError(f"Must include a {_listed(missing)}")
    if not re.fullmatch("[0-9]{4}", year):
        raise UnreadableEntryError("Must have a year of 4 numbers")
    try:
        return date(int(year), month_number(month), int(day)).isoformat()
    except ValueError:
        raise UnreadableEntryError("Must be a real date, like 27 3 2024") from None


def typed_moment(day: str, month: str, year: str, clock: str, zone: tzinfo) -> str:
    """A calendar day and perhaps a time on it, as a FHIR dateTime in this zone."""
    written = typed_date(day, month, year)
    if not clock:
        return written
    return datetime.fromisoformat(f"{written}T{typed_time(clock)}").replace(tzinfo=zone).isoformat()


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
