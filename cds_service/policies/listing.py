"""What a policy is found by, and held against the others with: all of it that thousands keep in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_service.policies.policy import Policy, canonical

_DAYS = ("starts", "ends")


@dataclass(frozen=True, slots=True)
class Listing:
    """A policy's entry in the index. ``queries``: name, template. ``redirects``: URLs, versions left out.

    ``period``: start and end as the plan writes them; ``starts`` and ``ends`` the days that they mean.
    ``value_sets``: the URLs of those that its expressions may name. ``form``: the canonical of the shared form that an
    individual request is made on.
    """

    folder: str
    id: str
    url: str
    version: str
    title: str
    commissioner: str | None
    period: tuple[str | None, str | None]
    starts: date | None
    ends: date | None
    questionnaire_url: str
    questionnaire_title: str
    questionnaire_status: str
    value_sets: tuple[str, ...]
    queries: tuple[tuple[str, str], ...]
    redirects: tuple[str, ...]
    form: str | None
    is_advice: bool
    is_active: bool

    @property
    def canonical(self) -> str:
        """The versioned canonical: ``url|version``."""
        return f"{self.url}|{self.version}"

    @property
    def file(self) -> str:
        """Where the policy's PlanDefinition lies."""
        return f"{self.folder}/PlanDefinition-{self.id}.json"

    def in_force(self, day: date) -> bool:
        """Whether an order of this day is decided by this version; both ends of the period count."""
        return (self.starts is None or self.starts <= day) and (self.ends is None or day <= self.ends)

    def names(self, reference: str) -> bool:
        """Whether a canonical (with or without version) names this policy."""
        url, version = canonical(reference)
        return self.url == url and version in {None, self.version}


def listing_of(policy: Policy) -> Listing:
    """The entry of a policy."""
    period = policy.plan.get("effectivePeriod", {})
    return Listing(
        folder=str(policy.folder),
        id=policy.id,
        url=policy.url,
        version=policy.version,
        title=policy.title,
        commissioner=policy.commissioner,
        period=(period.get("start"), period.get("end")),
        starts=policy.starts,
        ends=policy.ends,
        questionnaire_url=policy.questionnaire_url,
        questionnaire_title=policy.questionnaire["title"],
        questionnaire_status=policy.questionnaire["status"],
        value_sets=tuple(policy.value_sets.codes),
        queries=tuple(policy.queries.items()),
        redirects=tuple(sorted(policy.redirect_targets)),
        form=policy.route.form if policy.route else None,
        is_advice=policy.is_advice,
        is_active=policy.plan["status"] == "active",
    )


def written(listing: Listing) -> dict[str, Any]:
    """The entry as JSON, without the folder, which may be moved."""
    members = {name: getattr(listing, name) for name in Listing.__slots__ if name != "folder"}
    days = {name: None if members[name] is None else members[name].isoformat() for name in _DAYS}
    return members | days


def read(members: Mapping[str, Any], folder: str) -> Listing:
    """The entry that ``written`` wrote."""
    days = {name: None if members[name] is None else date.fromisoformat(members[name]) for name in _DAYS}
    lists = {name: tuple(members[name]) for name in ("period", "redirects", "value_sets")}
    queries = tuple((name, query) for name, query in members["queries"])
    return Listing(folder=folder, **{**members, **days, **lists, "queries": queries})
