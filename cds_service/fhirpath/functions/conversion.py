"""Conversion functions and iif(): FHIRPath N1 §5.5, http://hl7.org/fhirpath/N1/#conversion."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath import ast
from cds_service.fhirpath.compiled import Compiled, Invocation, One, Scope, plural, single, system
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.functions.registry import Function, function
from cds_service.fhirpath.quantities import CALENDAR_UNITS, Quantity
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,28}(\.[0-9]{1,28})?")
_QUANTITY = re.compile(r"([+-]?[0-9]{1,28}(?:\.[0-9]{1,28})?)\s*(?:'([^']+)'|([a-z]+))?")
_LARGEST_INTEGER = 2**31


def to_boolean(value: Any) -> bool | None:
    """1, 0 and the words for yes and no."""
    if type(value) is bool:
        return value
    if type(value) is int or type(value) is Decimal:
        return {1: True, 0: False}.get(int(value) if value == int(value) else 2)
    if type(value) is str and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    return None


def to_integer(value: Any) -> int | None:
    """A string of digits, true and false."""
    if type(value) is int or type(value) is bool:
        return int(value)
    number = int(value) if type(value) is str and _INTEGER.fullmatch(value) else None
    return number if number is not None and -_LARGEST_INTEGER <= number < _LARGEST_INTEGER else None


def to_decimal(value: Any) -> Decimal | None:
    """Any number, true and false."""
    if type(value) is bool:
        return Decimal("1.0") if value else Decimal("0.0")
    if type(value) is int or type(value) is Decimal:
        return Decimal(value)
    return Decimal(value) if type(value) is str and _DECIMAL.fullmatch(value) else None


def to_string(value: Any) -> str | None:
    """As the value would be written; a complex element has no string."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is Decimal:
        return f"{value:f}"
    return None if isinstance(value, dict | list) else str(value)


def to_date(value: Any) -> Date | None:
    """A date, the date of a moment, or a string of either."""
    if type(value) is str:
        value = DateTime.parse(value)
    return Date(value.parts[:3]) if isinstance(value, Date | DateTime) else None


def to_date_time(value: Any) -> DateTime | None:
    """A moment, a date, or a string of either."""
    if type(value) is str:
        return DateTime.parse(value)
    return DateTime(value.parts) if type(value) is Date else value if type(value) is DateTime else None


def to_time(value: Any) -> Time | None:
    """A time of day or a string of one."""
    if type(value) is str:
        return Time.parse(value.removeprefix("T"))
    return value if type(value) is Time else None


def to_quantity(value: Any) -> Quantity | None:
    """A number without a unit, or a string of a number and a unit."""
    if type(value) is Quantity:
        return value
    if type(value) is not str:
        number = to_decimal(value)
        return None if number is None else Quantity(number, "1")
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return None
    number, code, word = Decimal(match[1]), match[2], match[3]
    if word is None:
        return Quantity(number, code or "1")
    return Quantity(number, CALENDAR_UNITS[word], is_calendar=True) if word in CALENDAR_UNITS else None


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_string,
    "Date": to_date,
    "DateTime": to_date_time,
    "Time": to_time,
    "Quantity": to_quantity,
}


def _to(type_: str, convert: Callable[[Any], Any]) -> Function:
    """``toInteger()`` and its kind: empty when it does not convert."""

    def build(compiler: Compiler, call: Invocation) -> Compiled:
        value = compiler.value(call.target)

        def converted(item: Item, frame: Frame) -> Any:
            found = value(item, frame)
            return None if found is None else convert(found)

        return system(
            compiler.guarded(converted, call.position), type_, call.position, is_fixed=call.target.is_fixed
        )

    return function(build, 0, 1 if type_ == "Quantity" else 0)


def _converts_to(convert: Callable[[Any], Any]) -> Function:
    """``convertsToInteger()`` and its kind: empty only of empty."""

    def build(compiler: Compiler, call: Invocation) -> Compiled:
        value = compiler.value(call.target)

        def converts(item: Item, frame: Frame) -> bool | None:
            found = value(item, frame)
            return None if found is None else convert(found) is not None

        return system(compiler.guarded(converts, call.position), "Boolean", call.position)

    return function(build, 0, 1 if convert is to_quantity else 0)


def iif(compiler: Compiler, call: Invocation) -> Compiled:
    """The second argument if the first is true, otherwise the third; the other one is not evaluated (N1 §5.5.1)."""
    scope = call.scope if call.node.target is None else _target_scope(compiler, call)
    criterion, *results = [compiler.compile(argument, scope) for argument in call.node.arguments]
    if len(results) == 1:
        results.append(compiler.literal(ast.Literal(None, call.position)))
    kinds = compiler.kinds(criterion)
    if kinds and "boolean" not in kinds:
        compiler.refuse(f"found {compiler.names(criterion)}, expected true or false", criterion.position)
    meets = compiler.truth(criterion)
    alike, _ = compiler.alike(results)
    found = _choice(meets, *alike)
    is_boxed = all(result.is_boxed for result in alike)
    found = replace(found, types=compiler.common_types(alike), is_boxed=is_boxed, position=call.position)
    return found if call.node.target is None else _on_target(compiler, call, found)


def _choice(meets: One, yes: Compiled, no: Compiled) -> Compiled:
    """One of the two, and only that one is evaluated."""
    yes_many, no_many, yes_one, no_one = yes.many, no.many, yes.one, no.one

    def many(item: Item, frame: Frame) -> list[Item]:
        return yes_many(item, frame) if meets(item, frame) is True else no_many(item, frame)

    if yes_one is None or no_one is None:
        return plural(many, None, yes.position)

    def one(item: Item, frame: Frame) -> Item | None:
        return yes_one(item, frame) if meets(item, frame) is True else no_one(item, frame)

    return single(one, None, yes.position)


def _target_scope(compiler: Compiler, call: Invocation) -> Scope:  # noqa: ARG001
    """Behind a dot ``$this`` is the only item of the target, and may be nothing."""
    target = call.target
    this = single(lambda item, _frame: item, target.types, target.position, is_boxed=target.is_boxed)
    return replace(call.scope, this=this)


def _on_target(compiler: Compiler, call: Invocation, found: Compiled) -> Compiled:
    only, chosen = compiler.only(call.target), found.many

    def many(item: Item, frame: Frame) -> list[Item]:
        return chosen(only(item, frame), frame)

    return plural(many, found.types, call.position, is_boxed=found.is_boxed)


FUNCTIONS = {
    "iif": function(iif, 2, 3),
    **{f"to{type_}": _to(type_, convert) for type_, convert in _CONVERSIONS.items()},
    **{f"convertsTo{type_}": _converts_to(convert) for type_, convert in _CONVERSIONS.items()},
}
