"""What any Questionnaire of ours declares: launch contexts, queries, named expressions, and when items are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fhir.resources.R4B import get_fhir_model_class

from cds_service.fhirpath import Expression
from cds_service.policies.loading.circles import enabling_circle
from cds_service.policies.loading.documents import Document, Problems, expression_refused_at
from cds_service.policies.loading.extensions import (
    ENABLE_WHEN_EXPRESSION,
    FHIR_QUERY,
    FHIRPATH,
    LAUNCH_CONTEXT,
    VARIABLE,
    extensions,
    value_of,
)
from cds_service.policies.loading.shared import Shared
from cds_service.policies.policy import Criterion
from cds_service.record.patient_record import PATIENT_KEY
from cds_service.record.resources import Resource, members, text
from cds_service.record.value_sets import ValueSets

_PATIENT_TOKEN = "{{%patient.id}}"  # noqa: S105  a query token, no secret
_QUERY = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<search>[^{}]*=\{\{%patient\.id\}\}[^{}]*)")


@dataclass
class Reading:
    """A Questionnaire as far as it has been read. ``types``: what expressions may name, with its FHIR type."""

    document: Document
    value_sets: ValueSets
    problems: Problems
    shared: Shared
    types: dict[str, str | None]
    queries: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Expression] = field(default_factory=dict)
    criteria: dict[str, Criterion] = field(default_factory=dict)

    @property
    def questionnaire(self) -> Resource:
        """The resource being read."""
        return self.document.resource

    @property
    def value_set_urls(self) -> frozenset[str]:
        """The value sets that expressions may name."""
        return frozenset(self.value_sets.codes)


def items(parent: Resource, path: str = "") -> Iterator[tuple[str, Resource]]:
    """Every item below a Questionnaire, outermost first, with its path."""
    for position, item in enumerate(members(parent, "item")):
        here = f"{path}item[{position}]"
        yield here, item
        yield from items(item, f"{here}.")


def read_names(reading: Reading, contexts: Mapping[str, str], unnamed: frozenset[str] = frozenset()) -> None:
    """Read what the Questionnaire's expressions may name, problems noted.

    ``contexts``: what it may be launched with, and its FHIR type; those ``unnamed`` no expression may use.
    """
    for path, extension in _of_kind(reading.questionnaire, LAUNCH_CONTEXT):
        with reading.problems.noted():
            name = _launch_context(reading.document, path, extension, contexts)
            if name not in unnamed:
                reading.types[name] = contexts[name]
    for path, extension in _of_kind(reading.questionnaire, VARIABLE):
        with reading.problems.noted():
            _read_variable(reading, path, extension.get("valueExpression", {}))


def read_items(reading: Reading, read_item: Callable[[str, Resource], None]) -> None:
    """Check linkIds and enablement and hand each item with its path to ``read_item``, problems noted."""
    known = {item["linkId"] for _, item in items(reading.questionnaire)}
    seen: set[str] = set()
    for path, item in items(reading.questionnaire):
        with reading.problems.noted():
            if item["linkId"] in seen:
                expected = "a linkId that no other item has"
                raise reading.document.problem(f"{path}.linkId", item["linkId"], expected)
            seen.add(item["linkId"])
            _check_enablement(reading, path, item, known)
            read_item(path, item)
    with reading.problems.noted():
        if circle := enabling_circle(reading.questionnaire):
            expected = "items that can be asked one after the other"
            raise reading.document.problem("Questionnaire.item", " → ".join(circle), expected)


def _of_kind(element: Resource, url: str) -> Iterator[tuple[str, Resource]]:
    return ((f"extension[{position}]", extension) for position, extension in extensions(element, url))


def _launch_context(document: Document, path: str, extension: Resource, contexts: Mapping[str, str]) -> str:
    parts = list(members(extension, "extension"))
    name = next((text(each, "valueCoding", "code") for each in parts if each.get("url") == "name"), None)
    kinds = [text(each, "valueCode") for each in parts if each.get("url") == "type"]
    if name is None or name not in contexts or kinds != [contexts[name]]:
        expected = ", ".join(f"{context} of type {kind}" for context, kind in contexts.items())
        raise document.problem(path, f"{name} of type {kinds}", f"one of {expected}")
    return name


def _read_variable(reading: Reading, path: str, expression: Resource) -> None:
    name, language, body = (text(expression, key) for key in ("name", "language", "expression"))
    where = f"{path}.valueExpression"
    if name is None or body is None:
        raise reading.document.problem(where, expression, "an Expression with name, language and expression")
    if name in reading.types:
        raise reading.document.problem(f"{where}.name", name, "a name that nothing else has")
    if language == FHIR_QUERY:
        reading.queries[name] = _query(reading.document, where, body)
        reading.types[name] = "Bundle"
    elif language == FHIRPATH:
        named = compiled(reading, reading.document, f"{where}.expression", body)
        reading.variables[name] = named
        reading.types[name] = named.type
    else:
        raise reading.document.problem(f"{where}.language", language, f"{FHIRPATH} or {FHIR_QUERY}")


def _query(document: Document, where: str, body: str) -> str:
    match = _QUERY.fullmatch(body)
    if match is None:
        raise document.problem(
            f"{where}.expression", body, f"Type?parameter={_PATIENT_TOKEN}…, with no other token"
        )
    try:
        get_fhir_model_class(match["type"])
    except (KeyError, ValueError):
        raise document.problem(f"{where}.expression", match["type"], "a FHIR R4 resource type") from None
    return body


def compiled(
    reading: Reading, document: Document, where: str, body: str, types: Mapping[str, str | None] | None = None
) -> Expression:
    """An expression of a document that sees what the Questionnaire's expressions see. PlanError when it is wrong."""
    with expression_refused_at(document, where, body):
        return reading.shared.expression(
            body, "Questionnaire", reading.types if types is None else types, reading.value_set_urls
        )


