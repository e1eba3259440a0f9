"""``Questionnaire/$questionnaire-package``: a form with its draft response and its value sets, in one Bundle.

The shape is that of the DTR questionnaire package. Its profile is not claimed: that wants expressions in CQL.
Source: https://hl7.org/fhir/us/davinci-dtr/OperationDefinition-questionnaire-package.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cds_service.errors import FhirPathError
from cds_service.fhirpath import parse
from cds_service.fhirpath.ast import Call, Literal, walk
from cds_service.policies.loading.extensions import FHIRPATH
from cds_service.record.resources import Resource, members, text


def questionnaire_package(
    questionnaire: Resource,
    response: Resource,
    value_sets: Iterable[Resource],
    now: datetime,
    fresh_id: Callable[[], str],
) -> Resource:
    """A collection: the Questionnaire, its draft response, and of ``value_sets`` those that it uses, as they are pinned.

    References to what is in the Bundle name its version; the argument of ``memberOf()`` stays as it is written, since
    not every engine takes a version there. ``now`` is aware; ``fresh_id`` gives new UUIDs.
    """
    used = value_sets_used(questionnaire)
    held = {str(each["url"]): each for each in value_sets if each.get("url") in used}
    form = {**questionnaire, **_with_versions(questionnaire, held)}
    draft = {"id": fresh_id(), **response, "questionnaire": _versioned(questionnaire)}
    entries = [
        {"fullUrl": form["url"], "resource": form},
        {"fullUrl": f"urn:uuid:{fresh_id()}", "resource": draft},
        *({"fullUrl": url, "resource": value_set} for url, value_set in sorted(held.items())),
    ]
    timestamp = now.isoformat(timespec="seconds")
    return {"resourceType": "Bundle", "type": "collection", "timestamp": timestamp, "entry": entries}


def value_sets_used(questionnaire: Resource) -> frozenset[str]:
    """The URLs, versions left out, of the value sets that a form's options are drawn from or its expressions ask."""
    return frozenset(url.partition("|")[0] for url in _named(questionnaire))


def _named(element: object) -> Iterator[str]:
    """Every value set that is named anywhere below an element."""
    waiting = [element]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting += current
        elif isinstance(current, Mapping):
            waiting += current.values()
            if options := text(current, "answerValueSet"):
                yield options
            if current.get("language") == FHIRPATH:
                yield from _asked_by(text(current, "expression") or "")


def _asked_by(expression: str) -> Iterator[str]:
    """The value sets that an expression asks for members; none of one that does not parse."""
    try:
        nodes = list(walk(parse(expression)))
    except FhirPathError:
        return
    for node in nodes:
        if isinstance(node, Call) and node.name == "memberOf":
            for argument in node.arguments:
                if isinstance(argument, Literal) and isinstance(argument.value, str):
                    yield argument.value


def _with_versions(parent: Resource, held: Mapping[str, Resource]) -> dict[str, Any]:
    """The members of a form or an item that change when its value sets are named with their versions."""
    changed: dict[str, Any] = {}
    options = text(parent, "answerValueSet")
    if options is not None and options in held:
        changed["answerValueSet"] = _versioned(held[options])
    if items := [{**item, **_with_versions(item, held)} for item in members(parent, "item")]:
        changed["item"] = items
    return changed


def _versioned(resource: Resource) -> str:
    version = text(resource, "version")
    return f"{resource['url']}|{version}" if version else str(resource["url"])
