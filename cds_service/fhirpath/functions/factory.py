"""The type factory ``%factory``: of its functions, Coding.

Source: FHIR's additions to FHIRPath, for trial use, https://build.fhir.org/fhirpath.html#factory
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cds_service.fhirpath.compiled import Compiled, Invocation, single
from cds_service.fhirpath.functions.registry import argument, function
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_PARTS = ("system", "code", "display")


def coding(compiler: Compiler, call: Invocation) -> Compiled:
    """A Coding of system, code and perhaps display, each a string; one that is empty is left out.

    Without a code there is no Coding at all: where the specification makes one of the system alone, that would stand
    for an answer nobody gave.
    """
    given = range(len(call.node.arguments))
    parts = [(_PARTS[index], compiler.string(argument(compiler, call, index))) for index in given]

    def one(item: Item, frame: Frame) -> Item | None:
        made = {name: text for name, part in parts if (text := part(item, frame))}
        return made if "code" in made else None

    return single(one, ("Coding",), call.position, is_boxed=False)


FUNCTIONS = {"Coding": function(coding, 2, 3)}
