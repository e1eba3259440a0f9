"""QuestionnaireResponses read as answers to a policy's criteria."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from cds_service.policies.domains import SeveralChoicesDomain, Value
from cds_service.policies.findings import Answers
from cds_service.policies.policy import Policy
from cds_service.record.orders import Order
from cds_service.record.resources import Resource, full_date, logical_id, members, text

_COMPLETED = frozenset({"completed", "amended"})
_ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_DONT_KNOW = frozenset({"asked-unknown", "unknown", "asked-declined"})
_VALUES = ("valueBoolean", "valueInteger", "valueDecimal", "valueDate", "valueString")


def answers_for(
    policy: Policy, order: Order, responses: Iterable[Resource], today: date, valid_days: int
) -> Answers | None:
    """The newest completed form that answers this policy for this order, None when there is none.

    It is ``basedOn`` the order, or on nothing and written within the last ``valid_days`` days.
    """
    matching = [
        response
        for response in responses
        if response.get("status") in _COMPLETED
        and _answers_policy(response, policy)
        and _concerns(response, order, today, valid_days)
    ]
    if not matching:
        return None
    newest = max(matching, key=_authored)
    values = dict(_answered(newest, policy))
    reference = f"QuestionnaireResponse/{newest['id']}" if text(newest, "id") else None
    return Answers(reference, text(newest, "authored"), values)


def _authored(response: Resource) -> datetime:
    """When a form was completed; one that does not say is older than all others, a day without a time is its start."""
    try:
        authored = datetime.fromisoformat(text(response, "authored") or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return authored if authored.tzinfo else authored.replace(tzinfo=UTC)


def _answers_policy(response: Resource, policy: Policy) -> bool:
    """Whether the form is this policy's, in this version; a response that names no version is taken for it."""
    url, _, version = (text(response, "questionnaire") or "").partition("|")
    return url == policy.questionnaire_url and version in {"", policy.version}


def _concerns(response: Resource, order: Order, today: date, valid_days: int) -> bool:
    based_on = [reference for each in members(response, "basedOn") if (reference := text(each, "reference"))]
    if based_on:
        return order.reference is not None and any(
            logical_id(reference) == logical_id(order.reference) for reference in based_on
        )
    authored = full_date(text(response, "authored"))
    return authored is not None and today - timedelta(days=valid_days) <= authored <= today


def _answered(response: Resource, policy: Policy) -> Iterator[tuple[str, Value | None]]:
    """linkId and value of every answer; an item shown but left open, like "don't know", has the value None."""
    criteria = {criterion.link_id: criterion for criterion in policy.criteria}
    for item in _items(response):
        criterion = criteria.get(text(item, "linkId") or "")
        if criterion is None:
            continue
        answers = [_value(answer) for answer in members(item, "answer")]
        value: Value | None = answers[0] if answers else None
        if isinstance(criterion.domain, SeveralChoicesDomain) and None not in answers and answers:
            value = tuple(str(answer) for answer in answers)
        if value is not None:
            try:
                criterion.domain.cell(value)
            except ValueError:
                # Not an answer this question can have: as if it had not been given.
                continue
        yield criterion.link_id, value


def _items(parent: Resource) -> Iterator[Resource]:
    """Every item below, those inside groups and inside answers too."""
    for item in members(parent, "item"):
        yield item
        yield from _items(item)
        for answer in members(item, "answer"):
            yield from _items(answer)


def _value(answer: Resource) -> Value | None:
    coding = answer.get("valueCoding")
    if isinstance(coding, Mapping):
        unknown = coding.get("system") == _ABSENT_SYSTEM and coding.get("code") in _DONT_KNOW
        return None if unknown else text(coding, "code")
    for name in _VALUES:
        value = answer.get(name)
        if isinstance(value, float):
            return Decimal(repr(value))
        if isinstance(value, bool | int | str):
            return value
    return None
