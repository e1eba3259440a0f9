"""A policy as it is decided by: criteria, ordered rules, their diagram. Built once, at load, by ``loading``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from cds_service.fhirpath import Expression
from cds_service.policies.conditions import Condition, comparisons
from cds_service.policies.diagram import Diagram
from cds_service.policies.domains import Domain, Value
from cds_service.record.resources import Resource
from cds_service.record.value_sets import ValueSets

ELIGIBLE = "eligible"
NOT_NORMALLY_FUNDED = "not-normally-funded"
IFR_REQUIRED = "ifr-required"
REDIRECT = "redirect"
NOT_APPLICABLE = "not-applicable"
ADVICE = "advice"
INFORMATION_NEEDED = "information-needed"
OUTCOME_CODES = (
    ELIGIBLE,
    NOT_NORMALLY_FUNDED,
    IFR_REQUIRED,
    REDIRECT,
    NOT_APPLICABLE,
    ADVICE,
    INFORMATION_NEEDED,
)


def canonical(reference: str) -> tuple[str, str | None]:
    """A canonical's URL and version."""
    url, _, version = reference.partition("|")
    return url, version or None


@dataclass(frozen=True)
class Outcome:
    """What a rule says. Two redirects to different policies are different outcomes."""

    code: str
    redirect_to: str | None = None


@dataclass(frozen=True)
class Citation:
    """A clause of the source document: its label there, where it stands and what it says in our words."""

    label: str
    display: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class FundingRoute:
    """How an individual request is made: what the policy says of it, who may apply, and the shared form to do it on.

    ``form`` is the canonical of a Questionnaire, with version. ``submission`` (where it is sent) and ``response_time``
    are as the funder publishes them, None when it publishes none.
    """

    citation: Citation
    applicants: tuple[str, ...]
    submission: str | None
    response_time: str | None
    form: str | None


@dataclass(frozen=True)
class Criterion:
    """One fact that the policy turns on: a Questionnaire item.

    ``proof`` yields the value when the record proves it and nothing when it does not; ``evidence`` yields the resources
    that speak to it; ``queries`` are the prefetch keys that ``proof`` can touch. ``assumed`` holds until somebody says
    otherwise. What is known of a ``sensitive`` criterion is never
    shown in a card's text.
    """

    link_id: str
    text: str
    name: str
    domain: Domain
    item: Resource
    clauses: tuple[str, ...]
    assumed: Value | None
    sensitive: bool
    proof: Expression | None
    evidence: Expression | None
    queries: frozenset[str]


@dataclass(frozen=True)
class Change:
    """What a suggestion does with the draft order: update it, remove it, or create another like it.

    ``elements`` (top-level name, expression, whether the element is a list) are set; everything else stays.
    """

    type: str
    description: str
    elements: tuple[tuple[str, Expression, bool], ...]


@dataclass(frozen=True)
class Suggestion:
    """Changes to the draft orders that belong together, offered under one label."""

    label: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Rule:
    """An outcome, the condition in which it holds (None: the policy's own position), and the clauses it rests on.

    ``condition`` is the text that its author wrote, ``logic`` what it says.
    """

    id: str
    title: str
    description: str
    urgent: bool
    outcome: Outcome
    condition: str | None
    logic: Condition | None
    citations: tuple[Citation, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def criteria(self) -> frozenset[str]:
        """The names of the criteria that the condition names."""
        return frozenset(each.criterion for each in comparisons(self.logic)) if self.logic else frozenset()


@dataclass(frozen=True)
class Policy:
    """One commissioner's policy on some procedures, one version.

    ``commissioner`` is a directory id, None for national advice. ``criteria`` stand in the diagram's order; the leaves
    of ``diagram`` are positions in ``rules``. ``variables`` are the Questionnaire's named expressions, ``queries`` the
    reads it declares, as templates, and ``lists`` the deployer's Bundles. ``folder`` is where its cases lie. ``route``
    is None for advice that names none.
    """

    id: str
    url: str
    version: str
    title: str
    commissioner: str | None
    commissioner_name: str | None
    starts: date | None
    ends: date | None
    codes: frozenset[tuple[str, str]]
    questionnaire_url: str
    questionnaire: Resource
    plan: Resource
    criteria: tuple[Criterion, ...]
    rules: tuple[Rule, ...]
    diagram: Diagram
    variables: Mapping[str, Expression]
    queries: Mapping[str, str]
    lists: Mapping[str, Resource]
    value_sets: ValueSets
    folder: Path
    source: Citation
    route: FundingRoute | None

    @property
    def individual_funding(self) -> Citation | None:
        """What the policy says of individual requests."""
        return self.route.citation if self.route else None

    @cached_property
    def canonical(self) -> str:
        """The versioned canonical: ``url|version``."""
        return f"{self.url}|{self.version}"

    @cached_property
    def is_advice(self) -> bool:
        """Whether it advises and never says what is funded."""
        return all(rule.outcome.code in {ADVICE, NOT_APPLICABLE} for rule in self.rules)

    @cached_property
    def levels(self) -> Mapping[str, int]:
        """The diagram's level of each criterion, by linkId."""
        return {criterion.link_id: level for level, criterion in enumerate(self.criteria)}

    @property
    def redirect_targets(self) -> frozenset[str]:
        """The URLs of the policies that its rules send orders on to, versions left out."""
        return frozenset(
            canonical(rule.outcome.redirect_to)[0] for rule in self.rules if rule.outcome.redirect_to
        )

    @property
    def position(self) -> Rule:
        """What the policy says when no rule's condition holds."""
        return self.rules[-1]

    def in_force(self, day: date) -> bool:
        """Whether an order of this day is decided by this version; both ends of the period count."""
        return (self.starts is None or self.starts <= day) and (self.ends is None or day <= self.ends)
