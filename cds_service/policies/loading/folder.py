"""One plan folder read as one Policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cds_service.errors import PlanError
from cds_service.policies.conditions import Condition, built, comparisons
from cds_service.policies.diagram import Diagram, DiagramBuilder, DiagramTooLargeError, leaf
from cds_service.policies.domains import Domain, NumberDomain, Value
from cds_service.policies.loading.documents import Document, Problems, read_document, shape_problems
from cds_service.policies.loading.plan import (
    INDIVIDUAL_FUNDING,
    artifacts,
    commissioner,
    effective_period,
    order_value_set,
    read_rules,
    root_action,
)
from cds_service.policies.loading.questionnaire import Reading, items, read_questionnaire
from cds_service.policies.loading.value_sets import read_value_sets
from cds_service.policies.policy import ELIGIBLE, IFR_REQUIRED, NOT_NORMALLY_FUNDED, Criterion, Policy, Rule
from cds_service.record.commissioners import Directory
from cds_service.record.resources import members, text
from cds_service.record.value_sets import ValueSets

MAX_NODES = 20_000
_FUNDING = {ELIGIBLE, NOT_NORMALLY_FUNDED, IFR_REQUIRED}
_NEEDED = ("id", "url", "version", "title", "status", "publisher", "date")


@dataclass(frozen=True)
class PlanFolder:
    """A policy as loaded, with the value sets its expressions look codes up in and the conditions of its rules."""

    path: Path
    policy: Policy
    value_sets: ValueSets
    conditions: Mapping[str, Condition | None]


def read_folder(path: Path, directory: Directory, problems: Problems) -> PlanFolder | None:
    """The policy in a folder, or None when there are problems, which are then all noted."""
    before = len(problems.found)
    documents = _documents(path, problems)
    if len(problems.found) > before:
        return None
    plan, questionnaire = documents["PlanDefinition"][0], documents["Questionnaire"][0]
    value_sets = read_value_sets(documents["ValueSet"], problems)
    reading = read_questionnaire(questionnaire, value_sets, problems)
    with problems.noted():
        rules = read_rules(plan, problems)
        if len(problems.found) == before:
            return _folder(path, plan, reading, rules, directory, problems)
    return None


def _documents(path: Path, problems: Problems) -> dict[str, list[Document]]:
    """The folder's resources by type, their FHIR shape checked."""
    documents: dict[str, list[Document]] = {}
    for kind, least, most in (("PlanDefinition", 1, 1), ("Questionnaire", 1, 1), ("ValueSet", 1, None)):
        files = sorted(path.glob(f"{kind}-*.json"))
        if len(files) < least or (most is not None and len(files) > most):
            wanted = "at least one" if most is None else "exactly one"
            problems.add(PlanError(str(path), "$", f"{len(files)} files {kind}-*.json", f"{wanted} {kind}"))
        documents[kind] = []
        for file in files:
            with problems.noted():
                document = read_document(file, kind)
                for problem in [*shape_problems(document), *_naming_problems(document)]:
                    problems.add(problem)
                documents[kind].append(document)
    return documents


def _naming_problems(document: Document) -> Iterable[PlanError]:
    """A file is named for what is in it, and the folder for the policy."""
    resource, file = document.resource, document.file
    if file.name != f"{resource['resourceType']}-{resource.get('id')}.json":
        yield document.problem(
            "id", resource.get("id"), f"the id that the file's name says: {file.stem.partition('-')[2]}"
        )
    if resource["resourceType"] != "ValueSet":
        if resource.get("id") != file.parent.name:
            yield document.problem("id", resource.get("id"), f"the folder's name: {file.parent.name}")
        for member in _NEEDED:
            if not text(resource, member):
                yield document.problem(member, resource.get(member), "a value")


def _folder(
    path: Path,
    plan: Document,
    reading: Reading,
    rules: tuple[tuple[Rule, Condition | None], ...],
    directory: Directory,
    problems: Problems,
) -> PlanFolder | None:
    before = len(problems.found)
    _check_canonicals(plan, reading, problems)
    criteria = _criteria(plan, reading, rules, problems)
    for check in (_check_individual_funding, _check_source):
        with problems.noted():
            check(plan, rules)
    if len(problems.found) > before:
        return None
    diagram = _diagram(plan, criteria, rules)
    starts, ends = effective_period(plan)
    organization = commissioner(plan, directory)
    order_codes = order_value_set(plan)
    if order_codes not in reading.value_sets:
        raise plan.problem("action[0].input.codeFilter.valueSet", order_codes, "a ValueSet of this folder")
    policy = Policy(
        id=plan.resource["id"],
        url=plan.resource["url"],
        version=plan.resource["version"],
        title=plan.resource["title"],
        commissioner=organization,
        commissioner_name=None if organization is None else directory.names[organization],
        starts=starts,
        ends=ends,
        codes=reading.value_sets.codes[order_codes],
        questionnaire_url=reading.questionnaire["url"],
        questionnaire=reading.questionnaire,
        plan=plan.resource,
        criteria=criteria,
        rules=tuple(rule for rule, _ in rules),
        diagram=diagram,
        variables=reading.variables,
        queries=reading.queries,
        source=next(artifacts(plan, "derived-from")),
        individual_funding=next(artifacts(plan, "documentation", INDIVIDUAL_FUNDING), None),
    )
    return PlanFolder(path, policy, reading.value_sets, {rule.id: condition for rule, condition in rules})


