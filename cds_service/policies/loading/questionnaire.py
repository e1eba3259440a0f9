"""A Questionnaire read as criteria: its queries, its named expressions, and one criterion per question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from fhir.resources.R4B import get_fhir_model_class

from cds_service.fhirpath import Expression, compile_expression
from cds_service.policies.domains import (
    BooleanDomain,
    ChoiceDomain,
    Domain,
    NumberDomain,
    SeveralChoicesDomain,
    Value,
)
from cds_service.policies.findings import FUNDING_OUTCOME
from cds_service.policies.loading.documents import Document, Problems, expression_refused_at
from cds_service.policies.loading.extensions import (
    ASSUMED,
    CLAUSE,
    CONTEXT_EXPRESSION,
    CRITERIA_SYSTEM,
    ENABLE_WHEN_EXPRESSION,
    FHIR_QUERY,
    FHIRPATH,
    INITIAL_EXPRESSION,
    LAUNCH_CONTEXT,
    MAX_VALUE,
    MIN_VALUE,
    SENSITIVE,
    SHORT_TEXT,
    VARIABLE,
    extensions,
    value_of,
)
from cds_service.policies.policy import Criterion
from cds_service.record.patient_record import PATIENT_KEY
from cds_service.record.resources import Resource, members, text
from cds_service.record.value_sets import ValueSets

CRITERION_TYPES = ("boolean", "choice", "integer", "decimal")
# What a form may be launched with (SDC), as R4 types.
_CONTEXT_TYPES = {"patient": "Patient", "user": "Practitioner", "clinical": "ServiceRequest"}
# A repeating choice has one cell for every selection: 2 to the power of its options.
_MOST_SELECTED = 6
_PATIENT_TOKEN = "{{%patient.id}}"  # noqa: S105  a query token, no secret
_QUERY = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<search>[^{}]*=\{\{%patient\.id\}\}[^{}]*)")
# The types that a proof may have for each item type; None: not known before it is evaluated.
_PROOF_TYPES = {
    "boolean": ("boolean",),
    "choice": ("Coding", "code", "string"),
    "integer": ("integer", "positiveInt", "unsignedInt"),
    "decimal": ("decimal", "integer", "positiveInt", "unsignedInt"),
}


@dataclass
class Reading:
    """A Questionnaire as far as it has been read. ``types``: what expressions may name, with its FHIR type."""

    document: Document
    value_sets: ValueSets
    problems: Problems
    types: dict[str, str | None] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Expression] = field(default_factory=dict)
    criteria: dict[str, Criterion] = field(default_factory=dict)

    @property
    def questionnaire(self) -> Resource:
        """The resource being read."""
        return self.document.resource


def read_questionnaire(
    document: Document, value_sets: ValueSets, lists: Iterable[str], problems: Problems
) -> Reading:
    """Everything a Questionnaire says, problems noted. Every item of a criterion's type becomes a criterion.

    ``lists``: the names of the deployer's Bundles.
    """
    own: dict[str, str | None] = {"questionnaire": "Questionnaire", FUNDING_OUTCOME: "System.String"}
    reading = Reading(document, value_sets, problems, types=own | dict.fromkeys(lists, "Bundle"))
    for path, extension in _of_kind(reading.questionnaire, LAUNCH_CONTEXT):
        with problems.noted():
            _read_launch_context(reading, path, extension)
    for path, extension in _of_kind(reading.questionnaire, VARIABLE):
        with problems.noted():
            _read_variable(reading, path, extension.get("valueExpression", {}))
    seen: set[str] = set()
    for path, item in items(reading.questionnaire):
        with problems.noted():
            if item["linkId"] in seen:
                raise document.problem(f"{path}.linkId", item["linkId"], "a linkId that no other item has")
            seen.add(item["linkId"])
            _check_enablement(reading, path, item)
            if item["type"] in CRITERION_TYPES:
                reading.criteria[item["linkId"]] = _criterion(reading, path, item)
    return reading


def items(parent: Resource, path: str = "") -> Iterator[tuple[str, Resource]]:
    """Every item below a Questionnaire, outermost first, with its path."""
    for position, item in enumerate(members(parent, "item")):
        here = f"{path}item[{position}]"
        yield here, item
        yield from items(item, f"{here}.")


def _of_kind(element: Resource, url: str) -> Iterator[tuple[str, Resource]]:
    return ((f"extension[{position}]", extension) for position, extension in extensions(element, url))


def _read_launch_context(reading: Reading, path: str, extension: Resource) -> None:
    name = next(
        (
            text(each, "valueCoding", "code")
            for each in members(extension, "extension")
            if each.get("url") == "name"
        ),
        None,
    )
    kinds = [text(each, "valueCode") for each in members(extension, "extension") if each.get("url") == "type"]
    if name not in _CONTEXT_TYPES or kinds != [_CONTEXT_TYPES[name]]:
        expected = ", ".join(f"{context} of type {kind}" for context, kind in _CONTEXT_TYPES.items())
        raise reading.document.problem(path, f"{name} of type {kinds}", f"one of {expected}")
    # Who is logged in is not part of the record: a form may use it, a decision may not.
    if name != "user":
        reading.types[name] = _CONTEXT_TYPES[name]


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
        named = _compiled(reading, f"{where}.expression", body)
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


def _compiled(
    reading: Reading, where: str, body: str, types: Mapping[str, str | None] | None = None
) -> Expression:
    return compiled(reading, reading.document, where, body, types)


def compiled(
    reading: Reading, document: Document, where: str, body: str, types: Mapping[str, str | None] | None = None
) -> Expression:
    """An expression of a document that sees what the Questionnaire's expressions see. PlanError when it is wrong."""
    with expression_refused_at(document, where, body):
        return compile_expression(
            body,
            context="Questionnaire",
            variables=reading.types if types is None else types,
            strict=True,
            value_sets=reading.value_sets,
        )


