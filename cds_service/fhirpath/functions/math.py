"""Math functions: FHIRPath N1 §5.7, http://hl7.org/fhirpath/N1/#math-1."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath.arithmetic import bounded
from cds_service.fhirpath.compiled import Compiled, Invocation, system
from cds_service.fhirpath.functions.registry import Function, argument, function
from cds_service.fhirpath.quantities import EXACT, Quantity, rounded
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_GUARD = Context(prec=44)
"""Ten digits more than results keep, so that a logarithm that is whole comes out whole."""
_NUMBER = (int, Decimal)


def _math_function(
    compute: Callable[..., Any],
    result: str | None,
    *,
    arguments: int = 0,
    optional: int = 0,
    of_quantities: bool = False,
) -> Function:
    """A function of a number; empty when the number or an argument is. ``result`` None: of the same type."""
    accepted: tuple[type, ...] = (*_NUMBER, Quantity) if of_quantities else _NUMBER

    def compile_(compiler: Compiler, call: Invocation) -> Compiled:
        number = compiler.expecting(call.target, accepted, "a number")
        given = [argument(compiler, call, at) for at in range(len(call.node.arguments))]
        read = [compiler.expecting(found, _NUMBER, "a number") for found in given]

        def computed(item: Item, frame: Frame) -> Any:
            found = number(item, frame)
            values = [value(item, frame) for value in read]
            return None if found is None or None in values else compute(found, *values)

        type_ = result or _same_type(compiler, call)
        return system(
            compiler.guarded(computed, call.position), type_, call.position, is_fixed=call.target.is_fixed
        )

    return function(compile_, arguments - optional, arguments)


def _same_type(compiler: Compiler, call: Invocation) -> str:
    known = call.target.type and compiler.system_of(call.target.type)
    return known.removeprefix("System.") if known else "Any"


def absolute(value: Any) -> Any:
    """Without its sign."""
    if type(value) is Quantity:
        return Quantity(abs(value.value), value.unit, value.is_calendar, value.is_opaque)
    return abs(value)


def _to_integral(rounding: str) -> Callable[[Any], int]:
    return lambda value: int(Decimal(value).to_integral_value(rounding=rounding))


def exponential(value: Any) -> Decimal:
    """e to the power of the number."""
    return EXACT.plus(_GUARD.exp(Decimal(value)))


def natural_logarithm(value: Any) -> Decimal | None:
    """Empty of anything but a positive number."""
    return EXACT.plus(_GUARD.ln(Decimal(value))) if value > 0 else None


def logarithm(value: Any, base: Any) -> Decimal | None:
    """To a base; empty where there is none."""
    if value <= 0 or base <= 0 or base == 1:
        return None
    return EXACT.plus(_GUARD.divide(_GUARD.ln(Decimal(value)), _GUARD.ln(Decimal(base))))


def power(value: Any, exponent: Any) -> Any:
    """Empty of a root of a negative number, and of more than a number can hold."""
    if (value < 0 and exponent != int(exponent)) or (value == 0 and exponent < 0):
        return None
    if value == 0 and exponent == 0:
        return 1
    found = EXACT.power(Decimal(value), Decimal(exponent))
    is_whole = type(value) is type(exponent) is int and exponent >= 0
    checked = bounded(found)
    return int(checked) if checked is not None and is_whole else checked


def rounded_to(value: Any, digits: Any = 0) -> Decimal | None:
    """Half away from zero; empty for an impossible number of digits."""
    return rounded(Decimal(value), digits) if type(digits) is int and 0 <= digits <= 28 else None


def square_root(value: Any) -> Decimal | None:
    """Empty of a negative number."""
    return EXACT.sqrt(Decimal(value)) if value >= 0 else None


FUNCTIONS = {
    "abs": _math_function(absolute, None, of_quantities=True),
    "ceiling": _math_function(_to_integral(ROUND_CEILING), "Integer"),
    "floor": _math_function(_to_integral(ROUND_FLOOR), "Integer"),
    "truncate": _math_function(_to_integral(ROUND_DOWN), "Integer"),
    "exp": _math_function(exponential, "Decimal"),
    "ln": _math_function(natural_logarithm, "Decimal"),
    "log": _math_function(logarithm, "Decimal", arguments=1),
    "power": _math_function(power, "Any", arguments=1),
    "round": _math_function(rounded_to, "Decimal", arguments=1, optional=1),
    "sqrt": _math_function(square_root, "Decimal"),
}
