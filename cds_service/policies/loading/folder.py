"""One plan folder, and what later folders lay over it, read as one Policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cds_service.errors import DiagramTooLargeError, PlanError, PlansError
from cds_service.policies.conditions import Comparison, built, comparisons
from cds_service.policies.diagram import Diagram, DiagramBuilder
from cds_service.policies.loading.documents import Document, Problems, document, shape_problems
from cds_service.policies.loading.files import PlanFile, PlanFiles, read_files
from cds_service.policies.loading.plan import (
    INDIVIDUAL_FUNDING,
    artifacts,
    commissioner,
    effective_period,
    order_value_set,
    read_rules,
    root_action,
)
from cds_service.policies.loading.questionnaire import read_questionnaire
from cds_service.policies.loading.reading import Reading, compiled, items
from cds_service.policies.loading.route import funding_route
from cds_service.policies.loading.shared import Shared
from cds_service.policies.loading.value_sets import read_value_sets
from cds_service.policies.policy import (
    ADVICE,
    ELIGIBLE,
    IFR_REQUIRED,
    NOT_NORMALLY_FUNDED,
    Criterion,
    Policy,
    Rule,
)
from cds_service.policies.rule_diagram import cut, drawn
from cds_service.record.commissioners import Directory
from cds_service.record.resources import members, text

MAX_NODES = 20_000
_FUNDING = {ELIGIBLE, NOT_NORMALLY_FUNDED, IFR_REQUIRED}
_NEEDED = ("id", "url", "version", "title", "status", "publisher", "date")
# How many files of each type a plan has: at least, at most.
_KINDS: Mapping[str, tuple[int, float]] = {
    "PlanDefinition": (1, 1),
    "Questionnaire": (1, 1),
    "ValueSet": (1, float("inf")),
    "Bundle": (0, float("inf")),
}


@dataclass(frozen=True)
class PlanFolder:
    """A plan's own folder, and the folders of deployers whose files replace those of the same name."""

    path: Path
    overlays: tuple[Path, ...] = ()

    def files(self, kind: str) -> list[Path]:
        """The files of one resource type, replaced ones left out."""
        by_name = {
            file.name: file for path in (self.path, *self.overlays) for file in path.glob(f"{kind}-*.json")
        }
        return [by_name[name] for name in sorted(by_name)]


def read_folder(folder: PlanFolder, directory: Directory, problems: Problems) -> Policy | None:
    """The policy in a folder, or None when there are problems, which are then all noted."""
    before = len(problems.found)
    files = read_files(folder.path, folder.overlays, problems)
    return read_plan(files, directory, problems, Shared()) if len(problems.found) == before else None


def read_plan(
    files: PlanFiles, directory: Directory, problems: Problems, shared: Shared, *, is_sound: bool = False
) -> Policy | None:
    """The policy in these files, or None when there are problems, which are then all noted.

    ``is_sound``: the very same files were found to be well-shaped FHIR before, which need not be found again.
    """
    before = len(problems.found)
    documents = read_documents(files, _KINDS, problems, shared, is_sound=is_sound)
    if len(problems.found) > before:
        return None
    plan, questionnaire = documents["PlanDefinition"][0], documents["Questionnaire"][0]
    lists = {document.resource["id"]: document.resource for document in documents["Bundle"]}
    value_sets = read_value_sets(documents["ValueSet"], problems, shared)
    reading = read_questionnaire(questionnaire, value_sets, lists, problems, shared)
    with problems.noted():
        rules = read_rules(plan, problems, partial(compiled, reading), shared.condition)
        _check_whole(plan, reading, rules, problems)
        criteria = _criteria(plan, reading, rules, problems)
        if len(problems.found) == before:
            policy = _policy(plan, reading, rules, criteria, directory)
            return replace(policy, lists=lists, folder=Path(files.folder))
    return None


def read_documents(
    plan: PlanFiles,
    kinds: Mapping[str, tuple[int, float]],
    problems: Problems,
    shared: Shared,
    *,
    is_sound: bool = False,
) -> dict[str, list[Document]]:
    """The plan's resources by type, their FHIR shape checked. ``kinds``: how many of each, at least and at most."""
    documents: dict[str, list[Document]] = {}
    for kind, (least, most) in kinds.items():
        files, documents[kind] = plan.of_kind(kind), []
        if not least <= len(files) <= most:
            wanted = "exactly one" if most == 1 else "at least one"
            problems.add(
                PlanError(str(plan.folder), "$", f"{len(files)} files {kind}-*.json", f"{wanted} {kind}")
            )
        for file in files:
            with problems.noted():
                read, found = _read(file, kind, shared, is_sound=is_sound)
                for problem in [*found, *_naming_problems(read)]:
                    problems.add(problem)
                documents[kind].append(read)
    return documents


def _read(
    file: PlanFile, kind: str, shared: Shared, *, is_sound: bool
) -> tuple[Document, tuple[PlanError, ...]]:
    """A file's resource, and what is wrong with its shape. Value sets lie in many plans, and are looked at once."""
    path = Path(file.path)

    def parsed() -> Document:
        return document(path, file.content, file.digest, kind)

    def checked() -> Document:
        return parsed() if is_sound else _sound(parsed(), shared)

    try:
        known = shared.documents.of(file.digest, checked) if kind == "ValueSet" else checked()
    except PlansError as error:
        return parsed(), error.problems
    return replace(known, file=path), ()


def _sound(read: Document, shared: Shared) -> Document:
    """The same document. PlansError when it is not well-shaped FHIR."""
    if shared.sound_parts.make_up(read.resource):
        return read
    if problems := list(shape_problems(read)):
        raise PlansError(problems)
    return read


