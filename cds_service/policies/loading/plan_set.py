"""All plans of a deployment, checked: few of them built at once, many when they are asked for."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar, cast

from cds_service.policies.forms import SharedForm
from cds_service.policies.index import Codes, by_system
from cds_service.policies.listing import Listing, listing_of
from cds_service.policies.loading.checked_before import CheckedBefore
from cds_service.policies.loading.checking import Checked, Checker
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.files import PackedFiles, PlanFiles, read_files, unopened
from cds_service.policies.loading.folder import PlanFolder
from cds_service.policies.loading.form import read_form
from cds_service.policies.loading.processes import all_listed
from cds_service.policies.loading.seals import Seal
from cds_service.policies.loading.shared import Shared
from cds_service.policies.loading.shelf import BuiltPolicies, BuiltQuestions
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions
from cds_service.record.commissioners import Directory

Part = TypeVar("Part", bound=Hashable)


@dataclass(frozen=True)
class InUse:
    """The active policies with their entries and their order codes in every spelling, in one order."""

    listings: tuple[Listing, ...]
    codes: tuple[Codes, ...]
    policies: Sequence[Policy]
    questions: Mapping[str, Questions]


@dataclass(frozen=True)
class PlanSet:
    """The entries of all policies, active or not; the active ones; the shared forms; each plan's digest."""

    listings: tuple[Listing, ...]
    in_use: InUse
    forms: tuple[SharedForm, ...]
    digests: tuple[str, ...]


def few(
    folders: Sequence[PlanFolder], directory: Directory, before: CheckedBefore, problems: Problems
) -> PlanSet:
    """The plans of these folders, problems noted, each policy built here and now."""
    checker = Checker(directory)
    digests: list[str] = []
    policies: list[Policy] = []
    forms: list[SharedForm] = []
    good: dict[str, tuple[Listing | None, Codes]] = {}
    for folder in folders:
        plan, policy = checker.policy(folder, problems, before)
        digest = plan.packed.digest
        digests.append(digest)
        forms += _forms(plan, problems)
        if policy is not None:
            policies.append(policy)
            good[digest] = listing_of(policy), by_system(policy.codes)
    before.note(good, {}, {})
    active = tuple(policy for policy in policies if policy.plan["status"] == "active")
    in_use = InUse(
        listings=tuple(map(listing_of, active)),
        codes=tuple(by_system(policy.codes) for policy in active),
        policies=active,
        questions={policy.canonical: Questions(policy) for policy in active},
    )
    return PlanSet(tuple(map(listing_of, policies)), in_use, tuple(forms), tuple(digests))


def many(
    folders: Sequence[PlanFolder], directory: Directory, before: CheckedBefore, problems: Problems
) -> PlanSet:
    """The plans of these folders, problems noted; policies are built when asked for.

    Those that hold what they held before are known; the others are checked, in several processes if they are many.
    """
    contents: dict[bytes, bytes] = {}
    same: dict[object, object] = {}
    known = dict(_unchanged(folders, before))
    others = [(place, folder) for place, folder in enumerate(folders) if place not in known]
    found: list[Checked] = []
    for checked in chain(known.values(), all_listed(others, directory)):
        contents |= {digest: each for digest, each in checked.contents.items() if digest not in contents}
        found.append(_without_repeats(checked, same))
    found.sort(key=lambda checked: checked.place)
    forms: list[SharedForm] = []
    good: list[Checked] = []
    for checked in found:
        noted = len(problems.found)
        for problem in checked.problems:
            problems.add(problem)
        if checked.listing is None and not checked.problems and checked.files.is_form:
            files = checked.files.unpacked(contents.__getitem__)
            forms += _forms(files, problems, is_sound=checked.place in known)
        if len(problems.found) == noted:
            good.append(checked)
    before.note(
        {each.digest: (each.listing, each.codes) for each in good},
        contents,
        {each.seal: each.files for each in good if each.seal},
    )
    return PlanSet(
        tuple(checked.listing for checked in found if checked.listing),
        _in_use(found, contents, directory),
        tuple(forms),
        tuple(checked.digest for checked in found),
    )


def _unchanged(folders: Sequence[PlanFolder], before: CheckedBefore) -> Iterator[tuple[int, Checked]]:
    """The plans that were checked before and whose contents are at hand, by place."""
    for place, folder in enumerate(folders if before.contents else ()):
        if found := _unopened(folder, before) or _read(folder, before):
            files, digest, seal = found
            if known := before.found(digest, files.folder):
                contents = {each: before.contents[each] for _, each in files.files}
                yield place, Checked(place, files, digest, *known, refused=(), contents=contents, seal=seal)


def _unopened(folder: PlanFolder, before: CheckedBefore) -> tuple[PackedFiles, str, Seal] | None:
    """A plan's files, its digest and its seal, when its seal is unbroken."""
    seal, names = unopened(folder.path, folder.overlays)
    if seal is None or (sealed := before.sealed(seal)) is None:
        return None
    digest, contents = sealed
    return PackedFiles(str(folder.path), tuple(zip(names, contents, strict=True))), digest, seal


def _read(folder: PlanFolder, before: CheckedBefore) -> tuple[PackedFiles, str, Seal | None] | None:
    """The same read from the disk; None when a file cannot be read or holds what none held before."""
    problems = Problems()
    plan = read_files(folder.path, folder.overlays, problems)
    files = plan.packed
    if problems.found or not all(each in before.contents for _, each in files.files):
        return None
    return files, files.digest, plan.seal


def _in_use(found: Iterable[Checked], contents: Mapping[bytes, bytes], directory: Directory) -> InUse:
    active = [(each.listing, each) for each in found if each.listing and each.listing.is_active]
    listings = tuple(listing for listing, _ in active)
    policies = BuiltPolicies(listings, tuple(checked.files for _, checked in active), contents, directory)
    places = {listing.canonical: place for place, listing in enumerate(listings)}
    codes = tuple(checked.codes for _, checked in active)
    return InUse(listings, codes, policies, BuiltQuestions(policies, places))


def _forms(plan: PlanFiles, problems: Problems, *, is_sound: bool = False) -> list[SharedForm]:
    form = read_form(plan, problems, Shared(), is_sound=is_sound) if plan.packed.is_form else None
    return [] if form is None else [form]


def _without_repeats(checked: Checked, same: dict[object, object]) -> Checked:
    """The same with what other plans have too held once, and without the contents, which are kept elsewhere."""

    def once(part: Part) -> Part:
        return cast("Part", same.setdefault(part, part))

    files = PackedFiles(checked.files.folder, tuple(map(once, checked.files.files)))
    listing = checked.listing and replace(
        checked.listing,
        version=once(checked.listing.version),
        questionnaire_status=once(checked.listing.questionnaire_status),
        value_sets=once(checked.listing.value_sets),
        commissioner=once(checked.listing.commissioner),
        queries=once(checked.listing.queries),
        redirects=once(checked.listing.redirects),
        form=once(checked.listing.form),
        period=once(checked.listing.period),
    )
    return replace(checked, files=files, listing=listing, codes=once(checked.codes), contents={})
