"""Filtering, projection and aggregates: FHIRPath N1 §5.2 and §7, http://hl7.org/fhirpath/N1/#filtering-and-projection."""

from __future__ import annotations

from dataclasses import replace
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath import ast, equality
from cds_service.fhirpath.compiled import (
    Compiled,
    Filter,
    Invocation,
    Many,
    Membership,
    One,
    Scope,
    item_scope,
    plural,
)
from cds_service.fhirpath.functions.registry import asks_index, criteria, function, numbered
from cds_service.fhirpath.paths import like
from cds_service.fhirpath.runtime import Frame, Item, over_budget

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def where(compiler: Compiler, call: Invocation) -> Compiled:
    """The items for which the criteria are true."""
    target = call.target
    condition = criteria(compiler, call, 0)
    meets = compiler.truth(condition)
    source, position = target.many, call.position
    if asks_index(call):

        def many_numbered(item: Item, frame: Frame) -> list[Item]:
            items = source(item, frame)
            frame.spend(len(items), position)
            return [each for each in numbered(items, frame) if meets(each, frame) is True]

        return like(target, many_numbered, target.types, position, is_boxed=target.is_boxed)

    def many(item: Item, frame: Frame) -> list[Item]:
        items = source(item, frame)
        frame.steps -= len(items)
        if frame.steps < 0:
            raise over_budget(frame, position)
        return [each for each in items if meets(each, frame) is True]

    selected: Many = many
    if condition.equals is not None:
        selected = _with_text(source, meets, *condition.equals, position)
    elif condition.membership is not None:
        selected = _of_members(source, meets, condition.membership, position)
    found = like(target, selected, target.types, position, is_boxed=target.is_boxed)
    return replace(found, filter=Filter(source, meets, condition.equals))


def _with_text(source: Many, meets: One, key: str, text: str, position: int) -> Many:
    """``where(status = '…')``: only what is no string is left to the criteria themselves."""

    def many(item: Item, frame: Frame) -> list[Item]:
        items = source(item, frame)
        frame.steps -= len(items)
        if frame.steps < 0:
            raise over_budget(frame, position)
        found = []
        for each in items:
            value = each.get(key) if each.__class__ is dict else None
            if value == text if value.__class__ is str else meets(each, frame) is True:
                found.append(each)
        return found

    return many


def _of_members(source: Many, meets: One, first: Membership, position: int) -> Many:
    """``where(code.memberOf('…') and …)``: only items that are known to be no members are not asked further.

    Nearly all of a record are not members, so they are told in the loop itself.
    """
    key, value_set = first.key, first.value_set

    def many(item: Item, frame: Frame) -> list[Item]:
        items = source(item, frame)
        frame.steps -= len(items)
        if frame.steps < 0:
            raise over_budget(frame, position)
        codes = frame.value_sets.get(value_set)
        if codes is None:
            return [each for each in items if meets(each, frame) is True]
        found = []
        for each in items:
            is_known = False
            try:
                # Often there is none, only a text: an exception for each would cost more than the rest of the loop.
                for coding in each[key].get("coding") or ():
                    code = coding["code"]
                    if code is None or (coding["system"], code) in codes:
                        break
                    is_known = True
                else:
                    if is_known:
                        continue
            except (AttributeError, KeyError, TypeError):
                # Not shaped as nearly all are: the criteria know what to do with it.
                pass
            if meets(each, frame) is True:
                found.append(each)
        return found

    return many


def select(compiler: Compiler, call: Invocation) -> Compiled:
    """What the projection gives for each item, in one collection."""
    projection = criteria(compiler, call, 0)
    source, project, is_numbered, position = (
        call.target.many,
        projection.many,
        asks_index(call),
        call.position,
    )

    def many(item: Item, frame: Frame) -> list[Item]:
        items = source(item, frame)
        each_item = numbered(items, frame) if is_numbered else items
        found = [result for each in each_item for result in project(each, frame)]
        frame.spend(len(items) + len(found), position)
        return found

    found = plural(many, projection.types, position, is_boxed=projection.is_boxed)
    return replace(found, is_ordered=call.target.is_ordered and projection.is_ordered)


