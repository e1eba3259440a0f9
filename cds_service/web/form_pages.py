"""The pages of the form's way: questions, looking over, sent, not sent, trouble; and a document to print.

Each function makes HTML of a frozen value and nothing else. Text is shown as text, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from cds_service.web.forms.fields import FieldProblem, FormFields
from cds_service.web.forms.notes import Note
from cds_service.web.forms.review import AnswerRow
from cds_service.web.templating import rendered
from cds_service.web.verdicts import Verdict


@dataclass(frozen=True)
class Link:
    """Words that lead to an address of ours."""

    words: str
    url: str


@dataclass(frozen=True)
class PolicyLine:
    """The policy that a form is for, or, of a form that is nobody's policy, its title alone."""

    title: str
    version: str | None = None
    funder: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Row:
    """An answer to look over, and where to change it, if anywhere."""

    section: str
    label: str
    answers: tuple[str, ...]
    note: Note | None
    change_url: str | None


def row(answer: AnswerRow, change_url: str | None) -> Row:
    """An answer of a form as a row on a page."""
    return Row(answer.section, answer.label, answer.answers, answer.note, change_url)


@dataclass(frozen=True)
class FormView:
    """A page of questions: the ``whole`` form, or one question.

    ``title`` heads the page, unless one question does. ``order`` names the procedure; ``patient`` only where the EHR
    shows no banner of its own. ``progress``: “Question 2 of at most 5”. ``known``: what need not be asked, with its
    evidence. ``action`` is posted to, with ``hidden`` values beside the fields; the button is ``do``: continue, update,
    back, add …, remove ….
    """

    title: str
    order: str
    policy: PolicyLine
    fields: FormFields
    action: str
    whole: bool
    patient: str | None = None
    progress: str | None = None
    verdict: Verdict | None = None
    known: tuple[Row, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    other_mode: Link | None = None
    may_go_back: bool = False
    continue_words: str = "Continue"


@dataclass(frozen=True)
class ReviewView:
    """All answers before they are sent; posting ``do=submit`` sends them. ``problems`` are those that stop that."""

    title: str
    order: str
    policy: PolicyLine
    rows: tuple[Row, ...]
    action: str
    patient: str | None = None
    verdict: Verdict | None = None
    problems: tuple[FieldProblem, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    submit_words: str = "Submit answers"

    @property
    def sections(self) -> tuple[tuple[str, tuple[Row, ...]], ...]:
        """The rows by the group that they stand in."""
        return tuple((title, tuple(rows)) for title, rows in groupby(self.rows, lambda each: each.section))


@dataclass(frozen=True)
class DoneView:
    """The answers are sent: ``saved`` says where they are; ``form_id``, for the page that opened it, which form."""

    title: str
    order: str
    policy: PolicyLine
    saved: str
    next_steps: tuple[str, ...]
    form_id: str
    patient: str | None = None
    verdict: Verdict | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class NotSavedView:
    """The answers could not be written to the EHR, and ``why``; posting ``do=submit`` tries again."""

    title: str
    order: str
    policy: PolicyLine
    why: str
    action: str
    patient: str | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)
    download_url: str | None = None


@dataclass(frozen=True)
class DocumentSection:
    """A part of a printed document: questions with their answers, then paragraphs."""

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    words: tuple[str, ...] = ()


def form_page(page: FormView) -> str:
    """Questions to answer."""
    return rendered("forms/form.html", {"page": page})


def review_page(page: ReviewView) -> str:
    """All answers, to look over before they are sent."""
    return rendered("forms/review.html", {"page": page})


def done_page(page: DoneView) -> str:
    """The answers are sent, and what happens next."""
    return rendered("forms/done.html", {"page": page})


def not_saved_page(page: NotSavedView) -> str:
    """The answers are kept, and could not be written where they belong."""
    return rendered("forms/not_saved.html", {"page": page})


def trouble_page(
    title: str, words: Sequence[str], what_next: Sequence[str] = (), link: Link | None = None
) -> str:
    """Something that stops a person, in plain words, and what they can do."""
    return rendered("trouble.html", {"title": title, "words": words, "what_next": what_next, "link": link})


def document_page(
    title: str,
    sections: Sequence[DocumentSection],
    subtitle: str | None = None,
    links: Sequence[Link] = (),
) -> str:
    """A document to read and to print."""
    return rendered(
        "document.html", {"title": title, "sections": sections, "subtitle": subtitle, "links": links}
    )
