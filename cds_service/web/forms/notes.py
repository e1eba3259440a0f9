"""What stands beside a question: where its answer comes from, and what the record shows."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.policies.domains import said
from cds_service.policies.findings import (
    ANSWER,
    ASKED,
    ASSUMED,
    FAILED,
    NOT_READ,
    RECORD,
    Evidence,
    Finding,
)
from cds_service.record.dates import date_in_words

_ORIGIN_WORDS = {
    RECORD: "Filled in from the record",
    ANSWER: "Answered before",
    ASSUMED: "Assumed until you say otherwise",
}
_UNKNOWN_WORDS = {
    NOT_READ: "This part of the record could not be read",
    FAILED: "The record could not be interpreted",
    ASKED: "Answered “Don’t know” before",
}


@dataclass(frozen=True)
class Note:
    """``origin`` in words (“Filled in from the record”), and each piece of evidence: “Procedure, 3 March 2024”."""

    origin: str
    lines: tuple[str, ...] = ()


def finding_note(finding: Finding) -> Note | None:
    """What to say of a finding; None when there is nothing to say."""
    lines = tuple(dict.fromkeys(evidence_in_words(each) for each in finding.evidence))
    if finding.value is None:
        words = _UNKNOWN_WORDS.get(finding.why or "")
        if words is None and lines:
            words = "In the record, but it does not settle the answer"
        return Note(words, lines) if words else None
    origin = _ORIGIN_WORDS[finding.origin]
    if finding.origin == ASSUMED:
        origin += f": {said(finding.criterion.domain, finding.value)}"
    if finding.overrides is not None:
        origin += f"; the record says {said(finding.criterion.domain, finding.overrides)}"
    return Note(origin, lines)


def evidence_in_words(evidence: Evidence) -> str:
    """A resource by its type and date: “Procedure, 3 March 2024”."""
    kind = (evidence.reference or "Entry").split("/")[-2:][0]
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
    name = f"{spaced[:1].upper()}{spaced[1:]}"
    return f"{name}, {date_in_words(evidence.date)}" if evidence.date else f"{name}, no date"
