"""FHIRPath text → closures over plain JSON.

    expression = compile_expression("%conditions.entry.resource.ofType(Condition).where(code.memberOf('…')).exists()",
                                    variables={"conditions": "Bundle"}, strict=True)
    expression.evaluate(patient, Environment(now, variables={"conditions": bundle}, member_of=…))

Read in this order: ``ast`` (what an expression says), ``parser``, ``compiled`` (what it becomes), ``compiler``,
``paths``, ``operators``, ``logic``, ``functions`` (one module a chapter). Values: ``dates``, ``quantities``,
``equality``, ``arithmetic``. ``model`` and ``r4.json``: the types. ``runtime`` and ``steps``: what runs.
No global state; an Expression may be evaluated by many threads at once, and never changes its input.
"""

from cds_service.fhirpath.ast import Node
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.expression import Expression, compile_expression
from cds_service.fhirpath.parser import parse
from cds_service.fhirpath.quantities import Quantity
from cds_service.fhirpath.runtime import Environment

__all__ = [
    "Date",
    "DateTime",
    "Environment",
    "Expression",
    "Node",
    "Quantity",
    "Time",
    "compile_expression",
    "parse",
]
