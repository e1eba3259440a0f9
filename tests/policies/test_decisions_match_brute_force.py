"""The diagram against the plain meaning of the rules, on random small policies.

The reference tries every completion of the unknowns, one after another, with rules evaluated in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from math import log2

from hypothesis import assume, given
from hypothesis import strategies as st

from cds_service.policies.conditions import Comparison, Condition, Logic, built
from cds_service.policies.diagram import Diagram, DiagramBuilder, leaf, restricted
from cds_service.policies.domains import BooleanDomain, ChoiceDomain, Domain, NumberDomain
from cds_service.policies.questions import EXACT, Strategy, gains, ranked

NAMES = ("a", "b", "c", "d", "e")
OPTIONS = ("x", "y", "z")
Cells = Mapping[str, int | None]


@st.composite
def policies(draw: st.DrawFn) -> tuple[dict[str, Domain], list[Condition]]:
    """Up to five criteria of any kind, and up to four rules before the default."""
    kinds = draw(st.lists(st.sampled_from(("boolean", "choice", "number")), min_size=1, max_size=5))
    names = NAMES[: len(kinds)]
    comparisons = st.sampled_from(names).flatmap(lambda name: _comparison(name, kinds[names.index(name)]))
    condition = st.recursive(comparisons, _logic, max_leaves=5)
    rules = draw(st.lists(condition, min_size=1, max_size=4))
    return {name: _domain(kind, name, rules) for name, kind in zip(names, kinds, strict=True)}, rules


def _comparison(name: str, kind: str) -> st.SearchStrategy[Condition]:
    if kind == "boolean":
        return st.builds(Comparison, st.just(name), st.sampled_from(("=", "!=")), st.booleans(), st.just(0))
    if kind == "choice":
        return st.builds(
            Comparison, st.just(name), st.sampled_from(("=", "!=")), st.sampled_from(OPTIONS), st.just(0)
        )
    operators = st.sampled_from(("=", "!=", "<", "<=", ">", ">="))
    return st.builds(Comparison, st.just(name), operators, st.integers(-1, 3), st.just(0))


def _logic(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.builds(Logic, st.sampled_from(("and", "or", "xor", "implies")), pairs),
        st.builds(Logic, st.just("not"), st.tuples(inner)),
    )


def _domain(kind: str, name: str, rules: list[Condition]) -> Domain:
    if kind == "boolean":
        return BooleanDomain()
    if kind == "choice":
        return ChoiceDomain(OPTIONS, OPTIONS)
    return NumberDomain(whole=True).cut_by(
        (each.operator, each.value)
        for rule in rules
        for each in _leaves(rule)
        if each.criterion == name and isinstance(each.value, int)
    )


def _leaves(condition: Condition) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    else:
        for operand in condition.operands:
            yield from _leaves(operand)


def holds(condition: Condition, values: Mapping[str, object]) -> bool:
    """What a condition plainly means when everything is known."""
    if isinstance(condition, Comparison):
        left, right = values[condition.criterion], condition.value
        return {
            "=": left == right,
            "!=": left != right,
            **(
                {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}  # type: ignore[operator]
                if condition.operator in {"<", "<=", ">", ">="}
                else {}
            ),
        }[condition.operator]
    parts = [holds(operand, values) for operand in condition.operands]
    return {
        "and": all(parts),
        "or": any(parts),
        "xor": parts[0] != parts[-1],
        "implies": not parts[0] or parts[-1],
        "not": not parts[0],
    }[condition.operator]


def winner(rules: list[Condition], values: Mapping[str, object]) -> int:
    """The first rule that holds, else the default after them."""
    return next((place for place, rule in enumerate(rules) if holds(rule, values)), len(rules))


VALUES: dict[type[Domain], tuple[object, ...]] = {
    BooleanDomain: (False, True),
    ChoiceDomain: OPTIONS,
    NumberDomain: tuple(range(-3, 6)),
}


def completions(domains: Mapping[str, Domain], known: Cells) -> Iterator[dict[str, object]]:
    """Every way of giving each criterion a value, those known kept in their cell."""
    choices = [
        [value for value in VALUES[type(domain)] if known.get(name) in {None, domain.cell(value)}]
        for name, domain in domains.items()
    ]
    return (dict(zip(domains, values, strict=True)) for values in product(*choices))


def diagram_of(domains: Mapping[str, Domain], rules: list[Condition]) -> Diagram:
    """The rules as the loader builds them."""
    builder = DiagramBuilder([domain.size for domain in domains.values()], limit=10_000)
    levels = {name: level for level, name in enumerate(domains)}
    root = leaf(len(rules))
    for place, rule in reversed(list(enumerate(rules))):
        root = builder.choose(built(rule, builder, levels, domains), leaf(place), root)
    return builder.finished(root)


def some_known(domains: Mapping[str, Domain], data: st.DataObject) -> dict[str, int | None]:
    """For each criterion a cell, or None."""
    return {
        name: data.draw(st.none() | st.integers(0, domain.size - 1), label=name)
        for name, domain in domains.items()
    }


@given(policies(), st.data())
def test_the_possible_rules_are_those_of_some_completion_of_the_unknowns(
    policy: tuple[dict[str, Domain], list[Condition]], data: st.DataObject
) -> None:
    domains, rules = policy
    known = some_known(domains, data)
    cells = list(known.values())

    reached = diagram_of(domains, rules).reachable_leaves(cells.__getitem__)

    assert reached == {winner(rules, values) for values in completions(domains, known)}


@given(policies(), st.data())
def test_an_answer_never_changes_when_more_becomes_known(
    policy: tuple[dict[str, Domain], list[Condition]], data: st.DataObject
) -> None:
    domains, rules = policy
    diagram = diagram_of(domains, rules)
    known = some_known(domains, data)
    unknown = [name for name, cell in known.items() if cell is None]
    assume(unknown)
    name = data.draw(st.sampled_from(unknown), label="becomes known")
    more = known | {name: data.draw(st.integers(0, domains[name].size - 1), label="as")}

    before = diagram.reachable_leaves(list(known.values()).__getitem__)
    after = diagram.reachable_leaves(list(more.values()).__getitem__)

    assert after
    assert after <= before


@given(policies(), st.data())
def test_only_criteria_that_can_change_the_outcome_are_outstanding(
    policy: tuple[dict[str, Domain], list[Condition]], data: st.DataObject
) -> None:
    domains, rules = policy
    known = some_known(domains, data)
    cells = {level: cell for level, cell in enumerate(known.values()) if cell is not None}
    sizes = [domain.size for domain in domains.values()]

    outstanding = ranked(
        restricted(diagram_of(domains, rules), sizes, cells, lambda rule: rule), tuple(sizes)
    )

    assert {NAMES[level] for level in outstanding} == {
        name for name, cell in known.items() if cell is None and _matters(name, domains, rules, known)
    }


def _matters(name: str, domains: Mapping[str, Domain], rules: list[Condition], known: Cells) -> bool:
    """Whether two completions that differ in this criterion alone are decided differently."""
    winners: dict[tuple[object, ...], set[int]] = {}
    for values in completions(domains, known):
        rest = tuple(value for other, value in values.items() if other != name)
        winners.setdefault(rest, set()).add(winner(rules, values))
    return any(len(found) > 1 for found in winners.values())


@given(policies())
def test_no_order_of_asking_needs_fewer_questions_on_average(
    policy: tuple[dict[str, Domain], list[Condition]],
) -> None:
    domains, rules = policy
    sizes = tuple(domain.size for domain in domains.values())
    diagram = diagram_of(domains, rules)
    assume(0 < len(diagram.support()) <= min(EXACT, 4))

    strategy = Strategy(diagram, sizes)

    assert abs(strategy.average() - _least_average(diagram, sizes, {})) < 1e-6


def _least_average(diagram: Diagram, sizes: tuple[int, ...], known: dict[int, int]) -> float:
    """The fewest questions on average, by trying every next question in every situation."""
    if len(diagram.reachable_leaves(known.get)) == 1:
        return 0.0
    return min(
        1 + sum(_least_average(diagram, sizes, known | {level: cell}) for cell in range(size)) / size
        for level, size in enumerate(sizes)
        if level not in known
    )


@given(policies())
def test_a_question_tells_as_much_as_the_completions_with_each_of_its_answers(
    policy: tuple[dict[str, Domain], list[Condition]],
) -> None:
    domains, rules = policy
    sizes = tuple(domain.size for domain in domains.values())
    diagram = diagram_of(domains, rules)
    assume(diagram.support())
    ends = {cells: _end(diagram, cells) for cells in product(*map(range, sizes))}

    told = gains(diagram, sizes)

    assert told.keys() == diagram.support()
    for level, bits in told.items():
        left = [
            _bits([end for cells, end in ends.items() if cells[level] == cell])
            for cell in range(sizes[level])
        ]
        assert abs(bits - (_bits(list(ends.values())) - sum(left) / len(left))) < 1e-8


def _end(diagram: Diagram, cells: tuple[int, ...]) -> int:
    """The leaf that everything known leads to."""
    (end,) = diagram.reachable_leaves(cells.__getitem__)
    return end


def _bits(ends: list[int]) -> float:
    """How uncertain it is which of these equally likely ends comes."""
    return -sum(count / len(ends) * log2(count / len(ends)) for count in Counter(ends).values())
