"""Cards as CDS Hooks has them: a determination with its words, links, suggestions and its form for software."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from cds_service.hooks.markdown import escaped, plain
from cds_service.hooks.words import detail, summary
from cds_service.policies.determination import UNDETERMINED, Determination
from cds_service.policies.findings import (
    NOT_RECORDED,
    UNKNOWN,
    Finding,
)
from cds_service.policies.policy import (
    ADVICE,
    ELIGIBLE,
    IFR_REQUIRED,
    NOT_APPLICABLE,
    NOT_NORMALLY_FUNDED,
    Citation,
    Outcome,
    Policy,
)
from cds_service.policies.suggestions import Suggested, SuggestedChange
from cds_service.record.orders import Order

EXTENSION = "cds-service.determination"
SUMMARY_LIMIT = 139
_TOPIC = {
    "system": "http://terminology.hl7.org/CodeSystem/cdshooks-card-type",
    "code": "coverage-info",
    "display": "Coverage information",
}
_OVERRIDE_REASONS = [
    {
        "system": "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes",
        "code": code,
        "display": display,
    }
    for code, display in (
        ("policy-contradicts", "Another policy applies to this patient"),
        ("need-more-info", "The facts are still being gathered"),
        ("expert-contradicts", "A specialist has decided otherwise"),
        ("patient-refuses", "The patient has declined"),
    )
]


# The forms that a card can open: the policy's questions, or the request for individual funding.
CRITERIA_FORM, REQUEST_FORM = "criteria", "request"


@dataclass(frozen=True)
class FormOffer:
    """A form that a card offers to open, and what its link is called."""

    kind: str
    label: str


@dataclass(frozen=True)
class CardFrame:
    """What every card of one response shares: the base of our own links.

    ``handle`` gives the sealed name of a form (``form_id``) that its launch is known by; None where none can be opened.
    """

    public_url: str
    handle: Callable[[str], str] | None

    def form_link(self, offer: FormOffer, card_id: str) -> dict[str, str]:
        """A SMART link; the handle stands in the URL too, because some EHRs drop the ``appContext``."""
        handle = self.handle(form_id(offer, card_id)) if self.handle else ""
        url = f"{self.public_url}/launch?handle={handle}"
        return {"label": offer.label, "url": url, "type": "smart", "appContext": handle}

    def policy_page(self, policy: Policy) -> str:
        """The policy's page."""
        return f"{self.public_url}/policies/{policy.id}"


def form_id(offer: FormOffer, card_id: str) -> str:
    """What a form that a card offers is kept under until somebody opens it."""
    return f"{offer.kind}-{card_id}"


def form_offers(determined: Determination) -> tuple[FormOffer, ...]:
    """The forms that help with a determination: the open questions; or the way to ask for an exception."""
    if determined.status == UNDETERMINED or determined.says_advice:
        return _questions_offer(determined)
    if determined.outcome not in {Outcome(NOT_NORMALLY_FUNDED), Outcome(IFR_REQUIRED)}:
        return ()
    review = FormOffer(CRITERIA_FORM, "Review the facts")
    if determined.policy.individual_funding is None:
        return (review,)
    return FormOffer(REQUEST_FORM, "Request individual funding"), review


def _questions_offer(determined: Determination) -> tuple[FormOffer, ...]:
    count = len(determined.outstanding)
    if not count:
        return ()
    return (FormOffer(CRITERIA_FORM, f"Answer {count} question{'' if count == 1 else 's'}"),)


