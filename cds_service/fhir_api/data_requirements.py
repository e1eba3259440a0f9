"""``PlanDefinition/$data-requirements``: what a policy reads, as a Library of the type module-definition.

Source: https://hl7.org/fhir/R4/plandefinition-operation-data-requirements.html,
https://hl7.org/fhir/uv/crmi/StructureDefinition-crmi-moduledefinitionlibrary.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cds_service.fhirpath import Node, parse
from cds_service.fhirpath.ast import Binary, Call, Literal, Member, Special, Variable, children
from cds_service.policies.loading.extensions import FHIRPATH
from cds_service.policies.policy import Policy
from cds_service.record.patient_record import PATIENT_KEY
from cds_service.record.resources import Resource, text

_QUERY_PATTERN = "http://hl7.org/fhir/StructureDefinition/cqf-fhirQueryPattern"
_LIBRARY_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "module-definition"}
_PATIENT_QUERY = "Patient/{{%patient.id}}"
_SUBJECT = {"coding": [{"system": "http://hl7.org/fhir/resource-types", "code": "Patient"}]}
# The path and the value set by which a use of a query narrows it, None for one that sees all of it.
Narrowing = tuple[str, str] | None


def data_requirements(policy: Policy, value_sets: Iterable[Resource]) -> dict[str, Any]:
    """The module-definition Library of a policy: one requirement for each query, and what the policy depends on.

    A query is narrowed to a value set only where every expression that uses it looks at nothing outside that set.
    ``value_sets``: resources that tell the versions of those that the policy uses; others among them are passed over.
    """
    expressions = [parse(each) for each in _expressions(policy.questionnaire)]
    library = {
        "resourceType": "Library",
        "id": f"{policy.id}-data",
        "name": f"{policy.plan.get('name', 'Policy')}Data",
        "title": f"What is read to decide: {policy.title}",
        "status": policy.plan["status"],
        "type": {"coding": [_LIBRARY_TYPE]},
        "subjectCodeableConcept": _SUBJECT,
        "date": policy.plan["date"],
        "relatedArtifact": [
            {"type": "depends-on", "resource": canonical} for canonical in _depends_on(policy, value_sets)
        ],
        "dataRequirement": [
            _requirement(name, template, _narrowing(name, expressions))
            for name, template in {PATIENT_KEY: _PATIENT_QUERY, **policy.queries}.items()
        ],
    }
    return {name: value for name, value in library.items() if value != []}


def _requirement(name: str, template: str, narrowing: Narrowing) -> dict[str, Any]:
    requirement: dict[str, Any] = {
        "id": name,
        "extension": [{"url": _QUERY_PATTERN, "valueString": template}],
        "type": template.partition("?")[0].partition("/")[0],
        "subjectCodeableConcept": _SUBJECT,
    }
    if narrowing is not None:
        requirement["codeFilter"] = [{"path": narrowing[0], "valueSet": narrowing[1]}]
    return requirement


def _depends_on(policy: Policy, value_sets: Iterable[Resource]) -> Iterator[str]:
    """The Questionnaire, and every value set of the policy, each with its version where it is known."""
    yield f"{policy.questionnaire_url}|{policy.version}"
    versions = {each.get("url"): text(each, "version") for each in value_sets}
    for url in sorted(policy.value_sets.codes):
        yield f"{url}|{versions[url]}" if versions.get(url) else url


def _expressions(element: object) -> Iterator[str]:
    """Every FHIRPath expression of a Questionnaire."""
    waiting = [element]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting += current
        elif isinstance(current, Mapping):
            waiting += current.values()
            if current.get("language") == FHIRPATH and (expression := text(current, "expression")):
                yield expression


def _narrowing(query: str, expressions: list[Node]) -> Narrowing:
    """The one narrowing that every use of a query shares; None when they differ, or one of them sees all of it."""
    uses = {use for expression in expressions for use in _uses(query, expression)}
    return uses.pop() if len(uses) == 1 else None


def _uses(query: str, node: Node) -> Iterator[Narrowing]:
    """How each use of a query in an expression narrows it."""
    match node:
        case Variable(name=name):
            if name == query:
                yield None
        case Call(target=Call() as source, name="where", arguments=(criteria,)) if _is_query(query, source):
            yield next(_members_asked(criteria), None)
            yield from _uses(query, criteria)
        case _:
            for child in children(node):
                yield from _uses(query, child)


def _is_query(query: str, node: Node) -> bool:
    """Whether it is ``%query.entry.resource.ofType(T)``."""
    match node:
        case Call(
            target=Member(target=Member(target=Variable(name=name), name="entry"), name="resource"),
            name="ofType",
        ):
            return name == query
    return False


def _members_asked(criteria: Node) -> Iterator[tuple[str, str]]:
    """Path and value set of each ``path.memberOf('…')`` that must hold for the criteria to hold."""
    match criteria:
        case Binary(operator="and", left=left, right=right):
            yield from _members_asked(left)
            yield from _members_asked(right)
        case Call(target=Member() as path, name="memberOf", arguments=(Literal(value=str() as url),)):
            if (written := _path(path)) is not None:
                yield written, url


def _path(node: Node | None) -> str | None:
    """``code`` or ``code.coding`` as FHIR writes it; None when it is more than elements of the item."""
    names: list[str] = []
    while isinstance(node, Member):
        names.append(node.name)
        node = node.target
    if node is not None and not (isinstance(node, Special) and node.name == "$this"):
        return None
    return ".".join(reversed(names))