def _naming_problems(document: Document) -> Iterator[PlanError]:
    """A file is named for what is in it, and the folder for the policy."""
    resource, file = document.resource, document.file
    if file.name != f"{resource['resourceType']}-{resource.get('id')}.json":
        expected = f"the id that the file's name says: {file.stem.partition('-')[2]}"
        yield document.problem("id", resource.get("id"), expected)
    if resource["resourceType"] in {"PlanDefinition", "Questionnaire"}:
        if resource.get("id") != file.parent.name:
            yield document.problem("id", resource.get("id"), f"the folder's name: {file.parent.name}")
        for member in _NEEDED:
            if not text(resource, member):
                yield document.problem(member, resource.get(member), "a value")


def _check_whole(plan: Document, reading: Reading, rules: tuple[Rule, ...], problems: Problems) -> None:
    """What only the parts together can be checked for."""
    asked = text(root_action(plan), "definitionCanonical")
    offered = f"{reading.questionnaire['url']}|{reading.questionnaire['version']}"
    if asked != offered:
        problems.add(
            plan.problem("action[0].definitionCanonical", asked, f"this folder's Questionnaire {offered}")
        )
    if reading.questionnaire["version"] != plan.resource["version"]:
        expected = f"the PlanDefinition's version {plan.resource['version']}"
        problems.add(reading.document.problem("version", reading.questionnaire["version"], expected))
    outcomes = {rule.outcome.code for rule in rules}
    if ADVICE in outcomes and outcomes & _FUNDING:
        problems.add(plan.problem("action[0].action", sorted(outcomes), "either advice or funding outcomes"))
    if outcomes & _FUNDING and not list(artifacts(plan, "documentation", INDIVIDUAL_FUNDING)):
        expected = f"documentation labelled {INDIVIDUAL_FUNDING}: every refusal has a route"
        problems.add(plan.problem("relatedArtifact", "none", expected))
    sources = list(artifacts(plan, "derived-from"))
    if len(sources) != 1:
        found = f"{len(sources)} of type derived-from"
        problems.add(plan.problem("relatedArtifact", found, "one: the source document"))


def _criteria(
    plan: Document, reading: Reading, rules: tuple[Rule, ...], problems: Problems
) -> tuple[Criterion, ...]:
    """The criteria that the conditions use, in the Questionnaire's order, their numbers cut where conditions cut."""
    used: list[Comparison] = []
    for position, rule in enumerate(rules):
        own = [] if rule.logic is None else list(comparisons(rule.logic))
        used += own
        for name in sorted({each.criterion for each in own} - reading.criteria.keys()):
            where = _condition_path(position)
            problems.add(plan.problem(where, f"%{name}", f"a criterion: {', '.join(reading.criteria)}"))
    names = {each.criterion for each in used}
    asked = list(items(reading.questionnaire))
    steering = {str(each.get("question")) for _, item in asked for each in members(item, "enableWhen")}
    for path, item in asked:
        if item["linkId"] in reading.criteria.keys() - names - steering:
            expected = "a criterion that some rule's condition uses"
            problems.add(reading.document.problem(path, item["linkId"], expected))
    return tuple(cut(criterion, used) for name, criterion in reading.criteria.items() if name in names)


def _policy(
    plan: Document,
    reading: Reading,
    rules: tuple[Rule, ...],
    criteria: tuple[Criterion, ...],
    directory: Directory,
) -> Policy:
    starts, ends = effective_period(plan)
    organization = commissioner(plan, directory)
    order_codes = order_value_set(plan)
    if order_codes not in reading.value_sets:
        raise plan.problem("action[0].input.codeFilter.valueSet", order_codes, "a ValueSet of this folder")
    return Policy(
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
        rules=rules,
        diagram=_shared_diagram(plan, criteria, rules, reading.shared),
        variables=reading.variables,
        queries=reading.queries,
        lists={},
        value_sets=reading.value_sets,
        folder=plan.file.parent,
        source=next(artifacts(plan, "derived-from")),
        route=funding_route(plan),
    )


def _shared_diagram(
    plan: Document, criteria: tuple[Criterion, ...], rules: tuple[Rule, ...], shared: Shared
) -> Diagram:
    """The rules as one diagram, which follows from the criteria's values and the conditions' texts alone."""
    key = (
        tuple((each.link_id, each.domain) for each in criteria),
        tuple(rule.condition for rule in rules),
    )
    return shared.diagrams.of(key, lambda: build_diagram(plan, criteria, rules))


def build_diagram(plan: Document, criteria: tuple[Criterion, ...], rules: tuple[Rule, ...]) -> Diagram:
    """The rules as one diagram. PlanError for a value that a criterion cannot have, or too large a diagram."""
    builder = DiagramBuilder([each.domain.size for each in criteria], MAX_NODES)
    levels = {each.link_id: level for level, each in enumerate(criteria)}
    domains = {each.link_id: each.domain for each in criteria}
    try:
        for position, rule in enumerate(rules):
            with _refused_at(plan, position, rule):
                if rule.logic is not None:
                    built(rule.logic, builder, levels, domains)
        return drawn(criteria, rules, builder)
    except DiagramTooLargeError as error:
        expected = "simpler rules, or criteria in another order"
        raise plan.problem("action[0].action", str(error), expected) from None


@contextmanager
def _refused_at(plan: Document, position: int, rule: Rule) -> Iterator[None]:
    """What the enclosed building of a condition refuses, as a problem of its rule."""
    try:
        yield
    except (ValueError, ArithmeticError) as error:
        raise plan.problem(_condition_path(position), rule.condition, str(error)) from None


def _condition_path(position: int) -> str:
    return f"action[0].action[{position}].condition[0].expression.expression"
