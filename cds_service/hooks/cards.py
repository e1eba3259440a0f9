"""Cards: what a determination says to the person placing the order.

What a policy's author wrote is Markdown and goes in as it is; what came with the request goes in escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from cds_service.hooks.markdown import escaped, plain
from cds_service.policies.determination import FINAL, Determination
from cds_service.policies.findings import (
    ANSWER,
    ASKED,
    ASSUMED,
    FAILED,
    NOT_READ,
    NOT_RECORDED,
    RECORD,
    UNKNOWN,
    Finding,
)
from cds_service.policies.policy import (
    ADVICE,
    ELIGIBLE,
    IFR_REQUIRED,
    INFORMATION_NEEDED,
    NOT_APPLICABLE,
    NOT_NORMALLY_FUNDED,
    REDIRECT,
    Citation,
    Outcome,
    Policy,
)
from cds_service.policies.suggestions import Suggested, SuggestedChange
from cds_service.record.orders import Order
from cds_service.record.resources import full_date

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
_POSITIONS = {
    ELIGIBLE: "Eligible unless an exception applies",
    NOT_NORMALLY_FUNDED: "Not normally funded unless criteria are met",
    IFR_REQUIRED: "Individual funding request unless criteria are met",
}
OUTCOME_WORDS = {
    ELIGIBLE: "eligible",
    NOT_NORMALLY_FUNDED: "not normally funded",
    IFR_REQUIRED: "individual funding request required",
    REDIRECT: "decided under another policy",
    NOT_APPLICABLE: "outside this policy",
    ADVICE: "advice only",
    INFORMATION_NEEDED: "a further step or document needed first",
}
_UNKNOWN_BECAUSE = {
    NOT_RECORDED: "not in the record",
    NOT_READ: "not known: this part of the record was not read",
    ASKED: "asked, and not known",
    FAILED: "not known: the record could not be interpreted",
}
_FUNDING_ONLY = "This is about funding only; the clinical decision stays yours."


@dataclass(frozen=True)
class CardFrame:
    """What every card of one response shares: the base of our own links."""

    public_url: str

    def policy_page(self, policy: Policy) -> str:
        """The policy's page."""
        return f"{self.public_url}/policies/{policy.id}"


