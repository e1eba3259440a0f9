"""Months and times as people in the UK type and read them."""

from __future__ import annotations

from datetime import time

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
