"""Quantities: a number and a unit of UCUM or of the calendar, compared only when their units measure the same thing.

Source: FHIRPath N1 §4.1.8 (quantities), §6.1–6.2; UCUM 2.1 §4 tables, https://ucum.org/ucum
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache

EXACT = Context(prec=34)
"""Decimal arithmetic of its own: the thread's context belongs to whoever runs us."""

CALENDAR_UNITS = {
    name + plural: name
    for name in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}
DEFINITE_UNITS = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
"""UCUM units that last as long as the calendar unit; ``a`` and ``mo`` do not (N1 §4.1.8)."""


# Not frozen for the sake of speed, as the dates are not: never change one.
@dataclass(slots=True, unsafe_hash=True)
class Quantity:
    """``unit`` is a UCUM code, a calendar unit in the singular, or ``system|code`` of any other system."""

    value: Decimal
    unit: str
    is_calendar: bool = False
    is_opaque: bool = False

    def __str__(self) -> str:
        number = f"{self.value:f}"
        if self.is_calendar:
            return f"{number} {self.unit if self.value == 1 else self.unit + 's'}"
        return f"{number} '{self.unit}'"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a unit measures: a factor, and powers of base dimensions in a fixed order."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...] = ()


_BASE = {"m": "L", "s": "T", "g": "M", "K": "K", "C": "Q", "cd": "J", "rad": "A"}
_PREFIXES = {
    name: exponent
    for names, exponents in (
        (("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da"), (24, 21, 18, 15, 12, 9, 6, 3, 2, 1)),
        (("d", "c", "m", "u", "n", "p", "f", "a", "z", "y"), (-1, -2, -3, -6, -9, -12, -15, -18, -21, -24)),
    )
    for name, exponent in zip(names, exponents, strict=True)
}
_METRIC = {
    "N": "1000 g.m/s2",
    "Pa": "N/m2",
    "J": "N.m",
    "W": "J/s",
    "A": "C/s",
    "V": "J/C",
    "F": "C/V",
    "Ohm": "V/A",
    "S": "A/V",
    "Wb": "V.s",
    "T": "Wb/m2",
    "H": "Wb/A",
    "lm": "cd.sr",
    "lx": "lm/m2",
    "Hz": "/s",
    "Bq": "/s",
    "Gy": "J/kg",
    "Sv": "J/kg",
    "kat": "mol/s",
    "U": "umol/min",
    "l": "dm3",
    "L": "dm3",
    "ar": "100 m2",
    "t": "1000 kg",
    "bar": "100000 Pa",
    "eV": "160217733/1000000000000000000000000000 J",
    "cal": "4184/1000 J",
    "u": "16605402/10000000000000000000000000000000 g",
    "m[Hg]": "133322 Pa",
    "m[H2O]": "980665/100 Pa",
    "sr": "rad2",
    "g%": "g/dl",
    "osm": "[osm]",
    "eq": "[eq]",
}
_CUSTOMARY = {
    "%": "1/100 1",
    "[ppth]": "1/1000 1",
    "[ppm]": "1/1000000 1",
    "[ppb]": "1/1000000000 1",
    "10*": "10 1",
    "10^": "10 1",
    "[pi]": "3141592653589793/1000000000000000 1",
    "min": "60 s",
    "h": "60 min",
    "d": "24 h",
    "wk": "7 d",
    "a": "1461/4 d",
    "a_j": "1461/4 d",
    "mo": "1461/48 d",
    "mo_j": "1461/48 d",
    "deg": "31415926535897932384626/1800000000000000000000000 rad",
    "[in_i]": "254/100 cm",
    "[ft_i]": "12 [in_i]",
    "[yd_i]": "3 [ft_i]",
    "[mi_i]": "5280 [ft_i]",
    "[nmi_i]": "1852 m",
    "[sin_i]": "[in_i]2",
    "[sft_i]": "[ft_i]2",
    "[cin_i]": "[in_i]3",
    "[lb_av]": "7000 [gr]",
    "[oz_av]": "1/16 [lb_av]",
    "[stone_av]": "14 [lb_av]",
    "[gr]": "6479891/100000 mg",
    "[gal_us]": "231 [in_i]3",
    "[qt_us]": "1/4 [gal_us]",
    "[pt_us]": "1/2 [qt_us]",
    "[foz_us]": "1/16 [pt_us]",
    "[tbs_us]": "1/2 [foz_us]",
    "[tsp_us]": "1/3 [tbs_us]",
    "[cup_us]": "16 [tbs_us]",
    "[pt_br]": "1/8 [gal_br]",
    "[gal_br]": "454609/100000 l",
    "[foz_br]": "1/20 [pt_br]",
    "[psi]": "689475729/100000 Pa",
    "atm": "101325 Pa",
    "Ao": "1/10 nm",
}
_ARBITRARY = frozenset(
    {
        "Cel",
        "[degF]",
        "[degR]",
        "[pH]",
        "[osm]",
        "[eq]",
        "[S]",
        "[MET]",
        "[diop]",
        "[HPF]",
        "[LPF]",
        "[drp]",
        "[Ch]",
    }
    | {
        "[iU]",
        "[IU]",
        "[arb'U]",
        "[USP'U]",
        "[CFU]",
        "[FFU]",
        "[PFU]",
        "[BAU]",
        "[AU]",
        "[TCID_50]",
        "[EIA]",
        "[Lf]",
    }
    | {
        "[knk'U]",
        "[mclg'U]",
        "[todd'U]",
        "[dye'U]",
        "[smgy'U]",
        "[bth'U]",
        "[hnsf'U]",
        "[GPL'U]",
        "[MPL'U]",
        "[APL'U]",
    }
    | {"[p'diop]", "[D'ag'U]", "[Amb'a'1'U]", "B", "Np", "dB"}
)
"""Units that convert into nothing else: each is a dimension of its own (temperature scales, international units)."""
_PREFIXED_ARBITRARY = frozenset({"[iU]", "[IU]", "[arb'U]", "[USP'U]", "[osm]", "[eq]"})

