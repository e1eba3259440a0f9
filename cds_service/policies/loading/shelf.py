"""Thousands of policies: their checked files kept packed, each policy built when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload
from weakref import WeakValueDictionary

from cds_service.policies.listing import Listing, listing_of
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.files import PackedFiles
from cds_service.policies.loading.folder import read_plan
from cds_service.policies.loading.shared import Shared
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions
from cds_service.policies.recent import Recent
from cds_service.record.commissioners import Directory

# How many policies stay built after they were last asked for.
KEPT = 250


class BuiltPolicies(Sequence[Policy]):
    """Policies by place, built from the very bytes that were checked, whatever has become of the folders since.

    There is never more than one object for a policy that somebody holds.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        files: Sequence[PackedFiles],
        contents: Mapping[bytes, bytes],
        directory: Directory,
        kept: int = KEPT,
    ) -> None:
        self._listings = listings
        self._files = files
        self._contents = contents
        self._directory = directory
        self._shared = Shared()
        self._recent: Recent[int, Policy] = Recent(kept)
        self._held: WeakValueDictionary[int, Policy] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._listings)

    @overload
    def __getitem__(self, place: int) -> Policy: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Policy]: ...
    def __getitem__(self, place: int | slice) -> Policy | Sequence[Policy]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        return self._recent.of(range(len(self))[place], lambda: self._policy(range(len(self))[place]))

    def _policy(self, place: int) -> Policy:
        held = self._held.get(place)
        return self._held.setdefault(place, self._built(place)) if held is None else held

    def _built(self, place: int) -> Policy:
        """The policy built again from what was checked; anything but the policy that was listed is a bug."""
        problems = Problems()
        files = self._files[place].unpacked(self._contents.__getitem__)
        policy = read_plan(files, self._directory, problems, self._shared, is_sound=True)
        if policy is None or listing_of(policy) != self._listings[place]:
            raise RuntimeError(f"{self._listings[place].canonical} is not what was checked: {problems.found}")
        return policy


class BuiltQuestions(Mapping[str, Questions]):
    """The questions of policies by ``Policy.canonical``, worked out when they are first asked for."""

    def __init__(self, policies: Sequence[Policy], places: Mapping[str, int], kept: int = KEPT) -> None:
        self._policies = policies
        self._places = places
        self._recent: Recent[str, Questions] = Recent(kept)

    def __getitem__(self, canonical: str) -> Questions:
        place = self._places[canonical]
        return self._recent.of(canonical, lambda: Questions(self._policies[place]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
