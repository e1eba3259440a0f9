"""The straight line from a hook request to its response. Read this first.

    HookRequest → Orders → Policies in force → PatientRecord → Findings → Determination → Card → response

Everything here is pure: it is handed the request, the library, the time and fresh ids, and touches nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from cds_service.errors import MissingDataError
from cds_service.hooks.cards import CardFrame, commissioner_card, determination_extension, policy_card
from cds_service.hooks.discovery import resource_types
from cds_service.hooks.requests import HookRequest
from cds_service.policies.determination import FINAL, UNDETERMINED, Determination, determination
from cds_service.policies.findings import NO_FUNDING_POLICY, NOT_READ, Findings, Situation
from cds_service.policies.library import Library
from cds_service.policies.policy import (
    ELIGIBLE,
    IFR_REQUIRED,
    NOT_APPLICABLE,
    NOT_NORMALLY_FUNDED,
    REDIRECT,
    Policy,
)
from cds_service.policies.suggestions import Suggested, suggested
from cds_service.questionnaires.responses import OF_ANOTHER_ORDER, answers_for, passed_over
from cds_service.record.commissioners import Commissioners, commissioners
from cds_service.record.orders import Order
from cds_service.record.patient_record import (
    RESPONSES_KEY,
    PatientRecord,
    QueryAnswer,
    patient_record,
)
from cds_service.record.resources import Resource

# What funding policies can say of an order, least restrictive first.
_RESTRICTIVENESS = (NO_FUNDING_POLICY, ELIGIBLE, REDIRECT, UNDETERMINED, IFR_REQUIRED, NOT_NORMALLY_FUNDED)


@dataclass(frozen=True)
class Terms:
    """What a decision depends on besides request and policies; ``now`` is aware, ``fresh_id`` gives new UUIDs.

    ``handle`` seals the name of a form that a card opens; None where there is no way to launch one.
    ``client_commissioner`` is the directory id of the organisation that the calling client is configured for.
    """

    now: datetime
    fresh_id: Callable[[], str]
    public_url: str
    answers_valid_days: int
    client_commissioner: str | None = None
    handle: Callable[[str], str] | None = None


@dataclass(frozen=True)
class OrderDecision:
    """One policy's determination of one order, and the ``extension`` that tells it to software, under its card's id.

    ``redirected_from``: the determinations that led to this policy, first to last. ``funding_outcome``: what the funding
    policies had said before it. ``unused_forms``: why forms that were filled in for this policy do not answer it.
    """

    order: Order
    determination: Determination
    funding_outcome: str
    extension: dict[str, Any]
    redirected_from: tuple[Determination, ...]
    suggestions: tuple[Suggested, ...]
    unused_forms: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """A hook response, what was determined on the way, and by query how many entries of the record were passed over."""

    response: dict[str, Any]
    decisions: tuple[OrderDecision, ...]
    passed_over: Mapping[str, int]


def queries_to_read(request: HookRequest, library: Library, today: date) -> dict[str, str]:
    """Key → template of what the request leaves out and a policy on one of its orders needs; none for other orders."""
    needed: dict[str, str] = {}
    for order in request.orders:
        needed |= library.queries_for(order, today)
    return {key: template for key, template in needed.items() if key not in request.prefetch}


def decide(
    request: HookRequest,
    library: Library,
    terms: Terms,
    read: Mapping[str, QueryAnswer] = MappingProxyType({}),
    kept: Sequence[Resource] = (),
) -> Decision:
    """The cards for a request's orders. MissingDataError when nothing could be decided for want of unread data.

    ``read``: the answers to ``queries_to_read``, as far as there are any. ``kept``: the completed forms about this
    patient that came back to us, whether or not the record shows them too.
    """
    today = terms.now.date()
    record = patient_record(request.patient_id, request.prefetch, resource_types(library.queries), read)
    payers = commissioners(record, library.directory, terms.client_commissioner)
    unasked = [] if payers.organizations else _without_payer(request.orders, library, today)
    waiting = [order for order, _ in unasked]
    decisions = tuple(
        decision
        for order in request.orders
        for decision in _decided(order, order in waiting, payers, record, kept, library, terms)
    )
    _refuse_if_unread(decisions, payers if unasked else None)
    frame = CardFrame(terms.public_url, terms.handle)
    funding, advice = (
        [
            policy_card(
                each.determination,
                each.order,
                frame,
                each.extension,
                each.redirected_from,
                each.suggestions,
                each.unused_forms,
            )
            for each in decisions
            if each.determination.policy.is_advice is is_advice
        ]
        for is_advice in (False, True)
    )
    asking = [
        commissioner_card(order, names, payers.unknown, frame, terms.fresh_id()) for order, names in unasked
    ]
    cards = [card for card in (*funding, *asking, *advice) if card is not None]
    passed_over = {key: len(answer.refused) for key, answer in record.answers.items() if answer.refused}
    return Decision({"cards": cards}, decisions, passed_over)


def _decided(
    order: Order,
    waits_for_payer: bool,
    payers: Commissioners,
    record: PatientRecord,
    kept: Sequence[Resource],
    library: Library,
    terms: Terms,
) -> Iterator[OrderDecision]:
    """The decisions of one order's policies, which come funding first: advice may depend on what funding says."""
    said = [UNDETERMINED if waits_for_payer else NO_FUNDING_POLICY]
    for policy in library.covering(order, terms.now.date(), payers.organizations):
        outcome = max(said, key=_RESTRICTIVENESS.index)
        decision = _order_decision(policy, order, outcome, record, kept, library, terms)
        said += _funding_said(decision.determination)
        yield decision


