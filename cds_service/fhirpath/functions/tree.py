"""Tree navigation: FHIRPath N1 §5.8, http://hl7.org/fhirpath/N1/#tree-navigation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cds_service.fhirpath import steps
from cds_service.fhirpath.compiled import Compiled, Invocation, plural
from cds_service.fhirpath.functions.registry import function
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def children(compiler: Compiler, call: Invocation) -> Compiled:
    """All elements directly below, in no order that may be counted on."""
    source, step = compiler.boxed(call.target).many, steps.children(compiler.model)

    def many(item: Item, frame: Frame) -> list[Item]:
        found = [child for each in source(item, frame) for child in step(each)]
        frame.spend(len(found), call.position)
        return found

    return replace(plural(many, None, call.position), is_ordered=False)


def descendants(compiler: Compiler, call: Invocation) -> Compiled:
    """All elements below, however deep."""
    source, step = compiler.boxed(call.target).many, steps.children(compiler.model)

    def many(item: Item, frame: Frame) -> list[Item]:
        found: list[Item] = []
        pending = [child for each in source(item, frame) for child in step(each)][::-1]
        while pending:
            frame.spend(1, call.position)
            each = pending.pop()
            found.append(each)
            pending.extend(reversed(step(each)))
        return found

    return replace(plural(many, None, call.position), is_ordered=False)


FUNCTIONS = {"children": function(children), "descendants": function(descendants)}
