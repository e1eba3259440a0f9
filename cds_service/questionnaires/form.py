"""A Questionnaire prepared for use: its items as a tree, its expressions compiled once.

``prepared`` is called once a Questionnaire; what it gives is immutable and may be kept and shared by threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cds_service.errors import EnablementLoopError, FhirPathError
from cds_service.fhirpath import Expression, compile_expression
from cds_service.policies.loading.extensions import (
    CONTEXT_EXPRESSION,
    ENABLE_WHEN_EXPRESSION,
    FHIR_QUERY,
    INITIAL_EXPRESSION,
    LAUNCH_CONTEXT,
    VARIABLE,
    extensions,
    value_of,
)
from cds_service.questionnaires.element_names import with_element_names
from cds_service.questionnaires.form_features import CALCULATED_EXPRESSION, CORE, POPULATION_CONTEXT
from cds_service.questionnaires.loops import enablement_loop
from cds_service.questionnaires.problems import WARNING, Problem
from cds_service.questionnaires.support import require_supported
from cds_service.record.resources import Resource, members, text


@dataclass(frozen=True, eq=False)
class FormExpression:
    """An expression of a form, where it stands; ``compiled`` is None for a query, and ``refused`` says why else.

    ``text`` is FHIRPath, or of a query its search with ``{{FHIRPath}}`` in it. ``name`` is what others call its result.
    """

    path: str
    name: str | None
    text: str
    compiled: Expression | None
    refused: FhirPathError | None


@dataclass(frozen=True, eq=False)
class Constraint:
    """What the answers must fulfil (targetConstraint): ``severity`` error or warning, and its words for people."""

    key: str
    severity: str
    human: str
    expression: FormExpression


@dataclass(frozen=True, eq=False)
class FormItem:
    """One item of a Questionnaire, with those below it."""

    link_id: str
    type: str
    path: str
    resource: Resource
    variables: tuple[FormExpression, ...]
    initial: FormExpression | None
    calculated: FormExpression | None
    evidence: FormExpression | None
    enable_when: FormExpression | None
    context: FormExpression | None
    constraints: tuple[Constraint, ...]
    items: tuple[FormItem, ...]

    @property
    def repeats(self) -> bool:
        """Whether it may have several answers, or as a group stand several times."""
        return self.resource.get("repeats") is True

    @property
    def required(self) -> bool:
        """Whether a completed response must answer it."""
        return self.resource.get("required") is True


@dataclass(frozen=True, eq=False)
class Form:
    """A Questionnaire ready to be filled in.

    ``contexts``: the names that its launchContext declares. ``queries``: name → search, whose answers its expressions
    see as Bundles. ``problems``: the expressions that can never be evaluated; what they would give stays open.
    """

    questionnaire: Resource
    variables: tuple[FormExpression, ...]
    constraints: tuple[Constraint, ...]
    items: tuple[FormItem, ...]
    by_link_id: Mapping[str, FormItem]
    contexts: frozenset[str]
    queries: Mapping[str, str]
    problems: tuple[Problem, ...]

    @property
    def canonical(self) -> str | None:
        """The form's ``url|version``, or as much of it as there is."""
        url, version = text(self.questionnaire, "url"), text(self.questionnaire, "version")
        return f"{url}|{version}" if url and version else url


def prepared(questionnaire: Resource, names: Iterable[str] = ()) -> Form:
    """The form of a Questionnaire. ``names``: what its expressions may name besides what it declares.

    UnsupportedQuestionnaireError for features that are not carried out, EnablementLoopError for items that enable each
    other in a circle.
    """
    require_supported(questionnaire)
    reading = _Reading()
    contexts = frozenset(_context_names(questionnaire))
    scope = frozenset({"questionnaire", *contexts, *names})
    variables, scope = reading.variables("Questionnaire", questionnaire, scope)
    constraints = reading.constraints("Questionnaire", questionnaire, scope)
    items = reading.items("Questionnaire", questionnaire, scope | {"qitem"})
    flat = {item.link_id: item for item in flattened(items)}
    if loop := enablement_loop(items, variables):
        raise EnablementLoopError(loop)
    problems = tuple(reading.problems)
    return Form(questionnaire, variables, constraints, items, flat, contexts, reading.queries, problems)


def flattened(items: Iterable[FormItem]) -> Iterator[FormItem]:
    """The items and all below them, outer before inner."""
    for item in items:
        yield item
        yield from flattened(item.items)


