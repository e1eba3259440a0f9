"""When System values and complex elements are equal, equivalent or in order.

Source: FHIRPath N1 §6.1 (equality), §6.2 (comparison), http://hl7.org/fhirpath/N1/#equality
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from cds_service.fhirpath import dates, quantities
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.quantities import Quantity, decimals, rounded
from cds_service.fhirpath.runtime import BadDataError, Node

_MAX_NESTING = 200
_MAX_LIST = 500


def kind_of(value: Any) -> str:
    """What a value can be compared with: numbers with numbers, days with moments, quantities with quantities."""
    return _KINDS.get(type(value), "complex")


_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    Decimal: "number",
    str: "string",
    Date: "date",
    DateTime: "date",
    Time: "time",
    Quantity: "quantity",
}
KIND_OF_TYPE = {
    "System.Boolean": "boolean",
    "System.Integer": "number",
    "System.Decimal": "number",
    "System.String": "string",
    "System.Date": "date",
    "System.DateTime": "date",
    "System.Time": "time",
    "System.Quantity": "quantity",
}


def _converted(left: Any, right: Any) -> tuple[Any, Any]:
    """A number set against a quantity is a quantity without a unit (N1 §5.5, implicit conversion)."""
    if type(left) is Quantity and kind_of(right) == "number":
        return left, Quantity(Decimal(right), "1")
    if type(right) is Quantity and kind_of(left) == "number":
        return Quantity(Decimal(left), "1"), right
    return left, right


def equal(left: Any, right: Any, zone: tzinfo) -> bool | None:
    """``=`` of two values; None when the precision, the zone or the unit cannot tell."""
    left, right = _converted(left, right)
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    if kind == "date":
        return _is_zero(dates.compare(left, right, zone))
    if kind == "time":
        return _is_zero(dates.compare_times(left, right))
    if kind == "quantity":
        return _is_zero(quantities.compare(left, right))
    if kind == "complex":
        return identity(left) == identity(right)
    return bool(left == right)


def _is_zero(order: int | None) -> bool | None:
    return None if order is None else order == 0


def compare(left: Any, right: Any, zone: tzinfo) -> int | None:
    """-1, 0 or 1; None when it cannot be told; BadDataError for values that have no order between them."""
    left, right = _converted(left, right)
    kind = kind_of(left)
    if kind != kind_of(right) or kind in {"boolean", "complex"}:
        raise BadDataError(f"{_name(left)} and {_name(right)} have no order, expected two values of one kind")
    if kind == "date":
        return dates.compare(left, right, zone)
    if kind == "time":
        return dates.compare_times(left, right)
    if kind == "quantity":
        return quantities.compare(left, right)
    return _natural_order(left, right, zone)


def order_of(kind: str) -> Callable[[Any, Any, tzinfo], int | None]:
    """compare() of two values that are known to be of one kind."""
    if kind == "date":
        return dates.compare
    if kind == "quantity":
        return lambda left, right, _zone: quantities.compare(left, right)
    if kind == "time":
        return lambda left, right, _zone: dates.compare_times(left, right)
    return _natural_order


def _natural_order(left: Any, right: Any, _zone: tzinfo) -> int:
    return int(left > right) - int(left < right)


def _name(value: Any) -> str:
    return "an element" if kind_of(value) == "complex" else f"a {kind_of(value)}"


def equivalent(left: Any, right: Any, zone: tzinfo) -> bool:
    """``~`` of two values (N1 §6.1.2): strings regardless of case and spacing, decimals at the lesser precision."""
    left, right = _converted(left, right)
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    match kind:
        case "string":
            return _normal(left) == _normal(right)
        case "number":
            digits = min(decimals(Decimal(left)), decimals(Decimal(right)))
            return rounded(Decimal(left), digits) == rounded(Decimal(right), digits)
        case "quantity":
            return quantities.equivalent(left, right)
        case "complex":
            return _equivalent_content(left, right, 0)
    return equal(left, right, zone) is True


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _equivalent_content(left: Any, right: Any, nesting: int) -> bool:
    """Complex elements: the same elements, each equivalent, lists in any order; ids do not count."""
    _refuse_deep(nesting)
    if isinstance(left, dict) and isinstance(right, dict):
        keys = left.keys() - {"id"}
        if keys != right.keys() - {"id"}:
            return False
        return all(_equivalent_content(left[key], right[key], nesting + 1) for key in keys)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and _pairable(left, right, nesting + 1)
    if isinstance(left, str) and isinstance(right, str):
        return _normal(left) == _normal(right)
    return identity(left) == identity(right)


def _pairable(left: list[Any], right: list[Any], nesting: int) -> bool:
    if len(left) > _MAX_LIST:
        raise BadDataError(
            f"a list of {len(left)} in an element to be compared with ~, expected at most {_MAX_LIST}"
        )
    remaining = list(right)
    for item in left:
        match = next((other for other in remaining if _equivalent_content(item, other, nesting)), None)
        if match is None:
            return False
        remaining.remove(match)
    return True


def equivalent_collections(left: list[Any], right: list[Any], zone: tzinfo) -> bool:
    """``~`` of two collections: the same items in any order, and both empty is equivalent."""
    if len(left) != len(right):
        return False
    remaining = list(right)
    for item in left:
        for position, other in enumerate(remaining):
            if equivalent(item, other, zone):
                del remaining[position]
                break
        else:
            return False
    return True


def identity(value: Any, nesting: int = 0) -> Hashable:
    """Equal for equal values, and only for them; what sets of items are made of."""
    _refuse_deep(nesting)
    kind = type(value)
    if kind is dict:
        return frozenset((key, identity(part, nesting + 1)) for key, part in value.items())
    if kind is list:
        return ("list", *(identity(part, nesting + 1) for part in value))
    if kind is bool:
        return ("boolean", value)
    if kind is float:
        return Decimal(repr(value))
    if kind is Date or kind is DateTime or kind is Time:
        return dates.identity(value)
    if kind is Quantity:
        return quantities.magnitude(value) or ("unit", value.unit, value.value)
    if kind is Node:
        return ("node", identity(value.value, nesting + 1), identity(value.extra, nesting + 1))
    return value  # type: ignore[no-any-return]  # str, int, Decimal, None


def _refuse_deep(nesting: int) -> None:
    if nesting > _MAX_NESTING:
        raise BadDataError(f"an element nested more than {_MAX_NESTING} levels, expected fewer")