def item_expression(reading: Reading, path: str, item: Resource, url: str) -> Expression | None:
    """An item's expression of one kind, which sees the item as ``%qitem`` too; None when it has none."""
    for position, extension in extensions(item, url):
        where = f"{path}.extension[{position}]"
        expression = extension.get("valueExpression") or value_of(extension, "contextExpression")
        body = text(expression, "expression")
        if body is None or text(expression, "language") != FHIRPATH:
            raise reading.document.problem(where, expression, f"an Expression in {FHIRPATH}")
        seen = {**reading.types, "qitem": "Questionnaire.item"}
        return compiled(reading, reading.document, f"{where}.valueExpression.expression", body, seen)
    return None


def check_yield(document: Document, path: str, expression: Expression | None, types: tuple[str, ...]) -> None:
    """An item's expression must yield one of these types, where its type is known before it is evaluated."""
    if expression is None or expression.type is None:
        return
    kind = expression.type.removeprefix("System.").removeprefix("FHIR.")
    if kind.lower() not in {allowed.lower() for allowed in types}:
        found, expected = f"{expression.text} of type {expression.type}", " or ".join(types)
        raise document.problem(path, found, f"an expression that yields {expected}")


def queries_touched(reading: Reading, expression: Expression | None) -> frozenset[str]:
    """The queries that an expression can touch, by itself or through the variables it names."""
    touched: set[str] = set()
    waiting = set(expression.variables) if expression is not None else set()
    while waiting:
        name = waiting.pop()
        if name in reading.queries or name == PATIENT_KEY:
            touched.add(name)
        elif name in reading.variables:
            waiting |= reading.variables[name].variables
    return frozenset(touched)


def _check_enablement(reading: Reading, path: str, item: Resource, known: set[str]) -> None:
    for position, condition in enumerate(members(item, "enableWhen")):
        if condition.get("question") not in known:
            where = f"{path}.enableWhen[{position}].question"
            raise reading.document.problem(where, condition.get("question"), "the linkId of an item")
    for position, extension in extensions(item, ENABLE_WHEN_EXPRESSION):
        where = f"{path}.extension[{position}].valueExpression.expression"
        body = text(extension, "valueExpression", "expression") or ""
        with expression_refused_at(reading.document, where, body):
            reading.shared.expression(body, "QuestionnaireResponse", {}, None)
