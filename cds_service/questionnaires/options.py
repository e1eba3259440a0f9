"""The options of a choice item: those that it lists, or those of its value set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cds_service.questionnaires.answer_values import equal
from cds_service.questionnaires.form import Form, FormItem
from cds_service.questionnaires.sight import Launch
from cds_service.record.resources import Resource, members, text


def options_of(form: Form, item: FormItem, launch: Launch) -> Sequence[tuple[str, Any]] | None:
    """The (value element, value) of every option; none for an item without; None when its value set is not known."""
    listed = [
        (name, value)
        for option in members(item.resource, "answerOption")
        for name, value in option.items()
        if name.startswith("value")
    ]
    value_set = text(item.resource, "answerValueSet")
    if listed or value_set is None:
        return listed
    codings = _contained(form, value_set) if value_set.startswith("#") else launch.options(value_set)
    return None if codings is None else [("valueCoding", coding) for coding in codings]


def chosen(options: Sequence[tuple[str, Any]], value: Any) -> tuple[str, Any] | None:
    """The option that a value is: the very value, or for a bare string the code of a Coding."""
    for name, option in options:
        if equal(option, value) or (isinstance(value, str) and text(option, "code") == value):
            return name, option
    return None


def _contained(form: Form, reference: str) -> list[Resource] | None:
    """The codings of a value set in the form itself: its expansion, or else the concepts that it lists."""
    for resource in members(form.questionnaire, "contained"):
        if resource.get("id") == reference.removeprefix("#") and resource.get("resourceType") == "ValueSet":
            return _expanded(resource) or _composed(resource)
    return None


def _expanded(value_set: Resource) -> list[Resource]:
    contains = members(value_set.get("expansion"), "contains")
    return [_coding(each, text(each, "system")) for each in contains if text(each, "code")]


def _composed(value_set: Resource) -> list[Resource] | None:
    """None when a part of it is not listed code by code."""
    found: list[Resource] = []
    compose = value_set.get("compose")
    if [*members(compose, "exclude")]:
        return None
    for include in members(compose, "include"):
        if "concept" not in include:
            return None
        found += [_coding(each, text(include, "system")) for each in members(include, "concept")]
    return found or None


def _coding(concept: Resource, system: str | None) -> Resource:
    named = {name: concept[name] for name in ("code", "display") if name in concept}
    return named if system is None else {"system": system, **named}
