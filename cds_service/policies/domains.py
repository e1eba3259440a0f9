"""The values a criterion can take, cut into the cells that a policy's conditions can tell apart.

A boolean has the cells false and true; a choice one cell per option; a number is cut at the thresholds that the
conditions name. A decision diagram branches on cells, so it is finite and exact for numbers too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

# A criterion's value; a choice of several options is their codes, in the options' order.
Value = bool | str | int | Decimal | tuple[str, ...]


class Domain(Protocol):
    """A criterion's values. Cells are numbered from 0."""

    @property
    def size(self) -> int:
        """How many cells there are."""

    def cell(self, value: object) -> int:
        """The cell that a value lies in. ValueError when the criterion cannot have this value."""

    def label(self, cell: int) -> str:
        """The cell in words, for people."""

    def cells_where(self, operator: str, value: Value) -> tuple[bool, ...]:
        """For each cell, whether its values stand in this relation to ``value``, which is the same for all of them."""


@dataclass(frozen=True)
class BooleanDomain:
    """false (cell 0) and true (cell 1)."""

    size: int = 2

    def cell(self, value: object) -> int:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is neither true nor false")
        return int(value)

    def label(self, cell: int) -> str:
        return "yes" if cell else "no"

    def cells_where(self, operator: str, value: Value) -> tuple[bool, ...]:
        if operator not in {"=", "!="}:
            raise ValueError(
                f"{operator} cannot compare true and false; use the criterion's name, not(), = or !="
            )
        wanted = self.cell(value)
        return tuple((cell == wanted) == (operator == "=") for cell in range(2))


@dataclass(frozen=True)
class ChoiceDomain:
    """The codes of a choice item's answer options, with what each is called."""

    codes: tuple[str, ...]
    displays: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.codes)

    def cell(self, value: object) -> int:
        if value not in self.codes:
            raise ValueError(f"{value!r} is none of the options {', '.join(self.codes)}")
        return self.codes.index(str(value))

    def label(self, cell: int) -> str:
        return self.displays[cell]

    def cells_where(self, operator: str, value: Value) -> tuple[bool, ...]:
        if operator not in {"=", "!="}:
            raise ValueError(f"{operator} cannot compare options; use =, != or in")
        wanted = self.cell(value)
        return tuple((cell == wanted) == (operator == "=") for cell in range(self.size))


@dataclass(frozen=True)
class SeveralChoicesDomain:
    """Any selection of a choice item's answer options; bit n of the cell says whether option n is among them."""

    codes: tuple[str, ...]
    displays: tuple[str, ...]

    @property
    def size(self) -> int:
        return 1 << len(self.codes)

    def cell(self, value: object) -> int:
        if not isinstance(value, tuple) or not set(value) <= set(self.codes):
            raise ValueError(f"{value!r} is no selection of the options {', '.join(self.codes)}")
        return sum(1 << self.codes.index(code) for code in set(value))

    def label(self, cell: int) -> str:
        chosen = [display for place, display in enumerate(self.displays) if cell >> place & 1]
        return ", ".join(chosen) or "none of them"

    def cells_where(self, operator: str, value: Value) -> tuple[bool, ...]:
        if operator != "contains" or value not in self.codes:
            raise ValueError(f"ask for one option at a time: '{self.codes[0]}' in %criterion")
        place = self.codes.index(str(value))
        return tuple(bool(cell >> place & 1) for cell in range(self.size))


# A place where a number line is cut: at the number, just before it (0) or just after it (1).
Cut = tuple[Decimal, int]
_BEFORE, _AFTER = 0, 1
_CUTS_OF = {
    "<": (_BEFORE,),
    ">=": (_BEFORE,),
    ">": (_AFTER,),
    "<=": (_AFTER,),
    "=": (_BEFORE, _AFTER),
    "!=": (_BEFORE, _AFTER),
}


