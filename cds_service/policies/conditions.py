"""Rule conditions: logic over criteria and nothing else, read from FHIRPath.

Allowed are ``%criterion``, literals, ``= != < <= > >= in``, ``and or xor implies``, ``.not()`` and parentheses. A
condition looks at no record and calls no function: what a record proves is a criterion's business (Questionnaire
``initialExpression``), so that a diagram over the criteria says everything there is to say about a policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from cds_service.errors import FhirPathTypeError
from cds_service.fhirpath import parse
from cds_service.fhirpath.ast import Binary, Call, Literal, Member, Node, Special, Unary, Variable
from cds_service.policies.diagram import FALSE, TRUE, DiagramBuilder, Ref
from cds_service.policies.domains import Domain, Value

_LOGIC = frozenset({"and", "or", "xor", "implies"})
# Each comparison, and the one that says the same with its sides exchanged.
_EXCHANGED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Comparison:
    """One criterion held against a literal; ``contains`` asks whether an option is among several chosen ones."""

    criterion: str
    operator: str
    value: Value
    position: int


@dataclass(frozen=True)
class Logic:
    """Conditions joined by ``and or xor implies`` (two operands) or ``not`` (one); ``true`` and ``false`` have none."""

    operator: str
    operands: tuple[Condition, ...] = ()


Condition = Comparison | Logic


def read_condition(text: str) -> Condition:
    """The logic in a condition's text. FhirPathError when it does not parse or asks for more than logic."""
    return _Reader(text).condition(parse(text))


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in a condition, from left to right."""
    if isinstance(condition, Comparison):
        yield condition
    else:
        for operand in condition.operands:
            yield from comparisons(operand)


def built(
    condition: Condition, builder: DiagramBuilder, levels: Mapping[str, int], domains: Mapping[str, Domain]
) -> Ref:
    """The condition as a diagram with the leaves FALSE and TRUE. ValueError for a value that a criterion cannot have."""
    if isinstance(condition, Comparison):
        holds = domains[condition.criterion].cells_where(condition.operator, condition.value)
        return builder.test(levels[condition.criterion], holds)
    operands = [built(operand, builder, levels, domains) for operand in condition.operands]
    match condition.operator:
        case "and":
            return builder.conjunction(*operands)
        case "or":
            return builder.disjunction(*operands)
        case "xor":
            return builder.difference(*operands)
        case "implies":
            return builder.disjunction(builder.negation(operands[0]), operands[1])
        case "not":
            return builder.negation(operands[0])
        case constant:
            return TRUE if constant == "true" else FALSE


class _Reader:
    """Turns one expression's syntax tree into a Condition; ``text`` is for the messages."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, node: Node) -> Condition:
        match node:
            case Variable(name=name, position=position):
                return Comparison(name, "=", True, position)
            case Literal(value=bool(value)):
                return Logic("true" if value else "false")
            case Binary(operator=operator, left=left, right=right) if operator in _LOGIC:
                return Logic(operator, (self.condition(left), self.condition(right)))
            case Binary(operator="in", left=Literal(value=str(value)), right=Variable(name=name)):
                return Comparison(name, "contains", value, node.position)
            case Binary(operator="in", left=Variable(name=name), right=right):
                values = tuple(self._listed(right))
                return _any_of(tuple(Comparison(name, "=", value, node.position) for value in values))
            case Binary(operator=operator, left=left, right=right) if operator in _EXCHANGED:
                return self._comparison(operator, left, right, node.position)
            case Call(target=target, name="not", arguments=()) if target is not None:
                return Logic("not", (self.condition(target),))
            case _:
                raise self._refusal(node)

    def _comparison(self, operator: str, left: Node, right: Node, position: int) -> Comparison:
        if isinstance(left, Variable):
            return Comparison(left.name, operator, self._value(right), position)
        if isinstance(right, Variable):
            return Comparison(right.name, _EXCHANGED[operator], self._value(left), position)
        raise self._refusal(left)

    def _listed(self, node: Node) -> Iterator[Value]:
        if isinstance(node, Binary) and node.operator == "|":
            yield from self._listed(node.left)
            yield from self._listed(node.right)
        else:
            yield self._value(node)

    def _value(self, node: Node) -> Value:
        match node:
            case Literal(value=value) if isinstance(value, bool | int | Decimal | str):
                return value
            case Unary(operator="-", operand=Literal(value=int() | Decimal() as value)):
                return -value
        raise self._refusal(node)

    def _refusal(self, node: Node) -> FhirPathTypeError:
        return FhirPathTypeError(f"a condition cannot use {_what(node)}", self._text, node.position)


def _any_of(alternatives: tuple[Condition, ...]) -> Condition:
    joined = alternatives[0]
    for alternative in alternatives[1:]:
        joined = Logic("or", (joined, alternative))
    return joined


def _what(node: Node) -> str:
    match node:
        case Call(name=name):
            return f"{name}(): only not() is allowed; let a criterion's initialExpression call functions"
        case Member(name=name):
            return f"the path {name!r}: name a criterion as %{name}, and let its initialExpression read the record"
        case Special(name=name):
            return f"{name}: name a criterion as %name"
        case Variable(name=name):
            return f"%{name} on both sides: compare a criterion with a literal"
        case Binary(operator=operator):
            return f"{operator!r}: only = != < <= > >= in and or xor implies not() are allowed"
        case Literal(value=value):
            return f"the literal {value!r} here: compare a criterion with a true, false, text or number"
        case _:
            return "this: only %criterion, literals, comparisons and logic are allowed"
