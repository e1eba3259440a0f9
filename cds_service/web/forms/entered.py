"""What one question's inputs hold, however it was put there: drawn on a page, or posted.

An ``Entered`` maps a part (``""`` the first input, ``day``, ``unit``, ``unknown``) to its values in the
order of the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

from cds_service.web.forms.entries import UnreadableEntryError, plain
from cds_service.web.forms.given import Given
from cds_service.web.forms.options import DONT_KNOW_TOKEN

Entered = Mapping[str, tuple[str, ...]]
# The parts beside the answer: "don't know", and what is not on offer.
UNKNOWN, OTHER = "unknown", "other"


def same_entry(one: Entered, other: Entered) -> bool:
    """Whether two entries hold the same, whatever a browser makes of line breaks and of blanks around a text."""
    return _comparable(one) == _comparable(other)


def _comparable(entered: Entered) -> dict[str, tuple[str, ...]]:
    cleaned = {part: [plain(value) for value in values] for part, values in entered.items()}
    for values in cleaned.values():
        while values and not values[-1]:
            values.pop()
    return {part: tuple(values) for part, values in cleaned.items() if values}


def first(entered: Entered, part: str) -> str:
    """The first value of a part, blank without one."""
    return next(iter(entered.get(part, ())), "")


def with_unknown(parts: Mapping[str, tuple[str, ...]], said: Given) -> Entered:
    """These parts, and "don't know" ticked when that was said."""
    return {**parts, UNKNOWN: (DONT_KNOW_TOKEN,)} if said.unknown else parts


def says_unknown(entered: Entered, *, anything: bool) -> bool:
    """Whether "don't know" is ticked. UnreadableEntryError when it is and ``anything`` else is entered too."""
    said = DONT_KNOW_TOKEN in entered.get(UNKNOWN, ())
    if said and anything:
        raise UnreadableEntryError("Cannot be answered and “Don’t know” at the same time")
    return said
