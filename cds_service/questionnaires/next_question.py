"""Which question is asked next, and when there is none left: the form that asks only what can change the outcome.

The order of questions is the determination's (``outstanding``, best first). What the record proves is not asked; what was
asked is not asked again, whatever the answer; so following the questions ends after as many as there are criteria.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from cds_service.policies.determination import determination
from cds_service.policies.domains import Value
from cds_service.policies.findings import Answers, Findings, KnownFindings, Situation
from cds_service.policies.policy import Criterion, Policy
from cds_service.policies.questions import Questions
from cds_service.questionnaires.adaptive_form import (
    asked_in,
    check_form,
    form_of,
    with_places,
)
from cds_service.questionnaires.adaptive_relevance import enabling, is_enabled, is_hidden, path_to
from cds_service.questionnaires.responses import answers_in, dont_know_item
from cds_service.record.resources import Resource

IN_PROGRESS, COMPLETED = "in-progress", "completed"


def next_question(policy: Policy, questions: Questions, situation: Situation, response: Resource) -> Resource:
    """SDC ``Questionnaire/$next-question``: the response, its contained form one question longer, or completed.

    The answers are those in the response alone, asked or volunteered; answers in ``situation`` do not count, since the
    completed response has to say by itself what was decided on. A question that was asked and left open counts as "don't
    know" and is written down as such, unless something is assumed of it, which then stands; an answer that the question
    cannot have is as none. RequestError when the response is not one of this policy's form.
    Source: https://hl7.org/fhir/uv/sdc/OperationDefinition-Questionnaire-next-question.html
    """
    check_form(policy, response)
    asked = asked_in(policy, response)
    answered = answers_in(policy, response)
    left_open = {
        each.link_id: dont_know_item(each.link_id)
        for each in asked
        if each.link_id not in answered.values and each.assumed is None
    }
    findings = Findings(policy, replace(situation, answers=answered))
    done = {*answered.values, *(each.link_id for each in asked)}
    following = next_criterion(policy, questions, findings, done)
    form = form_of(policy, response, asked if following is None else (*asked, following))
    status = COMPLETED if following is None else IN_PROGRESS
    return {**with_places(policy, response, form, left_open), "status": status}


def next_criterion(
    policy: Policy, questions: Questions, findings: KnownFindings, asked: Collection[str]
) -> Criterion | None:
    """The criterion to ask next, None when nothing that can be asked would change what is determined.

    What settles most, as far as the form shows it; a question that the form hides gives way to the one that opens it.
    ``asked``: the linkIds that were asked or answered before. What is assumed counts as known, as it does on a card.
    """
    criteria = {each.link_id: each for each in policy.criteria}

    def value_of(link_id: str) -> Value | None:
        return findings[criteria[link_id]].value if link_id in criteria else None

    def askable(link_id: str) -> Criterion | None:
        path = path_to(policy.questionnaire, link_id)
        if link_id in asked or link_id not in criteria or any(map(is_hidden, path)):
            return None
        disabled = next((each for each in path if not is_enabled(each, value_of)), None)
        if disabled is None:
            return criteria[link_id]
        return next(filter(None, map(askable, enabling(disabled, value_of))), None)

    outstanding = determination(policy, findings, questions).outstanding
    return next(filter(None, (askable(each.link_id) for each in outstanding)), None)


def questions_asked(
    policy: Policy, questions: Questions, situation: Situation, answerer: Callable[[Criterion], Value | None]
) -> dict[str, Value | None]:
    """linkId → answer, in the order asked, of following the questions to their end; None is "don't know".

    It begins with the answers that the situation holds.
    """
    values = dict(situation.answers.values) if situation.answers else {}
    while True:
        findings = Findings(policy, replace(situation, answers=Answers(None, None, values)))
        following = next_criterion(policy, questions, findings, values)
        if following is None:
            return values
        values = {**values, following.link_id: answerer(following)}
