"""Where a question stands in a form, and what its inputs are called on the page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

# The hidden input that names each question put, so that nothing is read into a question that the page did not show.
ASKED = "asked"
# The button pressed: continue, back, update, or "add" and "remove" with the name of a place.
BUTTON = "do"
ADD, REMOVE, UPDATE = "add", "remove", "update"


@dataclass(frozen=True)
class Place:
    """A linkId, and which occurrence of each repeating group around it, outermost first, from 0."""

    link_id: str
    within: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """The place in one string: the linkId, percent-encoded, then ``:0:2`` for its occurrences."""
        return quote(self.link_id, safe="") + "".join(f":{occurrence}" for occurrence in self.within)

    @property
    def name(self) -> str:
        """The name, and the id, of the place's first input."""
        return f"q:{self.key}"

    def part(self, part: str) -> str:
        """The name of one of several inputs: ``day``, ``unit``; the first when ``part`` is empty."""
        return f"{self.name}!{part}" if part else self.name

    def occurrence(self, number: int) -> Place:
        """One occurrence of the repeating group that stands here."""
        return Place(self.link_id, (*self.within, number))

    def found_in(self, keys: object) -> bool:
        """Whether a set of linkIds and keys, or a mapping from them, names this place."""
        return hasattr(keys, "__contains__") and (self.key in keys or self.link_id in keys)
