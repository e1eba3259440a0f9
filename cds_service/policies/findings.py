"""What is known of a patient for each criterion, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from cds_service.errors import FhirPathEvaluationError, QueryNotReadError
from cds_service.fhirpath import Environment, Expression
from cds_service.policies.domains import SeveralChoicesDomain, Value
from cds_service.policies.policy import Criterion, Policy
from cds_service.record.orders import Order
from cds_service.record.patient_record import PatientRecord
from cds_service.record.resources import Resource, text

# Where a value comes from.
RECORD, ANSWER, ASSUMED, UNKNOWN = "record", "answer", "assumed", "unknown"
# Why a finding is unknown.
NOT_RECORDED, NOT_READ, ASKED, FAILED = "not-recorded", "not-read", "asked", "failed"

# The elements that date a resource, most telling first.
_DATES = (
    "performedDateTime",
    "onsetDateTime",
    "effectiveDateTime",
    "recordedDate",
    "authored",
    "authoredOn",
    "issued",
    "date",
)
_PERIODS = ("performedPeriod", "onsetPeriod", "effectivePeriod", "period")


# What one expression may cost, in items looked at: some tenths of a second, and many times what a plan of ours needs.
MOST_STEPS = 200_000
# The variable that tells an advice plan what the funding policies said of the order, and what it says when none did.
FUNDING_OUTCOME, NO_FUNDING_POLICY = "fundingOutcome", "none"


@dataclass(frozen=True)
class Evidence:
    """A resource that speaks to a criterion; ``date`` as the resource writes it."""

    reference: str | None
    date: str | None


class Finding(NamedTuple):
    """A criterion's value for this patient, or (``value`` None) why it is unknown.

    ``overrides``: what the record proves when an answer says otherwise.
    """

    criterion: Criterion
    value: Value | None
    origin: str
    why: str | None = None
    evidence: tuple[Evidence, ...] = ()
    overrides: Value | None = None

    @property
    def cell(self) -> int | None:
        """The cell of the criterion's domain that the value lies in."""
        return None if self.value is None else self.criterion.domain.cell(self.value)


@dataclass(frozen=True)
class Answers:
    """What a completed form says: linkId → value, None where the answer was "don't know"."""

    reference: str | None
    authored: str | None
    values: Mapping[str, Value | None]


@dataclass(frozen=True)
class Situation:
    """What a policy is applied to. ``now`` is aware; ``lists`` replace the deployer's Bundles of the same name."""

    order: Order
    record: PatientRecord
    answers: Answers | None
    now: datetime
    funding_outcome: str = NO_FUNDING_POLICY
    lists: Mapping[str, Resource] = field(default_factory=dict)


class KnownFindings(Protocol):
    """What a determination asks: the finding on a criterion, and those that were asked for."""

    def __getitem__(self, criterion: Criterion) -> Finding:
        """The finding on a criterion of the policy."""

    def made(self) -> tuple[Finding, ...]:
        """The findings asked for so far, in the Questionnaire's order."""


class Findings:
    """The findings of one policy in one situation, each made when it is first asked for and then kept."""

    def __init__(self, policy: Policy, situation: Situation) -> None:
        self._policy = policy
        self._answers = situation.answers
        self._variables = _Variables(policy, situation)
        self._made: dict[str, Finding] = {}

    def __getitem__(self, criterion: Criterion) -> Finding:
        made = self._made.get(criterion.link_id)
        if made is None:
            made = answered_over(self.from_record(criterion), self._answers)
            self._made[criterion.link_id] = made
        return made

    def made(self) -> tuple[Finding, ...]:
        """The findings asked for so far, in the Questionnaire's order."""
        found = self._made
        return tuple([found[each.link_id] for each in self._policy.criteria if each.link_id in found])

    def results(self, expression: Expression) -> list[Any]:
        """What an expression of the plan yields; nothing when it touches what was not read, or cannot be evaluated."""
        try:
            return self._variables.evaluated(expression)
        except (QueryNotReadError, FhirPathEvaluationError):
            return []

    def from_record(self, criterion: Criterion) -> Finding:
        """What the record alone says of a criterion, whatever was answered."""
        try:
            value = self._proven(criterion, criterion.proof) if criterion.proof else None
            evidence = self._evidence(criterion, criterion.evidence) if criterion.evidence else ()
        except QueryNotReadError:
            return Finding(criterion, None, UNKNOWN, NOT_READ)
        except (FhirPathEvaluationError, ValueError):
            return Finding(criterion, None, UNKNOWN, FAILED)
        if value is None:
            return _unproven(criterion, evidence)
        return Finding(criterion, value, RECORD, evidence=evidence)

    def _proven(self, criterion: Criterion, proof: Expression) -> Value | None:
        """The value that the record proves. ValueError when it is none that the criterion can have."""
        results = self._variables.evaluated(proof, criterion.item)
        if not results:
            return None
        values = [each.get("code") if isinstance(each, dict) else each for each in results]
        if isinstance(criterion.domain, SeveralChoicesDomain):
            values = [tuple(values)]
        if len(values) > 1:
            raise ValueError(f"{criterion.link_id} has {len(values)} values")
        criterion.domain.cell(values[0])
        return cast(Value, values[0])

    def _evidence(self, criterion: Criterion, evidence: Expression) -> tuple[Evidence, ...]:
        """The resources that speak to a criterion; none when they were not read and nothing is proven by them."""
        try:
            found = self._variables.evaluated(evidence, criterion.item)
        except QueryNotReadError:
            return ()
        return tuple(
            Evidence(_reference(resource), resource_date(resource))
            for resource in found
            if isinstance(resource, dict)
        )


