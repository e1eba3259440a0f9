"""Days and times of a record as people in the UK write them: 3 March 2024, 9:30."""

from __future__ import annotations

from datetime import date, datetime


def date_in_words(written: str) -> str:
    """A FHIR date or dateTime: 3 March 2024, March 2024, 3 March 2024 at 09:30; as it stands when it is none."""
    day, _, clock = written.partition("T")
    try:
        if clock:
            moment = datetime.fromisoformat(written)
            return f"{day_in_words(moment.date())} at {moment:%H:%M}"
        if len(day) == 7:
            return f"{date.fromisoformat(f'{day}-01'):%B %Y}"
        return day_in_words(date.fromisoformat(day)) if len(day) == 10 else day
    except ValueError:
        return written


def day_in_words(day: date) -> str:
    """3 March 2024."""
    return f"{day.day} {day:%B %Y}"