_COMPONENT = re.compile(r"(?P<atom>(?:10[*^]|\[[^\]]*\]|[A-Za-z_%'])+?)(?P<power>[+-]?\d+)?(?=[./(){]|$)")
_NUMBER = re.compile(r"\d+(?=[./(){]|$)")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_UNIT = re.compile(r"(?:(?P<scale>\d+(?:/\d+)?) )?(?P<unit>\S+)")
_MAX_UNIT = 80
_MAX_POWER = 30


@lru_cache(maxsize=512)
def measure(unit: str) -> Measure | None:
    """What a UCUM code measures; None when it is not one that we know."""
    if len(unit) > _MAX_UNIT:
        return None
    return _UnitReader(unit).whole()


class _UnitReader:
    """The place in a unit; terms are read from left to right, ``/`` divides by the next one alone (UCUM §2.1)."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.at = 0

    def whole(self) -> Measure | None:
        result = self.term() if self.unit else None
        return result if self.at == len(self.unit) else None

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.unit, self.at)
        if match:
            self.at = match.end()
        return match

    def is_next(self, character: str) -> bool:
        return self.unit[self.at : self.at + 1] == character

    def term(self) -> Measure | None:
        result: Measure | None = Measure(Fraction(1))
        sign = 1
        if self.is_next("/"):
            self.at, sign = self.at + 1, -1
        while True:
            component = self.component()
            if component is None or result is None:
                return None
            result = _product(result, component, sign)
            if not (self.is_next(".") or self.is_next("/")):
                return result
            sign = -1 if self.is_next("/") else 1
            self.at += 1

    def component(self) -> Measure | None:
        if self.is_next("("):
            self.at += 1
            inner = self.term()
            closed = self.is_next(")")
            self.at += 1
            return inner if closed else None
        return self.simple()

    def simple(self) -> Measure | None:
        """A number, or an atom with its power; an annotation behind it says nothing, and alone it is one."""
        if number := self.take(_NUMBER):
            found: Measure | None = Measure(Fraction(int(number[0]))) if int(number[0]) else None
        elif component := self.take(_COMPONENT):
            found = _power(_atom(component["atom"]), int(component["power"] or 1))
        else:
            return Measure(Fraction(1)) if self.take(_ANNOTATION) else None
        self.take(_ANNOTATION)
        return found


def _product(left: Measure, right: Measure, sign: int) -> Measure:
    powers = dict(left.dimensions)
    for name, power in right.dimensions:
        dimension, signed = _kept_apart(name, power * sign)
        powers[dimension] = powers.get(dimension, 0) + signed
    kept = tuple(sorted((name, power) for name, power in powers.items() if power))
    return Measure(left.factor * right.factor**sign, kept)


def _kept_apart(name: str, power: int) -> tuple[str, int]:
    """Amounts of substance never cancel out: UCUM makes mmol/mol and % the same number, but an HbA1c in either is not."""
    if name == "mol" and power < 0:
        return "/mol", -power
    if name == "/mol" and power < 0:
        return "mol", -power
    return name, power


def _power(measure_: Measure | None, power: int) -> Measure | None:
    if measure_ is None or abs(power) > _MAX_POWER:
        return None
    result = Measure(Fraction(1))
    for _ in range(abs(power)):
        result = _product(result, measure_, 1 if power > 0 else -1)
    return result


def _atom(atom: str) -> Measure | None:
    found = _unprefixed(atom)
    if found:
        return found
    for size in (1, 2):
        exponent, rest = _PREFIXES.get(atom[:size]), atom[size:]
        if exponent is not None and (
            rest in _BASE or rest in _METRIC or rest in {"mol", *_PREFIXED_ARBITRARY}
        ):
            metric = _unprefixed(rest)
            return metric and Measure(metric.factor * Fraction(10) ** exponent, metric.dimensions)
    return None


def _unprefixed(atom: str) -> Measure | None:
    if atom in _BASE or atom == "mol":
        return Measure(Fraction(1), ((_BASE.get(atom, "mol"), 1),))
    if atom in _ARBITRARY:
        return Measure(Fraction(1), ((atom.upper() if atom == "[iU]" else atom, 1),))
    definition = _METRIC.get(atom) or _CUSTOMARY.get(atom)
    match = _UNIT.fullmatch(definition) if definition else None
    inner = measure(match["unit"]) if match else None
    if match is None or inner is None:
        return None
    return Measure(inner.factor * Fraction(match["scale"] or 1), inner.dimensions)


_CALENDAR = {
    "year": Measure(Fraction(12), (("month", 1),)),
    "month": Measure(Fraction(1), (("month", 1),)),
}
_DEFINITE_CODES = {name: code for code, name in DEFINITE_UNITS.items()}


def measure_of(quantity: Quantity) -> Measure | None:
    """What it measures; a calendar year or month is no fixed time, so these two are a dimension of their own."""
    if quantity.is_opaque:
        return Measure(Fraction(1), ((quantity.unit, 1),))
    if quantity.is_calendar:
        return _CALENDAR.get(quantity.unit) or measure(_DEFINITE_CODES[quantity.unit])
    return measure(quantity.unit)


def comparable(left: Quantity, right: Quantity) -> bool:
    """Whether both units are known and measure the same thing."""
    one, other = measure_of(left), measure_of(right)
    return one is not None and other is not None and one.dimensions == other.dimensions


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1, None when the units do not measure the same thing; an unknown unit measures what it does itself."""
    if (
        left.unit == right.unit
        and left.is_calendar is right.is_calendar
        and left.is_opaque is right.is_opaque
    ):
        return (left.value > right.value) - (left.value < right.value)
    one, other = magnitude(left), magnitude(right)
    if one is None or other is None or one[1] != other[1]:
        return None
    return (one[0] > other[0]) - (one[0] < other[0])


