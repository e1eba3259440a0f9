"""The policies in use, found by order code, commissioner and day."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cds_service.errors import PlanError, PlansError
from cds_service.policies.loading.documents import Document, Problems, read_json, shape_problems
from cds_service.policies.loading.folder import PlanFolder, read_folder
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions
from cds_service.record.commissioners import Directory
from cds_service.record.orders import Order
from cds_service.record.patient_record import OWN_QUERIES
from cds_service.record.resources import Resource, members
from cds_service.record.value_sets import ValueSets

ORGANIZATIONS = "organizations.json"


@dataclass(frozen=True)
class Library:
    """A checked policy set. ``digest`` names exactly these files; ``queries`` are what the service and
    all policies together read.

    Mappings without another key are by ``Policy.canonical``.
    """

    policies: tuple[Policy, ...]
    directory: Directory
    value_sets: Mapping[str, ValueSets]
    questions: Mapping[str, Questions]
    by_code: Mapping[tuple[str, str], tuple[Policy, ...]]
    queries: Mapping[str, str]
    folders: Mapping[str, Path]
    digest: str

    def covering(self, order: Order, today: date) -> tuple[Policy, ...]:
        """The policies in force for an order's codes on its day, whoever commissions it; each once, in loading order."""
        day = order.authored or today
        found = {policy.canonical: policy for code in order.codes for policy in self.by_code.get(code, ())}
        return tuple(policy for policy in found.values() if policy.in_force(day))


def load_library(folders: Iterable[Path]) -> Library:
    """The policies of these folders. PlansError, naming every problem, when any of them cannot be used."""
    folders, problems = tuple(folders), Problems()
    paths = tuple(plan_folders(folders, problems))
    directory = _directory(folders, problems)
    plans = [plan for path in paths if (plan := read_folder(path, directory, problems))]
    queries = _queries(plans, problems)
    for repeated in _repeated(plan.policy.canonical for plan in plans):
        problems.add(PlanError(repeated, "$", "two policies with this canonical and version", "one"))
    if problems.found:
        raise PlansError(problems.found)
    return library_of(plans, directory, queries, _digest(folders))


def library_of(
    plans: Iterable[PlanFolder], directory: Directory, queries: Mapping[str, str], digest: str
) -> Library:
    """The library of these plans. Only active ones decide."""
    active = [plan for plan in plans if plan.policy.plan["status"] == "active"]
    by_code: defaultdict[tuple[str, str], list[Policy]] = defaultdict(list)
    for plan in active:
        for code in plan.policy.codes:
            by_code[code].append(plan.policy)
    return Library(
        policies=tuple(plan.policy for plan in active),
        directory=directory,
        value_sets={plan.policy.canonical: plan.value_sets for plan in active},
        questions={plan.policy.canonical: Questions(plan.policy) for plan in active},
        by_code={code: tuple(policies) for code, policies in by_code.items()},
        queries=queries,
        folders={plan.policy.canonical: plan.path for plan in active},
        digest=digest,
    )


def plan_folders(folders: Iterable[Path], problems: Problems) -> Iterator[Path]:
    """Every folder that holds a plan: the sub-folders of the given ones."""
    for folder in folders:
        if not folder.is_dir():
            problems.add(PlanError(str(folder), "$", "no folder", "a folder of plan folders (CDS_PLANS)"))
            continue
        yield from (
            path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")
        )


def _directory(folders: tuple[Path, ...], problems: Problems) -> Directory:
    organizations: list[Resource] = []
    for file in (folder / ORGANIZATIONS for folder in folders):
        if not file.exists():
            continue
        with problems.noted():
            document = Document(file, read_json(file))
            for problem in shape_problems(document):
                problems.add(problem)
            organizations += [entry["resource"] for entry in members(document.resource, "entry")]
    if not organizations and not problems.found:
        problems.add(
            PlanError(", ".join(map(str, folders)), "$", f"no {ORGANIZATIONS}", "a Bundle of Organizations")
        )
    return Directory.of(organizations)


def _queries(plans: Iterable[PlanFolder], problems: Problems) -> dict[str, str]:
    """The queries of all plans by name; one name means one query, because it is one prefetch key."""
    queries = dict(OWN_QUERIES)
    for plan in plans:
        for name, query in plan.policy.queries.items():
            file = str(plan.path / f"Questionnaire-{plan.policy.id}.json")
            if queries.setdefault(name, query) != query:
                problems.add(
                    PlanError(file, f"variable {name}", query, f"{queries[name]}, as everywhere else")
                )
    return queries


def _repeated(names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]  # add returns None


def _digest(folders: Iterable[Path]) -> str:
    """sha256 over the names and contents of every plan file."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.json")):
            if "cases" not in file.parts:
                digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
