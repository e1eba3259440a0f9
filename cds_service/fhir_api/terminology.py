"""Value sets expanded and asked for members. They are pinned lists: nothing is computed from a code system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_service.errors import RequestError
from cds_service.fhir_api.artefacts import Artefacts
from cds_service.fhir_api.parameters import Given, Inputs, outputs
from cds_service.record.codes import spellings
from cds_service.record.resources import Resource, members, text


@dataclass(frozen=True)
class Code:
    """A member of a value set."""

    system: str
    code: str
    display: str | None

    @property
    def contained(self) -> dict[str, str]:
        """As an expansion lists it."""
        shown = {"system": self.system, "code": self.code}
        return shown if self.display is None else {**shown, "display": self.display}


def value_set_of(inputs: Inputs, resource_id: str | None, held: Artefacts) -> Resource:
    """The value set that a call is about: by id, by canonical, or given in full."""
    if resource_id is not None:
        return held.read("ValueSet", resource_id)
    given: Resource | None = inputs.value("valueSet")
    if given is not None:
        return given
    url = inputs.one("url")
    if url is None:
        raise RequestError("Parameters", "no value set", "the parameter url or valueSet")
    version = inputs.value("valueSetVersion")
    reference = f"{url.value}|{version}" if version and "|" not in url.value else url.value
    return held.named("ValueSet", reference, url.where)


def expanded(value_set: Resource, inputs: Inputs, held: Artefacts, now: datetime) -> Resource:
    """The value set with the page of its expansion that is asked for.

    RequestError for one that lists no codes but describes them. ``now`` is aware.
    """
    codes = [code for code in codes_of(value_set, held) if _is_wanted(code, inputs.value("filter"))]
    offset, count = _bounds(inputs, "offset"), _bounds(inputs, "count")
    page = codes[offset or 0 :][:count]
    pinned = value_set.get("expansion", {})
    asked = {"filter": "valueString", "offset": "valueInteger", "count": "valueInteger"}
    parameters = [
        {"name": name, member: inputs.value(name)}
        for name, member in asked.items()
        if inputs.value(name) is not None
    ]
    expansion: dict[str, Any] = {
        **({"identifier": pinned["identifier"]} if "identifier" in pinned else {}),
        "timestamp": pinned.get("timestamp", now.isoformat(timespec="seconds")),
        "total": len(codes),
        **({"offset": offset} if offset is not None else {}),
        **({"parameter": parameters} if parameters else {}),
        **({"contains": [code.contained for code in page]} if page else {}),
    }
    left_out = {"expansion"} if inputs.value("includeDefinition") else {"expansion", "compose"}
    return {name: value for name, value in value_set.items() if name not in left_out} | {
        "expansion": expansion
    }


def validated(value_set: Resource, inputs: Inputs, held: Artefacts) -> Resource:
    """Parameters that say whether any of the codes given is a member."""
    members_by_spelling = {
        spelling: code for code in codes_of(value_set, held) for spelling in spellings(code.system, code.code)
    }
    asked = tuple(_asked(inputs))
    found = next((members_by_spelling[key] for key, _ in asked if key in members_by_spelling), None)
    name = text(value_set, "title") or text(value_set, "url") or "this value set"
    if found is None:
        return outputs([("result", False), ("message", f"None of the codes given is in {name}.")])
    claimed = next((display for key, display in asked if key in members_by_spelling), None)
    odd = claimed is not None and found.display is not None and claimed != found.display
    message = "The display differs from the one that is held." if odd else None
    return outputs([("result", True), ("message", message), ("display", found.display)])


def codes_of(value_set: Resource, held: Artefacts) -> tuple[Code, ...]:
    """The codes of a value set, each once, in its order. RequestError when it does not list them."""
    return tuple(dict.fromkeys(_codes(value_set, held)))


def _codes(value_set: Resource, held: Artefacts) -> Iterator[Code]:
    if isinstance(value_set.get("expansion"), Mapping):
        yield from _contained(value_set["expansion"])
        return
    compose = value_set.get("compose")
    excluded = {
        (code.system, code.code)
        for position, part in enumerate(members(compose, "exclude"))
        for code in _part(part, f"ValueSet.compose.exclude[{position}]", held)
    }
    for position, part in enumerate(members(compose, "include")):
        for code in _part(part, f"ValueSet.compose.include[{position}]", held):
            if (code.system, code.code) not in excluded:
                yield code


def _contained(parent: object) -> Iterator[Code]:
    """The codes of an expansion and of what is nested in it; headings are no codes."""
    for each in members(parent, "contains"):
        system, code = text(each, "system"), text(each, "code")
        if system and code and each.get("abstract") is not True:
            yield Code(system, code, text(each, "display"))
        yield from _contained(each)


def _part(part: Resource, where: str, held: Artefacts) -> list[Code]:
    """What one include or exclude names: codes listed, and in all of the value sets it names, which are pinned lists."""
    listed = [
        Code(system, code, text(concept, "display"))
        for concept in members(part, "concept")
        if (system := text(part, "system")) and (code := text(concept, "code"))
    ]
    named = list(_strings(part, "valueSet"))
    if "filter" in part or not (listed or named):
        raise RequestError(where, "codes described by a rule", "codes one by one")
    groups = [listed] if listed else []
    groups += [
        list(_codes(held.named("ValueSet", each, f"{where}.valueSet[{place}]"), held))
        for place, each in enumerate(named)
    ]
    first, *others = groups
    in_all = [{(code.system, code.code) for code in group} for group in others]
    return [code for code in first if all((code.system, code.code) in group for group in in_all)]


def _strings(element: Resource, name: str) -> Iterator[str]:
    """The words in the list ``element[name]``; whatever is none is passed over."""
    found = element.get(name)
    for each in found if isinstance(found, list) else ():
        if isinstance(each, str):
            yield each


def _is_wanted(code: Code, words: str | None) -> bool:
    return not words or words.casefold() in f"{code.code} {code.display or ''}".casefold()


def _bounds(inputs: Inputs, name: str) -> int | None:
    given = inputs.one(name)
    if given is not None and given.value < 0:
        raise RequestError(given.where, str(given.value), "0 or more")
    return None if given is None else int(given.value)


def _asked(inputs: Inputs) -> Iterator[tuple[tuple[str, str], str | None]]:
    """The (system, code) pairs to look for, with the display that each was given. RequestError when there are none."""
    code, coding, concept = (inputs.one(name) for name in ("code", "coding", "codeableConcept"))
    if sum(each is not None for each in (code, coding, concept)) != 1:
        raise RequestError("Parameters", "not one of them", "one of code, coding and codeableConcept")
    if code is not None:
        system = inputs.value("system")
        if system is None:
            raise RequestError("Parameters", "a code without system", "the parameter system")
        yield (system, code.value), inputs.value("display")
    elif coding is not None:
        yield _pair(coding.value, coding.where)
    elif concept is not None:
        yield from _pairs(concept)


def _pairs(concept: Given) -> Iterator[tuple[tuple[str, str], str | None]]:
    # A concept in words alone is in no value set: that is an answer, not a fault.
    for position, each in enumerate(members(concept.value, "coding")):
        yield _pair(each, f"{concept.where}.coding[{position}]")


def _pair(coding: Resource, where: str) -> tuple[tuple[str, str], str | None]:
    system, code = text(coding, "system"), text(coding, "code")
    if system is None or code is None:
        raise RequestError(where, "no system or no code", "both")
    return (system, code), text(coding, "display")
