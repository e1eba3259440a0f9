"""Concrete values: one that lies in a cell of a criterion's domain, as somebody would say it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from cds_service.policies.domains import (
    BooleanDomain,
    ChoiceDomain,
    Domain,
    NumberDomain,
    SeveralChoicesDomain,
    Value,
)


def example_value(domain: Domain, cell: int) -> Value:
    """A value of the cell: for a number the roundest one near a threshold. ValueError when the cell holds none."""
    match domain:
        case BooleanDomain():
            return bool(cell)
        case ChoiceDomain(codes=codes):
            return codes[cell]
        case SeveralChoicesDomain(codes=codes):
            return tuple(code for place, code in enumerate(codes) if cell >> place & 1)
        case NumberDomain():
            return _number(domain, cell)
    raise ValueError(f"no example of {domain}")


def _number(domain: NumberDomain, cell: int) -> int | Decimal:
    for candidate in _candidates(domain):
        value = int(candidate) if candidate == candidate.to_integral_value() else candidate
        try:
            if domain.cell(value) == cell:
                return value
        except ValueError:
            continue
    raise ValueError(f"no {'whole ' if domain.whole else ''}number in {domain.label(cell)}")


def _candidates(domain: NumberDomain) -> Iterator[Decimal]:
    """Numbers of which at least one lies in each cell: at, beside and between the places where the line is cut."""
    bounds = (bound for bound in (domain.minimum, domain.maximum) if bound is not None)
    marks = sorted({*bounds, *(at for at, _ in domain.cuts)})
    yield from (Decimal(0), *marks)
    for mark in marks:
        below = mark.to_integral_value(rounding="ROUND_FLOOR")
        yield from (below, below + 1, below - 1, mark - 1, mark + 1)
    for lower, upper in pairwise(marks):
        yield (lower + upper) / 2
