"""Value sets as sets of (system, code), ready for exact look-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cds_service.record.codes import spellings


@dataclass(frozen=True)
class ValueSets:
    """Every loaded value set, by canonical URL.

    Each holds its codes in every spelling (``codes.spellings``), so a look-up is one set membership.
    """

    codes: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, expansions: Mapping[str, Iterable[tuple[str, str]]]) -> ValueSets:
        """Value sets from their expansions, as the resources list them."""
        return cls(
            {
                url: frozenset(spelling for system, code in pairs for spelling in spellings(system, code))
                for url, pairs in expansions.items()
            }
        )

    def has_member(self, url: str, system: object, code: object) -> bool:
        """Whether the value set at ``url`` holds exactly this code. KeyError for an unknown value set."""
        codes = self.codes[url]
        # What a sender puts in their place may be anything, and a list is in no set.
        return (
            isinstance(code, str) and (system is None or isinstance(system, str)) and (system, code) in codes
        )

    def __contains__(self, url: object) -> bool:
        return url in self.codes
