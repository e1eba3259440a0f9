"""The policies in use, found by order code, commissioner and day."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path

from cds_service.errors import PlanError, PlansError
from cds_service.policies.loading.directory import read_directory
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.folder import PlanFolder, read_folder
from cds_service.policies.policy import Policy, canonical
from cds_service.policies.questions import Questions
from cds_service.record.commissioners import Directory
from cds_service.record.orders import Order
from cds_service.record.patient_record import OWN_QUERIES


@dataclass(frozen=True)
class Library:
    """A checked policy set. ``digest`` names exactly these files; ``queries`` are what the service and all policies
    together read. ``questions`` are by ``Policy.canonical``.
    """

    policies: tuple[Policy, ...]
    directory: Directory
    questions: Mapping[str, Questions]
    by_code: Mapping[tuple[str, str], tuple[Policy, ...]]
    queries: Mapping[str, str]
    digest: str

    def covering(self, order: Order, today: date) -> tuple[Policy, ...]:
        """The policies in force for an order's codes on its day, whoever commissions it; each once, funding first."""
        day = order.authored or today
        found = {policy.canonical: policy for code in order.codes for policy in self.by_code.get(code, ())}
        in_force = (policy for policy in found.values() if policy.in_force(day))
        return tuple(sorted(in_force, key=lambda policy: policy.is_advice))

    def with_redirects(self, policies: Iterable[Policy]) -> tuple[Policy, ...]:
        """These policies, and all that their redirects may lead to."""
        found: dict[str, Policy] = {}
        waiting = list(policies)
        while waiting:
            policy = waiting.pop()
            if policy.canonical not in found:
                found[policy.canonical] = policy
                waiting += [each for each in self.policies if each.url in policy.redirect_targets]
        return tuple(found.values())

    def policy_for(self, reference: str, day: date) -> Policy | None:
        """The policy that a canonical (with or without version) names, in the version in force on a day."""
        url, version = canonical(reference)
        return next(
            (
                policy
                for policy in self.policies
                if policy.url == url and version in {None, policy.version} and policy.in_force(day)
            ),
            None,
        )


def load_library(folders: Iterable[Path], practices: Path | None = None) -> Library:
    """The policies of these folders. PlansError, naming every problem, when any of them cannot be used.

    ``practices``: the Organisation Data Service's file of GP practices, which tells each one's commissioner.
    """
    folders, problems = tuple(folders), Problems()
    plans = plan_folders(folders, problems)
    directory = read_directory(folders, practices, problems)
    policies = [policy for plan in plans if (policy := read_folder(plan, directory, problems))]
    active = tuple(policy for policy in policies if policy.plan["status"] == "active")
    queries = _queries(policies, problems)
    for problem in (*_repeated(policies), *_overlapping(active), *_circles(active)):
        problems.add(problem)
    if problems.found:
        raise PlansError(problems.found)
    return Library(
        policies=active,
        directory=directory,
        questions={policy.canonical: Questions(policy) for policy in active},
        by_code=_by_code(active),
        queries=queries,
        digest=_digest(folders),
    )


def plan_folders(folders: Iterable[Path], problems: Problems) -> tuple[PlanFolder, ...]:
    """The plans in these folders: their sub-folders; one without a PlanDefinition lies over the earlier of its name."""
    plans: dict[str, PlanFolder] = {}
    found: list[PlanFolder] = []
    for folder in folders:
        if not folder.is_dir():
            problems.add(PlanError(str(folder), "$", "no folder", "a folder of plan folders (CDS_PLANS)"))
            continue
        for path in sorted(
            each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
        ):
            if path.name in plans and not list(path.glob("PlanDefinition-*.json")):
                earlier = plans[path.name]
                found.remove(earlier)
                plans[path.name] = PlanFolder(earlier.path, (*earlier.overlays, path))
            else:
                plans[path.name] = PlanFolder(path)
            found.append(plans[path.name])
    return tuple(found)


def _queries(policies: Iterable[Policy], problems: Problems) -> dict[str, str]:
    """The queries of all policies by name; one name means one query, because it is one prefetch key."""
    queries = dict(OWN_QUERIES)
    for policy in policies:
        for name, query in policy.queries.items():
            if queries.setdefault(name, query) != query:
                problems.add(
                    _problem(policy, f"variable {name}", query, f"{queries[name]}, as everywhere else")
                )
    return queries


def _by_code(policies: Iterable[Policy]) -> dict[tuple[str, str], tuple[Policy, ...]]:
    by_code: defaultdict[tuple[str, str], list[Policy]] = defaultdict(list)
    for policy in policies:
        for code in policy.codes:
            by_code[code].append(policy)
    return {code: tuple(found) for code, found in by_code.items()}


def _repeated(policies: Iterable[Policy]) -> Iterator[PlanError]:
    seen: set[str] = set()
    for policy in policies:
        if policy.canonical in seen:
            yield _problem(
                policy, "version", policy.canonical, "one policy of this canonical, not two policies"
            )
        seen.add(policy.canonical)


def _overlapping(policies: Iterable[Policy]) -> Iterator[PlanError]:
    """Two versions of one policy that are both in force on some day."""
    for one, other in combinations(policies, 2):
        if one.url == other.url and one.version != other.version and _share_a_day(one, other):
            expected = f"a period apart from that of version {one.version}, which is also in force then"
            yield _problem(other, "effectivePeriod", other.plan.get("effectivePeriod"), expected)


def _share_a_day(one: Policy, other: Policy) -> bool:
    first, last = date.min, date.max
    return (one.starts or first) <= (other.ends or last) and (other.starts or first) <= (one.ends or last)


def _circles(policies: tuple[Policy, ...]) -> Iterator[PlanError]:
    """Redirects that lead back to where they came from."""
    targets = {policy.url: policy.redirect_targets for policy in policies}
    for policy in policies:
        reached: set[str] = set()
        waiting = set(targets[policy.url])
        while waiting:
            url = waiting.pop()
            reached.add(url)
            waiting |= targets.get(url, frozenset()) - reached
        if policy.url in reached:
            yield _problem(
                policy,
                "action[0].action",
                "redirects that lead back to this policy",
                "no circle of redirects",
            )


def _problem(policy: Policy, path: str, found: object, expected: str) -> PlanError:
    file = policy.folder / f"PlanDefinition-{policy.id}.json"
    return PlanError(str(file), f"PlanDefinition.{path}", repr(found), expected)


def _digest(folders: Iterable[Path]) -> str:
    """sha256 over the names and contents of every plan file."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.json")):
            if "cases" not in file.parts:
                digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
