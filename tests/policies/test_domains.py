"""Cells of a criterion's values: every comparison that cut them holds for all of a cell or for none of it."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.policies.domains import BooleanDomain, ChoiceDomain, NumberDomain, SeveralChoicesDomain

OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
NUMBERS = st.decimals(-3, 3, places=1)
CHOICES = ChoiceDomain(("left", "right"), ("Left side", "Right side"))
SEVERAL = SeveralChoicesDomain(("spoken", "written", "photographs"), ("Spoken", "Written", "Photographs"))


def compare(left: Decimal, operator: str, right: Decimal) -> bool:
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]


@given(
    st.lists(st.tuples(st.sampled_from(OPERATORS), NUMBERS), min_size=1, max_size=4), NUMBERS, st.booleans()
)
def test_a_comparison_holds_for_a_number_as_it_does_for_its_cell(
    cuts: list[tuple[str, Decimal]], number: Decimal, whole: bool
) -> None:
    number = number.to_integral_value() if whole else number
    domain = NumberDomain(whole, Decimal(-4), Decimal(4)).cut_by(cuts)

    cell = domain.cell(number)

    assert 0 <= cell < domain.size
    for operator, threshold in cuts:
        assert domain.cells_where(operator, threshold)[cell] == compare(number, operator, threshold)


@given(st.lists(st.tuples(st.sampled_from(OPERATORS), NUMBERS), min_size=1, max_size=4), st.booleans())
def test_no_two_cells_of_a_number_are_alike(cuts: list[tuple[str, Decimal]], whole: bool) -> None:
    domain = NumberDomain(whole, Decimal(-4), Decimal(4)).cut_by(cuts)

    neighbours = [
        [domain.cells_where(operator, threshold)[cell] for operator, threshold in cuts]
        for cell in range(domain.size)
    ]

    assert all(one != other for one, other in pairwise(neighbours))


@pytest.mark.parametrize(
    ("domain", "labels"),
    [
        (
            NumberDomain(whole=True, minimum=Decimal(0)).cut_by([(">=", 1), (">", 3)]),
            ["0", "1 to 3", "4 or more"],
        ),
        (NumberDomain(whole=True).cut_by([("=", 2)]), ["1 or fewer", "2", "3 or more"]),
        (NumberDomain(whole=False).cut_by([(">=", Decimal("2.5"))]), ["less than 2.5", "at least 2.5"]),
        (NumberDomain(whole=False).cut_by([(">", 2)]), ["at most 2", "more than 2"]),
        (BooleanDomain(), ["no", "yes"]),
        (CHOICES, ["Left side", "Right side"]),
    ],
)
def test_a_cell_has_words_for_people(domain: NumberDomain, labels: list[str]) -> None:
    assert [domain.label(cell) for cell in range(domain.size)] == labels


def test_a_selection_is_a_cell_whatever_its_order() -> None:
    assert SEVERAL.cell(("written", "spoken")) == SEVERAL.cell(("spoken", "written"))
    assert SEVERAL.label(SEVERAL.cell(("written", "spoken"))) == "Spoken, Written"
    assert SEVERAL.label(SEVERAL.cell(())) == "none of them"


@pytest.mark.parametrize("option", SEVERAL.codes)
def test_a_selection_contains_exactly_its_options(option: str) -> None:
    holds = SEVERAL.cells_where("contains", option)

    assert [holds[SEVERAL.cell((other,))] for other in SEVERAL.codes] == [
        other == option for other in SEVERAL.codes
    ]


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (BooleanDomain(), "yes"),
        (BooleanDomain(), 1),
        (CHOICES, "up"),
        (CHOICES, True),
        (SEVERAL, "spoken"),
        (SEVERAL, ("sung",)),
        (NumberDomain(whole=True), Decimal("1.5")),
        (NumberDomain(whole=True), True),
        (NumberDomain(whole=True), "1"),
        (NumberDomain(whole=True, minimum=Decimal(0)), -1),
        (NumberDomain(whole=True, maximum=Decimal(9)), 10),
    ],
)
def test_a_value_that_the_criterion_cannot_have_is_refused(domain: BooleanDomain, value: object) -> None:
    with pytest.raises(ValueError, match=r" is "):
        domain.cell(value)