def _check_canonicals(plan: Document, reading: Reading, problems: Problems) -> None:
    asked = text(root_action(plan), "definitionCanonical") or ""
    offered = f"{reading.questionnaire['url']}|{reading.questionnaire['version']}"
    if asked != offered:
        problems.add(
            plan.problem("action[0].definitionCanonical", asked, f"this folder's Questionnaire {offered}")
        )
    if reading.questionnaire["version"] != plan.resource["version"]:
        expected = f"the PlanDefinition's version {plan.resource['version']}"
        problems.add(reading.document.problem("version", reading.questionnaire["version"], expected))


def _criteria(
    plan: Document,
    reading: Reading,
    rules: tuple[tuple[Rule, Condition | None], ...],
    problems: Problems,
) -> tuple[Criterion, ...]:
    """The criteria that the conditions use, in the Questionnaire's order, their numbers cut where conditions cut."""
    used = [each for _, condition in rules if condition is not None for each in comparisons(condition)]
    for position, (rule, _) in enumerate(rules):
        for name in sorted(rule.criteria - reading.criteria.keys()):
            where = f"action[0].action[{position}].condition[0].expression.expression"
            problems.add(plan.problem(where, f"%{name}", f"a criterion: {', '.join(reading.criteria)}"))
    names = {each.criterion for each in used}
    steering = {
        str(each.get("question"))
        for _, item in items(reading.questionnaire)
        for each in members(item, "enableWhen")
    }
    for path, item in items(reading.questionnaire):
        if item["linkId"] in reading.criteria.keys() - names - steering:
            problems.add(
                reading.document.problem(path, item["linkId"], "a criterion that some rule's condition uses")
            )
    return tuple(
        replace(
            criterion,
            domain=_cut(
                criterion.domain, [(each.operator, each.value) for each in used if each.criterion == name]
            ),
        )
        for name, criterion in reading.criteria.items()
        if name in names
    )


def _cut(domain: Domain, thresholds: list[tuple[str, Value]]) -> Domain:
    if not isinstance(domain, NumberDomain):
        return domain
    # A text held against a number is left out here and refused where the diagram is built.
    return domain.cut_by((operator, value) for operator, value in thresholds if not isinstance(value, str))


def _check_individual_funding(plan: Document, rules: tuple[tuple[Rule, Condition | None], ...]) -> None:
    if any(rule.outcome.code in _FUNDING for rule, _ in rules) and not list(
        artifacts(plan, "documentation", INDIVIDUAL_FUNDING)
    ):
        raise plan.problem(
            "relatedArtifact",
            "none",
            f"documentation labelled {INDIVIDUAL_FUNDING}: every refusal has a route",
        )


def _check_source(plan: Document, _: object) -> None:
    sources = list(artifacts(plan, "derived-from"))
    if len(sources) != 1:
        raise plan.problem(
            "relatedArtifact", f"{len(sources)} of type derived-from", "one: the source document"
        )


def _diagram(
    plan: Document, criteria: tuple[Criterion, ...], rules: tuple[tuple[Rule, Condition | None], ...]
) -> Diagram:
    """The rules as one diagram, built from the last rule to the first. PlanError for a bad value or too large a size."""
    builder = DiagramBuilder([each.domain.size for each in criteria], MAX_NODES)
    levels = {each.link_id: level for level, each in enumerate(criteria)}
    domains = {each.link_id: each.domain for each in criteria}
    root = leaf(len(rules) - 1)
    for position, (rule, condition) in reversed(list(enumerate(rules))):
        if condition is None:
            continue
        where = f"action[0].action[{position}].condition[0].expression.expression"
        try:
            root = builder.choose(built(condition, builder, levels, domains), leaf(position), root)
        except DiagramTooLargeError as error:
            raise plan.problem(where, str(error), "simpler rules, or criteria in another order") from None
        except (ValueError, ArithmeticError) as error:
            raise plan.problem(where, rule.condition, str(error)) from None
    return builder.finished(root)
