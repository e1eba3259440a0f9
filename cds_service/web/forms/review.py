"""A form's answers to look over: every question that was put, with its answer in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cds_service.record.resources import Resource
from cds_service.web.forms.blocks import is_shown
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.given import given
from cds_service.web.forms.items import DISPLAY, GROUP, items, kind, label, repeats, unit_words
from cds_service.web.forms.notes import Note
from cds_service.web.forms.places import Place
from cds_service.web.forms.words import said_in_words


@dataclass(frozen=True)
class AnswerRow:
    """A question and its ``answers`` in words (none: not answered), in the ``section`` of the group that it stands in."""

    place: Place
    section: str
    label: str
    answers: tuple[str, ...]
    note: Note | None


def answer_rows(
    form: FormOnPage,
    response: Resource,
    shown: Collection[str] | None = None,
    notes: Mapping[str, Note] = MappingProxyType({}),
) -> tuple[AnswerRow, ...]:
    """Every question that is shown, in order; ``shown`` and ``notes`` as for ``form_fields``."""
    return tuple(_rows(form.questionnaire, response, (), "", shown, notes))


def _rows(
    parent: Resource,
    answered: Resource,
    within: tuple[int, ...],
    section: str,
    shown: Collection[str] | None,
    notes: Mapping[str, Note],
) -> Iterator[AnswerRow]:
    for item in items(parent):
        if kind(item) == DISPLAY or not is_shown(item, within, shown):
            continue
        found = [each for each in items(answered) if each["linkId"] == item["linkId"]]
        if kind(item) == GROUP:
            for number, each in enumerate(found or [{}]):
                inside = (*within, number) if repeats(item) else within
                title = f"{label(item)} {number + 1}" if len(found) > 1 else label(item)
                yield from _rows(item, each, inside, title, shown, notes)
            continue
        first: Resource = found[0] if found else {}
        place = Place(item["linkId"], within)
        answers = said_in_words(given(first), unit_words(item))
        yield AnswerRow(place, section, label(item), answers, notes.get(item["linkId"]))
        below: Resource = next(iter(first.get("answer") or ()), {})
        yield from _rows(item, below, within, section, shown, notes)
