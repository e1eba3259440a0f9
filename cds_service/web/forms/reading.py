"""What was posted, read back into a QuestionnaireResponse."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cds_service.record.resources import Resource
from cds_service.web.forms.asking import control_of
from cds_service.web.forms.blocks import is_shown
from cds_service.web.forms.controls import Control
from cds_service.web.forms.entered import same_entry
from cds_service.web.forms.entries import UnreadableEntryError
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.given import Given, given, kept_where_unchanged, response_item
from cds_service.web.forms.items import GROUP, is_asked, items, kind, repeats
from cds_service.web.forms.places import ADD, ASKED, BUTTON, REMOVE, UPDATE, Place

# More occurrences of one group than anybody adds by hand.
_MOST_OCCURRENCES = 100
Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Posted:
    """A form as it was posted: the response, and of what could not be read, by key of its place, why.

    ``unread``: what those inputs held, by name, to be shown again. ``button``: what was pressed, ``continue`` if nothing
    says otherwise.
    """

    response: dict[str, Any]
    problems: Mapping[str, str]
    unread: Mapping[str, tuple[str, ...]]
    button: str


def answered(
    form: FormOnPage, response: Resource, posted: Fields, shown: Collection[str] | None = None
) -> Posted:
    """The response with what was posted, in the Questionnaire's order; what the page did not ask stays as it was.

    ``shown`` as for ``form_fields``. An answer that was not changed keeps all that it carries; an entry that is no
    answer of its question leaves it open, and is a problem. "Don't know" is an item without answer and with the
    extension ``data-absent-reason`` asked-unknown. A question left open has no item.
    """
    pressed, _, target = next(iter(posted.get(BUTTON, ())), "continue").partition(" ")
    reading = _Reading(form, posted, shown, pressed, target)
    found = reading.items(form.questionnaire, response, ())
    kept = {name: value for name, value in response.items() if name != "item"}
    return Posted(
        {**kept, "item": found} if found else kept, reading.problems, reading.unread, pressed or "continue"
    )


@dataclass
class _Reading:
    """One reading of a post; gathers the problems on the way."""

    form: FormOnPage
    posted: Fields
    shown: Collection[str] | None
    pressed: str
    target: str
    problems: dict[str, str] = field(default_factory=dict)
    unread: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def items(self, parent: Resource, before: Resource, within: tuple[int, ...]) -> list[Resource]:
        """The response items below ``parent``; those of no item of the Questionnaire at the end, as they were."""
        read: list[Resource] = []
        known = set()
        for item in items(parent):
            known.add(item["linkId"])
            found = [each for each in items(before) if each["linkId"] == item["linkId"]]
            read += self._item(item, found, within)
        return read + [each for each in items(before) if each["linkId"] not in known]

    def _item(self, item: Resource, found: list[Resource], within: tuple[int, ...]) -> list[Resource]:
        if not is_shown(item, within, None if kind(item) == GROUP else self.shown):
            return found
        if kind(item) == GROUP:
            return self._groups(item, found, within) if repeats(item) else self._group(item, found, within)
        said = self._question(item, found[0] if found else None, within)
        return [said] if said else []

    def _group(self, item: Resource, found: list[Resource], within: tuple[int, ...]) -> list[Resource]:
        before = found[0] if found else {"linkId": item["linkId"]}
        below = self.items(item, before, within)
        return [_with_items(before, below)] if below else []

    def _groups(self, item: Resource, found: list[Resource], within: tuple[int, ...]) -> list[Resource]:
        place = Place(item["linkId"], within)
        count = self._count(place)
        if count is None:
            return found
        read = []
        for number in range(count):
            occurrence = place.occurrence(number)
            before = found[number] if number < len(found) else {"linkId": item["linkId"]}
            below = self.items(item, before, occurrence.within)
            removed = self.pressed == REMOVE and self.target == occurrence.name
            if not removed and (below or self.pressed in {ADD, REMOVE, UPDATE}):
                read.append(_with_items(before, below))
        if self.pressed == ADD and self.target == place.name and len(read) < _MOST_OCCURRENCES:
            read.append({"linkId": item["linkId"]})
        return read

    def _count(self, place: Place) -> int | None:
        """How many occurrences the page showed; None when it showed none of the group."""
        count = next(iter(self.posted.get(place.part("count"), ())), "")
        return min(int(count), _MOST_OCCURRENCES) if count.isascii() and count.isdigit() else None

    def _question(self, item: Resource, found: Resource | None, within: tuple[int, ...]) -> Resource | None:
        place, before = Place(item["linkId"], within), given(found)
        below = self.items(item, next(iter((found or {}).get("answer") or ()), {}), within)
        if not is_asked(item) or place.name not in self.posted.get(ASKED, ()):
            return response_item(found, place.link_id, before, below) if below else found
        return response_item(found, place.link_id, self._said(item, place, before), below)

    def _said(self, item: Resource, place: Place, before: Given) -> Given:
        control = control_of(item, before, self.form)
        entered = {part: tuple(self.posted.get(place.part(part), ())) for part in control.parts}
        if same_entry(entered, control.entered(before)):
            return before
        try:
            said = control.given(entered)
        except UnreadableEntryError as error:
            self._note(place, control, error)
            return Given()
        return Given(kept_where_unchanged(said.answers, before.answers), said.unknown)

    def _note(self, place: Place, control: Control, error: UnreadableEntryError) -> None:
        self.problems[place.key] = error.words
        for part in control.parts:
            self.unread[place.part(part)] = tuple(self.posted.get(place.part(part), ()))


def _with_items(item: Resource, below: list[Resource]) -> Resource:
    kept = {name: value for name, value in item.items() if name != "item"}
    return {**kept, "item": below} if below else kept
