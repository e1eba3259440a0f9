"""Boundaries and precision: FHIRPath §5.7 of the current build, https://build.fhir.org/ig/HL7/FHIRPath/#boundaries.

A value that was written with a certain precision stands for all values that would be written so: 1.5 for 1.45 to 1.55.
"""

from __future__ import annotations

import calendar
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath import quantities
from cds_service.fhirpath.compiled import Compiled, Invocation, system
from cds_service.fhirpath.dates import EASTMOST, WESTMOST, Date, DateTime, Time
from cds_service.fhirpath.functions.registry import Function, argument, function
from cds_service.fhirpath.quantities import Quantity, decimals
from cds_service.fhirpath.runtime import BadDataError, Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_WIDE = Context(prec=70)
_MOST_DIGITS = 28
_DEFAULT_DIGITS = 8
_LAST_NANO = 59_999_000_000
"""The last millisecond of a minute."""
_DATE_DIGITS = (4, 6, 8, 10, 12, 17)
_TIME_DIGITS = (2, 4, 9)
"""Digits written for each precision, as precision() counts them."""


def _boundary(*, is_high: bool) -> Function:
    def compile_(compiler: Compiler, call: Invocation) -> Compiled:
        value = compiler.value(call.target)
        digits = compiler.integer(argument(compiler, call, 0)) if call.node.arguments else None

        def bound(item: Item, frame: Frame) -> Any:
            found = value(item, frame)
            wanted = None if digits is None else digits(item, frame)
            return None if found is None else boundary(found, wanted, is_high=is_high)

        type_ = call.target.type and compiler.system_of(call.target.type)
        name = "Decimal" if type_ == "System.Integer" else (type_ or "System.Any").removeprefix("System.")
        return system(compiler.guarded(bound, call.position), name, call.position)

    return function(compile_, 0, 1)


def boundary(value: Any, digits: int | None, *, is_high: bool) -> Any:
    """The least or greatest value that ``value`` can stand for; empty if it cannot have the digits asked for."""
    if type(value) is int or type(value) is Decimal:
        return number_boundary(Decimal(value), digits, is_high=is_high)
    if type(value) is Quantity:
        number = number_boundary(value.value, digits, is_high=is_high)
        return None if number is None else Quantity(number, value.unit, value.is_calendar, value.is_opaque)
    if type(value) is Time:
        return _time_boundary(value, digits, is_high=is_high)
    if type(value) is Date or type(value) is DateTime:
        return _date_boundary(value, digits, is_high=is_high)
    raise BadDataError("found a value without precision, expected a number, quantity, date or time")


def number_boundary(value: Decimal, digits: int | None, *, is_high: bool) -> Decimal | None:
    """Half a unit of the last place away, rounded outwards to the digits."""
    places = _DEFAULT_DIGITS if digits is None else digits
    if not 0 <= places <= _MOST_DIGITS:
        return None
    half = Decimal(5).scaleb(-decimals(value) - 1)
    bound = _WIDE.add(value, half) if is_high else _WIDE.subtract(value, half)
    unit = Decimal(1).scaleb(-places)
    if abs(bound) < unit / 2:  # smaller than can be written: the official suite has 0.0, not one unit
        return Decimal(0).quantize(unit)
    return bound.quantize(unit, rounding=ROUND_CEILING if is_high else ROUND_FLOOR, context=_WIDE)


def _time_boundary(value: Time, digits: int | None, *, is_high: bool) -> Time | None:
    wanted = 9 if digits is None else digits
    if wanted not in _TIME_DIGITS:
        return None
    parts = _filled(value.parts, (23, 59, _LAST_NANO) if is_high else (0, 0, 0))
    return Time(parts[: _TIME_DIGITS.index(wanted) + 1], 3 if wanted == 9 else 0)


def _filled(parts: tuple[int, ...], rest: tuple[int, ...]) -> tuple[int, ...]:
    return parts + rest[len(parts) :]


def _date_boundary(value: Date | DateTime, digits: int | None, *, is_high: bool) -> Date | DateTime | None:
    wanted = digits if digits is not None else 8 if type(value) is Date else 17
    if wanted not in _DATE_DIGITS:
        return None
    parts = _high_parts(value.parts) if is_high else _filled(value.parts, (1, 1, 1, 0, 0, 0))
    kept = parts[: _DATE_DIGITS.index(wanted) + 1]
    if type(value) is Date and len(kept) <= 3:
        return Date(kept)
    if len(kept) <= 3:
        return DateTime(kept)
    is_utc = isinstance(value, DateTime) and value.is_utc
    offset = value.offset if value.offset is not None else WESTMOST if is_high else EASTMOST
    return DateTime(kept, offset, 3 if len(kept) == 6 else 0, is_utc)


def _high_parts(parts: tuple[int, ...]) -> tuple[int, ...]:
    """The last moment. The official suite reads an hour without minutes as its first minute; FHIR has no such moment."""
    year, month = (*parts, 12)[:2]
    minute = 0 if len(parts) == 4 else 59
    return _filled(parts, (year, 12, calendar.monthrange(year, month)[1], 23, minute, _LAST_NANO))


def precision(compiler: Compiler, call: Invocation) -> Compiled:
    """The digits behind the point, or all digits of a date or time."""
    value = compiler.value(call.target)

    def one(item: Item, frame: Frame) -> int | None:
        found = value(item, frame)
        return None if found is None else _precision(found)

    return system(compiler.guarded(one, call.position), "Integer", call.position)


def _precision(value: Any) -> int:
    if type(value) is int or type(value) is Decimal:
        return decimals(Decimal(value))
    if type(value) is Quantity:
        return decimals(value.value)
    if isinstance(value, Date | DateTime | Time):
        digits = _TIME_DIGITS if type(value) is Time else _DATE_DIGITS
        written = digits[len(value.parts) - 1]
        has_seconds_only = digits[-1] == written and not getattr(value, "digits", 0)
        return written - 3 if has_seconds_only else written
    raise BadDataError("found a value without precision, expected a number, quantity, date or time")


def comparable(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether two quantities measure the same thing."""
    one = compiler.expecting(call.target, (Quantity,), "a quantity")
    other = compiler.expecting(argument(compiler, call, 0), (Quantity,), "a quantity")

    def both(item: Item, frame: Frame) -> bool | None:
        left, right = one(item, frame), other(item, frame)
        return None if left is None or right is None else quantities.comparable(left, right)

    return system(both, "Boolean", call.position)


FUNCTIONS = {
    "lowBoundary": _boundary(is_high=False),
    "highBoundary": _boundary(is_high=True),
    "precision": function(precision),
    "comparable": function(comparable, 1),
}
