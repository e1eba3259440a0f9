"""Which features of a Questionnaire change its behaviour and are not carried out here.

A form with one of them is refused by name: filled in without it, it would look right and not be. What only changes how
a form looks is passed over. An extension of Structured Data Capture that is in no list below is one that we do not know.

Source: https://hl7.org/fhir/uv/sdc/ (4.0); https://hl7.org/fhir/R4/questionnaire-profiles.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cds_service.errors import UnsupportedQuestionnaireError
from cds_service.questionnaires.form_features import ITEM_TYPES, KNOWN, LANGUAGES, NOT_CARRIED_OUT, SDC
from cds_service.questionnaires.items import questionnaire_items
from cds_service.record.resources import Resource, members, text


@dataclass(frozen=True)
class Unsupported:
    """A feature that is not carried out: where it stands, its extension's url or its name, and what it asks for."""

    path: str
    feature: str
    words: str

    def __str__(self) -> str:
        return f"{self.path}: {self.feature} ({self.words})"


def unsupported(questionnaire: Resource) -> tuple[Unsupported, ...]:
    """Every feature of a Questionnaire that changes its behaviour and is not carried out, in its order."""
    return (
        *_of_element("Questionnaire", questionnaire),
        *(each for path, item in questionnaire_items(questionnaire) for each in _of_item(path, item)),
        *_repeated(questionnaire),
    )


def require_supported(questionnaire: Resource) -> None:
    """UnsupportedQuestionnaireError, naming every such feature, when there is one."""
    if found := unsupported(questionnaire):
        raise UnsupportedQuestionnaireError([str(each) for each in found])


def _of_item(path: str, item: Resource) -> Iterator[Unsupported]:
    yield from _of_element(path, item)
    if item.get("type") not in ITEM_TYPES:
        yield Unsupported(f"{path}.type", str(item.get("type")), "an item type that R4 does not have")
    if text(item, "linkId") is None:
        yield Unsupported(path, "an item without linkId", "its answers could not be told apart")
    for position, option in enumerate(members(item, "answerOption")):
        yield from _of_element(f"{path}.answerOption[{position}]", option)


def _of_element(path: str, element: Resource) -> Iterator[Unsupported]:
    for position, extension in enumerate(members(element, "modifierExtension")):
        where = f"{path}.modifierExtension[{position}]"
        yield Unsupported(where, str(extension.get("url")), "a modifier extension that is not known")
    for position, extension in enumerate(members(element, "extension")):
        if words := _why_not(extension):
            yield Unsupported(f"{path}.extension[{position}]", str(extension.get("url")), words)


def _why_not(extension: Resource) -> str | None:
    url = str(extension.get("url"))
    if url in LANGUAGES:
        languages = [language for language in _languages(extension) if language not in LANGUAGES[url]]
        return f"an expression in {', '.join(languages)}" if languages else None
    if url in NOT_CARRIED_OUT:
        return NOT_CARRIED_OUT[url]
    return "an SDC extension that is not known" if url.startswith(SDC) and url not in KNOWN else None


def _languages(extension: Resource) -> Iterator[str]:
    """The languages of the Expressions in an extension."""
    for each in (extension, *members(extension, "extension")):
        if isinstance(expression := each.get("valueExpression"), dict):
            yield text(expression, "language") or "no language"


def _repeated(questionnaire: Resource) -> Iterator[Unsupported]:
    counted = Counter(text(item, "linkId") for _, item in questionnaire_items(questionnaire))
    for link_id, count in counted.items():
        if link_id is not None and count > 1:
            words = "its answers could not be told apart"
            yield Unsupported("Questionnaire", f"the linkId {link_id} on {count} items", words)
