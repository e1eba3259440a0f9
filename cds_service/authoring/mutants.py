"""A policy with one thing changed, in every way that its own cases ought to notice.

Changed are rules (left out, exchanged with the next, another outcome), conditions (thresholds, operators, parts left
out), codes (left out of their value set), assumed values (another, none) and proofs (nothing is proven). Of a value set
with more than ``ALL_CODES`` codes only the first and the last code of each code system are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby, pairwise

from cds_service.authoring.code_groups import Code, each_once
from cds_service.authoring.condition_text import as_fhirpath
from cds_service.authoring.examples import example_value
from cds_service.authoring.reruled import Reruling
from cds_service.policies.conditions import Comparison, Condition, Logic
from cds_service.policies.domains import Domain, NumberDomain, SeveralChoicesDomain, Value, said
from cds_service.policies.policy import Criterion, Outcome, Policy, Rule

ALL_CODES = 12
_OTHER_OPERATORS = {
    "=": ("!=",),
    "!=": ("=",),
    "<": ("<=",),
    "<=": ("<",),
    ">": (">=",),
    ">=": (">",),
    "contains": (),
}
_OTHER_LOGIC = {"and": "or", "or": "and", "xor": "or", "implies": "and", "true": "false", "false": "true"}


@dataclass(frozen=True)
class Mutant:
    """A policy with one change. ``change`` says what; ``kind``: rule, condition, code, assumed or proof."""

    kind: str
    change: str
    policy: Policy


def mutants(policy: Policy) -> Iterator[Mutant]:
    """Every mutant of a policy, in the order of the files: rules, conditions, criteria, codes."""
    reruling = Reruling(policy)
    for change, rules in (*_rule_changes(policy), *_outcome_changes(policy)):
        yield Mutant("rule", change, reruling.with_rules(rules))
    for change, rules in _condition_changes(policy):
        yield Mutant("condition", change, reruling.with_rules(rules))
    for level, criterion in enumerate(policy.criteria):
        for kind, change, changed in _criterion_changes(criterion):
            criteria = (*policy.criteria[:level], changed, *policy.criteria[level + 1 :])
            yield Mutant(kind, f"{criterion.link_id}: {change}", replace(policy, criteria=criteria))
    yield from _without_codes(policy)


def _rule_changes(policy: Policy) -> Iterator[tuple[str, list[Rule]]]:
    conditional = policy.rules[:-1]
    for rule in conditional:
        yield f"rule {rule.id}: left out", [each for each in policy.rules if each is not rule]
    for rule, following in pairwise(conditional):
        exchanged = {rule.id: following, following.id: rule}
        yield (
            f"rules {rule.id} and {following.id}: exchanged",
            [exchanged.get(each.id, each) for each in policy.rules],
        )


def _outcome_changes(policy: Policy) -> Iterator[tuple[str, list[Rule]]]:
    outcomes = dict.fromkeys(rule.outcome for rule in policy.rules)
    for rule in policy.rules:
        for outcome in outcomes:
            if outcome != rule.outcome:
                change = f"rule {rule.id}: outcome {_said(outcome)} instead of {_said(rule.outcome)}"
                yield change, _with(policy.rules, replace(rule, outcome=outcome))


def _said(outcome: Outcome) -> str:
    return " to ".join(filter(None, (outcome.code, outcome.redirect_to)))


def _condition_changes(policy: Policy) -> Iterator[tuple[str, list[Rule]]]:
    domains = {criterion.link_id: criterion.domain for criterion in policy.criteria}
    for rule in policy.rules:
        for change, logic in _variants(rule.logic, domains) if rule.logic is not None else ():
            changed = replace(rule, logic=logic, condition=as_fhirpath(logic))
            yield f"rule {rule.id}: {change}", _with(policy.rules, changed)


def _with(rules: Iterable[Rule], changed: Rule) -> list[Rule]:
    return [changed if rule.id == changed.id else rule for rule in rules]


def _variants(condition: Condition, domains: Mapping[str, Domain]) -> Iterator[tuple[str, Condition]]:
    """The condition with one comparison or one operator changed, each with what was changed in it."""
    for other in _others(condition, domains):
        yield f"{as_fhirpath(other)} instead of {as_fhirpath(condition)}", other
    if isinstance(condition, Logic):
        for place, operand in enumerate(condition.operands):
            for change, other in _variants(operand, domains):
                operands = (*condition.operands[:place], other, *condition.operands[place + 1 :])
                yield change, Logic(condition.operator, operands)


def _others(condition: Condition, domains: Mapping[str, Domain]) -> Iterator[Condition]:
    if isinstance(condition, Comparison):
        yield from _other_comparisons(condition, domains[condition.criterion])
    elif condition.operator == "not":
        yield condition.operands[0]
    else:
        yield Logic(_OTHER_LOGIC[condition.operator], condition.operands)
        if condition.operator in {"and", "or"}:
            yield from condition.operands


def _other_comparisons(comparison: Comparison, domain: Domain) -> Iterator[Condition]:
    for operator in _OTHER_OPERATORS[comparison.operator]:
        yield replace(comparison, operator=operator)
    if comparison.operator == "contains":
        yield Logic("not", (comparison,))
    if isinstance(domain, NumberDomain) and isinstance(comparison.value, int | Decimal):
        for step in (-1, 1):
            yield replace(comparison, value=comparison.value + step)


def _criterion_changes(criterion: Criterion) -> Iterator[tuple[str, str, Criterion]]:
    if criterion.assumed is not None:
        yield "assumed", "nothing is assumed", replace(criterion, assumed=None)
        for value in _other_values(criterion.domain, criterion.assumed):
            change = f"{said(criterion.domain, value)} is assumed instead of {said(criterion.domain, criterion.assumed)}"
            yield "assumed", change, replace(criterion, assumed=value)
    if criterion.proof is not None:
        yield "proof", "the record proves nothing", replace(criterion, proof=None, queries=frozenset())


def _other_values(domain: Domain, value: Value) -> Iterator[Value]:
    """One value of another cell: yes for no, the next option, a number on another side of a threshold."""
    if domain.size > 1 and not isinstance(domain, SeveralChoicesDomain):
        yield example_value(domain, (domain.cell(value) + 1) % domain.size)


def _without_codes(policy: Policy) -> Iterator[Mutant]:
    orders = _order_value_set(policy)
    texts = _expressions(policy)
    for url, codes in policy.value_sets.codes.items():
        if url != orders and not any(url in text for text in texts):
            continue
        for (system, code), same in _sampled(codes):
            left = codes - same
            value_sets = replace(policy.value_sets, codes={**policy.value_sets.codes, url: left})
            kept = left if url == orders else policy.codes
            change = f"{url.rpartition('/')[2]}: without {system}|{code}"
            yield Mutant("code", change, replace(policy, value_sets=value_sets, codes=kept))


def _order_value_set(policy: Policy) -> str:
    (action,) = policy.plan["action"]
    filters = (each for need in action["input"] for each in need.get("codeFilter", ()))
    return next(str(each["valueSet"]) for each in filters if each.get("path") == "code")


def _expressions(policy: Policy) -> list[str]:
    """The text of every expression that can name a value set."""
    named = [*policy.variables.values()]
    for criterion in policy.criteria:
        named += [each for each in (criterion.proof, criterion.evidence) if each is not None]
    for rule in policy.rules:
        changes = (change for suggestion in rule.suggestions for change in suggestion.changes)
        named += [expression for change in changes for _, expression, _ in change.elements]
    return [each.text for each in named]


def _sampled(codes: frozenset[Code]) -> Iterator[tuple[Code, frozenset[Code]]]:
    """The codes to be left out one at a time, each with all its spellings."""
    ordered = list(each_once(codes).items())
    if len(ordered) <= ALL_CODES:
        yield from ordered
        return
    for _, group in groupby(ordered, key=lambda pair: pair[0][0]):
        of_system = list(group)
        yield of_system[0]
        if len(of_system) > 1:
            yield of_system[-1]
