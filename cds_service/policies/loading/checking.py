"""Plans checked one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.errors import PlanError
from cds_service.policies.index import Codes, by_system
from cds_service.policies.listing import Listing, listing_of
from cds_service.policies.loading.checked_before import CheckedBefore
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.files import PackedFiles, PlanFiles, packed, read_files
from cds_service.policies.loading.folder import PlanFolder, read_plan
from cds_service.policies.loading.shared import Shared
from cds_service.policies.policy import Policy
from cds_service.record.commissioners import Directory


@dataclass(frozen=True)
class Checked:
    """One plan as it was found: its entry when it can be used, else its problems; neither for a shared form.

    ``place``: which of the folders it is. ``refused``: the problems' parts, as they can be sent between processes;
    ``contents``: what ``files`` need and was not told before, packed.
    """

    place: int
    files: PackedFiles
    digest: str
    is_form: bool
    listing: Listing | None
    codes: Codes
    refused: tuple[tuple[str, str, str, str], ...]
    contents: Mapping[bytes, bytes]

    @property
    def problems(self) -> tuple[PlanError, ...]:
        """What is wrong with the plan."""
        return tuple(PlanError(*each) for each in self.refused)


class Checker:
    """Checks plans against one directory and remembers what they share."""

    def __init__(self, directory: Directory, before: CheckedBefore | None) -> None:
        self._directory = directory
        self._before = before
        self._shared = Shared()
        self._told: set[bytes] = set()

    def listed(self, place: int, folder: PlanFolder) -> Checked:
        """A plan, checked unless the same files were before."""
        problems = Problems()
        plan = read_files(folder.path, folder.overlays, problems)
        digest = plan.digest
        known = self._before.found(digest, plan.folder) if self._before and not problems.found else None
        if known is not None:
            return self._checked(place, plan, digest, *known)
        policy = None if plan.is_form or problems.found else self._policy(plan, digest, problems)
        if policy is None:
            return self._checked(place, plan, digest, None, (), problems)
        return self._checked(place, plan, digest, listing_of(policy), by_system(policy.codes))

    def policy(self, folder: PlanFolder, problems: Problems) -> tuple[PlanFiles, Policy | None]:
        """A plan's files, and its policy built from them: None for a shared form, or when there are problems."""
        before = len(problems.found)
        plan = read_files(folder.path, folder.overlays, problems)
        if plan.is_form or len(problems.found) > before:
            return plan, None
        digest = plan.digest
        if self._before and self._before.found(digest, plan.folder):
            return plan, read_plan(plan, self._directory, problems, self._shared, is_sound=True)
        return plan, self._policy(plan, digest, problems)

    def _policy(self, plan: PlanFiles, digest: str, problems: Problems) -> Policy | None:
        policy = read_plan(plan, self._directory, problems, self._shared)
        if policy is not None and self._before is not None:
            self._before.note(digest, listing_of(policy), by_system(policy.codes))
        return policy

    def _checked(
        self,
        place: int,
        plan: PlanFiles,
        digest: str,
        listing: Listing | None,
        codes: Codes,
        problems: Problems | None = None,
    ) -> Checked:
        files, contents = packed(plan, self._told)
        self._told |= contents.keys()
        refused = tuple(
            (each.file, each.path, each.found, each.expected) for each in (problems.found if problems else ())
        )
        return Checked(place, files, digest, plan.is_form, listing, codes, refused, contents)
