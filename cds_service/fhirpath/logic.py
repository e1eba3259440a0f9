"""Three-valued logic: None is unknown.

The right side is left alone when the left decides, so that what it would ask is not asked.

Source: FHIRPath N1 §6.5 (boolean logic), http://hl7.org/fhirpath/N1/#boolean-logic
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cds_service.fhirpath import ast
from cds_service.fhirpath.compiled import Compiled, One, Scope, system
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def logical(compiler: Compiler, node: ast.Binary, scope: Scope) -> Compiled:
    """A chain of ``and`` or of ``or``, or a pair of the others."""
    flat = node.operator in {"and", "or"}
    operands = ast.chain(node) if flat else [node.left, node.right]
    compiled = [compiler.compile(operand, scope) for operand in operands]
    truths = [compiler.truth(compiler.memoised(operand)) for operand in compiled]
    one = OPERATORS[node.operator](truths)
    if node.operator == "and" and len(compiled) == 2 and compiled[0].equals and compiled[1].equals:
        one = _texts_and(*compiled[0].equals, *compiled[1].equals, one)
    is_fixed = all(operand.is_fixed for operand in compiled)
    first = compiled[0].membership if node.operator == "and" else None
    return replace(system(one, "Boolean", node.position, is_fixed=is_fixed), membership=first)


def _and(operands: list[One]) -> One:
    return _pair_and(*operands) if len(operands) == 2 else _decided_by(operands, decisive=False)


def _pair_and(left: One, right: One) -> One:
    """Two operands are nearly all there ever are, so they get a closure without a loop."""

    def one(item: Item, frame: Frame) -> bool | None:
        first = left(item, frame)
        if first is False:
            return False
        second = right(item, frame)
        if second is False:
            return False
        return True if first is True and second is True else None

    return one


def _texts_and(first_key: str, first: str, second_key: str, second: str, otherwise: One) -> One:
    """``system = '…' and code = '…'``, the commonest pair of all; what is no string is left to ``otherwise``."""

    def one(item: Item, frame: Frame) -> bool | None:
        if item.__class__ is dict:
            found = item.get(first_key)
            if found.__class__ is str:
                if found != first:
                    return False
                found = item.get(second_key)
                if found.__class__ is str:
                    return bool(found == second)
        unlike: bool | None = otherwise(item, frame)
        return unlike

    return one


def _or(operands: list[One]) -> One:
    return _decided_by(operands, decisive=True)


def _decided_by(operands: list[One], *, decisive: bool) -> One:
    """The first operand that is ``decisive`` ends it; otherwise unknown if any is."""

    def one(item: Item, frame: Frame) -> bool | None:
        is_known = True
        for operand in operands:
            found: bool | None = operand(item, frame)
            if found is decisive:
                return decisive
            if found is None:
                is_known = False
        return (not decisive) if is_known else None

    return one


def _xor(operands: list[One]) -> One:
    left, right = operands

    def one(item: Item, frame: Frame) -> bool | None:
        first, second = left(item, frame), right(item, frame)
        return None if first is None or second is None else first is not second

    return one


def _implies(operands: list[One]) -> One:
    left, right = operands

    def one(item: Item, frame: Frame) -> bool | None:
        first = left(item, frame)
        if first is False:
            return True
        second: bool | None = right(item, frame)
        return second if first is True or second is True else None

    return one


OPERATORS: dict[str, Callable[[list[One]], One]] = {
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
}
