"""A condition written out: as FHIRPath that reads back as the same condition, and in words with the criteria's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cds_service.policies.conditions import Comparison, Condition, Logic
from cds_service.policies.domains import BooleanDomain, NumberDomain, Value
from cds_service.policies.policy import Criterion

_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_OPTIONS = {"=": "is", "!=": "is not"}
_NUMBERS = {"=": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}


def as_fhirpath(condition: Condition) -> str:
    """FHIRPath that ``read_condition`` reads as this condition."""
    match condition:
        case Comparison(criterion=name, operator="=", value=True):
            return f"%{name}"
        case Comparison(criterion=name, operator="contains", value=value):
            return f"{_literal(value)} in %{name}"
        case Comparison(criterion=name, operator=operator, value=value):
            return f"%{name} {operator} {_literal(value)}"
        case Logic(operator="not", operands=(operand,)):
            return f"{_enclosed(operand)}.not()"
        case Logic(operator=operator, operands=()):
            return operator
        case Logic(operator=operator, operands=operands):
            return f" {operator} ".join(_beside(operand) for operand in operands)


def in_words(condition: Condition, criteria: Mapping[str, Criterion]) -> str:
    """The condition with the criteria's short names and the options' displays."""
    if isinstance(condition, Comparison):
        return _compared(condition, criteria[condition.criterion])
    if condition.operator == "not":
        return _denied(condition.operands[0], criteria)
    if not condition.operands:
        return "always" if condition.operator == "true" else "never"
    parts = (_part_in_words(operand, condition.operator, criteria) for operand in condition.operands)
    return f" {condition.operator} ".join(parts)


def _denied(condition: Condition, criteria: Mapping[str, Criterion]) -> str:
    if isinstance(condition, Comparison) and condition.operator in _OPPOSITE:
        return _compared(
            replace(condition, operator=_OPPOSITE[condition.operator]), criteria[condition.criterion]
        )
    return f"not ({in_words(condition, criteria)})"


def _compared(comparison: Comparison, criterion: Criterion) -> str:
    value, domain = comparison.value, criterion.domain
    if isinstance(domain, BooleanDomain):
        wanted = value if comparison.operator == "=" else not value
        return f"{criterion.name}: {'yes' if wanted else 'no'}"
    if isinstance(domain, NumberDomain):
        return f"{criterion.name} {_NUMBERS[comparison.operator]} {value}"
    if comparison.operator == "contains":
        return f"{criterion.name} includes “{_display(criterion, value)}”"
    return f"{criterion.name} {_OPTIONS[comparison.operator]} “{_display(criterion, value)}”"


def _display(criterion: Criterion, value: Value) -> str:
    codes = getattr(criterion.domain, "codes", ())
    displays = getattr(criterion.domain, "displays", ())
    return str(dict(zip(codes, displays, strict=True)).get(value, value))


def _part_in_words(operand: Condition, around: str, criteria: Mapping[str, Criterion]) -> str:
    words = in_words(operand, criteria)
    plain = isinstance(operand, Comparison) or operand.operator in {"not", around} or not operand.operands
    return words if plain else f"({words})"


def _beside(operand: Condition) -> str:
    text = as_fhirpath(operand)
    bare = isinstance(operand, Comparison) or operand.operator == "not" or not operand.operands
    return text if bare else f"({text})"


def _enclosed(operand: Condition) -> str:
    text = as_fhirpath(operand)
    return text if text.startswith("%") and " " not in text and not text.endswith(")") else f"({text})"


def _literal(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)
