"""Definition-based extraction: answers put where the ``definition`` of their item says.

A group with a definition makes an element of its own each time it occurs. The values of one question go together: into
the repeating element that is being filled, if none of them is set in it yet, else into a new one.
Source: https://hl7.org/fhir/uv/sdc/extraction.html#definition-based-extraction
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.errors import ExtractionError
from cds_service.fhirpath.model import r4
from cds_service.policies.loading.extensions import extensions, value_of
from cds_service.questionnaires.extraction_places import Place, places_below
from cds_service.questionnaires.extraction_values import (
    Slot,
    Typed,
    answers_of,
    fixed_value,
    made_for,
    result,
    slot,
    slots,
)
from cds_service.questionnaires.items import questionnaire_items
from cds_service.record.resources import Resource, members, text

DEFINITION_EXTRACT = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-definitionExtract"
_VALUE = f"{DEFINITION_EXTRACT}Value"
_CORE = "http://hl7.org/fhir/StructureDefinition/"
# The steps from an element to one below it, and what goes there.
Assignment = tuple[tuple[str, ...], Typed]


@dataclass(frozen=True)
class Target:
    """An element being filled: the definitions that lie in it, its steps from the resource, its type and its JSON."""

    definition: str
    steps: tuple[str, ...]
    type: str
    element: dict[str, Any]

    def steps_of(self, definition: str | None) -> tuple[str, ...] | None:
        """The steps from here to what a definition names; None when it lies elsewhere, or is this element itself."""
        url, _, path = (definition or "").partition("#")
        steps = tuple(path.split(".")[1:])
        inside = (
            url == self.definition and len(steps) > len(self.steps) and steps[: len(self.steps)] == self.steps
        )
        return steps[len(self.steps) :] if inside else None


def by_definition(place: Place, extension: Resource) -> dict[str, Any]:
    """The resource of one declaration at a place. ExtractionError for a type or an element that R4 does not have."""
    definition = str(value_of(extension, "definition") or "").partition("|")[0]
    kind = _resource_type(place, definition)
    made: dict[str, Any] = {"resourceType": kind}
    if not definition.startswith(_CORE):
        made["meta"] = {"profile": [definition]}
    _fill(place, Target(definition, (), kind, made))
    return made


def _resource_type(place: Place, definition: str) -> str:
    """The type that a definition is of: of a profile, the one that the paths of its elements begin with."""
    if definition.startswith(_CORE):
        kind = definition.removeprefix(_CORE)
    else:
        items = (place.item, *(item for _, item in questionnaire_items(place.item)))
        named = (each for item in items for each in _definitions(item))
        kind = next(
            (each.partition("#")[2].split(".")[0] for each in named if each.startswith(f"{definition}#")), ""
        )
    if not r4().is_resource(kind):
        raise ExtractionError(
            place.path, f"the definition {definition!r}", "a resource type of R4, or a profile of one"
        )
    return kind


def _definitions(item: Resource) -> Iterator[str]:
    yield text(item, "definition") or ""
    for _, extension in extensions(item, _VALUE):
        yield str(value_of(extension, "definition") or "")


def _fill(place: Place, target: Target) -> None:
    """Put what this place and those below it say into the target."""
    own = target.steps_of(text(place.item, "definition"))
    if place.item.get("type") == "group" and own:
        target = _element_for(place, target, own)
        own = None
    declared = [*_declared(place, target)]
    answers = [*answers_of(place.focus)] if own else []
    if own and answers and not _collects(target.type, own):
        for answer in answers:
            _put(place, target.element, target.type, [(own, answer), *declared])
    else:
        _put(place, target.element, target.type, [*((own or (), answer) for answer in answers), *declared])
    for below in places_below(place):
        if not _starts_anew(below, target.definition):
            _fill(below, target)


def _starts_anew(place: Place, definition: str) -> bool:
    """Whether an item makes a resource of its own of the same definition."""
    declared = (value_of(each, "definition") for _, each in extensions(place.item, DEFINITION_EXTRACT))
    return definition in {str(each).partition("|")[0] for each in declared}


def _element_for(place: Place, target: Target, steps: Sequence[str]) -> Target:
    """The new element that a group stands for."""
    element, type_ = target.element, target.type
    for step in steps[:-1]:
        into = _one_slot(place, type_, step)
        element, type_ = _inner(element, into, is_new=False), into.type
    into = _one_slot(place, type_, steps[-1])
    inner = _inner(element, into, is_new=True)
    return Target(target.definition, (*target.steps, *steps), into.type, inner)


def _declared(place: Place, target: Target) -> Iterator[Assignment]:
    """The values that an item declares besides its answer, as far as they lie in the target."""
    for _, extension in extensions(place.item, _VALUE):
        steps = target.steps_of(value_of(extension, "definition"))
        for part in members(extension, "extension") if steps else ():
            if part.get("url") == "fixed-value":
                yield from ((steps or (), value) for value in fixed_value(part))
            elif part.get("url") == "expression":
                expression = text(part, "valueExpression", "expression") or ""
                yield from ((steps or (), result(found)) for found in place.results(expression))


def _put(place: Place, element: dict[str, Any], type_: str, assignments: Sequence[Assignment]) -> None:
    """Put values into an element, those that begin with the same step together."""
    for first in dict.fromkeys(steps[0] for steps, _ in assignments):
        inside = [(steps[1:], value) for steps, value in assignments if steps[0] == first and len(steps) > 1]
        for steps, value in assignments:
            if steps == (first,):
                into, made = made_for(value, _slots(place, type_, first), place.path)
                if into.is_list:
                    element.setdefault(into.key, []).append(made)
                else:
                    element[into.key] = made
        if inside:
            into = _one_slot(place, type_, first)
            last = (element.get(into.key) or [None])[-1] if into.is_list else None
            is_new = last is not None and _is_taken(last, into.type, inside)
            _put(place, _inner(element, into, is_new=is_new), into.type, inside)


def _inner(element: dict[str, Any], into: Slot, *, is_new: bool) -> dict[str, Any]:
    """The element under a slot: of a list a new one if asked for, or if there is none yet."""
    if not into.is_list:
        inner: dict[str, Any] = element.setdefault(into.key, {})
        return inner
    held: list[dict[str, Any]] = element.setdefault(into.key, [])
    if is_new or not held:
        held.append({})
    return held[-1]


def _is_taken(element: Resource, type_: str, assignments: Sequence[Assignment]) -> bool:
    """Whether a value that occurs once is set in the element already."""
    for steps, _ in assignments:
        for into in _found(type_, steps[0]):
            held = element.get(into.key)
            if held is None or into.is_list:
                continue
            if len(steps) == 1 or _is_taken(held, into.type, [(steps[1:], Typed(None, None))]):
                return True
    return False


def _collects(type_: str, steps: Sequence[str]) -> bool:
    """Whether several answers go into one element: the last step is a list."""
    for step in steps:
        found = _found(type_, step)
        if not found:
            return False
        type_, is_list = found[0].type, found[0].is_list
    return is_list


def _one_slot(place: Place, type_: str, step: str) -> Slot:
    found = _slots(place, type_, step)
    if len(found) > 1:
        raise ExtractionError(
            place.path, f"{type_}.{step}, which can have several types", f"{step}[x]:{found[0].key}"
        )
    return found[0]


def _slots(place: Place, type_: str, step: str) -> tuple[Slot, ...]:
    found = _found(type_, step)
    if not found:
        raise ExtractionError(place.path, f"{type_}.{step}", "an element that R4 has")
    return found


def _found(type_: str, step: str) -> tuple[Slot, ...]:
    """The slots that a step of a definition names: ``value[x]:valueQuantity``, ``value[x]``, a slice, an element."""
    name, _, narrowed = step.partition(":")
    if name.endswith("[x]") and narrowed:
        one = slot(type_, narrowed)
        return (one,) if one else ()
    return slots(type_, name.removesuffix("[x]"))