def magnitude(quantity: Quantity) -> tuple[Fraction, tuple[tuple[str, int], ...]] | None:
    """The number in base units and their dimensions: equal for equal quantities; None when the unit is unknown."""
    found = measure_of(quantity)
    return None if found is None else (Fraction(quantity.value) * found.factor, found.dimensions)


def equivalent(left: Quantity, right: Quantity) -> bool:
    """Whether they are equal when rounded to the less precise of the two (N1 §6.1.2); here a year is ``a``."""
    one, other = measure_of(_definite(left)), measure_of(_definite(right))
    if one is None or other is None or one.dimensions != other.dimensions:
        return False
    if one.factor < other.factor:
        left, right, one, other = right, left, other, one
    converted = to_decimal(Fraction(right.value) * other.factor / one.factor)
    digits = min(decimals(left.value), max(decimals(converted), 0))
    return rounded(left.value, digits) == rounded(converted, digits)


def _definite(quantity: Quantity) -> Quantity:
    code = {"year": "a", "month": "mo"}.get(quantity.unit)
    return Quantity(quantity.value, code) if quantity.is_calendar and code else quantity


def to_decimal(number: Fraction) -> Decimal:
    """The nearest decimal of 34 digits."""
    return EXACT.divide(Decimal(number.numerator), Decimal(number.denominator))