@dataclass(frozen=True)
class NumberDomain:
    """Numbers between optional bounds (inclusive), cut where the conditions cut them. ``whole`` numbers or decimals."""

    whole: bool
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    cuts: tuple[Cut, ...] = ()

    def cut_by(self, comparisons: Iterable[tuple[str, int | Decimal]]) -> NumberDomain:
        """The same numbers, cut so that every comparison holds for all or for none of the numbers of a cell."""
        cuts = {
            self._whole_cut(Decimal(value), side)
            for operator, value in comparisons
            for side in _CUTS_OF[operator]
            # No whole number equals a fraction: that comparison cuts nothing.
            if not self.whole or value == int(value) or operator not in {"=", "!="}
        }
        inside = tuple(sorted(cut for cut in cuts if self._has_numbers_on_both_sides(cut)))
        return NumberDomain(self.whole, self.minimum, self.maximum, inside)

    def _whole_cut(self, value: Decimal, side: int) -> Cut:
        """For whole numbers, "after 2" and "before 3" are the same cut."""
        if not self.whole:
            return value, side
        up = value.to_integral_value(rounding="ROUND_CEILING")
        return (up + 1 if side == _AFTER and up == value else up), _BEFORE

    def _has_numbers_on_both_sides(self, cut: Cut) -> bool:
        value, side = cut
        below = self.minimum is None or (self.minimum <= value if side == _AFTER else self.minimum < value)
        above = self.maximum is None or (self.maximum > value if side == _AFTER else self.maximum >= value)
        return below and above

    @property
    def size(self) -> int:
        return len(self.cuts) + 1

    def cell(self, value: object) -> int:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | Decimal)
            or (self.whole and value != int(value))
        ):
            raise ValueError(f"{value!r} is no {'whole ' if self.whole else ''}number")
        number = Decimal(value)
        if (self.minimum is not None and number < self.minimum) or (
            self.maximum is not None and number > self.maximum
        ):
            raise ValueError(f"{value} is not between {self.minimum} and {self.maximum}")
        return sum(number >= at if side == _BEFORE else number > at for at, side in self.cuts)

    def label(self, cell: int) -> str:
        lower = self.cuts[cell - 1] if cell else None
        upper = self.cuts[cell] if cell < len(self.cuts) else None
        if self.whole:
            return _whole_label(lower[0] if lower else self.minimum, upper[0] - 1 if upper else self.maximum)
        words = []
        if lower:
            words.append(f"{'at least' if lower[1] == _BEFORE else 'more than'} {lower[0]}")
        if upper:
            words.append(f"{'less than' if upper[1] == _BEFORE else 'at most'} {upper[0]}")
        return " and ".join(words) or "any number"

    def cells_where(self, operator: str, value: Value) -> tuple[bool, ...]:
        if isinstance(value, bool | str | tuple) or operator not in _CUTS_OF:
            raise ValueError(f"{value!r} is no number to compare with")
        return tuple(_holds(self._member(cell), operator, Decimal(value)) for cell in range(self.size))

    def _member(self, cell: int) -> Decimal:
        """Some number that lies in the cell."""
        lower = self.cuts[cell - 1] if cell else None
        upper = self.cuts[cell] if cell < len(self.cuts) else None
        if lower and lower[1] == _BEFORE:
            return lower[0]
        if lower and upper:
            return (lower[0] + upper[0]) / 2
        if lower:
            return lower[0] + 1
        if upper:
            return upper[0] if upper[1] == _AFTER else upper[0] - 1
        return self.minimum or Decimal(0)


def said(domain: Domain, value: Value) -> str:
    """The value as a person would say it: yes, an option's display, a number."""
    if isinstance(domain, NumberDomain):
        return str(value)
    return domain.label(domain.cell(value))


def _whole_label(lowest: Decimal | None, highest: Decimal | None) -> str:
    if lowest is not None and lowest == highest:
        return f"{lowest}"
    if lowest is None and highest is None:
        return "any number"
    if lowest is None:
        return f"{highest} or fewer"
    return f"{lowest} or more" if highest is None else f"{lowest} to {highest}"


def _holds(left: Decimal, operator: str, right: Decimal) -> bool:
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]
