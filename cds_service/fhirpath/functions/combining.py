"""Combining functions: FHIRPath N1 §5.4, http://hl7.org/fhirpath/N1/#combining."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cds_service.fhirpath.compiled import Compiled, Invocation, Many, plural
from cds_service.fhirpath.functions.registry import argument, function
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def union(compiler: Compiler, parts: list[Compiled], position: int) -> Compiled:
    """All items of all parts, each once."""
    alike, key = compiler.alike(parts)
    sources = [part.many for part in alike]

    def many(item: Item, frame: Frame) -> list[Item]:
        found = [each for source in sources for each in source(item, frame)]
        frame.spend(len(found), position)
        if len(found) < 2:
            return found
        first_of: dict[object, Item] = {}
        for each in found:
            first_of.setdefault(key(each), each)
        return list(first_of.values())

    return replace(_joined(compiler, alike, many, position), is_fixed=all(part.is_fixed for part in alike))


def _joined(compiler: Compiler, alike: list[Compiled], many: Many, position: int) -> Compiled:
    guarded = compiler.guarded(many, position)
    return plural(
        guarded, compiler.common_types(alike), position, is_boxed=all(part.is_boxed for part in alike)
    )


def union_function(compiler: Compiler, call: Invocation) -> Compiled:
    """The same as ``|``."""
    return union(compiler, [call.target, argument(compiler, call, 0)], call.position)


def combine(compiler: Compiler, call: Invocation) -> Compiled:
    """All items of both, equal ones too."""
    alike, _ = compiler.alike([call.target, argument(compiler, call, 0)])
    one, other = alike[0].many, alike[1].many

    def many(item: Item, frame: Frame) -> list[Item]:
        found = [*one(item, frame), *other(item, frame)]
        frame.spend(len(found), call.position)
        return found

    return _joined(compiler, alike, many, call.position)


def distinct(compiler: Compiler, call: Invocation) -> Compiled:
    """Each item once."""
    return union(compiler, [call.target], call.position)


FUNCTIONS = {
    "union": function(union_function, 1),
    "combine": function(combine, 1),
    "distinct": function(distinct),
}
