"""Existence functions: FHIRPath N1 §5.1, http://hl7.org/fhirpath/N1/#existence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath.compiled import Compiled, Invocation, Many, One, system
from cds_service.fhirpath.functions.filtering import where
from cds_service.fhirpath.functions.registry import argument, asks_index, criteria, function, numbered
from cds_service.fhirpath.runtime import Frame, Item, over_budget

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def empty(_compiler: Compiler, call: Invocation) -> Compiled:
    """Whether there is no item."""
    found = _exists(call.target, call.position)
    return system(lambda item, frame: not found(item, frame), "Boolean", call.position)


def exists(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether there is an item, or one that meets the criteria."""
    target = where(compiler, call) if call.node.arguments else call.target
    return system(_exists(target, call.position), "Boolean", call.position)


def _exists(target: Compiled, position: int) -> One:
    """Whether the target has an item; a filtered one is only read up to the first."""
    if target.filter is not None:
        some = target.filter
        if some.equals is not None:
            return _exists_with_text(some.source, some.criteria, *some.equals, position)
        return _exists_some(some.source, some.criteria, position)
    one, many = target.one, target.many
    if one is None:
        return lambda item, frame: bool(many(item, frame))
    return lambda item, frame: one(item, frame) is not None


def _exists_some(source: Many, meets: One, position: int) -> One:
    def some(item: Item, frame: Frame) -> bool:
        items = source(item, frame)
        frame.steps -= len(items)
        if frame.steps < 0:
            raise over_budget(frame, position)
        for each in items:  # noqa: SIM110 - any() with a generator takes twice as long
            if meets(each, frame) is True:
                return True
        return False

    return some


def _exists_with_text(source: Many, meets: One, key: str, text: str, position: int) -> One:
    """``exists(code = '…')``: only what is no string is left to the criteria themselves."""

    def some(item: Item, frame: Frame) -> bool:
        items = source(item, frame)
        frame.steps -= len(items)
        if frame.steps < 0:
            raise over_budget(frame, position)
        for each in items:
            found = each.get(key) if each.__class__ is dict else None
            if found.__class__ is str:
                if found == text:
                    return True
            elif meets(each, frame) is True:
                return True
        return False

    return some


def all_(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether every item meets the criteria; true of none."""
    meets = compiler.truth(criteria(compiler, call, 0))
    source, is_numbered = call.target.many, asks_index(call)

    def every(item: Item, frame: Frame) -> bool:
        items = source(item, frame)
        frame.spend(len(items), call.position)
        return all(meets(each, frame) is True for each in (numbered(items, frame) if is_numbered else items))

    return system(every, "Boolean", call.position)


def _of_booleans(decide: Callable[[list[bool]], bool]) -> Callable[[Compiler, Invocation], Compiled]:
    """allTrue, anyTrue, allFalse, anyFalse: the items must be booleans."""

    def build(compiler: Compiler, call: Invocation) -> Compiled:
        kinds = compiler.kinds(call.target)
        if kinds and "boolean" not in kinds:
            compiler.refuse(f"found {compiler.names(call.target)}, expected booleans", call.position)
        values = compiler.values(call.target)

        def decided(item: Item, frame: Frame) -> bool:
            found = values(item, frame)
            frame.spend(len(found), call.position)
            if not all(value is True or value is False for value in found):
                raise compiler.failure(
                    f"{call.node.name}() met an item that is no boolean, expected booleans", call.position
                )
            return decide(found)

        return system(decided, "Boolean", call.position)

    return build


def _subset(compiler: Compiler, call: Invocation, *, of_argument: bool) -> Compiled:
    (one, other), key = compiler.alike([call.target, argument(compiler, call, 0)])
    inner, outer = (one.many, other.many) if of_argument else (other.many, one.many)

    def contained(item: Item, frame: Frame) -> bool:
        small, large = inner(item, frame), outer(item, frame)
        frame.spend(len(small) + len(large), call.position)
        known = {key(each) for each in large}
        return all(key(each) in known for each in small)

    return system(compiler.guarded(contained, call.position), "Boolean", call.position)


def subset_of(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether every item is in the argument too."""
    return _subset(compiler, call, of_argument=True)


def superset_of(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether every item of the argument is here too."""
    return _subset(compiler, call, of_argument=False)


def count(_compiler: Compiler, call: Invocation) -> Compiled:
    """How many items there are."""
    many = call.target.many
    return system(lambda item, frame: len(many(item, frame)), "Integer", call.position)


def is_distinct(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether no two items are equal."""
    many, key = call.target.many, compiler.key(call.target)

    def distinct(item: Item, frame: Frame) -> bool:
        items = many(item, frame)
        frame.spend(len(items), call.position)
        return len({key(each) for each in items}) == len(items)

    return system(compiler.guarded(distinct, call.position), "Boolean", call.position)


def not_(compiler: Compiler, call: Invocation) -> Compiled:
    """The opposite; unknown of unknown."""
    truth = compiler.truth(call.target)

    def opposite(item: Item, frame: Frame) -> Any:
        found = truth(item, frame)
        return None if found is None else not found

    return system(opposite, "Boolean", call.position, is_fixed=call.target.is_fixed)


FUNCTIONS = {
    "empty": function(empty),
    "exists": function(exists, 0, 1),
    "all": function(all_, 1),
    "allTrue": function(_of_booleans(all)),
    "anyTrue": function(_of_booleans(any)),
    "allFalse": function(_of_booleans(lambda values: not any(values))),
    "anyFalse": function(_of_booleans(lambda values: not all(values))),
    "subsetOf": function(subset_of, 1),
    "supersetOf": function(superset_of, 1),
    "count": function(count),
    "isDistinct": function(is_distinct),
    "not": function(not_),
}