def answered_over(from_record: Finding, answers: Answers | None) -> Finding:
    """What holds of a criterion when a form was answered too: an answer beats the record, "don't know" does not."""
    criterion = from_record.criterion
    if answers is None or criterion.link_id not in answers.values:
        return from_record
    answered = answers.values[criterion.link_id]
    if answered is None:
        return from_record if from_record.origin == RECORD else Finding(criterion, None, UNKNOWN, ASKED)
    evidence = (Evidence(answers.reference, answers.authored),)
    differs = from_record.origin == RECORD and from_record.value != answered
    return Finding(
        criterion, answered, ANSWER, evidence=evidence, overrides=from_record.value if differs else None
    )


class _Variables(dict[str, Any]):
    """What expressions see: the launch context, the queries, and the Questionnaire's variables, each evaluated once.

    The items are the values so far; whatever else there is comes when it is asked for by its name.
    """

    def __init__(self, policy: Policy, situation: Situation) -> None:
        super().__init__(policy.lists)
        self.update(situation.lists)
        self["clinical"] = situation.order.resource
        self["questionnaire"] = policy.questionnaire
        self[FUNDING_OUTCOME] = situation.funding_outcome
        self._policy = policy
        self._record = situation.record
        self._now = situation.now

    def evaluated(self, expression: Expression, item: Resource | None = None) -> list[Any]:
        """What an expression yields: one on an ``item`` of the Questionnaire sees that, too."""
        # Made anew each time: kept, it and these variables would be a circle, and hold the record until a collection.
        environment = Environment(
            self._now,
            self if item is None or "qitem" not in expression.variables else _WithItem(self, item),
            self._policy.value_sets.has_member,
            self._record.resource,
            MOST_STEPS,
            self._policy.value_sets.codes,
        )
        return expression.evaluate(self._policy.questionnaire, environment)

    def __missing__(self, name: str) -> Any:
        value = self[name] = self._value(name)
        return value

    def __contains__(self, name: object) -> bool:
        policy = self._policy
        return (
            super().__contains__(name)
            or name == "patient"
            or name in policy.queries
            or name in policy.variables
        )

    def _value(self, name: str) -> Any:
        if name == "patient":
            if self._record.patient is None:
                raise QueryNotReadError(name, self._record.answer(name).not_read or "the client has none")
            return self._record.patient
        if name in self._policy.queries:
            return self._record.bundle(name)
        return self.evaluated(self._policy.variables[name])


class _WithItem(dict[str, Any]):
    """The variables that an expression on a Questionnaire item sees: the shared ones, and the item itself."""

    def __init__(self, shared: _Variables, item: Resource) -> None:
        super().__init__(qitem=item)
        self._shared = shared

    def __missing__(self, name: str) -> Any:
        return self._shared[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._shared


def _unproven(criterion: Criterion, evidence: tuple[Evidence, ...]) -> Finding:
    """What holds when the record was read and proves nothing."""
    if criterion.assumed is None:
        return Finding(criterion, None, UNKNOWN, NOT_RECORDED, evidence)
    return Finding(criterion, criterion.assumed, ASSUMED, evidence=evidence)


def _reference(resource: Resource) -> str | None:
    kind, logical = text(resource, "resourceType"), text(resource, "id")
    return f"{kind}/{logical}" if kind and logical else None


def resource_date(resource: Resource) -> str | None:
    """When what the resource tells of happened, or else was written down; as the resource writes it."""
    for element in _DATES:
        if value := text(resource, element):
            return value
    for element in _PERIODS:
        if value := text(resource, element, "start"):
            return value
    return None
