"""What the answers so far decide, in words for a page."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.hooks.words import OUTCOME_WORDS, summary
from cds_service.policies.determination import FINAL, Determination
from cds_service.policies.domains import said
from cds_service.policies.findings import ANSWER, ASKED, ASSUMED, NOT_READ, RECORD, Finding
from cds_service.policies.policy import (
    ADVICE,
    ELIGIBLE,
    IFR_REQUIRED,
    INFORMATION_NEEDED,
    NOT_APPLICABLE,
    NOT_NORMALLY_FUNDED,
    REDIRECT,
)

# No red: nothing here is a refusal.
_TAGS = {
    ELIGIBLE: "nhsuk-tag--green",
    NOT_NORMALLY_FUNDED: "nhsuk-tag--orange",
    IFR_REQUIRED: "nhsuk-tag--yellow",
    INFORMATION_NEEDED: "nhsuk-tag--blue",
    REDIRECT: "nhsuk-tag--purple",
    ADVICE: "nhsuk-tag--blue",
    NOT_APPLICABLE: "nhsuk-tag--grey",
}
_ORIGINS = {RECORD: "from the record", ANSWER: "answered", ASSUMED: "assumed"}


@dataclass(frozen=True)
class Clause:
    """A clause, in words, and where to read it."""

    words: str
    url: str | None


@dataclass(frozen=True)
class Verdict:
    """``outcome`` is None while it is open; ``why`` one fact a line; ``tag`` the class of the colour of ``status``."""

    outcome: str | None
    status: str
    headline: str
    why: tuple[str, ...]
    clauses: tuple[Clause, ...]
    tag: str


def verdict(determined: Determination) -> Verdict:
    """A determination in words: what it says, on which facts, by which clauses."""
    final = determined.status == FINAL and determined.outcome is not None
    outcome = determined.outcome.code if final and determined.outcome else None
    words = OUTCOME_WORDS[outcome] if outcome else "not yet decided"
    return Verdict(
        outcome,
        f"{words[:1].upper()}{words[1:]}",
        summary(determined),
        tuple(_fact(each) for each in determined.findings if _is_telling(each)),
        tuple(
            Clause(f"{each.label}: {each.display}" if each.display else each.label, each.url)
            for each in determined.citations
        ),
        _TAGS[outcome] if outcome else "nhsuk-tag--white",
    )


def _is_telling(finding: Finding) -> bool:
    return finding.value is not None or finding.why in {ASKED, NOT_READ}


def _fact(finding: Finding) -> str:
    name = finding.criterion.name
    if finding.value is None:
        return f"{name}: {'don’t know' if finding.why == ASKED else 'this part of the record was not read'}"
    return f"{name}: {said(finding.criterion.domain, finding.value)} ({_ORIGINS[finding.origin]})"
