"""What an expression meets while it runs: items, their types, and the conversion of FHIR values to System values.

An item whose type is known at compile time is plain JSON. Where it is not known an item carries its type: a resource by
its ``resourceType``, a System value by its Python class, anything else as a ``Node``. A primitive with a ``_name``
sibling is always a ``Node``: it exists even when it has no value.

Source: https://hl7.org/fhir/R4/fhirpath.html (types, implicit conversions), https://hl7.org/fhir/R4/json.html#primitive
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from cds_service.errors import FhirPathBudgetError, FhirPathEvaluationError
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.model import Model
from cds_service.fhirpath.quantities import Quantity

UCUM = "http://unitsofmeasure.org"

Item = Any
"""A dict of JSON, a System value, or a Node."""
Unbox = Callable[[Item], Any]
"""An item to its System value; None when it has no value; a complex element to itself."""


class Environment(NamedTuple):
    """What an expression may ask of the world; everything else is in its focus.

    ``now`` is aware. ``variables`` are asked each time one is evaluated and may raise. ``member_of`` takes a value set's
    url, a system and a code; ``resolve`` a reference. ``steps`` is the budget. ``value_sets`` are those at hand: their
    (system, code) pairs by url; ``member_of`` is only asked of others.
    """

    now: datetime
    variables: Mapping[str, Any] = MappingProxyType({})
    member_of: Callable[[str, str | None, str], bool] | None = None
    resolve: Callable[[str], Mapping[str, Any] | None] | None = None
    steps: int = 1_000_000
    value_sets: Mapping[str, AbstractSet[tuple[str | None, str]]] = MappingProxyType({})


class Frame:
    """One evaluation: its focus, its environment, what is left of its budget and the loop it is in."""

    __slots__ = (
        "environment",
        "expression",
        "focus",
        "index",
        "memory",
        "steps",
        "total",
        "value_sets",
        "variables",
        "zone",
    )

    def __init__(self, focus: list[Item], environment: Environment, expression: str) -> None:
        self.focus = focus
        self.environment = environment
        self.variables = environment.variables
        self.value_sets = environment.value_sets
        self.expression = expression
        self.steps = environment.steps
        self.zone: tzinfo = environment.now.tzinfo or _zone(environment.now, expression)
        self.memory: dict[object, list[Item]] = {}
        self.index = 0
        self.total: list[Item] = []

    def spend(self, steps: int, position: int) -> None:
        """Take from the budget."""
        self.steps -= steps
        if self.steps < 0:
            raise over_budget(self, position)


def _zone(now: datetime, expression: str) -> tzinfo:
    if now.tzinfo is None:
        raise FhirPathEvaluationError(
            "the time of the evaluation has no zone, expected an aware datetime", expression, 0
        )
    return now.tzinfo


def over_budget(frame: Frame, position: int) -> FhirPathBudgetError:
    """The error of an expression that looked at more items than it may."""
    allowed = frame.environment.steps
    return FhirPathBudgetError(
        f"used more than {allowed} steps, expected less work", frame.expression, position
    )


class BadDataError(Exception):
    """Data that is not shaped like FHIR; the compiler adds the expression and the position."""


# Not frozen for the sake of speed, as the dates are not: never change one.
@dataclass(slots=True, eq=False)
class Node:
    """An element that carries its type, or a primitive that carries its ``_name`` sibling in ``extra``."""

    type: str | None
    value: Any
    extra: dict[str, Any] | None = None


def is_resource(item: Item) -> bool:
    """Whether it is the JSON of a resource."""
    return type(item) is dict and "resourceType" in item


_SYSTEM_TYPE_OF: dict[type, str] = {
    bool: "System.Boolean",
    int: "System.Integer",
    Decimal: "System.Decimal",
    str: "System.String",
    Date: "System.Date",
    DateTime: "System.DateTime",
    Time: "System.Time",
    Quantity: "System.Quantity",
}


def type_of(item: Item) -> str | None:
    """The type that a self-describing item carries; None when nobody knows."""
    if type(item) is Node:
        return item.type
    if type(item) is dict:
        resource_type = item.get("resourceType")
        return resource_type if type(resource_type) is str else None
    return _SYSTEM_TYPE_OF.get(type(item))


def system_type_of_class(class_: type) -> str:
    """The System type whose values are of a Python class."""
    return _SYSTEM_TYPE_OF[class_]


def system_type(value: object) -> str | None:
    """The System type of a value, None for a complex element."""
    return _SYSTEM_TYPE_OF.get(type(value))


def _wrong(found: object, expected: str) -> BadDataError:
    """Values are patient data and never in a message: only what kind of thing was found."""
    return BadDataError(f"found {type(found).__name__} in the data, expected {expected}")


def _reader(expected: str, read: Callable[[Any], Any], parse: Callable[[str], Any] | None = None) -> Unbox:
    """A converter that looks inside Nodes and refuses what ``read`` cannot read; ``parse`` does the same of a string."""

    def unbox(item: Item) -> Any:
        if parse is not None and item.__class__ is str:
            value = parse(item)
            if value is None:
                raise _wrong(item, expected)
            return value
        if type(item) is Node:
            item = item.value
        if item is None:
            return None
        value = read(item)
        if value is None:
            raise _wrong(item, expected)
        return value

    return unbox


def _string(item: Item) -> str | None:
    return item if type(item) is str else None


def _boolean(item: Item) -> bool | None:
    return item if type(item) is bool else None


def _integer(item: Item) -> int | None:
    return item if type(item) is int else None


def _decimal(item: Item) -> Decimal | None:
    if type(item) is float or type(item) is int:
        return Decimal(repr(item))
    return item if type(item) is Decimal else None


def _date(item: Item) -> Date | None:
    if type(item) is str:
        return Date.parse(item)
    return item if type(item) is Date else None


def _date_time(item: Item) -> DateTime | None:
    if type(item) is str:
        return DateTime.parse(item)
    return item if type(item) is DateTime else None


def _time(item: Item) -> Time | None:
    if type(item) is str:
        return Time.parse(item)
    return item if type(item) is Time else None


_READERS: dict[str, Unbox] = {
    "System.String": _reader("a string", _string),
    "System.Boolean": _reader("true or false", _boolean),
    "System.Integer": _reader("an integer", _integer),
    "System.Decimal": _reader("a number", _decimal),
    "System.Date": _reader("a date", _date, Date.parse),
    "System.DateTime": _reader("a dateTime", _date_time, DateTime.parse),
    "System.Time": _reader("a time", _time, Time.parse),
}


def quantity_of(item: Item) -> Quantity | None:
    """A FHIR Quantity as a System one (R4 fhirpath.html, "Use of FHIR Quantity").

    A comparator (``< 5 mg``) makes it no single value. A unit outside UCUM is only comparable with the very same.
    """
    if type(item) is Node:
        item = item.value
    if type(item) is Quantity or item is None:
        return item
    if type(item) is not dict:
        raise _wrong(item, "a Quantity")
    value = item.get("value")
    if value is None or item.get("comparator") is not None:
        return None
    number = _decimal(value)
    if number is None:
        raise _wrong(value, "a number")
    return _with_unit(number, item.get("system"), item.get("code"), item.get("unit"))


def _with_unit(number: Decimal, system: Any, code: Any, unit: Any) -> Quantity:
    if system == UCUM and type(code) is str:
        return Quantity(number, code)
    if code is None and unit is None:
        return Quantity(number, "1")
    return Quantity(number, f"{system}|{code if code is not None else unit}", is_opaque=True)


def _itself(item: Item) -> Any:
    return item.value if type(item) is Node else item


def reader(model: Model, type_: str) -> Unbox:
    """The conversion of items of one type to System values."""
    if model.is_quantity(type_):
        return quantity_of
    if type_ == "System.Quantity":
        return _itself
    return _READERS.get(model.system_of.get(type_, type_), _itself)


def readers(model: Model) -> Unbox:
    """The conversion of self-describing items to System values."""
    known: dict[str | None, Unbox] = {None: _itself}

    def unbox(item: Item) -> Any:
        if type(item) is not Node:
            return item
        read = known.get(item.type)
        if read is None:
            read = known[item.type] = reader(model, str(item.type))
        return read(item)

    return unbox
