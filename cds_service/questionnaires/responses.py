"""QuestionnaireResponses read as answers to a policy's criteria.

"Don't know" is an answer. We write it as an item without ``answer`` that has the extension ``data-absent-reason`` with
``asked-unknown`` (``dont_know_item``): no option list has to offer it, and it fits every item type. Read are also: that
extension on an answer or in the place of its value, a Coding of the code system data-absent-reason, and an item that is
present and left open; so a draft must leave out what has not been asked yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from cds_service.policies.domains import SeveralChoicesDomain, Value
from cds_service.policies.findings import Answers
from cds_service.policies.listing import Listing
from cds_service.policies.policy import Policy, canonical
from cds_service.questionnaires.adaptive_form import form_named_by
from cds_service.questionnaires.adaptive_relevance import closed_by_dont_know
from cds_service.questionnaires.answer_values import ABSENT_EXTENSION, is_dont_know, value_of_answer
from cds_service.questionnaires.items import response_items
from cds_service.record.orders import Order
from cds_service.record.resources import Resource, full_date, logical_id, members, text

OF_ANOTHER_ORDER = "it was given for another order"
_COMPLETED = frozenset({"completed", "amended"})


@dataclass(frozen=True)
class PassedOver:
    """A response that was not gone by, and why; ``reference`` is None when it has no id."""

    reference: str | None
    why: str


def dont_know_item(link_id: str) -> dict[str, Any]:
    """An item of a response that says: asked, and not known."""
    return {
        "linkId": link_id,
        "extension": [{"url": ABSENT_EXTENSION, "valueCode": "asked-unknown"}],
    }


def answers_for(
    policy: Policy, order: Order, responses: Iterable[Resource], today: date, valid_days: int
) -> Answers | None:
    """The newest completed form that answers this policy for this order, None when there is none.

    It is ``basedOn`` the order, or on nothing and written within the last ``valid_days`` days.
    """
    newest = newest_for(policy, order, responses, today, valid_days)
    return None if newest is None else answers_in(policy, newest)


def newest_for(
    policy: Policy, order: Order, responses: Iterable[Resource], today: date, valid_days: int
) -> Resource | None:
    """The response that ``answers_for`` goes by."""
    own = _of_policy(policy, responses)
    valid = [each for each in own if _why_not(each, policy, order, today, valid_days, {}) is None]
    return max(valid, key=_authored) if valid else None


def answers_in(policy: Policy, response: Resource) -> Answers:
    """What a response says of the policy's criteria, whatever its status: a draft's answers, for a live determination."""
    values = dict(_answered(response, policy))
    if None in values.values():
        # Nobody can be asked any more what only an answer that is not known would open.
        open_still = [each.link_id for each in policy.criteria if each.link_id not in values]
        closed = [each for each in open_still if closed_by_dont_know(policy.questionnaire, each, values)]
        values |= dict.fromkeys(closed, None)
    return Answers(_reference(response), text(response, "authored"), values)


def passed_over(
    policy: Policy,
    order: Order,
    responses: Iterable[Resource],
    today: date,
    valid_days: int,
    loaded: Iterable[Policy | Listing],
) -> tuple[PassedOver, ...]:
    """The responses to the policy's form, in any version, that do not decide this order, each with its reason.

    ``loaded``: the policies that are loaded, whose other versions tell a retired form from an unknown one.
    """
    own = _of_policy(policy, responses)
    if not own:
        return ()
    newest = newest_for(policy, order, own, today, valid_days)
    ended = {
        each.version: each.ends
        for each in loaded
        if each.questionnaire_url == policy.questionnaire_url and each.ends is not None and each.ends < today
    }
    return tuple(
        PassedOver(
            _reference(each),
            _why_not(each, policy, order, today, valid_days, ended) or "a newer form answers this order",
        )
        for each in own
        if each is not newest
    )


def _of_policy(policy: Policy, responses: Iterable[Resource]) -> list[Resource]:
    """The responses to the policy's form, in whatever version."""
    return [each for each in responses if _form_of(each)[0] == policy.questionnaire_url]


def _form_of(response: Resource) -> tuple[str, str | None]:
    return canonical(form_named_by(response) or "")


def _reference(response: Resource) -> str | None:
    return f"QuestionnaireResponse/{response['id']}" if text(response, "id") else None


def _authored(response: Resource) -> datetime:
    """When a form was completed; one that does not say is older than all others, a day without a time is its start."""
    try:
        authored = datetime.fromisoformat(text(response, "authored") or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return authored if authored.tzinfo else authored.replace(tzinfo=UTC)


def _why_not(
    response: Resource,
    policy: Policy,
    order: Order,
    today: date,
    valid_days: int,
    ended: Mapping[str, date],
) -> str | None:
    """Why a response to the policy's form cannot decide the order; None when it can."""
    if text(response, "status") not in _COMPLETED:
        return "it is not completed"
    if _is_of_another_patient(response, order):
        return "it is about another patient"
    version = _form_of(response)[1]
    # A response that names no version is taken for one of the version in use.
    if version not in {None, policy.version}:
        retired = f", retired on {ended[version]}" if version in ended else ""
        return f"it answers version {version} of the form{retired}; in use is {policy.version}"
    return _why_not_of_order(response, order, today, valid_days)


def _why_not_of_order(response: Resource, order: Order, today: date, valid_days: int) -> str | None:
    based_on = [reference for each in members(response, "basedOn") if (reference := text(each, "reference"))]
    if based_on:
        is_ours = order.reference is not None and any(
            logical_id(reference) == logical_id(order.reference) for reference in based_on
        )
        return None if is_ours else OF_ANOTHER_ORDER
    authored = full_date(text(response, "authored"))
    if authored is None:
        return "it names no order and no day"
    if authored > today:
        return "it names no order, and a day to come"
    is_valid = today - timedelta(days=valid_days) <= authored
    return None if is_valid else f"it names no order and is more than {valid_days} days old"


def _is_of_another_patient(response: Resource, order: Order) -> bool:
    patients = [text(each, "subject", "reference") for each in (response, order.resource)]
    named = {logical_id(reference) for reference in patients if reference is not None}
    return len(named) > 1


def _answered(response: Resource, policy: Policy) -> Iterator[tuple[str, Value | None]]:
    """linkId and value of every answer; "don't know" has the value None."""
    criteria = {criterion.link_id: criterion for criterion in policy.criteria}
    for _, item in response_items(response):
        criterion = criteria.get(text(item, "linkId") or "")
        if criterion is None:
            continue
        answers = [_value(answer) for answer in members(item, "answer")]
        value: Value | None = answers[0] if answers else None
        if isinstance(criterion.domain, SeveralChoicesDomain) and answers:
            value = None if None in answers else tuple(str(answer) for answer in answers)
        if value is not None:
            try:
                criterion.domain.cell(value)
            except ValueError:
                # Not an answer this question can have: as if it had not been given.
                continue
        yield criterion.link_id, value


def _value(answer: Resource) -> Value | None:
    """The value of an answer as findings have it; None for "don't know", and for what no criterion can be."""
    found = value_of_answer(answer)
    if found is None or is_dont_know(answer):
        return None
    value = found[1]
    if isinstance(value, dict):
        return text(value, "code")
    if isinstance(value, float):
        return Decimal(repr(value))
    return value if isinstance(value, bool | int | str) else None
