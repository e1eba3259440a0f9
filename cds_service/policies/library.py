"""The policies in use, found by order code, commissioner and day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import chain
from pathlib import Path

from cds_service.errors import PlanError, PlansError
from cds_service.policies.forms import SharedForm
from cds_service.policies.index import Index, index_of
from cds_service.policies.listing import Listing
from cds_service.policies.loading.checked_before import checked_before
from cds_service.policies.loading.directory import ORGANIZATIONS, read_directory
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.folder import PlanFolder
from cds_service.policies.loading.form import form_problems
from cds_service.policies.loading.plan_set import few, many
from cds_service.policies.loading.processes import MANY
from cds_service.policies.loading.together import problems_together, queries_of
from cds_service.policies.policy import Policy, canonical
from cds_service.policies.questions import Questions
from cds_service.record.commissioners import Directory
from cds_service.record.orders import Order
from cds_service.record.patient_record import OWN_QUERIES


@dataclass(frozen=True)
class Library:
    """A checked policy set, and the ``forms`` that its policies share. ``digest`` names exactly these files; ``queries``
    are what the service and all policies together read. ``questions`` are by ``Policy.canonical``.

    A policy's place is the same in ``policies``, ``listings`` and ``index``. Of thousands, ``policies`` are built when
    they are first asked for: whoever goes through all of them should ask ``listings`` if these tell enough.
    """

    policies: Sequence[Policy]
    listings: Sequence[Listing]
    forms: tuple[SharedForm, ...]
    directory: Directory
    questions: Mapping[str, Questions]
    index: Index
    queries: Mapping[str, str]
    digest: str

    def covering(
        self, order: Order, today: date, commissioners: AbstractSet[str] | None = None
    ) -> tuple[Policy, ...]:
        """The policies in force for an order's codes on its day; each once, funding first.

        Those of these ``commissioners`` and national ones; None: whoever commissions it.
        """
        return tuple(self.policies[place] for place in self._covering(order, today, commissioners))

    def commissioners_of(self, order: Order, today: date) -> frozenset[str]:
        """The directory ids of those who have a funding policy in force for an order's codes on its day."""
        listings = (self.listings[place] for place in self._covering(order, today, None))
        return frozenset(each.commissioner for each in listings if each.commissioner and not each.is_advice)

    def queries_for(self, order: Order, today: date) -> dict[str, str]:
        """Key → template of what deciding an order may read, redirects followed; nothing when no policy covers it."""
        places = self._with_redirects(self._covering(order, today, None))
        # Most policies on one code read the same.
        alike = dict.fromkeys(self.listings[place].queries for place in places)
        return {**OWN_QUERIES, **dict(chain.from_iterable(alike))} if places else {}

    def with_redirects(self, policies: Iterable[Policy]) -> tuple[Policy, ...]:
        """These policies, and all that their redirects may lead to."""
        places = [place for policy in policies for place in self._places(policy.canonical)]
        return tuple(self.policies[place] for place in self._with_redirects(places))

    def policy_for(self, reference: str, day: date) -> Policy | None:
        """The policy that a canonical (with or without version) names, in the version in force on a day."""
        places = (place for place in self._places(reference) if self.listings[place].in_force(day))
        return next((self.policies[place] for place in places), None)

    def policy(self, reference: str) -> Policy | None:
        """The policy that a canonical names, of several versions the first when it names none."""
        return next((self.policies[place] for place in self._places(reference)), None)

    def form(self, reference: str) -> SharedForm | None:
        """The shared form that a canonical names, of several versions the first when it names none."""
        url, version = canonical(reference)
        return next(
            (form for form in self.forms if form.url == url and version in {None, form.version}), None
        )

    def _places(self, reference: str) -> list[int]:
        url, _ = canonical(reference)
        return [place for place in self.index.by_url.get(url, ()) if self.listings[place].names(reference)]

    def _covering(self, order: Order, today: date, commissioners: AbstractSet[str] | None) -> list[int]:
        day = order.authored or today
        found = dict.fromkeys(
            place for code in order.codes for place in self.index.covering(code, commissioners)
        )
        in_force = (place for place in found if self.listings[place].in_force(day))
        return sorted(in_force, key=lambda place: self.listings[place].is_advice)

    def _with_redirects(self, places: Iterable[int]) -> list[int]:
        found: dict[int, None] = {}
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found[place] = None
                for url in self.listings[place].redirects:
                    waiting += self.index.by_url.get(url, ())
        return list(found)


def load_library(
    folders: Iterable[Path], practices: Path | None = None, cache: Path | None = None
) -> Library:
    """The policies of these folders. PlansError, naming every problem, when any of them cannot be used.

    ``practices``: the Organisation Data Service's file of GP practices, which tells each one's commissioner. ``cache``:
    a folder that remembers which plans were checked before; nothing is remembered without one.
    """
    folders, problems = tuple(folders), Problems()
    plans = plan_folders(folders, problems)
    directory = read_directory(folders, practices, problems)
    before = checked_before(cache, folders, directory)
    read = (many if len(plans) >= MANY else few)(plans, directory, before, problems)
    queries = queries_of(read.listings, problems)
    active = read.in_use
    forms = tuple(form for form in read.forms if form.questionnaire["status"] == "active")
    for problem in (
        *problems_together(read.listings, active.listings),
        *form_problems(forms, active.listings, queries),
    ):
        problems.add(problem)
    if problems.found:
        raise PlansError(problems.found)
    return Library(
        policies=active.policies,
        listings=active.listings,
        forms=forms,
        directory=directory,
        questions=active.questions,
        index=index_of(active.listings, active.codes),
        queries=queries,
        digest=_digest(folders, read.digests),
    )


def plan_folders(folders: Iterable[Path], problems: Problems) -> tuple[PlanFolder, ...]:
    """The plans in these folders: their sub-folders; one without a PlanDefinition lies over the earlier of its name.

    One with a Questionnaire only, and nothing to lie over, is a form that policies share.
    """
    places: dict[str, int] = {}
    found: list[PlanFolder] = []
    for folder in folders:
        if not folder.is_dir():
            problems.add(PlanError(str(folder), "$", "no folder", "a folder of plan folders (CDS_PLANS)"))
            continue
        for name in sorted(each.name for each in folder.iterdir()):
            path = folder / name
            if name.startswith(".") or not path.is_dir():
                continue
            if name in places and not list(path.glob("PlanDefinition-*.json")):
                earlier = found[places[name]]
                found[places[name]] = PlanFolder(earlier.path, (*earlier.overlays, path))
            else:
                places[name] = len(found)
                found.append(PlanFolder(path))
    return tuple(found)


def _digest(folders: Iterable[Path], plans: Iterable[str]) -> str:
    """sha256 over the digests of the plans and of the directories."""
    digest = sha256("".join(plans).encode())
    for folder in folders:
        if (file := folder / ORGANIZATIONS).exists():
            digest.update(file.read_bytes())
    return digest.hexdigest()