def _order_decision(
    policy: Policy,
    order: Order,
    funding: str,
    record: PatientRecord,
    kept: Sequence[Resource],
    library: Library,
    terms: Terms,
) -> OrderDecision:
    """One policy's decision, redirects followed as far as the policies they lead to are loaded."""
    passed: list[Determination] = []
    while True:
        responses = (*record.answer(RESPONSES_KEY).resources, *kept)
        today, valid_days = terms.now.date(), terms.answers_valid_days
        answers = answers_for(policy, order, responses, today, valid_days)
        findings = Findings(policy, Situation(order, record, answers, terms.now, funding))
        determined = determination(policy, findings, library.questions[policy.canonical])
        target = determined.outcome.redirect_to if determined.outcome else None
        following = library.policy_for(target, order.authored or terms.now.date()) if target else None
        if following is None:
            unused = passed_over(policy, order, responses, today, valid_days, library.listings)
            return OrderDecision(
                order,
                determined,
                funding,
                determination_extension(determined, order, terms.fresh_id(), passed),
                tuple(passed),
                suggested(determined.rules, order, findings),
                # Forms of other orders are nobody's mistake.
                tuple(each.why for each in unused if each.why != OF_ANOTHER_ORDER),
            )
        passed.append(determined)
        policy = following


def _funding_said(determined: Determination) -> list[str]:
    if determined.policy.is_advice:
        return []
    said = determined.outcome.code if determined.outcome else UNDETERMINED
    return [] if said == NOT_APPLICABLE else [said]


def _without_payer(orders: Sequence[Order], library: Library, today: date) -> list[tuple[Order, list[str]]]:
    """The orders on which some commissioner has a funding policy, with the names of those who do."""
    found = [(order, library.commissioners_of(order, today)) for order in orders]
    return [(order, [library.directory.names[each] for each in ids]) for order, ids in found if ids]


def _refuse_if_unread(decisions: tuple[OrderDecision, ...], payers: Commissioners | None) -> None:
    """CDS Hooks asks for 412 when needed data was neither sent nor readable; anything decided is worth an answer."""
    funding = [each.determination for each in decisions if not each.determination.policy.is_advice]
    if any(determined.status == FINAL for determined in funding):
        return
    unread = [_unread_keys(determined) for determined in funding]
    if payers is not None:
        unread.append(frozenset(payers.unread))
    if unread and all(unread):
        raise MissingDataError(sorted(frozenset().union(*unread)))


def _unread_keys(determined: Determination) -> frozenset[str]:
    """The queries that an open determination waits for, if nothing that it looked at was read; else none."""
    looked_at = [each for each in determined.findings if each.criterion.queries]
    if any(each.why != NOT_READ for each in looked_at):
        return frozenset()
    return frozenset(query for each in looked_at for query in each.criterion.queries)
