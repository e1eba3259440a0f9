"""The adaptive form that a response contains: our Questionnaire cut down to the questions asked so far.

What the client sends as the contained form is only read for what was asked; it is made anew from our own Questionnaire.
Source: https://hl7.org/fhir/uv/sdc/adaptive.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cds_service.errors import RequestError
from cds_service.policies.domains import Value
from cds_service.policies.policy import Criterion, Policy, canonical
from cds_service.questionnaires.items import questionnaire_items, response_items
from cds_service.record.resources import Resource, members, text

_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire"
ADAPTIVE = f"{_SDC}-questionnaireAdaptive"
ADAPTIVE_FORM, ADAPTIVE_RESPONSE = f"{_SDC}-adapt", f"{_SDC}response-adapt"
# What an item says of items, variables or a record that the contained form does not have: the service has seen to it.
_SEEN_TO = frozenset(
    {f"{_SDC}-{name}" for name in ("initialExpression", "contextExpression", "enableWhenExpression")}
)
_KEPT_OF_FORM = ("language", "title", "subjectType", "publisher", "copyright")


def form_named_by(response: Resource) -> str | None:
    """The canonical of the form that a response answers: what its contained form is derived from, or names itself."""
    named = text(response, "questionnaire")
    if named is None or not named.startswith("#"):
        return named
    derived = _contained_form(response).get("derivedFrom")
    return (
        next((each for each in derived if isinstance(each, str)), None) if isinstance(derived, list) else None
    )


def check_form(policy: Policy, response: Resource) -> None:
    """RequestError unless the response answers this policy's Questionnaire in this version, or names no version."""
    named = form_named_by(response)
    url, version = canonical(named or "")
    if url != policy.questionnaire_url or version not in {None, policy.version}:
        expected = (
            f"{policy.questionnaire_url}|{policy.version}, by itself or as derivedFrom of the contained form"
        )
        raise RequestError("QuestionnaireResponse.questionnaire", repr(named), expected)


def asked_in(policy: Policy, response: Resource) -> tuple[Criterion, ...]:
    """The criteria that the contained form of a response asks, in its order; none when it contains none yet."""
    criteria = {each.link_id: each for each in policy.criteria}
    shown = dict.fromkeys(text(item, "linkId") for _, item in questionnaire_items(_contained_form(response)))
    return tuple(criteria[link_id] for link_id in shown if link_id in criteria)


def form_of(policy: Policy, response: Resource, asked: Sequence[Criterion]) -> dict[str, Any]:
    """The form that asks these criteria, in this order, each with the groups it stands in and what these display."""
    whole = policy.questionnaire
    form = {
        "resourceType": "Questionnaire",
        "id": text(_contained_form(response), "id") or "form",
        "meta": {"profile": [ADAPTIVE_FORM]},
        "extension": [{"url": ADAPTIVE, "valueBoolean": True}],
        "derivedFrom": [f"{policy.questionnaire_url}|{policy.version}"],
        "status": whole["status"],
        **{name: whole[name] for name in _KEPT_OF_FORM if name in whole},
        "item": _asked_items(whole, asked),
    }
    return {name: value for name, value in form.items() if value != []}


def with_places(
    policy: Policy, response: Resource, form: Resource, left_open: Mapping[str, Resource]
) -> dict[str, Any]:
    """The response with this form in it, and these items (by linkId) at their places where it has none."""
    there = {text(each, "linkId") for _, each in response_items(response)}
    items = list(members(response, "item"))
    for path in _paths(policy.questionnaire, left_open.keys() - there):
        items = _with_item(items, path, left_open[path[-1]])
    others = [each for each in members(response, "contained") if each is not _contained_form(response)]
    meta = response.get("meta")
    grown = {
        **response,
        "meta": {**(meta if isinstance(meta, dict) else {}), "profile": [ADAPTIVE_RESPONSE]},
        "contained": [form, *others],
        "questionnaire": f"#{form['id']}",
        "item": items,
    }
    return {name: value for name, value in grown.items() if value != []}


def _contained_form(response: Resource) -> Resource:
    """The contained Questionnaire that the response names; empty when there is none."""
    named = text(response, "questionnaire") or ""
    forms = (each for each in members(response, "contained") if each.get("resourceType") == "Questionnaire")
    return next((each for each in forms if f"#{each.get('id')}" == named), {})


def _asked_items(parent: Resource, asked: Sequence[Criterion]) -> list[dict[str, Any]]:
    """The items below a form or group that ask these criteria, first asked first, after what the parent displays."""
    ranked = sorted(_ranked_items(parent, asked), key=lambda each: each[0])
    return [item for _, item in ranked]


def _ranked_items(parent: Resource, asked: Sequence[Criterion]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same, each with its place among those asked. A question below a question is asked beside it."""
    rank = {criterion.link_id: place for place, criterion in enumerate(asked)}
    for item in members(parent, "item"):
        below = [rank[each["linkId"]] for _, each in questionnaire_items(item) if each["linkId"] in rank]
        if item["type"] == "display" and asked:
            yield -1, _alone(item)
        elif item["type"] == "group" and below:
            yield min(below), {**_alone(item), "item": _asked_items(item, asked)}
        elif item["linkId"] in rank:
            place = rank[item["linkId"]]
            yield place, _question(item, asked[place])
        if item["type"] != "group":
            yield from _ranked_items(item, asked)


def _question(item: Resource, criterion: Criterion) -> dict[str, Any]:
    """A question by itself; what is assumed of it is filled in."""
    question = _alone(item)
    if criterion.assumed is not None:
        question["initial"] = [_initial(item, criterion.assumed)]
    return question


def _alone(item: Resource) -> dict[str, Any]:
    """An item without the items below it, and without what needs the rest of the whole form."""
    extension = [each for each in members(item, "extension") if each.get("url") not in _SEEN_TO]
    left_out = {"extension", "item", "enableWhen", "enableBehavior"}
    kept = {name: value for name, value in item.items() if name not in left_out}
    return {**({"extension": extension} if extension else {}), **kept}


def _initial(item: Resource, value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        option = next(
            each["valueCoding"]
            for each in members(item, "answerOption")
            if text(each, "valueCoding", "code") == value
        )
        return {"valueCoding": option}
    if isinstance(value, bool):
        return {"valueBoolean": value}
    return {"valueDecimal" if isinstance(value, Decimal) else "valueInteger": value}


def _paths(parent: Resource, link_ids: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Where the contained form has each of these items: the linkIds from the outermost group down."""
    for item in members(parent, "item"):
        if item["linkId"] in link_ids:
            yield (item["linkId"],)
        for path in _paths(item, link_ids):
            yield (item["linkId"], *path) if item["type"] == "group" else path


def _with_item(items: Iterable[Resource], path: tuple[str, ...], item: Resource) -> list[Resource]:
    """The response items, and this one at its path, inside the groups that it names."""
    group, rest = path[0], path[1:]
    if not rest:
        return [*items, item]
    below = list(items)
    place = next((place for place, each in enumerate(below) if each.get("linkId") == group), len(below))
    around = below[place] if place < len(below) else {"linkId": group}
    return [
        *below[:place],
        {**around, "item": _with_item(members(around, "item"), rest, item)},
        *below[place + 1 :],
    ]
