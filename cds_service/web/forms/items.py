"""What a Questionnaire's item says of how it is asked: its words, its control, its limits.

Extensions: FHIR R4 core and extensions pack, SDC 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cds_service.questionnaires.adaptive_relevance import HIDDEN
from cds_service.record.resources import Resource, members, text

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"
ITEM_CONTROL = f"{_CORE}questionnaire-itemControl"
SUPPORT_LINK = f"{_CORE}questionnaire-supportLink"
DISPLAY_CATEGORY = f"{_CORE}questionnaire-displayCategory"
UNIT = f"{_CORE}questionnaire-unit"
UNIT_OPTION = f"{_CORE}questionnaire-unitOption"
ENTRY_FORMAT = f"{_CORE}entryFormat"
MIN_VALUE, MAX_VALUE = f"{_CORE}minValue", f"{_CORE}maxValue"
SHORT_TEXT = f"{_SDC}sdc-questionnaire-shortText"

GROUP, DISPLAY = "group", "display"


def items(parent: Resource) -> Iterator[Resource]:
    """The items directly below a Questionnaire, an item, a response or an answer; those without a linkId passed over."""
    return (item for item in members(parent, "item") if text(item, "linkId"))


def descendants(parent: Resource) -> Iterator[Resource]:
    """Every item below, parents first."""
    for item in items(parent):
        yield item
        yield from descendants(item)


def kind(item: Resource) -> str:
    """The item's type, ``""`` when it has none."""
    return text(item, "type") or ""


def extension_value(item: Resource, url: str) -> Any:
    """The value of an item's first extension of this URL, None without one."""
    return next(extension_values(item, url), None)


def extension_values(item: Resource, url: str) -> Iterator[Any]:
    """The values of an item's extensions of this URL."""
    for extension in members(item, "extension"):
        if extension.get("url") == url:
            yield from (value for name, value in extension.items() if name.startswith("value"))


def is_hidden(item: Resource) -> bool:
    """Whether nobody is to see the item."""
    return extension_value(item, HIDDEN) is True


def is_read_only(item: Resource) -> bool:
    """Whether the item's answer is shown and cannot be changed."""
    return item.get("readOnly") is True


def is_asked(item: Resource) -> bool:
    """Whether the item is a question that somebody can answer here."""
    return kind(item) not in {GROUP, DISPLAY} and not is_hidden(item) and not is_read_only(item)


def repeats(item: Resource) -> bool:
    """Whether the item may occur, or be answered, more than once."""
    return item.get("repeats") is True


def controls(item: Resource) -> frozenset[str]:
    """The codes of the item's ``itemControl``."""
    concept = extension_value(item, ITEM_CONTROL)
    return frozenset(code for coding in members(concept, "coding") if (code := text(coding, "code")))


def label(item: Resource) -> str:
    """What is asked, its number before it; the linkId when the item has no words."""
    words = " ".join(part for part in (text(item, "prefix"), text(item, "text")) if part)
    return words or str(item["linkId"])


def short_label(item: Resource) -> str:
    """A few words for the item, as the author gave them; else what is asked."""
    short = extension_value(item, SHORT_TEXT)
    return short if isinstance(short, str) and short else label(item)


def attached_words(item: Resource) -> Iterator[str]:
    """The display items below a question, which belong to it: help, prompts, instructions. Units stand elsewhere."""
    for child in items(item):
        if kind(child) == DISPLAY and "unit" not in controls(child) and not is_hidden(child):
            yield text(child, "text") or ""


def unit_words(item: Resource) -> str | None:
    """The unit that every answer is in, if the item names one."""
    unit = extension_value(item, UNIT)
    if isinstance(unit, dict):
        return text(unit, "display") or text(unit, "code")
    shown = (text(child, "text") for child in items(item) if "unit" in controls(child))
    return next((words for words in shown if words), None)


def support_link(item: Resource) -> str | None:
    """Where to read more. Only web addresses: any other scheme could run something."""
    link = extension_value(item, SUPPORT_LINK)
    safe = isinstance(link, str) and link.lower().startswith(("https://", "http://"))
    return link if safe else None


def is_instruction(item: Resource) -> bool:
    """Whether a display item tells how to fill the form in, rather than what stands in it."""
    category = extension_value(item, DISPLAY_CATEGORY)
    return any(text(coding, "code") == "instructions" for coding in members(category, "coding"))


def limits_in_words(item: Resource) -> str | None:
    """The least and the most that may be answered, in words."""
    least, most = (_number(extension_value(item, url)) for url in (MIN_VALUE, MAX_VALUE))
    if least is not None and most is not None:
        return f"From {least} to {most}"
    if least is not None:
        return f"{least} or more"
    return None if most is None else f"{most} or less"


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
