"""What differs between two versions of a policy apart from who is decided how: texts, clauses, codes, dates, proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from cds_service.authoring.code_groups import each_once
from cds_service.fhirpath import Expression
from cds_service.policies.domains import NumberDomain, said
from cds_service.policies.policy import Change, Citation, Criterion, Policy, Rule

_Named = TypeVar("_Named")
# How many codes of a change are listed before the rest is counted.
_LISTED = 10


def changes(before: Policy, after: Policy) -> Iterator[str]:
    """Each difference as a sentence: the policy, its rules, its criteria, its expressions, its codes."""
    yield from _compared("policy", _POLICY, before, after)
    yield from _by_name("rule", _RULE, _rules(before), _rules(after))
    yield from _rule_order(before, after)
    yield from _by_name("criterion", _CRITERION, _criteria(before), _criteria(after))
    yield from _compared_texts("variable", _texts(before.variables), _texts(after.variables))
    yield from _compared_texts("query", before.queries, after.queries)
    yield from _compared_codes(before, after)
    for name in sorted(before.lists.keys() | after.lists.keys()):
        if before.lists.get(name) != after.lists.get(name):
            yield f"list {name}: changed"


def _compared(
    where: str, aspects: Mapping[str, Callable[[_Named], object]], before: _Named, after: _Named
) -> Iterator[str]:
    for what, aspect in aspects.items():
        old, new = aspect(before), aspect(after)
        if old != new:
            yield f"{where}: {what}: {_shown(old)} → {_shown(new)}"


def _by_name(
    kind: str,
    aspects: Mapping[str, Callable[[_Named], object]],
    before: Mapping[str, _Named],
    after: Mapping[str, _Named],
) -> Iterator[str]:
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield f"{kind} {name}: gone"
        elif name not in before:
            yield f"{kind} {name}: new"
        else:
            yield from _compared(f"{kind} {name}", aspects, before[name], after[name])


def _rules(policy: Policy) -> dict[str, Rule]:
    return {rule.id: rule for rule in policy.rules}


def _criteria(policy: Policy) -> dict[str, Criterion]:
    return {criterion.link_id: criterion for criterion in policy.criteria}


def _rule_order(before: Policy, after: Policy) -> Iterator[str]:
    kept = _rules(before).keys() & _rules(after).keys()
    old, new = ([rule.id for rule in policy.rules if rule.id in kept] for policy in (before, after))
    if old != new:
        yield f"order of rules: {', '.join(old)} → {', '.join(new)}"


def _compared_texts(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield f"{kind} {name}: {_shown(before.get(name))} → {_shown(after.get(name))}"


def _compared_codes(before: Policy, after: Policy) -> Iterator[str]:
    for url in sorted({*before.value_sets.codes, *after.value_sets.codes}):
        name = url.rpartition("/")[2]
        old, new = (_codes(policy.value_sets.codes.get(url, ())) for policy in (before, after))
        for codes, happened in ((new - old, "added"), (old - new, "removed")):
            if codes:
                yield f"value set {name}: {happened}: {_listed(sorted(codes))}"


def _codes(codes: Iterable[tuple[str, str]]) -> set[str]:
    """The codes as ``system|code``."""
    return {f"{system}|{code}" for system, code in each_once(codes)}


def _listed(codes: Sequence[str]) -> str:
    more = len(codes) - _LISTED
    return ", ".join(codes[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _cited(citations: Iterable[Citation]) -> str:
    return "; ".join(" – ".join(filter(None, (each.label, each.display, each.url))) for each in citations)


def _some(citation: Citation | None) -> tuple[Citation, ...]:
    return () if citation is None else (citation,)


def _suggested(rule: Rule) -> str:
    return "; ".join(
        f"{suggestion.label}: {change.type} ({change.description}){_set(change)}"
        for suggestion in rule.suggestions
        for change in suggestion.changes
    )


def _set(change: Change) -> str:
    return "".join(f", {name} := {expression.text}" for name, expression, _ in change.elements)


def _values(criterion: Criterion) -> str:
    domain = criterion.domain
    if isinstance(domain, NumberDomain):
        return f"from {_shown(domain.minimum)} to {_shown(domain.maximum)}"
    options = zip(getattr(domain, "codes", ()), getattr(domain, "displays", ()), strict=True)
    return ", ".join(f"{code} ({display})" for code, display in options)


def _assumed(criterion: Criterion) -> str | None:
    return None if criterion.assumed is None else said(criterion.domain, criterion.assumed)


def _texts(expressions: Mapping[str, Expression]) -> dict[str, str]:
    return {name: expression.text for name, expression in expressions.items()}


def _text(expression: Expression | None) -> str | None:
    return None if expression is None else expression.text


def _shown(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


# What is compared of each, by what it is called: its value, as it is shown.
_POLICY: Mapping[str, Callable[[Policy], object]] = {
    "title": lambda policy: policy.title,
    "version": lambda policy: policy.version,
    "status": lambda policy: policy.plan["status"],
    "first day": lambda policy: policy.starts,
    "last day": lambda policy: policy.ends,
    "approval date": lambda policy: policy.plan.get("approvalDate"),
    "commissioner": lambda policy: policy.commissioner_name,
    "source document": lambda policy: _cited([policy.source]),
    "individual funding route": lambda policy: _cited(_some(policy.individual_funding)),
    "who may apply": lambda policy: ", ".join(policy.route.applicants) if policy.route else None,
    "request form": lambda policy: policy.route.form if policy.route else None,
}
_RULE: Mapping[str, Callable[[Rule], object]] = {
    "outcome": lambda rule: " to ".join(filter(None, (rule.outcome.code, rule.outcome.redirect_to))),
    "condition": lambda rule: rule.condition,
    "title": lambda rule: rule.title,
    "description": lambda rule: rule.description,
    "priority": lambda rule: "urgent" if rule.urgent else "routine",
    "clauses": lambda rule: _cited(rule.citations),
    "suggestions": _suggested,
}
_CRITERION: Mapping[str, Callable[[Criterion], object]] = {
    "question": lambda criterion: criterion.text,
    "short name": lambda criterion: criterion.name,
    "type": lambda criterion: criterion.item["type"],
    "values": _values,
    "clauses": lambda criterion: ", ".join(criterion.clauses),
    "assumed": _assumed,
    "kept out of cards' texts": lambda criterion: "yes" if criterion.sensitive else "no",
    "proof": lambda criterion: _text(criterion.proof),
    "evidence": lambda criterion: _text(criterion.evidence),
    "asked when": lambda criterion: criterion.item.get("enableWhen"),
}
