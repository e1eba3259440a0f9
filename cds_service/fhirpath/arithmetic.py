"""Sums, products and the like of System values; None where the specification says empty.

Source: FHIRPath N1 §6.6 (math), §6.6.7 (date/time arithmetic), http://hl7.org/fhirpath/N1/#math
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

from cds_service.fhirpath import dates, quantities
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.quantities import CALENDAR_UNITS, DEFINITE_UNITS, EXACT, Quantity
from cds_service.fhirpath.runtime import BadDataError

_LARGEST = 10**28
_CLOCK_UNITS = frozenset({"hour", "minute", "second", "millisecond"})


def is_number(value: Any) -> bool:
    """An integer or a decimal; true and false are no numbers."""
    return type(value) is int or type(value) is Decimal


def bounded(number: Any) -> Any:
    """A number that a FHIRPath implementation can hold; beyond that the result is empty (N1 §6.6)."""
    return number if -_LARGEST < number < _LARGEST else None


def _mismatch(operator: str, left: Any, right: Any) -> BadDataError:
    names = f"{_name(left)} {operator} {_name(right)}"
    return BadDataError(f"{names} has no meaning, expected two values that {operator} is defined for")


def _name(value: Any) -> str:
    return "element" if isinstance(value, dict) else type(value).__name__


def plus(left: Any, right: Any) -> Any:
    """``+``: numbers, strings, quantities of one dimension, a date or time and a duration."""
    if is_number(left) and is_number(right):
        return bounded(left + right if type(left) is type(right) is int else EXACT.add(left, right))
    if type(left) is str and type(right) is str:
        return left + right
    if type(left) is Quantity and type(right) is Quantity:
        return quantities.plus(left, right)
    if isinstance(left, Date | DateTime | Time) and type(right) is Quantity:
        return moved(left, right, 1)
    raise _mismatch("+", left, right)


def minus(left: Any, right: Any) -> Any:
    """``-``: as plus, without strings."""
    if is_number(left) and is_number(right):
        return bounded(left - right if type(left) is type(right) is int else EXACT.subtract(left, right))
    if type(left) is Quantity and type(right) is Quantity:
        return quantities.plus(left, negated(right))
    if isinstance(left, Date | DateTime | Time) and type(right) is Quantity:
        return moved(left, right, -1)
    raise _mismatch("-", left, right)


def negated(value: Any) -> Any:
    """``-value`` of a number or a quantity."""
    if is_number(value):
        return -value if type(value) is int else EXACT.minus(value)
    if type(value) is Quantity:
        return Quantity(EXACT.minus(value.value), value.unit, value.is_calendar, value.is_opaque)
    raise BadDataError(f"found {_name(value)} behind a sign, expected a number or a quantity")


def moved(moment: Date | DateTime | Time, by: Quantity, sign: int) -> Any:
    """The moment a duration later or earlier; decimals of the duration are ignored (official suite testPlusDate2)."""
    unit = duration_unit(by)
    amount = sign * int(by.value.to_integral_value(rounding=ROUND_DOWN))
    if not isinstance(moment, Time):
        return dates.plus_time(moment, amount, unit)
    if unit not in _CLOCK_UNITS:
        raise BadDataError(f"a time of day has no {unit}, expected hours, minutes, seconds or milliseconds")
    return dates.plus_clock(moment, amount, unit)


def duration_unit(by: Quantity) -> str:
    """The calendar unit that a date can be moved by (N1 §6.6.7); a UCUM month or year is no whole number of days."""
    unit = by.unit if by.is_calendar else DEFINITE_UNITS.get(by.unit) or CALENDAR_UNITS.get(by.unit)
    if unit is None or by.is_opaque:
        allowed = "a calendar duration (year, month, …), 'wk', 'd', 'h', 'min', 's' or 'ms'"
        raise BadDataError(f"'{by.unit}' cannot be added to a date or time, expected {allowed}")
    return unit


def times(left: Any, right: Any) -> Any:
    """``*``: numbers and quantities."""
    if is_number(left) and is_number(right):
        return bounded(left * right if type(left) is type(right) is int else EXACT.multiply(left, right))
    one, other = _as_quantities("*", left, right)
    return quantities.times(one, other)


def divided_by(left: Any, right: Any) -> Any:
    """``/``: a decimal even of integers; empty by zero."""
    if is_number(left) and is_number(right):
        return EXACT.divide(Decimal(left), Decimal(right)) if right else None
    one, other = _as_quantities("/", left, right)
    return quantities.divided_by(one, other)


def _as_quantities(operator: str, left: Any, right: Any) -> tuple[Quantity, Quantity]:
    if type(left) is Quantity and is_number(right):
        return left, Quantity(Decimal(right), "1")
    if type(right) is Quantity and is_number(left):
        return Quantity(Decimal(left), "1"), right
    if type(left) is Quantity and type(right) is Quantity:
        return left, right
    raise _mismatch(operator, left, right)


def whole_quotient(left: Any, right: Any) -> Any:
    """``div``: towards zero; empty by zero."""
    if not (is_number(left) and is_number(right)):
        raise _mismatch("div", left, right)
    return int(EXACT.divide_int(Decimal(left), Decimal(right))) if right else None


def remainder(left: Any, right: Any) -> Any:
    """``mod``: with the sign of the left side; empty by zero."""
    if not (is_number(left) and is_number(right)):
        raise _mismatch("mod", left, right)
    if not right:
        return None
    found = EXACT.remainder(Decimal(left), Decimal(right))
    return int(found) if type(left) is type(right) is int else found


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": plus,
    "-": minus,
    "*": times,
    "/": divided_by,
    "div": whole_quotient,
    "mod": remainder,
}
