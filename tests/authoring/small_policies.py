"""Random small policies, and what they decide when everything is known, by trying the rules one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path

from hypothesis import strategies as st

from cds_service.authoring.reruled import with_rules
from cds_service.policies.conditions import Comparison, Condition, Logic
from cds_service.policies.domains import (
    BooleanDomain,
    ChoiceDomain,
    Domain,
    NumberDomain,
    SeveralChoicesDomain,
    Value,
)
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import ELIGIBLE, IFR_REQUIRED, NOT_NORMALLY_FUNDED, Outcome, Policy, Rule

FIXTURES = Path(__file__).parents[1] / "fixtures" / "plans"
NAMES = ("a", "b", "c", "d")
OPTIONS = ("x", "y", "z")
NUMBERS = range(-2, 6)
OUTCOMES = (ELIGIBLE, NOT_NORMALLY_FUNDED, IFR_REQUIRED)


@cache
def fixtures() -> Library:
    """The policies of the fixture folder."""
    return load_library([FIXTURES])


def fixture(policy_id: str) -> Policy:
    """One of them."""
    return next(policy for policy in fixtures().policies if policy.id == policy_id)


domains: st.SearchStrategy[Domain] = st.one_of(
    st.just(BooleanDomain()),
    st.permutations(OPTIONS).flatmap(
        lambda codes: st.integers(2, 3).map(
            lambda many: ChoiceDomain(tuple(codes[:many]), tuple(codes[:many]))
        )
    ),
    st.integers(1, 2).map(lambda many: SeveralChoicesDomain(OPTIONS[:many], OPTIONS[:many])),
    st.builds(
        NumberDomain,
        st.just(True),
        st.none() | st.integers(-1, 1).map(Decimal),
        st.none() | st.integers(2, 4).map(Decimal),
    ),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Up to four criteria of any kind and up to three rules before the last."""
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    asked = {name: draw(domains) for name in names}
    comparison = st.sampled_from(names).flatmap(lambda name: _comparisons(name, asked[name]))
    conditions = draw(st.lists(st.recursive(comparison, _logic, max_leaves=4), min_size=1, max_size=3))
    return small_policy(asked, conditions, draw(st.lists(st.sampled_from(OUTCOMES), min_size=4, max_size=4)))


def small_policy(
    asked: Mapping[str, Domain], conditions: Iterable[Condition], outcomes: Iterable[str]
) -> Policy:
    """A policy of these criteria and rules; everything else is borrowed from a fixture."""
    borrowed = fixture("example-breast-reduction")
    criteria = tuple(
        replace(borrowed.criteria[0], link_id=name, name=name, domain=domain, proof=None, assumed=None)
        for name, domain in asked.items()
    )
    logic: list[Condition | None] = [*conditions, None]
    rules = [
        replace(borrowed.rules[0], id=f"rule-{place}", outcome=Outcome(outcome), logic=each, condition="")
        for place, (each, outcome) in enumerate(zip(logic, outcomes, strict=False))
    ]
    return with_rules(replace(borrowed, criteria=criteria), rules)


def _comparisons(name: str, domain: Domain) -> st.SearchStrategy[Condition]:
    def compared(operators: Iterable[str], values: Iterable[Value]) -> st.SearchStrategy[Condition]:
        return st.builds(
            Comparison,
            st.just(name),
            st.sampled_from(tuple(operators)),
            st.sampled_from(tuple(values)),
            st.just(0),
        )

    match domain:
        case BooleanDomain():
            return compared(("=", "!="), (False, True))
        case ChoiceDomain(codes=codes):
            return compared(("=", "!="), codes)
        case SeveralChoicesDomain(codes=codes):
            return compared(("contains",), codes)
    return compared(("=", "!=", "<", "<=", ">", ">="), range(-1, 4))


def _logic(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.builds(Logic, st.sampled_from(("and", "or", "xor", "implies")), pairs),
        st.builds(Logic, st.just("not"), st.tuples(inner)),
    )


def holds(condition: Condition, values: Mapping[str, Value]) -> bool:
    """What a condition plainly means when everything is known."""
    if isinstance(condition, Comparison):
        return _compares(values[condition.criterion], condition.operator, condition.value)
    parts = [holds(operand, values) for operand in condition.operands]
    match condition.operator:
        case "and":
            return all(parts)
        case "or":
            return any(parts)
        case "xor":
            return parts[0] != parts[1]
        case "implies":
            return not parts[0] or parts[1]
    return not parts[0]


def _compares(left: Value, operator: str, right: Value) -> bool:
    if operator == "contains":
        return isinstance(left, tuple) and right in left
    if operator in {"=", "!="}:
        return (left == right) == (operator == "=")
    assert isinstance(left, int)
    assert isinstance(right, int)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def winner(policy: Policy, values: Mapping[str, Value]) -> Rule:
    """The first rule that holds."""
    return next(rule for rule in policy.rules if rule.logic is None or holds(rule.logic, values))


def values_of(*those: Domain) -> list[Value]:
    """Every value that one of the domains has, numbers within a range wider than any threshold."""
    candidates: list[Value] = [False, True, *OPTIONS, (), ("x",), ("y",), ("x", "y"), *NUMBERS]
    return [value for value in candidates if any(knows(domain, value) for domain in those)]


def knows(domain: Domain, value: Value) -> bool:
    """Whether a criterion can have this value. (For Python 0 is False, for a criterion it is not.)"""
    if isinstance(domain, BooleanDomain) != isinstance(value, bool):
        return False
    try:
        domain.cell(value)
    except ValueError:
        return False
    return True


def situations(asked: Mapping[str, Iterable[Value]]) -> Iterator[dict[str, Value]]:
    """Every way of giving each criterion one of its values."""
    return (dict(zip(asked, values, strict=True)) for values in product(*asked.values()))
