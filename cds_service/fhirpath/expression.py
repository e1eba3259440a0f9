"""A compiled expression and its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.errors import FhirPathEvaluationError
from cds_service.fhirpath import ast
from cds_service.fhirpath.compiled import Compiled
from cds_service.fhirpath.compiler import Compiler
from cds_service.fhirpath.model import r4
from cds_service.fhirpath.parser import parse
from cds_service.fhirpath.paths import checker, listed
from cds_service.fhirpath.runtime import BadDataError, Environment, Frame, Item, Node, Unbox


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """``variables``: every declared ``%name`` that it uses. ``type``: that of its items, when all are of one."""

    text: str
    variables: frozenset[str]
    type: str | None
    _compiled: Compiled = field(repr=False)
    _unbox: Unbox = field(repr=False)
    _check: Callable[[list[Item]], list[Item]] = field(repr=False)

    def evaluate(self, focus: Any, environment: Environment) -> list[Any]:
        """The collection it yields on one item of JSON or a list of them.

        Primitives come out as System values, complex elements as the dicts of the input; a primitive that has only
        extensions as the dict of those. FhirPathEvaluationError on data without a result; what the environment raises
        passes through.
        """
        try:
            found = self._compiled.many(None, Frame(self._check(listed(focus)), environment, self.text))
            return [_result(self._unbox, item) for item in found] if found else []
        except BadDataError as error:
            raise FhirPathEvaluationError(str(error), self.text, 0) from None


def _result(unbox: Unbox, item: Item) -> Any:
    """Quantities stay the element they are; see Expression.evaluate for the rest."""
    value = item.value if type(item) is Node else item
    if type(value) is dict:
        return value
    value = unbox(item)
    return item.extra if value is None and type(item) is Node else value


def compile_expression(
    text: str,
    *,
    context: str | None = None,
    variables: Mapping[str, str | None] | None = None,
    strict: bool = False,
    value_sets: Container[str] | None = None,
) -> Expression:
    """Text → Expression; FhirPathSyntaxError or FhirPathTypeError when no data could make it right.

    ``context``: the type of the focus (``Patient``, ``System.Boolean``), None when unknown. ``variables``: name → type or
    None; any other ``%name`` that the language does not define is refused. ``strict``: every element of every path must
    be one of R4, so unknown and abstract types are narrowed first. ``value_sets``: the urls that memberOf() may name.
    """
    declared = dict(variables or {})
    node = parse(text)
    compiler = Compiler(text, r4(), declared, is_strict=strict, value_sets=value_sets)
    compiled = compiler.whole(node, context)
    names = {part.name for part in ast.walk(node) if isinstance(part, ast.Variable)}
    used = frozenset(name for name in names if name in declared)
    check = checker(compiler, compiler.context, "the focus", 0)
    return Expression(text, used, compiled.type, compiled, compiler.unbox(compiled), check)
