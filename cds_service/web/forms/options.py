"""The options of a choice, each with the answer it stands for and the token that its input posts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.questionnaires.answer_words import answer_in_words
from cds_service.record.resources import Resource, members
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.given import is_dont_know
from cds_service.web.forms.items import kind
from cds_service.web.forms.words import DONT_KNOW

# What "don't know" posts; no option's token begins like this.
DONT_KNOW_TOKEN = "?"  # noqa: S105  not that kind of token
_EXCLUSIVE = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive"


@dataclass(frozen=True)
class Option:
    """One thing to choose; ``answer`` None is "don't know". An ``exclusive`` one cannot be chosen with others."""

    token: str
    label: str
    answer: Resource | None
    exclusive: bool = False


DONT_KNOW_OPTION = Option(DONT_KNOW_TOKEN, DONT_KNOW, None, exclusive=True)
YES_NO = (
    Option("boolean:true", "Yes", {"valueBoolean": True}),
    Option("boolean:false", "No", {"valueBoolean": False}),
)


def options(item: Resource, form: FormOnPage) -> tuple[Option, ...]:
    """What an item offers: yes and no, its answer options, or its value set as far as that can be expanded."""
    if kind(item) == "boolean":
        return YES_NO
    offered = [_option(each) for each in members(item, "answerOption") if value_of_answer(each)]
    value_set = item.get("answerValueSet")
    expanded = form.codings(value_set) if isinstance(value_set, str) else None
    offered += [option_of({"valueCoding": coding}) for coding in expanded or ()]
    return tuple({option.token: option for option in offered}.values())


def offers_dont_know(offered: Iterable[Option]) -> bool:
    """Whether one of the options itself says that the answer is not known."""
    return any(option.answer and is_dont_know(option.answer.get("valueCoding")) for option in offered)


def strays(offered: Iterable[Option], answers: Iterable[Resource]) -> Iterator[Option]:
    """Options for answers that were given and are not on offer (any more), so that showing the form loses none."""
    known = {option.token for option in offered}
    for answer in answers:
        option = option_of(answer)
        if option.token not in known:
            known.add(option.token)
            yield option


def token(answer: Resource) -> str:
    """What an option's input posts for this answer: ``Coding:system|code``, ``string:left``."""
    name, value = value_of_answer(answer) or ("value", "")
    if name == "valueCoding" and isinstance(value, dict):
        return f"coding:{value.get('system', '')}|{value.get('code') or value.get('display', '')}"
    return f"{name.removeprefix('value').lower()}:{_scalar(value)}"


def option_of(answer: Resource) -> Option:
    """The option that stands for an answer."""
    return Option(token(answer), answer_in_words(answer) or token(answer), answer)


def _option(offered: Resource) -> Option:
    answer = dict([value_of_answer(offered) or ("", None)])
    exclusive = any(
        each.get("url") == _EXCLUSIVE and each.get("valueBoolean") is True
        for each in members(offered, "extension")
    )
    return Option(token(answer), answer_in_words(answer) or token(answer), answer, exclusive)


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