def _criterion(reading: Reading, path: str, item: Resource) -> Criterion:
    document, link_id = reading.document, item["linkId"]
    if re.fullmatch(r"[a-z][A-Za-z0-9]*", link_id) is None:
        raise document.problem(f"{path}.linkId", link_id, "lower camel case, so that conditions can name it")
    clauses = tuple(str(extension.get("valueString")) for _, extension in extensions(item, CLAUSE))
    if not text(item, "text") or not clauses:
        raise document.problem(
            path, link_id, f"a question in text, and an extension {CLAUSE} naming its clause"
        )
    proof = _item_expression(reading, path, item, INITIAL_EXPRESSION)
    _check_proof(reading, path, item, proof)
    evidence = _item_expression(reading, path, item, CONTEXT_EXPRESSION)
    domain = _domain(document, path, item)
    assumed = _assumed(document, path, item, domain)
    if "initial" in item and proof is not None:
        expected = (
            f"initial or an initialExpression, never both (SDC); the extension {ASSUMED} stands beside one"
        )
        raise document.problem(f"{path}.initial", assumed, expected)
    return Criterion(
        link_id=link_id,
        text=item["text"],
        name=value_of(item, SHORT_TEXT) or item["text"],
        domain=domain,
        item=item,
        clauses=clauses,
        assumed=assumed,
        sensitive=value_of(item, SENSITIVE) is True,
        proof=proof,
        evidence=evidence,
        queries=_queries(reading, proof),
    )


def _item_expression(reading: Reading, path: str, item: Resource, url: str) -> Expression | None:
    for position, extension in extensions(item, url):
        where = f"{path}.extension[{position}]"
        expression = extension.get("valueExpression") or value_of(extension, "contextExpression")
        body = text(expression, "expression")
        if body is None or text(expression, "language") != FHIRPATH:
            raise reading.document.problem(where, expression, f"an Expression in {FHIRPATH}")
        return _compiled(
            reading,
            f"{where}.valueExpression.expression",
            body,
            {**reading.types, "qitem": "Questionnaire.item"},
        )
    return None


