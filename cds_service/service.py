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
class Determined:
    """What one policy says of one order, and the ``findings`` that it says it on.

    ``redirected_from``: the determinations that led to this policy, first to last. ``funding_outcome``: what the funding
    policies had said before it.
    """

    order: Order
    determination: Determination
    funding_outcome: str
    redirected_from: tuple[Determination, ...]
    findings: Findings


@dataclass(frozen=True)
class Determinations:
    """What all policies say of a request's orders, and the record and completed forms that they say it of.

    ``unasked``: the orders that wait for the patient's commissioner, with the names of those who have a policy on it.
    """

    record: PatientRecord
    responses: tuple[Resource, ...]
    payers: Commissioners
    determined: tuple[Determined, ...]
    unasked: tuple[tuple[Order, list[str]], ...]


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
    found = determined(request, library, terms, read, kept)
    decisions = tuple(_told(each, found.responses, library, terms) for each in found.determined)
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
    asking = commissioner_cards(found, terms)
    cards = [card for card in (*funding, *asking, *advice) if card is not None]
    passed_over = {key: len(answer.refused) for key, answer in found.record.answers.items() if answer.refused}
    return Decision({"cards": cards}, decisions, passed_over)


def determined(
    request: HookRequest,
    library: Library,
    terms: Terms,
    read: Mapping[str, QueryAnswer] = MappingProxyType({}),
    kept: Sequence[Resource] = (),
) -> Determinations:
    """What the policies say of a request's orders, not yet told on cards; see ``decide``."""
    today = terms.now.date()
    # Keys that no policy asks for are ignored; of most records few of ours are sent, or none (``read`` instead).
    sent = {key: query for key, query in library.queries.items() if key in request.prefetch}
    record = patient_record(request.patient_id, request.prefetch, resource_types(sent), read)
    payers = commissioners(record, library.directory, terms.client_commissioner)
    unasked = [] if payers.organizations else _without_payer(request.orders, library, today)
    waiting = [order for order, _ in unasked]
    responses = (*record.answer(RESPONSES_KEY).resources, *kept)
    found = tuple(
        each
        for order in request.orders
        for each in _determined(order, order in waiting, payers, record, responses, library, terms)
    )
    _refuse_if_unread(found, payers if unasked else None)
    return Determinations(record, responses, payers, found, tuple(unasked))


def commissioner_cards(found: Determinations, terms: Terms) -> list[dict[str, Any]]:
    """The cards that ask who commissions the patient's care, one for each order that waits for the answer."""
    frame = CardFrame(terms.public_url, terms.handle)
    return [
        commissioner_card(order, names, found.payers.unknown, frame, terms.fresh_id())
        for order, names in found.unasked
    ]


def _determined(
    order: Order,
    waits_for_payer: bool,
    payers: Commissioners,
    record: PatientRecord,
    responses: Sequence[Resource],
    library: Library,
    terms: Terms,
) -> Iterator[Determined]:
    """What an order's policies say, which come funding first: advice may depend on what funding says."""
    said = [UNDETERMINED if waits_for_payer else NO_FUNDING_POLICY]
    for policy in library.covering(order, terms.now.date(), payers.organizations):
        outcome = max(said, key=_RESTRICTIVENESS.index)
        found = _followed(policy, order, outcome, record, responses, library, terms)
        said += _funding_said(found.determination)
        yield found


def _followed(
    policy: Policy,
    order: Order,
    funding: str,
    record: PatientRecord,
    responses: Sequence[Resource],
    library: Library,
    terms: Terms,
) -> Determined:
    """What one policy says, redirects followed as far as the policies they lead to are loaded."""
    passed: list[Determination] = []
    while True:
        answers = answers_for(policy, order, responses, terms.now.date(), terms.answers_valid_days)
        findings = Findings(policy, Situation(order, record, answers, terms.now, funding))
        said = determination(policy, findings, library.questions[policy.canonical])
        target = said.outcome.redirect_to if said.outcome else None
        following = library.policy_for(target, order.authored or terms.now.date()) if target else None
        if following is None:
            return Determined(order, said, funding, tuple(passed), findings)
        passed.append(said)
        policy = following


def _told(found: Determined, responses: Sequence[Resource], library: Library, terms: Terms) -> OrderDecision:
    """A determination with what its card says besides."""
    said, order = found.determination, found.order
    today, valid_days = terms.now.date(), terms.answers_valid_days
    unused = passed_over(said.policy, order, responses, today, valid_days, library.listings)
    return OrderDecision(
        order,
        said,
        found.funding_outcome,
        determination_extension(said, order, terms.fresh_id(), found.redirected_from),
        found.redirected_from,
        suggested(said.rules, order, found.findings),
        # Forms of other orders are nobody's mistake.
        tuple(each.why for each in unused if each.why != OF_ANOTHER_ORDER),
    )


def _funding_said(determination: Determination) -> list[str]:
    if determination.policy.is_advice:
        return []
    said = determination.outcome.code if determination.outcome else UNDETERMINED
    return [] if said == NOT_APPLICABLE else [said]


def _without_payer(orders: Sequence[Order], library: Library, today: date) -> list[tuple[Order, list[str]]]:
    """The orders on which some commissioner has a funding policy, with the names of those who do."""
    found = [(order, library.commissioners_of(order, today)) for order in orders]
    return [(order, [library.directory.names[each] for each in ids]) for order, ids in found if ids]


def _refuse_if_unread(found: tuple[Determined, ...], payers: Commissioners | None) -> None:
    """CDS Hooks asks for 412 when needed data was neither sent nor readable; anything decided is worth an answer."""
    funding = [each.determination for each in found if not each.determination.policy.is_advice]
    if any(each.status == FINAL for each in funding):
        return
    unread = [_unread_keys(each) for each in funding]
    if payers is not None:
        unread.append(frozenset(payers.unread))
    if unread and all(unread):
        raise MissingDataError(sorted(frozenset().union(*unread)))


def _unread_keys(open_: Determination) -> frozenset[str]:
    """The queries that an open determination waits for, if nothing that it looked at was read; else none."""
    looked_at = [each for each in open_.findings if each.criterion.queries]
    if any(each.why != NOT_READ for each in looked_at):
        return frozenset()
    return frozenset(query for each in looked_at for query in each.criterion.queries)
