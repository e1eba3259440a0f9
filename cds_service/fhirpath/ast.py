"""What an expression says: its abstract syntax. Parentheses leave no node.

Source: FHIRPath N1, appendix A (grammar), http://hl7.org/fhirpath/N1/#grammar
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.quantities import Quantity

LiteralValue = bool | int | Decimal | str | Date | DateTime | Time | Quantity | None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out; None is the empty collection ``{}``."""

    value: LiteralValue
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``%name``, without the percent sign."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Special:
    """``$this``, ``$index`` or ``$total``, with the dollar sign."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Member:
    """An element of the target, or of the focus when there is no target; a leading type name is one too."""

    target: Node | None
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the target, or of the focus when there is no target."""

    target: Node | None
    name: str
    arguments: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Index:
    """``target[index]``, counted from 0."""

    target: Node
    index: Node
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """``+`` or ``-`` before its operand."""

    operator: str
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class TypeName:
    """The right side of ``is`` and ``as``: ``Patient``, ``FHIR.Patient``, ``System.Boolean``."""

    namespace: str | None
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and the operator between them, at whose position the node is."""

    operator: str
    left: Node
    right: Node
    position: int


Node = Literal | Variable | Special | Member | Call | Index | Unary | TypeName | Binary


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    match node:
        case Member(target=target):
            return () if target is None else (target,)
        case Call(target=target, arguments=arguments):
            return arguments if target is None else (target, *arguments)
        case Index(target=target, index=index):
            return (target, index)
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
    return ()


def chain(node: Binary) -> list[Node]:
    """The operands of ``a | b | c``, read as one list: such a chain may be thousands long."""
    parts: list[Node] = []
    current: Node = node
    while isinstance(current, Binary) and current.operator == node.operator:
        parts.append(current.right)
        current = current.left
    return [current, *reversed(parts)]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, without recursion: a union of two thousand items is two thousand levels deep."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(children(current)))
