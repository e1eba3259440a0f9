"""A form's page in order: groups, words, and questions with what their inputs hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from cds_service.record.resources import Resource
from cds_service.web.forms.asking import control_of
from cds_service.web.forms.controls import Control
from cds_service.web.forms.entered import Entered
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.given import Given, given
from cds_service.web.forms.items import (
    DISPLAY,
    GROUP,
    attached_words,
    descendants,
    is_asked,
    is_hidden,
    is_instruction,
    items,
    kind,
    repeats,
    unit_words,
)
from cds_service.web.forms.notes import Note
from cds_service.web.forms.places import Place
from cds_service.web.forms.words import said_in_words


@dataclass(frozen=True)
class Words:
    """Something to read."""

    item: Resource
    instruction: bool
    kind: str = "words"


@dataclass(frozen=True)
class Known:
    """A question whose answer is shown and cannot be changed here."""

    item: Resource
    place: Place
    answers: tuple[str, ...]
    note: Note | None
    below: tuple[Block, ...]
    kind: str = "known"


@dataclass(frozen=True)
class Question:
    """A question, what its inputs hold, and what is the matter with that; ``below`` what is asked under it."""

    item: Resource
    place: Place
    control: Control
    entered: Entered
    problem: str | None
    note: Note | None
    optional: bool
    hints: tuple[str, ...]
    below: tuple[Block, ...]
    kind: str = "question"


@dataclass(frozen=True)
class Group:
    """A group, once. Of a repeating one: its ``occurrence``, whether it is the ``last``, how many stand there."""

    item: Resource
    place: Place
    blocks: tuple[Block, ...]
    repeating: bool
    occurrence: int
    count: int
    kind: str = "group"

    @property
    def last(self) -> bool:
        """Whether no other occurrence follows."""
        return self.occurrence == self.count - 1


Block = Words | Known | Question | Group


@dataclass(frozen=True)
class Showing:
    """What of a form is shown and how. ``shown``: linkIds or keys of places, None for everything.

    ``problems``: linkId or key → words; ``notes``: linkId → note; ``unread``: names of inputs → what they hold instead
    of what the response says.
    """

    shown: Collection[str] | None
    problems: Mapping[str, str]
    notes: Mapping[str, Note]
    unread: Mapping[str, Sequence[str]]


def page_blocks(form: FormOnPage, response: Resource, showing: Showing) -> tuple[Block, ...]:
    """The blocks of a page."""
    marks = any(item.get("required") is True for item in descendants(form.questionnaire))
    return tuple(_blocks(_Page(form, showing, marks), form.questionnaire, response, ()))


def is_shown(item: Resource, within: tuple[int, ...], shown: Collection[str] | None) -> bool:
    """Whether the page shows an item: a group, when it shows anything in it."""
    if is_hidden(item):
        return False
    if kind(item) != GROUP:
        return shown is None or Place(item["linkId"], within).found_in(shown)
    inside = (*within, 0) if repeats(item) else within
    # Whatever occurrence a key is of: that something stands in the group is all that counts here.
    anywhere = None if shown is None else {unquote(key.split(":")[0]) for key in shown}.union(shown)
    return any(is_shown(child, inside, anywhere) for child in items(item))


@dataclass(frozen=True)
class _Page:
    form: FormOnPage
    showing: Showing
    marks_optional: bool


def _blocks(page: _Page, parent: Resource, answered: Resource, within: tuple[int, ...]) -> Iterator[Block]:
    for item in items(parent):
        if not is_shown(item, within, page.showing.shown):
            continue
        found = [each for each in items(answered) if each["linkId"] == item["linkId"]]
        if kind(item) == GROUP:
            yield from _groups(page, item, found, within)
        elif kind(item) == DISPLAY:
            if kind(parent) in {GROUP, ""}:
                yield Words(item, is_instruction(item))
        else:
            yield _question(page, item, found[0] if found else {}, within)


def _groups(page: _Page, item: Resource, found: list[Resource], within: tuple[int, ...]) -> Iterator[Group]:
    place = Place(item["linkId"], within)
    repeating = repeats(item)
    for number, each in enumerate((found or [{}]) if repeating else (found or [{}])[:1]):
        inside = (*within, number) if repeating else within
        below = tuple(_blocks(page, item, each, inside))
        yield Group(item, place, below, repeating, number, len(found) or 1)


def _question(page: _Page, item: Resource, found: Resource, within: tuple[int, ...]) -> Question | Known:
    place, said = Place(item["linkId"], within), given(found)
    note = page.showing.notes.get(item["linkId"])
    below = tuple(_blocks(page, item, _first_answer(found), within))
    if not is_asked(item):
        return Known(item, place, said_in_words(said, unit_words(item)), note, below)
    control = control_of(item, said, page.form)
    return Question(
        item,
        place,
        control,
        _entered(control, said, place, page.showing.unread),
        page.showing.problems.get(place.key) or page.showing.problems.get(place.link_id),
        note,
        optional=page.marks_optional and item.get("required") is not True,
        hints=tuple(attached_words(item)),
        below=below,
    )


def _entered(control: Control, said: Given, place: Place, unread: Mapping[str, Sequence[str]]) -> Entered:
    """What the inputs hold: what could not be read is shown again as it was typed."""
    names = {part: place.part(part) for part in control.parts}
    typed = {part: tuple(unread[name]) or ("",) for part, name in names.items() if name in unread}
    return typed or control.entered(said)


def _first_answer(found: Resource) -> Resource:
    return next(iter(found.get("answer") or ()), {})
