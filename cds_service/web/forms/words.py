"""What was said to a question, in words."""

from __future__ import annotations

from cds_service.questionnaires.answer_words import answer_in_words
from cds_service.web.forms.given import Given

DONT_KNOW = "Don’t know"


def said_in_words(said: Given, unit: str | None) -> tuple[str, ...]:
    """What was said, one string an answer; none when nothing was. ``unit`` follows a bare number."""
    if said.unknown:
        return (DONT_KNOW,)
    return tuple(words for answer in said.answers if (words := answer_in_words(answer, unit)))