def _context_names(questionnaire: Resource) -> Iterator[str]:
    for _, extension in extensions(questionnaire, LAUNCH_CONTEXT):
        for part in members(extension, "extension"):
            # The first release of SDC wrote the name as an id.
            name = text(part, "valueCoding", "code") or text(part, "valueId")
            if part.get("url") == "name" and name is not None:
                yield name


class _Reading:
    """What reading a Questionnaire's items gathers on the way: its queries, and the expressions that are refused."""

    def __init__(self) -> None:
        self.queries: dict[str, str] = {}
        self.problems: list[Problem] = []

    def items(self, path: str, parent: Resource, scope: frozenset[str]) -> tuple[FormItem, ...]:
        return tuple(
            self.item(f"{path}.item[{position}]", item, scope)
            for position, item in enumerate(members(parent, "item"))
        )

    def item(self, path: str, item: Resource, scope: frozenset[str]) -> FormItem:
        context = self.one(path, item, POPULATION_CONTEXT, scope)
        inner = scope if context is None or context.name is None else scope | {context.name}
        variables, inner = self.variables(path, item, inner)
        return FormItem(
            link_id=str(item["linkId"]),
            type=str(item["type"]),
            path=path,
            resource=item,
            variables=variables,
            initial=self.one(path, item, INITIAL_EXPRESSION, inner),
            calculated=self.one(path, item, CALCULATED_EXPRESSION, inner),
            evidence=self.one(path, item, CONTEXT_EXPRESSION, inner),
            enable_when=self.one(path, item, ENABLE_WHEN_EXPRESSION, inner),
            context=context,
            constraints=self.constraints(path, item, inner),
            items=self.items(path, item, inner),
        )

    def variables(
        self, path: str, element: Resource, scope: frozenset[str]
    ) -> tuple[tuple[FormExpression, ...], frozenset[str]]:
        """The variables that an element declares, and what is in scope with them: each sees those before it."""
        found: list[FormExpression] = []
        for position, extension in extensions(element, VARIABLE):
            where = f"{path}.extension[{position}]"
            variable = self.expression(where, element, extension.get("valueExpression"), scope)
            if variable is not None and variable.name is not None:
                scope |= {variable.name}
                found.append(variable)
        return tuple(each for each in found if each.name not in self.queries), scope

    def one(self, path: str, item: Resource, url: str, scope: frozenset[str]) -> FormExpression | None:
        """The first expression of a kind. The evidence of an item stands one level deeper than the others."""
        for position, extension in extensions(item, url):
            written = extension.get("valueExpression") or value_of(extension, "contextExpression")
            return self.expression(f"{path}.extension[{position}]", item, written, scope)
        return None

    def expression(
        self, path: str, element: Resource, written: object, scope: frozenset[str]
    ) -> FormExpression | None:
        body, name = text(written, "expression"), text(written, "name")
        where = f"{path}.valueExpression"
        if body is None:
            self.refused(where, element, "an Expression without an expression")
            return None
        if text(written, "language") == FHIR_QUERY:
            return self.query(where, element, name, body)
        try:
            compiled = compile_expression(with_element_names(body), variables=dict.fromkeys(scope))
        except FhirPathError as error:
            self.refused(where, element, str(error))
            return FormExpression(where, name, body, None, error)
        return FormExpression(where, name, body, compiled, None)

    def query(self, path: str, element: Resource, name: str | None, body: str) -> FormExpression:
        """A query goes by its name; one without a name by its item's linkId."""
        key = name or str(element.get("linkId"))
        if self.queries.setdefault(key, body) != body:
            self.refused(path, element, f"a second query called {key}: only the first is seen")
        return FormExpression(path, key, body, None, None)

    def constraints(self, path: str, element: Resource, scope: frozenset[str]) -> tuple[Constraint, ...]:
        found = []
        for position, extension in extensions(element, f"{CORE}targetConstraint"):
            where = f"{path}.extension[{position}]"
            written = self.expression(where, element, value_of(extension, "expression"), scope)
            if written is not None:
                severity = value_of(extension, "severity") or "error"
                key, human = value_of(extension, "key") or where, value_of(extension, "human")
                found.append(Constraint(str(key), severity, str(human or written.text), written))
        return tuple(found)

    def refused(self, path: str, element: Resource, words: str) -> None:
        self.problems.append(Problem(path, text(element, "linkId"), "not-supported", words, WARNING))
