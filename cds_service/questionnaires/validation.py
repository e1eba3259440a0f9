"""What is wrong with a QuestionnaireResponse, all of it, each with its path.

Options, bounds and types are looked at in every response; what is required, and the constraints between answers, only
in a completed one: a draft may be incomplete. "Don't know" answers any question: a data-absent-reason of
``asked-unknown``, ``unknown`` or ``asked-declined`` on an item without answers (see ``responses``).

An expression that cannot be evaluated, a value set or a pattern that is not known is a warning: nothing is proven wrong.
Source: https://hl7.org/fhir/R4/questionnaireresponse.html#notes
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cds_service.errors import EnablementLoopError
from cds_service.policies.loading.extensions import value_of
from cds_service.policies.policy import canonical
from cds_service.questionnaires.answer_checks import answer_faults, exclusive_fault
from cds_service.questionnaires.answer_values import is_dont_know, states_absence, value_names
from cds_service.questionnaires.enablement import Enablement, enabled
from cds_service.questionnaires.form import Constraint, Form, FormItem
from cds_service.questionnaires.form_features import CORE
from cds_service.questionnaires.items import RESPONSE, depth
from cds_service.questionnaires.places import Place, without
from cds_service.questionnaires.problems import (
    ERROR,
    EXPRESSION_ERRORS,
    WARNING,
    Problem,
    why_not_evaluated,
)
from cds_service.questionnaires.sight import Launch, Sight
from cds_service.questionnaires.structure import structure_problems
from cds_service.record.resources import Resource, members, text

_STATUSES = frozenset({"in-progress", "completed", "amended", "entered-in-error", "stopped"})
COMPLETE = frozenset({"completed", "amended"})


@dataclass(frozen=True)
class Limits:
    """How much a response may hold: characters in one string, and items inside each other."""

    longest_text: int
    deepest: int


def problems(form: Form, response: Resource, launch: Launch, limits: Limits) -> tuple[Problem, ...]:
    """Everything wrong with a response to a form; empty when it is right. Warnings among them do not make it wrong."""
    if response.get("resourceType") != RESPONSE:
        words = f"expected a {RESPONSE}, found {response.get('resourceType')}"
        return (Problem(RESPONSE, None, "structure", words),)
    if depth(response) > limits.deepest:
        words = f"expected at most {limits.deepest} items inside each other"
        return (Problem(RESPONSE, None, "too-long", words),)
    found = [*_head_problems(form, response), *structure_problems(form, response, limits.longest_text)]
    try:
        enablement = enabled(form, response, launch)
    except EnablementLoopError as error:
        return (*found, Problem(RESPONSE, None, "processing", str(error)))
    found += enablement.problems
    found += _place_problems(form, enablement, launch)
    if text(response, "status") in COMPLETE:
        found += _missing(enablement)
        found += _constraint_problems(form, response, enablement, launch)
    return tuple(found)


def _head_problems(form: Form, response: Resource) -> Iterator[Problem]:
    status = text(response, "status")
    if status not in _STATUSES:
        words = f"expected one of {', '.join(sorted(_STATUSES))}"
        yield Problem(f"{RESPONSE}.status", None, "required" if status is None else "code-invalid", words)
    if form.canonical is None:
        return
    path, named = f"{RESPONSE}.questionnaire", text(response, "questionnaire")
    url, version = canonical(form.canonical)
    if named is None:
        yield Problem(
            path, None, "required", f"it does not say which form it answers; expected {form.canonical}"
        )
        return
    other_url, other_version = canonical(named)
    if other_url != url:
        yield Problem(path, None, "invalid", f"it answers another form; expected {form.canonical}")
    elif other_version is not None and other_version != version:
        words = f"it answers version {other_version} of the form; expected version {version}"
        yield Problem(path, None, "conflict", words)


def _place_problems(form: Form, enablement: Enablement, launch: Launch) -> Iterator[Problem]:
    for place in enablement.places:
        if place.found is None or place.item.type in {"group", "display"}:
            continue
        answers = [*members(place.found, "answer")]
        if place.path in enablement.disabled:
            if answers:
                words = "answered, but it is not asked, given the other answers"
                yield Problem(place.path, place.item.link_id, "business-rule", words)
            continue
        yield from _question_problems(form, place, answers, launch)


def _question_problems(
    form: Form, place: Place, answers: list[Resource], launch: Launch
) -> Iterator[Problem]:
    item = place.item
    if len(answers) > 1 and not item.repeats:
        words = f"found {len(answers)} answers, expected one"
        yield Problem(f"{place.path}.answer", item.link_id, "structure", words)
    most = value_of(item.resource, f"{CORE}questionnaire-maxOccurs")
    if isinstance(most, int) and len(answers) > most:
        words = f"found {len(answers)} answers, expected at most {most}"
        yield Problem(f"{place.path}.answer", item.link_id, "structure", words)
    if fault := exclusive_fault(item, answers):
        yield Problem(f"{place.path}.answer", item.link_id, fault[1], fault[2], fault[0])
    for position, answer in enumerate(answers):
        if _says_dont_know(answer):
            continue
        for severity, code, words in answer_faults(form, item, answer, launch):
            yield Problem(f"{place.path}.answer[{position}]", item.link_id, code, words, severity)


def _says_dont_know(answer: Resource) -> bool:
    """Without a value: a Coding of data-absent-reason is an answer like others, and must be one of the options."""
    return not value_names(answer) and is_dont_know(answer)


def _missing(enablement: Enablement) -> Iterator[Problem]:
    """Required questions that are asked and not answered. One in a group that may be left out is asked all the same,
    unless that group repeats: then there is none of it.
    """
    for place in enablement.places:
        item = place.item
        if place.path in enablement.disabled or item.type == "display" or _is_in_no_instance(place):
            continue
        answers = () if place.found is None else tuple(members(place.found, "answer"))
        least = value_of(item.resource, f"{CORE}questionnaire-minOccurs")
        if states_absence(place.found) or any(is_dont_know(answer) for answer in answers):
            continue
        if item.required and not _is_answered(place, answers):
            yield Problem(place.path, item.link_id, "required", "a required question is not answered")
        elif isinstance(least, int) and 0 < len(answers) < least:
            words = f"found {len(answers)} answers, expected at least {least}"
            yield Problem(place.path, item.link_id, "required", words)


def _is_answered(place: Place, answers: tuple[Resource, ...]) -> bool:
    """A required group that repeats must be there; in any other, what is required says so itself."""
    if place.item.type == "group":
        return place.found is not None or not place.item.repeats
    return bool(answers)


def _is_in_no_instance(place: Place) -> bool:
    return any(around.found is None and around.item.repeats for around in place.around)


def _constraint_problems(
    form: Form, response: Resource, enablement: Enablement, launch: Launch
) -> Iterator[Problem]:
    """Constraints that come to false; one that comes to nothing says nothing."""
    sights: dict[str | None, Sight] = {
        None: Sight.of_form(form, launch, without(response, enablement.disabled))
    }
    for constraint in form.constraints:
        yield from _unfulfilled(constraint, RESPONSE, None, sights[None])
    for place in enablement.places:
        outer = sights[None if place.inside is None else place.inside.path]
        focus = place.found if place.found is not None and place.path not in enablement.disabled else None
        sight = sights[place.path] = outer.inside(place.item, focus or {"linkId": place.item.link_id})
        if focus is not None:
            for constraint in place.item.constraints:
                yield from _unfulfilled(constraint, place.path, place.item, sight)


def _unfulfilled(constraint: Constraint, path: str, item: FormItem | None, sight: Sight) -> Iterator[Problem]:
    link_id = None if item is None else item.link_id
    try:
        holds = sight.truth(constraint.expression)
    except EXPRESSION_ERRORS as error:
        code, words = why_not_evaluated(error)
        yield Problem(
            path, link_id, code, f"the constraint {constraint.key} is not checked; {words}", WARNING
        )
        return
    if holds is False:
        severity = WARNING if constraint.severity == WARNING else ERROR
        yield Problem(path, link_id, "invariant", constraint.human, severity)
