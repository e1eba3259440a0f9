"""Operators → closures, but for logic.

Source: FHIRPath N1 §6 (operations), http://hl7.org/fhirpath/N1/#operations
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath import arithmetic, ast, equality, logic
from cds_service.fhirpath.compiled import Compiled, Many, One, Scope, system
from cds_service.fhirpath.functions.combining import union
from cds_service.fhirpath.functions.types import is_type, narrowed_to
from cds_service.fhirpath.quantities import Quantity
from cds_service.fhirpath.runtime import BadDataError, Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def binary(compiler: Compiler, node: ast.Binary, scope: Scope) -> Compiled:
    """An operator between two operands."""
    operator = node.operator
    if operator == "|":
        return union(compiler, [compiler.compile(part, scope) for part in ast.chain(node)], node.position)
    if operator in logic.OPERATORS:
        return logic.logical(compiler, node, scope)
    left = compiler.memoised(compiler.compile(node.left, scope))
    if isinstance(node.right, ast.TypeName):
        type_ = ".".join(part for part in (node.right.namespace, node.right.name) if part)
        build = is_type if operator == "is" else narrowed_to
        return build(compiler, left, type_, node.right.position)
    right = compiler.memoised(compiler.compile(node.right, scope))
    found = _BUILDERS[operator](compiler, left, right, node)
    return replace(found, position=node.position, is_fixed=left.is_fixed and right.is_fixed)


# equality (N1 §6.1)


def _empty(_item: Item, _frame: Frame) -> None:
    return None


def _equals(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> Compiled:
    negate = node.operator == "!="
    if left.is_empty or right.is_empty:
        return system(_empty, "Boolean", node.position)
    _refuse_different_kinds(compiler, left, right, node)
    if left.one is None or right.one is None:
        one = _equal_collections(compiler, left, right)
    elif (text := _literal_text(compiler, left, right)) is not None:
        one = _equals_text(compiler, left, text)
        if left.key is not None and not negate:
            return replace(system(one, "Boolean", node.position), equals=(left.key, text))
    else:
        one = _equal_items(compiler, left, right)
    return system(_not(one) if negate else one, "Boolean", node.position)


def _literal_text(compiler: Compiler, left: Compiled, right: Compiled) -> str | None:
    """The text that a string is held against, when it is written out."""
    value = right.literal.value if right.literal is not None else None
    return value if type(value) is str and compiler.common_kind(left, right) == "string" else None


def _refuse_different_kinds(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> None:
    """In strict mode: values that can never be equal, and a quantity without its unit."""
    one, other = compiler.kinds(left), compiler.kinds(right)
    if not (compiler.is_strict and one and other) or one & other:
        return
    names = f"{compiler.names(left)} {node.operator} {compiler.names(right)}"
    hint = "two values of one kind"
    if one | other == {"quantity", "number"}:
        hint = "a unit with the number, as in 40 'kg/m2' (or '1' when there is none)"
    compiler.refuse(f"{names}: expected {hint}", node.position)


def _not(one: One) -> One:
    def negated(item: Item, frame: Frame) -> bool | None:
        found: bool | None = one(item, frame)
        return None if found is None else not found

    return negated


def _equal_items(compiler: Compiler, left: Compiled, right: Compiled) -> One:
    one, other = compiler.value(left), compiler.value(right)

    def equal(item: Item, frame: Frame) -> bool | None:
        first = one(item, frame)
        if first is None:
            return None
        second = other(item, frame)
        return None if second is None else equality.equal(first, second, frame.zone)

    return equal


def _equals_text(compiler: Compiler, left: Compiled, text: str) -> One:
    """``system = '…'``, the commonest criterion of all, is asked of the JSON object directly."""
    key, value = left.key, compiler.value(left)
    if key is None:

        def equal(item: Item, frame: Frame) -> bool | None:
            found = value(item, frame)
            return None if found is None else found == text

        return equal

    def equal_at_key(item: Item, frame: Frame) -> bool | None:
        try:
            found = item.get(key)
        except AttributeError:
            found = None
        if found == text:
            return True
        if found.__class__ is str:
            return False
        # Raises, with the position, when it is no string or the item no object; a null has no value to compare.
        return None if value(item, frame) is None else False

    return equal_at_key


def _equal_collections(compiler: Compiler, left: Compiled, right: Compiled) -> One:
    """Equal in number, and item by item (N1 §6.1.1)."""
    one, other = compiler.values(left), compiler.values(right)

    def equal(item: Item, frame: Frame) -> bool | None:
        first, second = one(item, frame), other(item, frame)
        if not first or not second:
            return None
        if len(first) != len(second):
            return False
        frame.spend(len(first), left.position)
        found = [
            None if a is None or b is None else equality.equal(a, b, frame.zone)
            for a, b in zip(first, second, strict=True)
        ]
        if False in found:
            return False
        return None if None in found else True

    return compiler.guarded(equal, left.position)


def _equivalent(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> Compiled:
    one, other = compiler.values(left), compiler.values(right)
    expected = node.operator == "~"

    def equivalent(item: Item, frame: Frame) -> bool:
        first, second = one(item, frame), other(item, frame)
        frame.spend(len(first) * len(second), node.position)
        return equality.equivalent_collections(first, second, frame.zone) is expected

    return system(compiler.guarded(equivalent, node.position), "Boolean", node.position)


# comparison (N1 §6.2)

_ORDERS: dict[str, frozenset[int]] = {
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    ">": frozenset({1}),
    ">=": frozenset({0, 1}),
}
_ORDERED = frozenset({"string", "number", "date", "time", "quantity"})


def _compares(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> Compiled:
    accepted = _ORDERS[node.operator]
    if left.is_empty or right.is_empty:
        return system(_empty, "Boolean", node.position)
    _refuse_disorder(compiler, left, right, node)
    one, other = compiler.value(left), compiler.value(right)
    kind = compiler.common_kind(left, right)
    compare = equality.compare if kind is None else equality.order_of(kind)

    def ordered(item: Item, frame: Frame) -> bool | None:
        first = one(item, frame)
        if first is None:
            return None
        second = other(item, frame)
        if second is None:
            return None
        try:
            order = compare(first, second, frame.zone)
        except BadDataError as error:
            raise compiler.failure(str(error), node.position) from None
        return None if order is None else order in accepted

    return system(ordered, "Boolean", node.position)


def _refuse_disorder(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> None:
    one, other = compiler.kinds(left), compiler.kinds(right)
    _refuse_different_kinds(compiler, left, right, node)
    if one is None or other is None or not one or not other:
        return
    if one & other & _ORDERED or (one | other) & _ORDERED >= {"quantity", "number"}:
        return
    names = f"{compiler.names(left)} {node.operator} {compiler.names(right)}"
    compiler.refuse(f"{names}: expected two values of one kind that has an order", node.position)


# membership (N1 §6.4)


def _membership(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> Compiled:
    """``item in collection``; ``contains`` is the same the other way round."""
    item_side, collection_side = (left, right) if node.operator == "in" else (right, left)
    if not item_side.is_empty and not collection_side.is_empty:
        _refuse_different_kinds(compiler, left, right, node)
    one = compiler.value(item_side)
    many = compiler.values(collection_side)
    if compiler.common_kind(left, right) == "string":
        return system(_among_texts(one, many, node.position), "Boolean", node.position)

    def contained(item: Item, frame: Frame) -> bool | None:
        wanted = one(item, frame)
        if wanted is None:
            return None
        found = many(item, frame)
        frame.spend(len(found), node.position)
        return any(other is not None and equality.equal(wanted, other, frame.zone) is True for other in found)

    return system(compiler.guarded(contained, node.position), "Boolean", node.position)


def _among_texts(one: One, many: Many, position: int) -> One:
    """Strings are equal as Python's are."""

    def contained(item: Item, frame: Frame) -> bool | None:
        wanted = one(item, frame)
        if wanted is None:
            return None
        found = many(item, frame)
        frame.spend(len(found), position)
        return wanted in found

    return contained