def policy_card(
    determined: Determination,
    order: Order,
    frame: CardFrame,
    extension: dict[str, Any],
    redirected_from: Sequence[Determination] = (),
    suggestions: Sequence[Suggested] = (),
    unused_forms: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The card for a determination; None when the policy does not apply, or is advice with nothing to say.

    ``extension``: the same for software (``determination_extension``), which gives the card its id.
    """
    if determined.outcome == Outcome(NOT_APPLICABLE):
        return None
    if determined.policy.is_advice and not determined.says_advice:
        return None
    offers = form_offers(determined) if frame.handle else ()
    links = [frame.form_link(offer, extension["id"]) for offer in offers] or _links(determined)
    # Smart and absolute links never stand in one card: what cannot be a link of its own goes into the text.
    documents = _as_text(_links(determined)) if offers else ()
    card = {
        "uuid": extension["id"],
        "summary": plain(summary(determined), SUMMARY_LIMIT),
        "detail": "\n\n".join(
            (*detail(determined, order, redirected_from), *_unused(determined, unused_forms), *documents)
        ),
        "indicator": "warning" if _is_urgent(determined) else "info",
        "source": _source(determined.policy, frame),
        **_offered(suggestions, extension["id"]),
        "links": [] if suggestions else links,
        "overrideReasons": [] if _leaves_nothing_to_override(determined) else _OVERRIDE_REASONS,
        "extension": {EXTENSION: extension},
    }
    return {name: value for name, value in card.items() if value != []}


def _offered(suggestions: Sequence[Suggested], card_id: str) -> dict[str, Any]:
    """The card's suggestions, of which at most one is to be taken."""
    if not suggestions:
        return {}
    offered = [
        {
            "label": suggestion.label,
            # Stable for one card, so that feedback can name it.
            "uuid": str(uuid5(UUID(card_id), f"suggestion {place}")),
            "actions": [_action(change) for change in suggestion.changes],
        }
        for place, suggestion in enumerate(suggestions)
    ]
    return {"suggestions": offered, "selectionBehavior": "at-most-one"}


def _action(change: SuggestedChange) -> dict[str, Any]:
    return _present(
        {
            "type": change.type,
            "description": change.description,
            "resource": change.resource,
            "resourceId": change.reference,
        }
    )


def _unused(determined: Determination, why: Sequence[str]) -> tuple[str, ...]:
    """While questions are open: why a form that was already filled in does not answer them."""
    if determined.status != UNDETERMINED or not why:
        return ()
    reasons = "\n".join(f"- {escaped(each)}" for each in dict.fromkeys(why))
    return (f"**A form was filled in before, and is not used**, because\n\n{reasons}",)


def _as_text(links: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    if not links:
        return ()
    return ("**Documents**: " + ", ".join(f"[{link['label']}]({link['url']})" for link in links),)


def _leaves_nothing_to_override(determined: Determination) -> bool:
    return determined.policy.is_advice or determined.outcome == Outcome(ELIGIBLE)


def commissioner_card(
    order: Order,
    commissioners: Sequence[str],
    unknown: tuple[tuple[str, str], ...],
    frame: CardFrame,
    card_id: str,
) -> dict[str, Any]:
    """The card that asks who commissions this patient's care, because the record does not say.

    ``commissioners``: the names of those who have a policy on the procedure.
    """
    names = sorted(set(commissioners))
    found = [
        f"The record names an organisation that is not in the directory: {escaped(value)}."
        for _, value in unknown
    ]
    extension = {
        "id": card_id,
        "order": order.reference,
        "status": "undetermined",
        "outstanding": ["commissioner"],
        "findings": [{"criterion": "commissioner", "origin": UNKNOWN, "why": NOT_RECORDED}],
    }
    return {
        "uuid": card_id,
        "summary": "Funding not checked: the record does not show which commissioner pays for this patient",
        "detail": "\n\n".join(
            [
                f"**Order**: {escaped(order.name)}",
                "Whether this is funded depends on the patient's commissioner. "
                "The coverage and the registered practice on record do not settle it.",
                *found,
                f"Policies on this procedure are held for: {', '.join(names)}.",
                "Please check the patient's registered practice or coverage, and order again.",
            ]
        ),
        "indicator": "info",
        "source": {"label": "Procedure funding", "url": f"{frame.public_url}/", "topic": _TOPIC},
        "extension": {EXTENSION: _present(extension)},
    }


def determination_extension(
    determined: Determination, order: Order, card_id: str, redirected_from: Sequence[Determination] = ()
) -> dict[str, Any]:
    """The determination as software reads it."""
    outcome = Outcome(ADVICE) if determined.says_advice else determined.outcome
    extension = {
        "id": card_id,
        "order": order.reference,
        "policy": determined.policy.canonical,
        "status": determined.status,
        "redirectedFrom": [each.policy.canonical for each in redirected_from],
        "outcome": outcome.code if outcome else None,
        "possibleOutcomes": sorted({outcome.code for outcome in determined.possible}),
        "outstanding": [criterion.link_id for criterion in determined.outstanding],
        "citations": [_present({"label": each.label, "url": each.url}) for each in determined.citations],
        "findings": [_finding(finding) for finding in determined.findings],
    }
    return _present(extension)


def _finding(finding: Finding) -> dict[str, Any]:
    """Written out: a decision has several, and in bulk there are millions."""
    told: dict[str, Any] = {"criterion": finding.criterion.link_id}
    if finding.value is not None:
        told["value"] = _number(finding.value)
    told["origin"] = finding.origin
    if finding.why is not None:
        told["why"] = finding.why
    evidence = [each.reference for each in finding.evidence if each.reference]
    if evidence:
        told["evidence"] = evidence
    return told


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """The members that have a value: an empty list is left out, false is not."""
    return {name: value for name, value in members.items() if value is not None and value != []}


def _number(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _is_urgent(determined: Determination) -> bool:
    return any(rule.urgent for rule in determined.speaking)


def _source(policy: Policy, frame: CardFrame) -> dict[str, Any]:
    label = policy.commissioner_name or policy.source.label
    return {"label": label, "url": frame.policy_page(policy), "topic": _TOPIC}


def _links(determined: Determination) -> list[dict[str, str]]:
    """The documents behind the card; where a person may have to apply, how to."""
    policy = determined.policy
    cited: list[Citation] = [policy.source]
    if policy.individual_funding and determined.outcome != Outcome(ELIGIBLE):
        cited.append(policy.individual_funding)
    labels = ("Source document", "Individual funding requests")
    return [
        {"label": label, "url": each.url, "type": "absolute"}
        for label, each in zip(labels, cited, strict=False)
        if each.url is not None
    ]
