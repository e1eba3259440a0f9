"""What only the policies together can be checked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import combinations

from cds_service.errors import PlanError
from cds_service.policies.listing import Listing
from cds_service.policies.loading.documents import Problems
from cds_service.record.patient_record import OWN_QUERIES


def queries_of(policies: Iterable[Listing], problems: Problems) -> dict[str, str]:
    """The queries of all policies by name; one name means one query, because it is one prefetch key."""
    queries = dict(OWN_QUERIES)
    for policy in policies:
        for name, query in policy.queries:
            if queries.setdefault(name, query) != query:
                expected = f"{queries[name]}, as everywhere else"
                problems.add(_problem(policy, f"variable {name}", query, expected))
    return queries


def problems_together(policies: Iterable[Listing], active: tuple[Listing, ...]) -> Iterator[PlanError]:
    """Two policies of one canonical, two versions at one time, redirects in a circle. ``policies``: active or not."""
    yield from _repeated(policies)
    yield from _overlapping(active)
    yield from _circles(active)


def _repeated(policies: Iterable[Listing]) -> Iterator[PlanError]:
    seen: set[str] = set()
    for policy in policies:
        if policy.canonical in seen:
            expected = "one policy of this canonical, not two policies"
            yield _problem(policy, "version", policy.canonical, expected)
        seen.add(policy.canonical)


def _overlapping(policies: Iterable[Listing]) -> Iterator[PlanError]:
    """Two versions of one policy that are both in force on some day."""
    versions: defaultdict[str, list[Listing]] = defaultdict(list)
    for policy in policies:
        versions[policy.url].append(policy)
    for one, other in (pair for each in versions.values() for pair in combinations(each, 2)):
        if one.version != other.version and _share_a_day(one, other):
            expected = f"a period apart from that of version {one.version}, which is also in force then"
            yield _problem(other, "effectivePeriod", _period(other), expected)


def _period(policy: Listing) -> dict[str, str] | None:
    """The period as the plan writes it."""
    ends = zip(("start", "end"), policy.period, strict=True)
    return {name: day for name, day in ends if day is not None} or None


def _share_a_day(one: Listing, other: Listing) -> bool:
    first, last = date.min, date.max
    return (one.starts or first) <= (other.ends or last) and (other.starts or first) <= (one.ends or last)


def _circles(policies: tuple[Listing, ...]) -> Iterator[PlanError]:
    """Redirects that lead back to where they came from."""
    targets = {policy.url: frozenset(policy.redirects) for policy in policies}
    for policy in policies:
        reached: set[str] = set()
        waiting = set(targets[policy.url])
        while waiting:
            url = waiting.pop()
            reached.add(url)
            waiting |= targets.get(url, frozenset()) - reached
        if policy.url in reached:
            found, expected = "redirects that lead back to this policy", "no circle of redirects"
            yield _problem(policy, "action[0].action", found, expected)


def _problem(policy: Listing, path: str, found: object, expected: str) -> PlanError:
    return PlanError(policy.file, f"PlanDefinition.{path}", repr(found), expected)
