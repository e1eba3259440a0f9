"""Where each answer comes from: the ``information-origin`` extension of Da Vinci DTR.

``auto-server``: filled in by us, from the record or as the form's own initial value. ``auto-client``: filled in by
another form filler. ``override``: filled in and then changed by a person. ``manual``: given by a person.
Source: http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/information-origin
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from cds_service.questionnaires.answer_values import equal, value_of_answer
from cds_service.record.resources import Resource, members, text

INFORMATION_ORIGIN = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/information-origin"
AUTO_CLIENT, AUTO_SERVER, OVERRIDE, MANUAL = "auto-client", "auto-server", "override", "manual"
# An item's place: linkId and how manieth of that linkId there, from the outside in, and the answers passed through.
Key = tuple[object, ...]


def origin_of(answer: Resource) -> str | None:
    """The origin that an answer states, None when it states none."""
    for extension in members(answer, "extension"):
        if extension.get("url") == INFORMATION_ORIGIN:
            for part in members(extension, "extension"):
                if part.get("url") == "source":
                    return text(part, "valueCode")
    return None


def author_of(answer: Resource) -> str | None:
    """Who gave or changed an answer, as a reference."""
    for extension in members(answer, "extension"):
        if extension.get("url") == INFORMATION_ORIGIN:
            for author in members(extension, "extension"):
                for part in members(author, "extension"):
                    if part.get("url") == "practitioner":
                        return text(part, "valueReference", "reference")
    return None


def with_origin(answer: Resource, source: str, author: str | None) -> dict[str, Any]:
    """The answer, stating this origin and no other. DTR wants an ``author`` (a reference) of what a person gave."""
    parts: list[dict[str, Any]] = [{"url": "source", "valueCode": source}]
    if author is not None and source in {OVERRIDE, MANUAL}:
        practitioner = {"url": "practitioner", "valueReference": {"reference": author}}
        parts.append({"url": "author", "extension": [practitioner]})
    others = [each for each in members(answer, "extension") if each.get("url") != INFORMATION_ORIGIN]
    return {**answer, "extension": [*others, {"url": INFORMATION_ORIGIN, "extension": parts}]}


def with_origins(response: Resource, populated: Resource, author: str | None) -> dict[str, Any]:
    """A submitted response, each answer marked by comparing it with what was populated.

    The same as populated: the origin that it was populated with. Other than populated: ``override``. Where nothing was
    populated: ``auto-client`` if it says so itself, else ``manual``.
    """
    return _marked(response, dict(_answers(populated, ())), author, ())


def _answers(element: Resource, key: Key) -> Iterator[tuple[Key, list[Resource]]]:
    for inner, item in _keyed(element, key):
        answers = [*members(item, "answer")]
        yield inner, answers
        yield from _answers(item, inner)
        for position, answer in enumerate(answers):
            yield from _answers(answer, (*inner, position))


def _keyed(element: Resource, key: Key) -> Iterator[tuple[Key, Resource]]:
    seen: dict[str | None, int] = defaultdict(int)
    for item in members(element, "item"):
        link_id = text(item, "linkId")
        yield (*key, (link_id, seen[link_id])), item
        seen[link_id] += 1


def _marked(
    element: Resource, populated: dict[Key, list[Resource]], author: str | None, key: Key
) -> dict[str, Any]:
    marked: dict[str, Any] = dict(element)
    if "item" in element:
        marked["item"] = [
            _marked_item(item, populated, author, inner) for inner, item in _keyed(element, key)
        ]
    return marked


def _marked_item(
    item: Resource, populated: dict[Key, list[Resource]], author: str | None, key: Key
) -> dict[str, Any]:
    marked = _marked(item, populated, author, key)
    if "answer" in item:
        marked["answer"] = [
            with_origin(
                _marked(answer, populated, author, (*key, position)),
                _source(answer, populated.get(key, [])),
                author,
            )
            for position, answer in enumerate(members(item, "answer"))
        ]
    return marked


def _source(answer: Resource, populated: list[Resource]) -> str:
    for before in populated:
        if _same(answer, before):
            return origin_of(before) or AUTO_SERVER
    if populated:
        return OVERRIDE
    return AUTO_CLIENT if origin_of(answer) == AUTO_CLIENT else MANUAL


def _same(one: Resource, other: Resource) -> bool:
    left, right = value_of_answer(one), value_of_answer(other)
    return left is not None and right is not None and left[0] == right[0] and equal(left[1], right[1])
