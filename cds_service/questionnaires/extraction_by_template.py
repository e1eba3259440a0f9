"""Template-based extraction: a contained resource with expressions in it, filled with the answers.

An element whose context or value yields nothing is left out, and what is then empty with it; one whose context yields
several is repeated. Expressions inside an element see what its context yields.
Source: https://hl7.org/fhir/uv/sdc/extraction.html#template-based-extraction
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from cds_service.errors import ExtractionError
from cds_service.policies.loading.extensions import value_of
from cds_service.questionnaires.extraction_places import Place
from cds_service.questionnaires.extraction_values import Slot, Typed, made_for, result, slot
from cds_service.record.resources import Resource, members, text

_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-templateExtract"
TEMPLATE_EXTRACT, TEMPLATE_EXTRACT_BUNDLE = _SDC, f"{_SDC}Bundle"
_CONTEXT, _VALUE = f"{_SDC}Context", f"{_SDC}Value"
# A value and its sibling ``_name``, either of which may be missing.
Pair = tuple[Any, Any]
# No resource of R4 nests nearly so deep; what follows recurses.
_DEEPEST = 60


def template_named(place: Place, reference: object) -> Resource:
    """The contained resource that a declaration names. ExtractionError when the form contains none of that id."""
    named = text(reference, "reference") or ""
    for contained in members(place.questionnaire, "contained"):
        if f"#{contained.get('id')}" == named and text(contained, "resourceType"):
            return contained
    raise ExtractionError(
        place.path, "a template that the form does not contain", "a reference to one that it contains"
    )


def by_template(place: Place, template: Resource) -> dict[str, Any]:
    """The resource that a template makes at a place. Its id is the template's own name in the form, so it goes."""
    without_id = {name: value for name, value in template.items() if name != "id"}
    return _members(place, without_id, str(template["resourceType"]), 0)


def _members(place: Place, element: Resource, type_: str, depth: int) -> dict[str, Any]:
    """What is left of an element's members once they are filled."""
    if depth > _DEEPEST:
        raise ExtractionError(place.path, f"a template more than {_DEEPEST} elements deep", "a FHIR resource")
    type_ = str(element.get("resourceType", type_))
    made: dict[str, Any] = {}
    for name in dict.fromkeys(key.removeprefix("_") for key in element):
        value, sibling = element.get(name), element.get(f"_{name}")
        is_list = isinstance(value, list) or isinstance(sibling, list)
        pairs = zip_longest(value or [], sibling or []) if is_list else [(value, sibling)]
        filled = [each for pair in pairs for each in _filled(place, pair, slot(type_, name), depth)]
        if not is_list and len(filled) > 1:
            raise ExtractionError(place.path, f"several values for {type_}.{name}", "one")
        made |= _joined(name, filled, is_list=is_list)
    return made if made.keys() - {"resourceType"} else {}


def _joined(name: str, filled: list[Pair], *, is_list: bool) -> dict[str, Any]:
    """The pairs as the two members that JSON keeps them in."""
    values, siblings = [value for value, _ in filled], [sibling for _, sibling in filled]
    if not is_list:
        values, siblings = (values or [None])[0], (siblings or [None])[0]
        both = {name: values, f"_{name}": siblings}
        return {key: value for key, value in both.items() if value is not None}
    both = {name: values, f"_{name}": siblings}
    return {key: value for key, value in both.items() if any(each is not None for each in value)}


def _filled(place: Place, pair: Pair, into: Slot | None, depth: int) -> Iterator[Pair]:
    """What one element of the template becomes: nothing, itself, or as many as its context or value yields."""
    holder = next((each for each in pair if isinstance(each, dict)), {})
    if _is_declaration(holder):
        return
    context = _expression(holder, _CONTEXT)
    if context is None:
        yield from _evaluated(place, pair, into, depth)
        return
    name = text(value_of(holder, _CONTEXT), "name")
    for found in place.results(context):
        inside = place.focused(found, **({name: found} if name else {}))
        yield from _evaluated(inside, pair, into, depth)


def _evaluated(place: Place, pair: Pair, into: Slot | None, depth: int) -> Iterator[Pair]:
    value, sibling = pair
    holder = next((each for each in pair if isinstance(each, dict)), {})
    expression = _expression(holder, _VALUE)
    if expression is not None:
        for found in place.results(expression):
            yield _fitting(result(found), into, place.path), None
    elif isinstance(value, dict):
        if made := _members(place, value, into.type if into else "Element", depth + 1):
            yield made, None
    else:
        rest = _members(place, sibling, "Element", depth + 1) if isinstance(sibling, dict) else None
        if value is not None or rest:
            yield value, rest or None


def _fitting(value: Typed, into: Slot | None, where: str) -> Any:
    return value.json if into is None else made_for(value, (into,), where)[1]


def _expression(holder: Resource, url: str) -> str | None:
    written = value_of(holder, url)
    return written if isinstance(written, str) else text(written, "expression")


def _is_declaration(element: Resource) -> bool:
    """Whether it is one of the extensions that make a template: they are not part of what is made."""
    return element.get("url") in {_CONTEXT, _VALUE}