def _check_proof(reading: Reading, path: str, item: Resource, proof: Expression | None) -> None:
    """An initialExpression must yield what the item holds, where its type is known before it is evaluated."""
    if proof is None or proof.type is None:
        return
    kind = proof.type.removeprefix("System.").removeprefix("FHIR.")
    if kind.lower() not in {allowed.lower() for allowed in _PROOF_TYPES[item["type"]]}:
        expected = f"an expression that yields {' or '.join(_PROOF_TYPES[item['type']])}"
        raise reading.document.problem(path, f"{proof.text} of type {proof.type}", expected)


def _domain(document: Document, path: str, item: Resource) -> Domain:
    if item["type"] == "boolean":
        return BooleanDomain()
    if item["type"] == "choice":
        return _choices(document, path, item)
    bounds = [value_of(item, url) for url in (MIN_VALUE, MAX_VALUE)]
    minimum, maximum = (None if bound is None else Decimal(str(bound)) for bound in bounds)
    return NumberDomain(item["type"] == "integer", minimum, maximum)


def _choices(document: Document, path: str, item: Resource) -> Domain:
    codings = [option.get("valueCoding", {}) for option in members(item, "answerOption")]
    for position, coding in enumerate(codings):
        if coding.get("system") != CRITERIA_SYSTEM or not text(coding, "code") or not text(coding, "display"):
            raise document.problem(
                f"{path}.answerOption[{position}]",
                coding,
                f"a valueCoding of {CRITERIA_SYSTEM} with code and display",
            )
    codes = tuple(coding["code"] for coding in codings)
    if len(codes) < 2 or len(set(codes)) != len(codes):
        raise document.problem(f"{path}.answerOption", codes, "at least two options, each once")
    displays = tuple(coding["display"] for coding in codings)
    if item.get("repeats") is not True:
        return ChoiceDomain(codes, displays)
    if len(codes) > _MOST_SELECTED:
        raise document.problem(
            f"{path}.answerOption", f"{len(codes)} options", f"at most {_MOST_SELECTED}, as it repeats"
        )
    return SeveralChoicesDomain(codes, displays)


def _assumed(document: Document, path: str, item: Resource, domain: Domain) -> Value | None:
    initial = next(members(item, "initial"), {})
    value = next(iter(initial.values()), value_of(item, ASSUMED))
    if value is None:
        return None
    value = value.get("code") if isinstance(value, Mapping) else value
    try:
        domain.cell(value)
    except ValueError as error:
        raise document.problem(f"{path}.initial[0]", value, f"a value the item can have: {error}") from None
    return cast(Value, value)


def _queries(reading: Reading, expression: Expression | None) -> frozenset[str]:
    """The prefetch keys that an expression can touch, by itself or through the variables it names."""
    touched: set[str] = set()
    waiting = set(expression.variables) if expression is not None else set()
    while waiting:
        name = waiting.pop()
        if name in reading.queries or name == PATIENT_KEY:
            touched.add(name)
        elif name in reading.variables:
            waiting |= reading.variables[name].variables
    return frozenset(touched)


def _check_enablement(reading: Reading, path: str, item: Resource) -> None:
    known = {each["linkId"] for _, each in items(reading.questionnaire)}
    for position, condition in enumerate(members(item, "enableWhen")):
        if condition.get("question") not in known:
            where = f"{path}.enableWhen[{position}].question"
            raise reading.document.problem(where, condition.get("question"), "the linkId of an item")
    for position, extension in extensions(item, ENABLE_WHEN_EXPRESSION):
        where = f"{path}.extension[{position}].valueExpression.expression"
        body = text(extension, "valueExpression", "expression") or ""
        with expression_refused_at(reading.document, where, body):
            compile_expression(body, context="QuestionnaireResponse", strict=True)
