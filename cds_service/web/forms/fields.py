"""A form as HTML: its questions with their inputs, and where on the page each problem stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from cds_service.record.resources import Resource
from cds_service.web.forms import items
from cds_service.web.forms.blocks import Block, Group, Question, Showing, Words, page_blocks
from cds_service.web.forms.controls import Repeated
from cds_service.web.forms.entered import UNKNOWN
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.notes import Note
from cds_service.web.forms.options import DONT_KNOW_TOKEN
from cds_service.web.forms.refusals import refuse_unrenderable
from cds_service.web.templating import macro

# A question is named in the error summary by this many characters at most.
_LONGEST_NAME = 60


@dataclass(frozen=True)
class FieldProblem:
    """What is the matter, and the id of the input to mend it in; None when the page does not show it."""

    words: str
    input_id: str | None


@dataclass(frozen=True)
class FormFields:
    """The inputs of a form, and the problems in the page's order; ``one_question``: it alone is the page's heading."""

    html: Markup
    problems: tuple[FieldProblem, ...]
    one_question: bool


def form_fields(
    form: FormOnPage,
    response: Resource,
    shown: Collection[str] | None = None,
    problems: Mapping[str, str] = MappingProxyType({}),
    notes: Mapping[str, Note] = MappingProxyType({}),
    unread: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> FormFields:
    """A form with the answers of a response in it. UnsupportedItemError for a feature that cannot be put on a page.

    ``shown``: linkIds (or keys of places) to show, None for every one that is not hidden; groups come with what stands in
    them. ``problems``: linkId or key → words. ``notes``: linkId → note. ``unread``: ``Posted.unread``.
    """
    refuse_unrenderable(form)
    blocks = page_blocks(form, response, Showing(shown, problems, notes, unread))
    single = sum(1 for _ in _questions(blocks)) == 1
    html = macro("forms/fields.html", "blocks")(
        blocks, items=items, unknown=UNKNOWN, dont_know=DONT_KNOW_TOKEN, size="m" if single else "s"
    )
    return FormFields(html, tuple(_problems(blocks, problems)), single)


def _problems(blocks: Sequence[Block], problems: Mapping[str, str]) -> Iterator[FieldProblem]:
    placed = set()
    for question in _questions(blocks):
        if question.problem:
            placed |= {question.place.key, question.place.link_id}
            yield FieldProblem(f"{_named(question)}: {question.problem}", _first_input(question))
    yield from (FieldProblem(words, None) for key, words in problems.items() if key not in placed)


def _named(question: Question) -> str:
    """The question in few words; cut short where its author gave none."""
    words = items.short_label(question.item)
    return words if len(words) <= _LONGEST_NAME else f"{words[:_LONGEST_NAME].rsplit(' ', 1)[0]} …"


def _first_input(question: Question) -> str:
    control = question.control
    parts = control.control.parts if isinstance(control, Repeated) else control.parts
    return question.place.part(parts[0])


def _questions(blocks: Sequence[Block]) -> Iterator[Question]:
    for block in blocks:
        if isinstance(block, Question):
            yield block
        if isinstance(block, Group):
            yield from _questions(block.blocks)
        elif not isinstance(block, Words):
            yield from _questions(block.below)