def decimals(value: Decimal) -> int:
    """How many digits stand behind the point."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def rounded(value: Decimal, digits: int) -> Decimal:
    """Half away from zero."""
    scale = Decimal(1).scaleb(-digits)
    return value.quantize(
        scale, rounding=ROUND_HALF_UP, context=Context(prec=len(value.as_tuple().digits) + 40)
    )


def plus(left: Quantity, right: Quantity) -> Quantity | None:
    """The sum in the finer of the two units (N1 §6.6.3); None when they do not measure the same thing."""
    one, other = measure_of(left), measure_of(right)
    if one is None or other is None or one.dimensions != other.dimensions:
        return None
    finer, factor = (left, one.factor) if one.factor <= other.factor else (right, other.factor)
    if one.factor == other.factor:
        return Quantity(EXACT.add(left.value, right.value), left.unit, left.is_calendar, left.is_opaque)
    total = (Fraction(left.value) * one.factor + Fraction(right.value) * other.factor) / factor
    return Quantity(to_decimal(total), finer.unit, finer.is_calendar, finer.is_opaque)


def times(left: Quantity, right: Quantity) -> Quantity | None:
    """The product, its unit written as a UCUM product (N1 §6.6.1)."""
    unit = _combined(left, right, ".")
    return None if unit is None else Quantity(EXACT.multiply(left.value, right.value), unit)


def divided_by(left: Quantity, right: Quantity) -> Quantity | None:
    """The quotient, None by zero; in the unit ``1`` when both measure the same thing (N1 §6.6.2)."""
    one, other = magnitude(left), magnitude(right)
    if one is None or other is None or other[0] == 0:
        return None
    if one[1] == other[1]:
        return Quantity(to_decimal(one[0] / other[0]), "1")
    unit = _combined(left, right, "/")
    return None if unit is None else Quantity(EXACT.divide(left.value, right.value), unit)


def _combined(left: Quantity, right: Quantity, operator: str) -> str | None:
    codes = [_code(left), _code(right)]
    if None in codes:
        return None
    one, other = (str(code) for code in codes)
    if other == "1":
        return one
    if one == "1" and operator == ".":
        return other
    unit = f"{one}{operator}({other})" if re.search("[./]", other) else f"{one}{operator}{other}"
    return unit if measure(unit) else None


def _code(quantity: Quantity) -> str | None:
    if quantity.is_opaque or quantity.unit in _CALENDAR:
        return None
    return _DEFINITE_CODES[quantity.unit] if quantity.is_calendar else quantity.unit
