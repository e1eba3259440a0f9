"""The straight line from a hook request to its response. Read this first.

    HookRequest → Orders → Policies in force → PatientRecord → Findings → Determination → Card → response

Everything here is pure: it is handed the request, the library, the time and fresh ids, and touches nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_service.errors import MissingDataError
from cds_service.hooks.cards import CardFrame, commissioner_card, funding_card
from cds_service.hooks.discovery import resource_types
from cds_service.hooks.requests import HookRequest
from cds_service.policies.determination import FINAL, Determination, determination
from cds_service.policies.findings import NOT_READ, Findings
from cds_service.policies.library import Library
from cds_service.policies.policy import Policy
from cds_service.questionnaires.responses import answers_for
from cds_service.record.commissioners import Commissioners, commissioners
from cds_service.record.orders import Order
from cds_service.record.patient_record import RESPONSES_KEY, PatientRecord, patient_record


@dataclass(frozen=True)
class Terms:
    """What a decision depends on besides request and policies; ``now`` is aware, ``fresh_id`` gives new UUIDs."""

    now: datetime
    fresh_id: Callable[[], str]
    public_url: str
    answers_valid_days: int
    client_commissioner: str | None = None


@dataclass(frozen=True)
class OrderDecision:
    """One policy's determination of one order; ``id`` is also its card's."""

    id: str
    order: Order
    determination: Determination


@dataclass(frozen=True)
class Decision:
    """A hook response and what was determined on the way."""

    response: dict[str, Any]
    decisions: tuple[OrderDecision, ...]


def decide(request: HookRequest, library: Library, terms: Terms) -> Decision:
    """The cards for a request's orders. MissingDataError when nothing could be decided for want of unread data."""
    today = terms.now.date()
    in_force = [(order, policies) for order in request.orders if (policies := library.covering(order, today))]
    record = patient_record(request.patient_id, request.prefetch, resource_types(library.queries))
    payers = commissioners(record, library.directory, terms.client_commissioner)
    decisions = tuple(
        OrderDecision(terms.fresh_id(), order, _determined(policy, order, record, library, terms))
        for order, policies in in_force
        for policy in policies
        if policy.commissioner is None or policy.commissioner in payers.organizations
    )
    unasked = [(order, policies) for order, policies in in_force if _needs_commissioner(policies, payers)]
    _refuse_if_unread(decisions, payers if unasked else None)
    frame = CardFrame(terms.public_url)
    cards = [funding_card(each.determination, each.order, frame, each.id) for each in decisions]
    cards += [
        commissioner_card(order, policies, payers.unknown, frame, terms.fresh_id())
        for order, policies in unasked
    ]
    return Decision({"cards": [card for card in cards if card is not None]}, decisions)


def _determined(
    policy: Policy, order: Order, record: PatientRecord, library: Library, terms: Terms
) -> Determination:
    responses = record.answer(RESPONSES_KEY).resources
    answers = answers_for(policy, order, responses, terms.now.date(), terms.answers_valid_days)
    findings = Findings(policy, order, record, library.value_sets[policy.canonical], answers, terms.now)
    return determination(policy, findings, library.questions[policy.canonical])


def _needs_commissioner(policies: tuple[Policy, ...], payers: Commissioners) -> bool:
    return not payers.organizations and any(policy.commissioner is not None for policy in policies)


def _refuse_if_unread(decisions: tuple[OrderDecision, ...], payers: Commissioners | None) -> None:
    """CDS Hooks asks for 412 when needed data was neither sent nor readable; anything decided is worth an answer."""
    if any(each.determination.status == FINAL for each in decisions):
        return
    unread = [_unread_keys(each.determination) for each in decisions]
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
