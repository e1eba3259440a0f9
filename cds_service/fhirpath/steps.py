"""From an item to an element of it, over plain JSON.

Source: FHIRPath N1 §3 (path selection), https://hl7.org/fhir/R4/json.html#primitive (``_name`` siblings)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from cds_service.fhirpath.model import Element, Model
from cds_service.fhirpath.runtime import BadDataError, Item, Node

One = Callable[[Item], Item | None]
Many = Callable[[Item], list[Item]]
Fault = Callable[[Item], Exception]
"""The error of an item that has no elements, with the place in the expression that asked for one."""


def not_an_object(item: Item) -> BadDataError:
    """The error of a scalar or a list where FHIR has an object."""
    return BadDataError(f"found {type(item).__name__} in the data, expected an object")


def complex_one(key: str, fault: Fault) -> One:
    """A complex element that occurs once."""

    def step(item: Item) -> Item | None:
        try:
            return item.get(key)
        except AttributeError:
            raise fault(item) from None

    return step


def complex_many(key: str, fault: Fault) -> Many:
    """A complex element that repeats; the list is the data's own, so nobody may change it."""

    def step(item: Item) -> list[Item]:
        try:
            found = item.get(key)
        except AttributeError:
            raise fault(item) from None
        if found is None:
            return []
        return found if type(found) is list else [found]

    return step


def primitive_one(key: str, type_: str, fault: Fault) -> One:
    """A primitive that occurs once: its JSON value, or a Node when it has a sibling with an id or extensions."""
    sibling = "_" + key

    def step(item: Item) -> Item | None:
        try:
            extra = item.get(sibling)
        except AttributeError:
            raise fault(item) from None
        return item.get(key) if extra is None else Node(type_, item.get(key), extra)

    return step


def primitive_many(key: str, type_: str, fault: Fault) -> Many:
    """A primitive that repeats; the sibling list runs parallel, with null where there is nothing."""
    sibling = "_" + key

    def step(item: Item) -> list[Item]:
        try:
            found, extras = item.get(key), item.get(sibling)
        except AttributeError:
            raise fault(item) from None
        values = _listed(found)
        if extras is None:
            return [value for value in values if value is not None]
        pairs = zip_longest(values, _listed(extras))
        return [
            value if extra is None else Node(type_, value, extra)
            for value, extra in pairs
            if value is not None or extra is not None
        ]

    return step


def _listed(found: Any) -> list[Any]:
    if type(found) is list:
        return found
    return [] if found is None else [found]


def extension_of_primitive(name: str) -> Many:
    """``extension`` or ``id`` of a primitive, which lie in its sibling."""

    def step(item: Item) -> list[Item]:
        extra = item.extra if type(item) is Node else None
        return _listed(extra.get(name)) if extra else []

    return step


def boxed(model: Model, type_: str, item: Item) -> Item:
    """The item with its type on it."""
    if type(item) is Node:
        return item
    if type(item) is dict and "resourceType" in item and model.is_resource(type_):
        return item
    return Node(type_, item)


def boxed_elements(model: Model, source: dict[str, Any], element: Element) -> Iterator[Item]:
    """All there is of one element, each with its type."""
    for key, type_ in element.keys:
        if key in source or "_" + key in source:
            is_primitive = type_ in model.system_of
            for item in _all_at(key, type_, source, is_primitive=is_primitive):
                yield boxed(model, type_, item)


def _all_at(key: str, type_: str, source: dict[str, Any], *, is_primitive: bool) -> list[Item]:
    if is_primitive:
        return primitive_many(key, type_, not_an_object)(source)
    return complex_many(key, not_an_object)(source)


def dynamic(model: Model, name: str) -> Many:
    """An element of an item that carries its type; nothing when the type has no such element."""

    def step(item: Item) -> list[Item]:
        type_, source = content(item)
        if source is None:
            return []
        if type_ not in model:
            return list(untyped_element(model, source, name))
        element = model.element(type_ or "", name)
        return list(boxed_elements(model, source, element)) if element else []

    return step


def content(item: Item) -> tuple[str | None, dict[str, Any] | None]:
    """The type of a self-describing item and the JSON object of its elements, None when it can have none."""
    if type(item) is Node:
        source = item.value if type(item.value) is dict else item.extra
        return item.type, source
    if type(item) is dict:
        return item.get("resourceType"), item
    return None, None


def untyped_element(model: Model, source: dict[str, Any], name: str) -> Iterator[Item]:
    """An element of an object whose type nobody knows: by its key, or by ``name`` and a type for a choice."""
    if name in source:
        yield from (untyped(value) for value in _listed(source[name]) if value is not None)
        return
    for key, found in source.items():
        type_ = key.removeprefix(name)
        if type_ != key and type_[:1].isupper():
            known = type_ if type_ in model else type_[0].lower() + type_[1:]
            yield from (boxed(model, known, value) for value in _listed(found))


def untyped(value: Any) -> Item:
    """A JSON value whose FHIR type nobody knows: a number is a System value, an object an untyped Node."""
    if type(value) is float:
        return Decimal(repr(value))
    if type(value) is dict and "resourceType" not in value:
        return Node(None, value)
    return value


def children(model: Model) -> Many:
    """All elements of a self-describing item, in the order of the definition (N1 §5.8.1)."""

    def step(item: Item) -> list[Item]:
        type_, source = content(item)
        if source is None:
            return []
        if type_ not in model:
            return [found for name in source for found in untyped_element(model, source, name)]
        elements = model.elements(type_ or "").values()
        return [found for element in elements for found in boxed_elements(model, source, element)]

    return step