def repeat(compiler: Compiler, call: Invocation) -> Compiled:
    """The projection of every item, of what that gives, and so on; each result once."""
    target, projection = compiler.boxed(call.target), _closed(compiler, call)
    source, project, key, position = target.many, projection.many, compiler.key(projection), call.position

    def many(item: Item, frame: Frame) -> list[Item]:
        found: list[Item] = []
        known = set()
        pending = list(source(item, frame))
        while pending:
            level, pending = pending, []
            for result in (result for each in level for result in project(each, frame)):
                frame.spend(1, position)
                identity = key(result)
                if identity not in known:
                    known.add(identity)
                    found.append(result)
                    pending.append(result)
        return found

    return plural(many, projection.types, position)


def _closed(compiler: Compiler, call: Invocation) -> Compiled:
    """The projection compiled for the target's types and all that it gives itself."""
    types = call.target.types
    while True:
        scope = item_scope(replace(compiler.boxed(call.target), types=types, is_boxed=True))
        projection = compiler.boxed(criteria(compiler, call, 0, scope))
        if types is None or projection.types is None:
            return projection if types is None else replace(projection, types=None)
        reached = tuple(dict.fromkeys((*types, *projection.types)))
        if reached == types:
            return projection
        types = reached


def aggregate(compiler: Compiler, call: Invocation) -> Compiled:
    """The last ``$total``, which begins with the second argument and becomes each result of the first."""
    total = Compiled(lambda _item, frame: frame.total, None, True, call.position)
    step = compiler.boxed(criteria(compiler, call, 0, item_scope(call.target, total=total))).many
    begin = _beginning(compiler, call)
    source, position = call.target.many, call.position

    def many(item: Item, frame: Frame) -> list[Item]:
        items = source(item, frame)
        outer = frame.total
        frame.total = begin(item, frame)
        try:
            for each in numbered(items, frame):
                frame.spend(1, position)
                frame.total = step(each, frame)
            return frame.total
        finally:
            frame.total = outer

    return plural(many, None, position)


def _beginning(compiler: Compiler, call: Invocation) -> Any:
    if len(call.node.arguments) < 2:
        return lambda _item, _frame: []
    return compiler.boxed(compiler.compile(call.node.arguments[1], call.scope)).many


def sort(compiler: Compiler, call: Invocation) -> Compiled:
    """The items in the order of the keys, ``-key`` for the reverse; items without a key come first."""
    keys = [_sort_key(compiler, argument, call) for argument in call.node.arguments]
    this: One = compiler.value(item_scope(call.target).this)
    keys = keys or [(this, 1)]
    source, position = call.target.many, call.position

    def many(item: Item, frame: Frame) -> list[Item]:
        items = source(item, frame)
        frame.spend(len(items) * max(1, len(items).bit_length()), position)
        rows = [([key(each, frame) for key, _ in keys], each) for each in items]

        def order(left: tuple[list[Any], Item], right: tuple[list[Any], Item]) -> int:
            for one, other, (_, direction) in zip(left[0], right[0], keys, strict=True):
                found = _order(one, other, direction, frame)
                if found:
                    return found
            return 0

        return [each for _, each in sorted(rows, key=cmp_to_key(order))]

    return plural(
        compiler.guarded(many, position), call.target.types, position, is_boxed=call.target.is_boxed
    )


def _sort_key(compiler: Compiler, argument: ast.Node, call: Invocation) -> tuple[One, int]:
    scope: Scope = item_scope(call.target)
    if isinstance(argument, ast.Unary) and argument.operator == "-":
        return compiler.value(compiler.compile(argument.operand, scope)), -1
    return compiler.value(compiler.compile(argument, scope)), 1


def _order(one: Any, other: Any, direction: int, frame: Frame) -> int:
    if one is None or other is None:
        return (one is not None) - (other is not None)
    return (equality.compare(one, other, frame.zone) or 0) * direction


FUNCTIONS = {
    "where": function(where, 1),
    "select": function(select, 1),
    "repeat": function(repeat, 1),
    "aggregate": function(aggregate, 1, 2),
    "sort": function(sort, 0, 9),
}