# math (N1 §6.6)


def _calculates(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> Compiled:
    if left.is_empty or right.is_empty:
        return replace(left if left.is_empty else right)
    type_ = _result_type(compiler, left, right, node)
    _refuse_no_duration(compiler, left, right)
    operation = arithmetic.OPERATIONS[node.operator]
    one, other = compiler.value(left), compiler.value(right)

    def calculated(item: Item, frame: Frame) -> Any:
        first = one(item, frame)
        if first is None:
            return None
        second = other(item, frame)
        return None if second is None else operation(first, second)

    found = system(compiler.guarded(calculated, node.position), "Any", node.position)
    return replace(found, types=type_)


def _refuse_no_duration(compiler: Compiler, left: Compiled, right: Compiled) -> None:
    """A literal that is no duration, behind a date: ``today() - 6 'mo'``."""
    duration = right.literal.value if right.literal else None
    if compiler.kinds(left) == frozenset({"date"}) and isinstance(duration, Quantity):
        try:
            arithmetic.duration_unit(duration)
        except BadDataError as error:
            compiler.refuse(str(error), right.position)


def _result_type(
    compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary
) -> tuple[str, ...] | None:
    """The System type of the result; refused when the operator has none for such operands."""
    one, other = (side.type and compiler.system_of(side.type) for side in (left, right))
    kinds = [compiler.kinds(side) for side in (left, right)]
    if not (one and other) and not (all(kinds) and "complex" in (*(kinds[0] or ()), *(kinds[1] or ()))):
        return None
    result = one and other and _result(node.operator, one, other)
    if not result and kinds[0] and kinds[1] and ((one and other) or frozenset({"complex"}) in kinds):
        names = f"{compiler.names(left)} {node.operator} {compiler.names(right)}"
        hint = f", expected operands that {node.operator} is defined for"
        if one in {"System.Date", "System.DateTime"} and other == "System.Integer":
            hint = ", expected a unit of time, as in 7 days"
        compiler.refuse(f"{names} has no meaning{hint}", node.position)
    return (result,) if result else None


_NUMBERS = frozenset({"System.Integer", "System.Decimal"})
_MOMENTS = frozenset({"System.Date", "System.DateTime", "System.Time"})


def _result(operator: str, left: str, right: str) -> str | None:
    if {left, right} <= _NUMBERS:
        if operator == "div":
            return "System.Integer"
        return "System.Decimal" if "System.Decimal" in {left, right} or operator == "/" else left
    if operator in {"+", "-"}:
        if left in _MOMENTS and right == "System.Quantity":
            return left
        both_texts = left == right == "System.String" and operator == "+"
        return left if both_texts or left == right == "System.Quantity" else None
    is_quantity = operator in {"*", "/"} and {left, right} <= {*_NUMBERS, "System.Quantity"}
    return "System.Quantity" if is_quantity else None


def _concatenates(compiler: Compiler, left: Compiled, right: Compiled, node: ast.Binary) -> Compiled:
    """``&``: empty counts as the empty string (N1 §6.6.6)."""
    one, other = compiler.string(left), compiler.string(right)

    def text(item: Item, frame: Frame) -> str:
        found = (one(item, frame) or "") + (other(item, frame) or "")
        frame.spend(len(found) // 64, node.position)
        return found

    return system(text, "String", node.position)


def unary(compiler: Compiler, node: ast.Unary, scope: Scope) -> Compiled:
    """A sign (N1 §6.6.4)."""
    operand = compiler.memoised(compiler.compile(node.operand, scope))
    kinds = compiler.kinds(operand)
    if kinds and not kinds & {"number", "quantity"}:
        expected = "expected a number or a quantity"
        compiler.refuse(f"found {compiler.names(operand)} behind a sign, {expected}", node.position)
    value = compiler.value(operand)

    def signed(item: Item, frame: Frame) -> Any:
        found = value(item, frame)
        if found is None:
            return None
        return arithmetic.negated(found) if node.operator == "-" else found

    system_type = operand.type and compiler.system_of(operand.type)
    found = system(compiler.guarded(signed, node.position), "Any", node.position, is_fixed=operand.is_fixed)
    return replace(found, types=(system_type,) if system_type else None)


_BUILDERS: dict[str, Callable[[Compiler, Compiled, Compiled, ast.Binary], Compiled]] = {
    **dict.fromkeys(("=", "!="), _equals),
    **dict.fromkeys(("~", "!~"), _equivalent),
    **dict.fromkeys(_ORDERS, _compares),
    **dict.fromkeys(("in", "contains"), _membership),
    **dict.fromkeys(arithmetic.OPERATIONS, _calculates),
    "&": _concatenates,
}
