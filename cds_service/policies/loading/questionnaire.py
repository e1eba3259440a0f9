"""A policy's Questionnaire read as criteria: one per question, with its proof, its evidence and its values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import cast

from cds_service.policies.domains import (
    BooleanDomain,
    ChoiceDomain,
    Domain,
    NumberDomain,
    SeveralChoicesDomain,
    Value,
)
from cds_service.policies.findings import FUNDING_OUTCOME
from cds_service.policies.loading.documents import Document, Problems
from cds_service.policies.loading.extensions import (
    ASSUMED,
    CLAUSE,
    CONTEXT_EXPRESSION,
    CRITERIA_SYSTEM,
    INITIAL_EXPRESSION,
    MAX_VALUE,
    MIN_VALUE,
    SENSITIVE,
    SHORT_TEXT,
    extensions,
    value_of,
)
from cds_service.policies.loading.made_options import check_made
from cds_service.policies.loading.reading import (
    Reading,
    check_yield,
    item_expression,
    queries_touched,
    read_items,
    read_names,
)
from cds_service.policies.loading.shared import Shared
from cds_service.policies.policy import Criterion
from cds_service.record.resources import Resource, members, text
from cds_service.record.value_sets import ValueSets

CRITERION_TYPES = ("boolean", "choice", "integer", "decimal")
# What a form may be launched with (SDC), as R4 types.
CONTEXT_TYPES = {"patient": "Patient", "user": "Practitioner", "clinical": "ServiceRequest"}
# A repeating choice has one cell for every selection: 2 to the power of its options.
_MOST_SELECTED = 6
# The types that a proof may have for each item type; None: not known before it is evaluated.
PROOF_TYPES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("boolean",),
    "choice": ("Coding", "code", "string"),
    "integer": ("integer", "positiveInt", "unsignedInt"),
    "decimal": ("decimal", "integer", "positiveInt", "unsignedInt"),
}


def read_questionnaire(
    document: Document, value_sets: ValueSets, lists: Iterable[str], problems: Problems, shared: Shared
) -> Reading:
    """Everything a policy's Questionnaire says, problems noted. Every item of a criterion's type becomes a criterion.

    ``lists``: the names of the deployer's Bundles.
    """
    own: dict[str, str | None] = {"questionnaire": "Questionnaire", FUNDING_OUTCOME: "System.String"}
    reading = Reading(document, value_sets, problems, shared, types=own | dict.fromkeys(lists, "Bundle"))
    # Who is logged in is not part of the record: a form may use it, a decision may not.
    read_names(reading, CONTEXT_TYPES, unnamed=frozenset({"user"}))

    def read_item(path: str, item: Resource) -> None:
        if item["type"] in CRITERION_TYPES:
            reading.criteria[item["linkId"]] = _criterion(reading, path, item)

    read_items(reading, read_item)
    return reading


def _criterion(reading: Reading, path: str, item: Resource) -> Criterion:
    document, link_id = reading.document, item["linkId"]
    if re.fullmatch(r"[a-z][A-Za-z0-9]*", link_id) is None:
        raise document.problem(f"{path}.linkId", link_id, "lower camel case, so that conditions can name it")
    clauses = tuple(str(extension.get("valueString")) for _, extension in extensions(item, CLAUSE))
    if not text(item, "text") or not clauses:
        raise document.problem(
            path, link_id, f"a question in text, and an extension {CLAUSE} naming its clause"
        )
    proof = item_expression(reading, path, item, INITIAL_EXPRESSION)
    check_yield(document, path, proof, PROOF_TYPES[item["type"]])
    check_made(document, path, item, proof)
    evidence = item_expression(reading, path, item, CONTEXT_EXPRESSION)
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
        queries=queries_touched(reading, proof),
    )


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