def policy_card(
    determined: Determination,
    order: Order,
    frame: CardFrame,
    card_id: str,
    redirected_from: Sequence[Determination] = (),
    suggestions: Sequence[Suggested] = (),
) -> dict[str, Any] | None:
    """The card for a determination; None when the policy does not apply, or is advice with nothing to say."""
    if determined.outcome == Outcome(NOT_APPLICABLE):
        return None
    if determined.policy.is_advice and not determined.says_advice:
        return None
    card = {
        "uuid": card_id,
        "summary": plain(_summary(determined), SUMMARY_LIMIT),
        "detail": "\n\n".join(_detail(determined, order, redirected_from)),
        "indicator": "warning" if _is_urgent(determined) else "info",
        "source": _source(determined.policy, frame),
        **_offered(suggestions, card_id),
        "links": [] if suggestions else _links(determined),
        "overrideReasons": [] if _leaves_nothing_to_override(determined) else _OVERRIDE_REASONS,
        "extension": {EXTENSION: determination_extension(determined, order, card_id, redirected_from)},
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


def _leaves_nothing_to_override(determined: Determination) -> bool:
    return determined.policy.is_advice or determined.outcome == Outcome(ELIGIBLE)


def commissioner_card(
    order: Order,
    policies: tuple[Policy, ...],
    unknown: tuple[tuple[str, str], ...],
    frame: CardFrame,
    card_id: str,
) -> dict[str, Any]:
    """The card that asks who commissions this patient's care, because the record does not say."""
    names = sorted({policy.commissioner_name for policy in policies if policy.commissioner_name})
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
        "extension": {EXTENSION: {name: value for name, value in extension.items() if value is not None}},
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
    return _present(
        {
            "criterion": finding.criterion.link_id,
            "value": _number(finding.value),
            "origin": finding.origin,
            "why": finding.why,
            "evidence": [each.reference for each in finding.evidence if each.reference],
        }
    )


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """The members that have a value: an empty list is left out, false is not."""
    return {name: value for name, value in members.items() if value is not None and value != []}


def _number(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _is_urgent(determined: Determination) -> bool:
    rules = determined.rules or (determined.position,)
    return any(rule.urgent for rule in rules)


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


def _summary(determined: Determination) -> str:
    if determined.says_advice:
        return determined.position.title if not determined.rules else determined.rules[0].title
    return _final_summary(determined) if determined.status == FINAL else _open_summary(determined)


def _final_summary(determined: Determination) -> str:
    if len(determined.rules) == 1 or determined.outcome is None:
        return determined.rules[0].title
    return f"{_sentence(OUTCOME_WORDS[determined.outcome.code])}: {determined.policy.title}"


def _open_summary(determined: Determination) -> str:
    count = len(determined.outstanding)
    questions = f"{count} question{'' if count == 1 else 's'} to settle"
    if determined.rules:
        return f"{determined.rules[0].title} ({questions})"
    position = _POSITIONS.get(determined.position.outcome.code, "Not yet decided")
    return f"{position}: {questions}. {determined.policy.title}"


def _detail(
    determined: Determination, order: Order, redirected_from: Sequence[Determination]
) -> Iterator[str]:
    yield f"**Order**: {escaped(order.name)}"
    for each in redirected_from:
        yield from _redirection(each)
    if determined.says_advice:
        yield from _advice(determined)
    elif determined.status == FINAL:
        yield from _final(determined)
    else:
        yield from _open(determined)


def _redirection(passed: Determination) -> Iterator[str]:
    clauses = ", ".join(citation.label for citation in passed.citations)
    yield f"**Sent on by**: {passed.policy.title}, version {passed.policy.version} ({clauses})"


def _advice(determined: Determination) -> Iterator[str]:
    yield (determined.rules or (determined.position,))[0].description
    missing = [f"- {each.name}: not recorded" for each in determined.outstanding]
    unmet = (determined.finding(each) for each in determined.unmet)
    answered = [f"- {each.criterion.name}: recorded as {_fact(each)}" for each in unmet if each is not None]
    if missing or answered:
        yield "\n".join(missing + answered)
    yield from _clauses(determined)


def _final(determined: Determination) -> Iterator[str]:
    if not determined.rules:
        yield (
            'The questions that would settle this were answered with "don\'t know", so the policy cannot decide it. '
            "It goes to individual review."
        )
    elif len(determined.rules) > 1:
        yield "One of these applies, and all come to the same:"
        yield "\n".join(f"- {rule.title}" for rule in determined.rules)
    else:
        yield determined.rules[0].description
    yield from _facts(determined)
    yield from _clauses(determined)
    if determined.outcome in {Outcome(NOT_NORMALLY_FUNDED), Outcome(IFR_REQUIRED)}:
        yield from _individual_funding(determined.policy)
        yield _FUNDING_ONLY


def _open(determined: Determination) -> Iterator[str]:
    if determined.rules:
        yield determined.rules[0].description
    else:
        yield f"**Unless the answers show otherwise**: {determined.position.title}."
    yield "**Still to be answered**, the most telling question first:"
    yield "\n".join(f"{place}. {each.text}" for place, each in enumerate(determined.outstanding, start=1))
    outcomes = sorted({OUTCOME_WORDS[outcome.code] for outcome in determined.possible})
    yield f"**Possible outcomes**: {'; '.join(outcomes)}."
    yield from _facts(determined)
    yield from _clauses(determined)
    yield from _individual_funding(determined.policy)
    yield _FUNDING_ONLY


def _facts(determined: Determination) -> Iterator[str]:
    """What the decision rests on; a question that is asked anyway is only listed when there is something to say of it."""
    telling = [
        finding
        for finding in determined.findings
        if finding.criterion not in determined.outstanding or finding.why != NOT_RECORDED or finding.evidence
    ]
    if telling:
        yield "**What is known**" if determined.outstanding else "**On these facts**"
        yield "\n".join(f"- {each.criterion.name}: {_fact(each)}" for each in telling)


def _fact(finding: Finding) -> str:
    if finding.criterion.sensitive:
        return "not shown here" if finding.value is not None else "not known"
    days = ", ".join(dict.fromkeys(_day(each.date) for each in finding.evidence if each.date))
    if finding.value is None:
        seen = f"; entries that do not prove it: {days}" if finding.why == NOT_RECORDED and days else ""
        return _UNKNOWN_BECAUSE[finding.why or NOT_RECORDED] + seen
    value = _value(finding, finding.value)
    if finding.origin == ASSUMED:
        return f"{value} (assumed; nobody has said otherwise)"
    if finding.origin == RECORD:
        return f"{value} (in the record{', ' + days if days else ''})"
    other = "" if finding.overrides is None else f"; the record says {_value(finding, finding.overrides)}"
    return f"{value} (answered{', ' + days if days and finding.origin == ANSWER else ''}{other})"


def _value(finding: Finding, value: Any) -> str:
    if isinstance(value, bool | str | tuple):
        return finding.criterion.domain.label(finding.criterion.domain.cell(value))
    return f"{value}"


def _day(written: str) -> str:
    """A date as people in the UK write it: 5 March 2024; what is no full date stays as it was written, escaped."""
    day = full_date(written)
    return f"{day.day} {day:%B %Y}" if day else escaped(written)


def _clauses(determined: Determination) -> Iterator[str]:
    yield f"**Policy**: {determined.policy.title}, version {determined.policy.version}"
    yield "\n".join(
        f"- {each.label}: {each.display}" if each.display else f"- {each.label}"
        for each in determined.citations
    )


def _individual_funding(policy: Policy) -> Iterator[str]:
    if policy.individual_funding and policy.individual_funding.display:
        yield f"**If the patient is exceptional**: {policy.individual_funding.display}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
