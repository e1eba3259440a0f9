"""A shared form, read as strictly as a policy's questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cds_service.errors import PlanError
from cds_service.policies.forms import SharedForm
from cds_service.policies.listing import Listing
from cds_service.policies.loading.documents import Document, Problems
from cds_service.policies.loading.extensions import (
    CLAUSE,
    CONTEXT_EXPRESSION,
    ENABLE_WHEN_EXPRESSION,
    INITIAL_EXPRESSION,
    extensions,
)
from cds_service.policies.loading.files import PlanFiles
from cds_service.policies.loading.folder import read_documents
from cds_service.policies.loading.made_options import check_made
from cds_service.policies.loading.questionnaire import CONTEXT_TYPES, PROOF_TYPES
from cds_service.policies.loading.reading import (
    Reading,
    check_yield,
    item_expression,
    read_items,
    read_names,
)
from cds_service.policies.loading.shared import Shared
from cds_service.policies.loading.value_sets import read_value_sets
from cds_service.record.resources import Resource, members, text

# What a shared form may be launched with: what a policy's may, and the determination that leads to it.
_CONTEXT_TYPES = {**CONTEXT_TYPES, "determination": "GuidanceResponse"}
_TEXTS = ("string", "code", "markdown", "id")
# The types that an initialExpression may have for each item type; no other item can have one.
_PREFILLED_TYPES: Mapping[str, tuple[str, ...]] = {
    **PROOF_TYPES,
    "open-choice": PROOF_TYPES["choice"],
    "date": ("date",),
    "dateTime": ("dateTime", "instant", "date"),
    "string": _TEXTS,
    "text": _TEXTS,
    "url": ("url", "uri", "canonical", "string"),
}
_KINDS: Mapping[str, tuple[int, float]] = {"Questionnaire": (1, 1), "ValueSet": (0, float("inf"))}
_EXPRESSIONS = frozenset({INITIAL_EXPRESSION, CONTEXT_EXPRESSION, ENABLE_WHEN_EXPRESSION})


def read_form(
    files: PlanFiles, problems: Problems, shared: Shared, *, is_sound: bool = False
) -> SharedForm | None:
    """The shared form in these files, or None when there are problems, which are then all noted.

    ``is_sound``: the very same files were found to be well-shaped FHIR before, which need not be found again.
    """
    before = len(problems.found)
    documents = read_documents(files, _KINDS, problems, shared, is_sound=is_sound)
    if len(problems.found) > before:
        return None
    (document,) = documents["Questionnaire"]
    value_sets = read_value_sets(documents["ValueSet"], problems, shared)
    reading = Reading(document, value_sets, problems, shared, types={"questionnaire": "Questionnaire"})
    read_names(reading, _CONTEXT_TYPES)
    read_items(reading, lambda path, item: _check_item(reading, path, item))
    return _form(files, reading) if len(problems.found) == before else None


def _form(files: PlanFiles, reading: Reading) -> SharedForm:
    questionnaire = reading.questionnaire
    return SharedForm(
        id=questionnaire["id"],
        url=questionnaire["url"],
        version=questionnaire["version"],
        title=questionnaire["title"],
        questionnaire=questionnaire,
        contexts={name: kind for name, kind in _CONTEXT_TYPES.items() if name in reading.types},
        queries=reading.queries,
        variables=reading.variables,
        value_sets=reading.value_sets,
        folder=Path(files.folder),
    )


def _check_item(reading: Reading, path: str, item: Resource) -> None:
    document, link_id = reading.document, item["linkId"]
    if next(extensions(item, CLAUSE), None) is not None:
        expected = "a PlanDefinition in this folder: items with a clause are a policy's criteria"
        raise document.problem(path, link_id, expected)
    if not text(item, "text"):
        raise document.problem(f"{path}.text", item.get("text"), "a question, or the words of a heading")
    _check_expressions(document, path, item)
    prefilled = item_expression(reading, path, item, INITIAL_EXPRESSION)
    item_expression(reading, path, item, CONTEXT_EXPRESSION)
    if prefilled is not None:
        check_yield(document, path, prefilled, _types(document, path, item))
        check_made(document, path, item, prefilled)
        if "initial" in item:
            raise document.problem(f"{path}.initial", link_id, "initial or an initialExpression (SDC)")
    if item["type"] in {"choice", "open-choice"}:
        _check_options(reading, path, item)


def _types(document: Document, path: str, item: Resource) -> tuple[str, ...]:
    if item["type"] not in _PREFILLED_TYPES:
        expected = f"no {INITIAL_EXPRESSION} on an item of this type"
        raise document.problem(f"{path}.type", item["type"], expected)
    return _PREFILLED_TYPES[item["type"]]


def _check_expressions(document: Document, path: str, item: Resource) -> None:
    """Only expressions that are checked here may stand on an item."""
    for position, extension in enumerate(members(item, "extension")):
        if "valueExpression" in extension and extension.get("url") not in _EXPRESSIONS:
            expected = f"one of {', '.join(sorted(_EXPRESSIONS))}"
            raise document.problem(f"{path}.extension[{position}].url", extension.get("url"), expected)


def _check_options(reading: Reading, path: str, item: Resource) -> None:
    codings = [option.get("valueCoding", {}) for option in members(item, "answerOption")]
    named = text(item, "answerValueSet")
    if named is not None and named not in reading.value_sets:
        raise reading.document.problem(f"{path}.answerValueSet", named, "a ValueSet of this folder")
    if named is None and len(codings) < 2:
        raise reading.document.problem(f"{path}.answerOption", len(codings), "at least two options")
    for position, coding in enumerate(codings):
        if not all(text(coding, part) for part in ("system", "code", "display")):
            where = f"{path}.answerOption[{position}]"
            raise reading.document.problem(where, coding, "a valueCoding with system, code and display")
    codes = [(coding["system"], coding["code"]) for coding in codings]
    if len(set(codes)) != len(codes):
        raise reading.document.problem(f"{path}.answerOption", codes, "each option once")


def form_problems(
    forms: Iterable[SharedForm], policies: Iterable[Listing], queries: Mapping[str, str]
) -> Iterator[PlanError]:
    """What only forms and policies together can be checked for. ``queries``: those of all policies, by name."""
    known = {f"{policy.questionnaire_url}|{policy.version}" for policy in policies}
    offered = {form.canonical for form in forms}
    for form in forms:
        if form.canonical in known:
            yield _form_problem(form, "url", form.canonical, "a canonical that no other Questionnaire has")
        known.add(form.canonical)
        for name, query in form.queries.items():
            if queries.get(name, query) != query:
                yield _form_problem(form, "extension", query, f"{queries[name]}, as everywhere else")
    for policy in policies:
        if policy.form and policy.form not in offered:
            expected = f"a shared form that is loaded: {', '.join(sorted(offered)) or 'there is none'}"
            yield PlanError(policy.file, "PlanDefinition.relatedArtifact", repr(policy.form), expected)


def _form_problem(form: SharedForm, path: str, found: str, expected: str) -> PlanError:
    file = str(form.folder / f"Questionnaire-{form.id}.json")
    return PlanError(file, f"Questionnaire.{path}", repr(found), expected)
