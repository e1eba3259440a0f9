"""Paths that name the JSON (``valueQuantity``) where FHIRPath names the element (``value.ofType(Quantity)``).

Forms are full of them, since other form fillers walk the JSON; read to the letter, each would silently yield nothing.
Source: https://hl7.org/fhir/R4/fhirpath.html#polymorphism
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from cds_service.fhirpath import parse
from cds_service.fhirpath.ast import Member, walk
from cds_service.fhirpath.model import r4


def with_element_names(text: str) -> str:
    """The expression with every name of the JSON of a choice replaced by the element's. FhirPathSyntaxError as parsed."""
    named = [node for node in walk(parse(text)) if isinstance(node, Member) and node.name in _choices()]
    for node in sorted(named, key=lambda node: node.position, reverse=True):
        end = node.position + len(node.name)
        if text[node.position : end] == node.name:
            text = f"{text[: node.position]}{_choices()[node.name]}{text[end:]}"
    return text


@cache
def _choices() -> Mapping[str, str]:
    """JSON name → path of every choice in R4, but for those that some type has an element of (locationReference).

    ``valueCode`` and ``valueQuantity`` are elements of Device.property alone, and everywhere else the choice.
    """
    elements = [element for type_ in r4() for element in r4().elements(type_).values()]
    names = {element.name for element in elements}
    return MappingProxyType(
        {
            key: f"{element.name}.ofType({type_})"
            for element in elements
            if element.is_choice
            for key, type_ in element.keys
            if key not in names or element.name == "value"
        }
    )
