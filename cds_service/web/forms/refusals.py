"""What of a Questionnaire cannot be put on a page, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cds_service.errors import UnsupportedItemError
from cds_service.record.resources import Resource, members, text
from cds_service.web.forms.asking import TYPES_ASKED
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.items import DISPLAY, GROUP, descendants, is_asked, is_hidden, items, kind, repeats
from cds_service.web.forms.options import options


@dataclass(frozen=True)
class Refusal:
    """An item, the feature of it that cannot be shown or answered here, and why."""

    link_id: str
    feature: str
    why: str


def unrenderable(form: FormOnPage) -> tuple[Refusal, ...]:
    """Every item that cannot be put on a page. Hidden and read-only items need not be asked."""
    below = (
        refusal
        for item in descendants(form.questionnaire)
        if not is_hidden(item)
        for refusal in _of(item, form)
    )
    return (*_modifiers(form.questionnaire, "the form"), *below)


def refuse_unrenderable(form: FormOnPage) -> None:
    """UnsupportedItemError naming the first item that cannot be put on a page."""
    for refusal in unrenderable(form):
        raise UnsupportedItemError(refusal.link_id, refusal.feature, refusal.why)


def _of(item: Resource, form: FormOnPage) -> Iterator[Refusal]:
    link_id = item["linkId"]
    yield from _modifiers(item, link_id)
    if kind(item) in {GROUP, DISPLAY} or not is_asked(item):
        return
    if kind(item) not in TYPES_ASKED:
        yield Refusal(
            link_id, f"type {kind(item) or '(none)'}", "this kind of answer cannot be given on a page"
        )
    elif kind(item) in {"choice", "open-choice"}:
        yield from _without_options(item, form)
    if repeats(item) and any(kind(child) != DISPLAY for child in items(item)):
        yield Refusal(
            link_id, "questions below a question that repeats", "which answer they belong to is not asked"
        )


def _without_options(item: Resource, form: FormOnPage) -> Iterator[Refusal]:
    value_set = text(item, "answerValueSet")
    if value_set and form.codings(value_set) is None:
        yield Refusal(item["linkId"], f"answerValueSet {value_set}", "its codes are not known here")
    elif kind(item) == "choice" and not options(item, form):
        yield Refusal(item["linkId"], "choice without options", "there is nothing to choose")


def _modifiers(element: Resource, link_id: str) -> Iterator[Refusal]:
    """FHIR: who does not know a modifier extension must not go on as if it were not there."""
    for extension in members(element, "modifierExtension"):
        yield Refusal(link_id, str(extension.get("url")), "a modifier extension that is not known here")
