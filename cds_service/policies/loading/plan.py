"""A PlanDefinition read as ordered rules, each with its outcome, condition and clauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

from cds_service.fhirpath import Expression
from cds_service.fhirpath.model import r4
from cds_service.policies.conditions import Condition
from cds_service.policies.loading.documents import Document, Problems, expression_refused_at
from cds_service.policies.loading.extensions import (
    APPLICABILITY_BEHAVIOR,
    FHIRPATH,
    OUTCOME_SYSTEM,
    value_of,
)
from cds_service.policies.policy import (
    OUTCOME_CODES,
    REDIRECT,
    Change,
    Citation,
    Outcome,
    Rule,
    Suggestion,
)
from cds_service.record.commissioners import Directory
from cds_service.record.resources import Resource, members, text

HOOKS = ("order-select", "order-sign")
INDIVIDUAL_FUNDING = "individual-funding-request"
_PRIORITIES = {None: False, "routine": False, "urgent": True}
_SUMMARY = 140
_PROGRAM = "program"
# A FHIR action type, and what CDS Hooks calls it.
_CHANGES = {"update": "update", "remove": "delete", "create": "create"}
# What a suggestion never touches: whose order it is, and which.
_KEPT = frozenset({"id", "resourceType", "subject", "identifier"})


def root_action(document: Document) -> Resource:
    """The one action that triggers on our hooks. PlanError when it is missing or not shaped as a policy's."""
    actions = list(members(document.resource, "action"))
    if len(actions) != 1:
        raise document.problem("action", f"{len(actions)} actions", "one root action, its rules inside it")
    triggers = {text(trigger, "name") for trigger in members(actions[0], "trigger")}
    if triggers != set(HOOKS):
        raise document.problem(
            "action[0].trigger", sorted(map(str, triggers)), f"named-events {' and '.join(HOOKS)}"
        )
    if value_of(actions[0], APPLICABILITY_BEHAVIOR) != "any":
        found = value_of(actions[0], APPLICABILITY_BEHAVIOR)
        raise document.problem(
            "action[0].extension", found, f"{APPLICABILITY_BEHAVIOR} any: the first rule that holds wins"
        )
    return actions[0]


Compile = Callable[[Document, str, str], Expression]
ReadCondition = Callable[[str], Condition]


def read_rules(
    document: Document, problems: Problems, compiled: Compile, read_condition: ReadCondition
) -> tuple[Rule, ...]:
    """The rules in order; the last, and only the last, has no condition. ``compiled`` reads suggestions' expressions."""
    actions = list(members(root_action(document), "action"))
    if not actions:
        raise document.problem("action[0].action", "no rules", "rules, the last without a condition")
    rules: list[Rule] = []
    for position, action in enumerate(actions):
        with problems.noted():
            where, last = f"action[0].action[{position}]", position == len(actions) - 1
            rules.append(_rule(document, where, action, compiled, read_condition, last=last))
    ids = [rule.id for rule in rules]
    for repeated in sorted({each for each in ids if ids.count(each) > 1}):
        problems.add(document.problem("action[0].action.id", repeated, "an id that no other rule has"))
    return tuple(rules)


def _rule(
    document: Document,
    path: str,
    action: Resource,
    compiled: Compile,
    read_condition: ReadCondition,
    *,
    last: bool,
) -> Rule:
    for member in ("id", "title", "description"):
        if not text(action, member):
            raise document.problem(f"{path}.{member}", action.get(member), "a text")
    if len(action["title"]) >= _SUMMARY:
        raise document.problem(
            f"{path}.title", action["title"], f"a card summary of fewer than {_SUMMARY} characters"
        )
    if action.get("priority") not in _PRIORITIES:
        raise document.problem(
            f"{path}.priority", action["priority"], "routine (an info card) or urgent (a warning)"
        )
    citations = tuple(citation(each) for each in members(action, "documentation") if text(each, "label"))
    if not citations:
        raise document.problem(
            f"{path}.documentation",
            action.get("documentation"),
            "the clause, as a label, that the rule rests on",
        )
    body = _condition_text(document, path, action, last=last)
    return Rule(
        id=action["id"],
        title=action["title"],
        description=action["description"],
        urgent=_PRIORITIES[action.get("priority")],
        outcome=_outcome(document, path, action),
        condition=body,
        logic=None if body is None else _condition(document, path, body, read_condition),
        citations=citations,
        suggestions=tuple(
            _suggestion(document, f"{path}.action[{place}]", each, compiled)
            for place, each in enumerate(members(action, "action"))
        ),
    )


def _suggestion(document: Document, path: str, action: Resource, compiled: Compile) -> Suggestion:
    changes = tuple(
        _change(document, f"{path}.action[{place}]", each, compiled)
        for place, each in enumerate(members(action, "action"))
    )
    if not text(action, "title") or not changes:
        raise document.problem(
            path, action.get("title"), "a suggestion: a title and the actions it consists of"
        )
    return Suggestion(action["title"], changes)


