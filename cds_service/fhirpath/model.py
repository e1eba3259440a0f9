"""The FHIR R4 types and elements that paths are checked against, read from ``r4.json`` (see generate_r4.py).

A type is written as FHIR writes it (``Patient``, ``boolean``); a backbone element by its path (``Patient.contact``); a
System type with its namespace (``System.Boolean``).

Source: https://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SYSTEM_TYPES = ("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "Any")
ABSTRACT = frozenset({"Resource", "DomainResource", "Element", "BackboneElement", "System.Any"})

_SYSTEM_OF = {
    "boolean": "System.Boolean",
    "integer": "System.Integer",
    "unsignedInt": "System.Integer",
    "positiveInt": "System.Integer",
    "decimal": "System.Decimal",
    "date": "System.Date",
    "dateTime": "System.DateTime",
    "instant": "System.DateTime",
    "time": "System.Time",
}
"""Implicit conversions (R4 fhirpath.html §2.9.1.1.2); every other primitive is a string."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a type: for each type it can have, the JSON key it then lies under."""

    name: str
    keys: tuple[tuple[str, str], ...]
    is_list: bool
    is_choice: bool

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(type_ for _, type_ in self.keys)


class Model:
    """The types of one FHIR release."""

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        self._definitions = definitions
        self._elements: dict[str, Mapping[str, Element]] = {}
        # Asked for every resource of a Bundle, about few types: answers are kept.
        self._kinship: dict[tuple[str, str], bool] = {}
        self.system_of = {
            name: _SYSTEM_OF.get(name, "System.String")
            for name, definition in definitions.items()
            if definition["kind"] == "primitive-type"
        }

    def __contains__(self, type_: str | None) -> bool:
        return type_ in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def is_resource(self, type_: str) -> bool:
        """Whether it is a resource, abstract or not."""
        definition = self._definitions.get(type_)
        return definition is not None and definition["kind"] == "resource"

    def is_quantity(self, type_: str) -> bool:
        """Whether it is a FHIR Quantity, which converts to System.Quantity; Money is none in R4."""
        return type_ in self._definitions and self.is_a(type_, "Quantity")

    def bases(self, type_: str) -> Iterator[str]:
        """The type and all it specialises, the nearest first."""
        definition = self._definitions.get(type_)
        while definition is not None:
            yield type_
            type_ = definition["base"]
            definition = self._definitions.get(type_)

    def is_a(self, type_: str, other: str) -> bool:
        """Whether ``type_`` is ``other`` or specialises it."""
        known = self._kinship.get((type_, other))
        if known is None:
            known = other in {type_, "System.Any"} or any(base == other for base in self.bases(type_))
            # Types that no definition names come from data: they are not kept, there is no end of them.
            if type_ in self._definitions:
                self._kinship[type_, other] = known
        return known

    def elements(self, type_: str) -> Mapping[str, Element]:
        """The elements of the type by name, inherited ones too."""
        if type_ not in self._elements:
            self._elements[type_] = {
                element.name: element
                for base in reversed(list(self.bases(type_)))
                for element in _own_elements(self._definitions[base]["elements"])
            }
        return self._elements[type_]

    def element(self, type_: str, name: str) -> Element | None:
        """One element by name, ``value`` for ``value[x]``."""
        return self.elements(type_).get(name)


def _own_elements(elements: Mapping[str, str]) -> Iterator[Element]:
    for key, text in elements.items():
        types = text.removesuffix("*").split("|")
        name = key.removesuffix("[x]")
        is_choice = name != key
        keys = tuple((name + type_[0].upper() + type_[1:] if is_choice else name, type_) for type_ in types)
        yield Element(name, keys, text.endswith("*"), is_choice)


@cache
def r4() -> Model:
    """FHIR R4, read once."""
    return Model(json.loads(Path(__file__).with_name("r4.json").read_bytes()))


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean …`` for a near miss, otherwise what there is."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"expected one of {', '.join(names)}" if names else "it has no elements"
