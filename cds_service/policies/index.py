"""Policies by order code and commissioner, and by canonical URL: looked up, whatever their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cds_service.policies.listing import Listing

Code = tuple[str, str]
# Each system with its codes.
Codes = tuple[tuple[str, tuple[str, ...]], ...]
# Commissioner (None: national advice) → the places of its policies in the library.
Places = Mapping[str | None, tuple[int, ...]]


@dataclass(frozen=True)
class Index:
    """System → code → commissioner → places, and URL → places of all versions. A place is a policy's in the library."""

    by_system: Mapping[str, Mapping[str, Places]]
    by_url: Mapping[str, tuple[int, ...]]

    def covering(self, code: Code, commissioners: Iterable[str] | None) -> list[int]:
        """The policies on a code, in the library's order: those of these commissioners and national ones, or all."""
        system, value = code
        found = self.by_system.get(system, {}).get(value, {})
        wanted = found if commissioners is None else (None, *commissioners)
        return sorted(place for each in wanted for place in found.get(each, ()))


def index_of(listings: Sequence[Listing], codes: Sequence[Codes]) -> Index:
    """The index of policies, each with its order codes in every spelling."""
    by_code: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    by_url: defaultdict[str, list[int]] = defaultdict(list)
    for place, listing in enumerate(listings):
        by_url[listing.url].append(place)
        for system, values in codes[place]:
            of_system = by_code[system]
            for value in values:
                of_system[value].append(place)
    # A policy's codes mostly lead to the same policies: what they lead to is held once.
    shared: dict[tuple[int, ...], Places] = {}

    def held_once(places: list[int]) -> Places:
        key = tuple(places)
        if key not in shared:
            shared[key] = _by_commissioner(key, listings)
        return shared[key]

    by_system = {
        system: {value: held_once(places) for value, places in found.items()}
        for system, found in by_code.items()
    }
    return Index(by_system, {url: tuple(places) for url, places in by_url.items()})


def by_system(codes: Iterable[Code]) -> Codes:
    """Codes, each once, by their systems."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for system, value in sorted(codes):
        found[system].append(value)
    return tuple((system, tuple(values)) for system, values in found.items())


def _by_commissioner(places: Iterable[int], listings: Sequence[Listing]) -> Places:
    found: defaultdict[str | None, list[int]] = defaultdict(list)
    for place in places:
        found[listings[place].commissioner].append(place)
    return {commissioner: tuple(each) for commissioner, each in found.items()}