def _change(document: Document, path: str, action: Resource, compiled: Compile) -> Change:
    codes = [coding.get("code") for coding in members(action.get("type"), "coding")]
    if len(codes) != 1 or codes[0] not in _CHANGES or not text(action, "description"):
        raise document.problem(f"{path}.type", codes, f"one of {', '.join(_CHANGES)}, and a description")
    elements = tuple(
        _element(document, f"{path}.dynamicValue[{place}]", each, compiled)
        for place, each in enumerate(members(action, "dynamicValue"))
    )
    if (codes[0] == "remove") != (not elements):
        raise document.problem(f"{path}.dynamicValue", len(elements), "what is set; nothing for remove")
    return Change(_CHANGES[codes[0]], action["description"], elements)


def _element(
    document: Document, path: str, value: Resource, compiled: Compile
) -> tuple[str, Expression, bool]:
    name = text(value, "path") or ""
    known = r4().element("ServiceRequest", name)
    if known is None or known.is_choice or name in _KEPT:
        expected = "a top-level element of ServiceRequest, none of several types and none of its identity"
        raise document.problem(f"{path}.path", name, expected)
    body = text(value, "expression", "expression") or ""
    return name, compiled(document, f"{path}.expression.expression", body), known.is_list


def _condition_text(document: Document, path: str, action: Resource, *, last: bool) -> str | None:
    conditions = list(members(action, "condition"))
    if last:
        if conditions:
            raise document.problem(
                f"{path}.condition", "a condition on the last rule", "none: it is the policy's own position"
            )
        return None
    if len(conditions) != 1:
        raise document.problem(
            f"{path}.condition", f"{len(conditions)} conditions", "one; only the last rule has none"
        )
    expression = conditions[0].get("expression", {})
    if conditions[0].get("kind") != "applicability" or expression.get("language") != FHIRPATH:
        raise document.problem(
            f"{path}.condition[0]", conditions[0], f"kind applicability and language {FHIRPATH}"
        )
    return str(expression.get("expression"))


def _condition(document: Document, path: str, body: str, read_condition: ReadCondition) -> Condition:
    with expression_refused_at(document, f"{path}.condition[0].expression.expression", body):
        return read_condition(body)


def _outcome(document: Document, path: str, action: Resource) -> Outcome:
    codes = [
        str(coding.get("code"))
        for concept in members(action, "code")
        for coding in members(concept, "coding")
        if coding.get("system") == OUTCOME_SYSTEM
    ]
    if len(codes) != 1 or codes[0] not in OUTCOME_CODES:
        raise document.problem(
            f"{path}.code", codes, f"one code of {OUTCOME_SYSTEM}: {', '.join(OUTCOME_CODES)}"
        )
    target = text(action, "definitionCanonical")
    if (codes[0] == REDIRECT) != (target is not None):
        raise document.problem(
            f"{path}.definitionCanonical", target, "the policy redirected to, on redirect rules and no others"
        )
    return Outcome(codes[0], target)


def citation(artifact: Resource) -> Citation:
    """A RelatedArtifact as a citation."""
    return Citation(artifact["label"], text(artifact, "display"), text(artifact, "url"))


def artifacts(document: Document, kind: str, label: str | None = None) -> Iterator[Citation]:
    """The plan's related artifacts of one type (and label), those without a label by their display."""
    for artifact in members(document.resource, "relatedArtifact"):
        if artifact.get("type") == kind and label in {None, artifact.get("label")}:
            yield citation(
                {**artifact, "label": text(artifact, "label") or text(artifact, "display") or kind}
            )


def commissioner(document: Document, directory: Directory) -> str | None:
    """The directory id of the organisation whose policy this is; None for national advice."""
    for position, context in enumerate(members(document.resource, "useContext")):
        if text(context, "code", "code") != _PROGRAM:
            continue
        identifier = context.get("valueReference", {}).get("identifier", {})
        known = directory.by_identifier.get((identifier.get("system"), identifier.get("value")))
        if known is None:
            path = f"useContext[{position}].valueReference.identifier"
            raise document.problem(
                path, identifier, "the identifier of an Organization in organizations.json"
            )
        return known
    return None


def effective_period(document: Document) -> tuple[date | None, date | None]:
    """The first and the last day of the plan's effective period; a month or a year is meant whole."""
    period = document.resource.get("effectivePeriod", {})
    try:
        starts, ends = _first_day(period.get("start")), _last_day(period.get("end"))
    except ValueError:
        raise document.problem("effectivePeriod", period, "dates as YYYY, YYYY-MM or YYYY-MM-DD") from None
    if starts and ends and ends < starts:
        raise document.problem("effectivePeriod.end", period["end"], f"a day not before {period['start']}")
    return starts, ends


def _first_day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat((value[:10] + "-01-01")[:10])


def _last_day(value: str | None) -> date | None:
    if value is None or len(value) >= 10:
        return _first_day(value)
    first = _first_day(value)
    assert first is not None  # noqa: S101  a value was given
    year, month = (
        (first.year + 1, 1) if len(value) == 4 or first.month == 12 else (first.year, first.month + 1)
    )
    return date(year, month, 1) - timedelta(days=1)


def order_value_set(document: Document) -> str:
    """The canonical of the value set whose codes bring an order under the policy."""
    action = root_action(document)
    for requirement in members(action, "input"):
        for code_filter in members(requirement, "codeFilter"):
            if requirement.get("type") == "ServiceRequest" and code_filter.get("path") == "code":
                return str(code_filter.get("valueSet"))
    expected = "a ServiceRequest with a codeFilter on code and its valueSet"
    raise document.problem("action[0].input", action.get("input"), expected)
