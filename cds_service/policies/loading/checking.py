"""Plans checked one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.errors import PlanError
from cds_service.policies.index import Codes, by_system
from cds_service.policies.listing import Listing, listing_of
from cds_service.policies.loading.checked_before import CheckedBefore
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.files import PackedFiles, PlanFiles, compressed, read_files
from cds_service.policies.loading.folder import PlanFolder, read_plan
from cds_service.policies.loading.seals import Seal
from cds_service.policies.loading.shared import Shared
from cds_service.policies.policy import Policy
from cds_service.record.commissioners import Directory


@dataclass(frozen=True)
class Checked:
    """One plan as it was found: its entry when it can be used, else its problems; neither for a shared form.

    ``place``: which of the folders it is. ``digest``: that of ``files``. ``refused``: the problems' parts, as they can be
    sent between processes; ``contents``: what ``files`` need and was not told before, packed. ``seal``:
    that of ``files``.
    """

    place: int
    files: PackedFiles
    digest: str
    listing: Listing | None
    codes: Codes
    refused: tuple[tuple[str, str, str, str], ...]
    contents: Mapping[bytes, bytes]
    seal: Seal | None

    @property
    def problems(self) -> tuple[PlanError, ...]:
        """What is wrong with the plan."""
        return tuple(PlanError(*each) for each in self.refused)


class Checker:
    """Checks plans against one directory and remembers what they share."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._shared = Shared()
        self._told: set[bytes] = set()

    def listed(self, place: int, folder: PlanFolder) -> Checked:
        """A plan, checked."""
        problems = Problems()
        plan, policy = self.policy(folder, problems)
        files, contents = plan.packed, compressed(plan, self._told)
        self._told |= contents.keys()
        listing, codes = (None, ()) if policy is None else (listing_of(policy), by_system(policy.codes))
        refused = tuple((each.file, each.path, each.found, each.expected) for each in problems.found)
        return Checked(place, files, files.digest, listing, codes, refused, contents, plan.seal)

    def policy(
        self, folder: PlanFolder, problems: Problems, before: CheckedBefore | None = None
    ) -> tuple[PlanFiles, Policy | None]:
        """A plan's files, and its policy built from them: None for a shared form, or when there are problems.

        The shape of files that are known from ``before`` is not looked at again.
        """
        noted = len(problems.found)
        plan = read_files(folder.path, folder.overlays, problems)
        files = plan.packed
        if files.is_form or len(problems.found) > noted:
            return plan, None
        is_sound = before is not None and before.found(files.digest, files.folder) is not None
        return plan, read_plan(plan, self._directory, problems, self._shared, is_sound=is_sound)
