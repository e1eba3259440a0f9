"""What cards say, in words: a card's summary, and the paragraphs of its detail.

What a policy's author wrote is Markdown and goes in as it is; what came with the request goes in escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cds_service.hooks.markdown import escaped
from cds_service.policies.determination import FINAL, Determination
from cds_service.policies.domains import said
from cds_service.policies.findings import (
    ANSWER,
    ASKED,
    ASSUMED,
    FAILED,
    NOT_READ,
    NOT_RECORDED,
    RECORD,
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
    Outcome,
    Policy,
)
from cds_service.record.dates import day_in_words
from cds_service.record.orders import Order
from cds_service.record.resources import full_date

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


def summary(determined: Determination) -> str:
    """One plain sentence: the outcome, or the position and how many questions settle it."""
    if determined.says_advice:
        return determined.speaking[0].title
    return _final_summary(determined) if determined.status == FINAL else _open_summary(determined)


def _final_summary(determined: Determination) -> str:
    if len(determined.rules) == 1 or determined.outcome is None:
        return determined.speaking[0].title
    return f"{_sentence(OUTCOME_WORDS[determined.outcome.code])}: {determined.policy.title}"


def _open_summary(determined: Determination) -> str:
    count = len(determined.outstanding)
    questions = f"{count} question{'' if count == 1 else 's'} to settle"
    if determined.rules:
        return f"{determined.rules[0].title} ({questions})"
    position = _POSITIONS.get(determined.position.outcome.code, "Not yet decided")
    return f"{position}: {questions}. {determined.policy.title}"


def detail(
    determined: Determination, order: Order, redirected_from: Sequence[Determination]
) -> Iterator[str]:
    """The paragraphs of the card, in Markdown."""
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
    yield determined.speaking[0].description
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
    value = said(finding.criterion.domain, finding.value)
    if finding.origin == ASSUMED:
        return f"{value} (assumed; nobody has said otherwise)"
    if finding.origin == RECORD:
        return f"{value} (in the record{', ' + days if days else ''})"
    other = (
        ""
        if finding.overrides is None
        else f"; the record says {said(finding.criterion.domain, finding.overrides)}"
    )
    return f"{value} (answered{', ' + days if days and finding.origin == ANSWER else ''}{other})"


def _day(written: str) -> str:
    """A date as people in the UK write it: 5 March 2024; what is no full date stays as it was written, escaped."""
    day = full_date(written)
    return day_in_words(day) if day else escaped(written)


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
