"""Subsetting functions: FHIRPath N1 §5.3, http://hl7.org/fhirpath/N1/#subsetting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cds_service.fhirpath.compiled import Compiled, Invocation, One, plural, single
from cds_service.fhirpath.functions.registry import argument, function
from cds_service.fhirpath.paths import require_order
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def _at_most_one(call: Invocation, one: One) -> Compiled:
    target = call.target
    return single(one, target.types, call.position, is_boxed=target.is_boxed)


def single_(compiler: Compiler, call: Invocation) -> Compiled:
    """The only item; an error when there are more."""
    return _at_most_one(call, compiler.only(replace(call.target, position=call.position)))


def first(compiler: Compiler, call: Invocation) -> Compiled:
    """The first item."""
    require_order(compiler, call.target, "first()", call.position)
    many = call.target.many

    def one(item: Item, frame: Frame) -> Item | None:
        found = many(item, frame)
        return found[0] if found else None

    return _at_most_one(call, one)


def last(compiler: Compiler, call: Invocation) -> Compiled:
    """The last item."""
    require_order(compiler, call.target, "last()", call.position)
    many = call.target.many

    def one(item: Item, frame: Frame) -> Item | None:
        found = many(item, frame)
        return found[-1] if found else None

    return _at_most_one(call, one)


def tail(compiler: Compiler, call: Invocation) -> Compiled:
    """All but the first."""
    require_order(compiler, call.target, "tail()", call.position)
    many = call.target.many
    return plural(
        lambda item, frame: many(item, frame)[1:],
        call.target.types,
        call.position,
        is_boxed=call.target.is_boxed,
    )


def _cut(cut: Callable[[list[Item], int], list[Item]]) -> Callable[[Compiler, Invocation], Compiled]:
    def build(compiler: Compiler, call: Invocation) -> Compiled:
        require_order(compiler, call.target, f"{call.node.name}()", call.position)
        many, number = call.target.many, compiler.integer(argument(compiler, call, 0))

        def selected(item: Item, frame: Frame) -> list[Item]:
            wanted = number(item, frame)
            return [] if wanted is None else cut(many(item, frame), max(0, wanted))

        return plural(selected, call.target.types, call.position, is_boxed=call.target.is_boxed)

    return build


def _among(compiler: Compiler, call: Invocation, *, kept: bool, once: bool) -> Compiled:
    (one, other), key = compiler.alike([call.target, argument(compiler, call, 0)])
    source, excluded = one.many, other.many

    def many(item: Item, frame: Frame) -> list[Item]:
        items, others = source(item, frame), excluded(item, frame)
        frame.spend(len(items) + len(others), call.position)
        known = {key(each) for each in others}
        found = [(key(each), each) for each in items]
        selected = [(identity, each) for identity, each in found if (identity in known) is kept]
        return list(dict(reversed(selected)).values())[::-1] if once else [each for _, each in selected]

    return plural(compiler.guarded(many, call.position), one.types, call.position, is_boxed=one.is_boxed)


def intersect(compiler: Compiler, call: Invocation) -> Compiled:
    """The items that are in both, each once."""
    return _among(compiler, call, kept=True, once=True)


def exclude(compiler: Compiler, call: Invocation) -> Compiled:
    """The items that are not in the argument, as often as they are here."""
    return _among(compiler, call, kept=False, once=False)


FUNCTIONS = {
    "single": function(single_),
    "first": function(first),
    "last": function(last),
    "tail": function(tail),
    "skip": function(_cut(lambda items, wanted: items[wanted:]), 1),
    "take": function(_cut(lambda items, wanted: items[:wanted]), 1),
    "intersect": function(intersect, 1),
    "exclude": function(exclude, 1),
}
