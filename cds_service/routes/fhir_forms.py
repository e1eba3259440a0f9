"""The operations on forms and their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import uuid4

from cds_service.errors import RequestError
from cds_service.fhir_api.parameters import outputs
from cds_service.fhir_api.shown_record import (
    Shown,
    named_by_context,
    patient_id_of,
    record_shown,
    refuse_other_patient,
    shown,
    subject_of,
)
from cds_service.policies.findings import Situation
from cds_service.policies.policy import Policy
from cds_service.questionnaires.adaptive_form import form_named_by
from cds_service.questionnaires.extraction import extracted
from cds_service.questionnaires.next_question import next_question
from cds_service.questionnaires.validation import Limits, problems
from cds_service.record.orders import Order
from cds_service.record.resources import Resource, members, text
from cds_service.routes.fhir_calls import Call, order_of, outcome, policy_of_form
from cds_service.routes.fhir_used_forms import (
    DEEPEST,
    UsedForm,
    filled,
    form_of_response,
    launch_of,
    named_form,
    passed_over,
    sent_form,
    served_form,
)

_LIMITS = Limits(longest_text=100_000, deepest=DEEPEST)


def populated_form(call: Call) -> Resource:
    """``Questionnaire/$populate``."""
    used = _used_form(call)
    patient_id = subject_of(call.inputs.needed("subject"))
    named = named_by_context(call.inputs)
    if "clinical" in named:
        refuse_other_patient(named["clinical"], "Parameters.parameter.where(name='context')", patient_id)
    made, record = filled(call, used, patient_id, named, shown(call.inputs, named))
    issues = [each.issue for each in made.issues] + passed_over(record)
    return outputs([("response", made.response), ("issues", outcome(issues))])


def asked_next(call: Call) -> Resource:
    """``Questionnaire/$next-question``."""
    given = call.inputs.needed("questionnaire-response")
    response: Resource = given.value
    policy = policy_of_form(call.library, form_named_by(response) or "")
    if policy is None:
        expected = "the form of a policy served here, or a contained form derivedFrom it"
        raise RequestError(f"{given.where}.questionnaire", "no policy's form", expected)
    patient_id = patient_id_of(text(response, "subject", "reference"), f"{given.where}.subject.reference")
    named = named_by_context(call.inputs)
    order = _order(policy, response, named, given.where)
    refuse_other_patient(order.resource, given.where, patient_id)
    record = record_shown(patient_id, policy.queries, shown(call.inputs, named))
    situation = Situation(order, record, None, call.now)
    return next_question(policy, call.library.questions[policy.canonical], situation, response)


def validated_response(call: Call) -> Resource:
    """``QuestionnaireResponse/$validate``."""
    given = call.inputs.needed("resource")
    used = form_of_response(call, given.value, given.where)
    sent = Shown(None, complete=False, named={})
    record = record_shown("", used.form.queries, sent)
    found = problems(used.form, given.value, launch_of(call, used, record, {}), _LIMITS)
    right = {"severity": "information", "code": "informational", "diagnostics": "No problem was found."}
    return {"resourceType": "OperationOutcome", "issue": [each.issue for each in found] or [right]}


def extracted_resources(call: Call) -> Resource:
    """``QuestionnaireResponse/$extract``."""
    given = call.inputs.needed("questionnaire-response")
    used = form_of_response(call, given.value, given.where)
    return extracted(used.form.questionnaire, given.value, call.now, lambda: str(uuid4()))


def _used_form(call: Call) -> UsedForm:
    """The form of a ``$populate``: by id, by canonical, by reference, or in full; exactly one of them."""
    if call.resource_id is not None:
        return served_form(call, call.held.read("Questionnaire", call.resource_id))
    names = ("canonical", "questionnaireRef", "questionnaire")
    given = [found for name in names if (found := call.inputs.one(name)) is not None]
    if len(given) != 1:
        raise RequestError("Parameters", f"{len(given)} forms", f"one of {', '.join(names)}")
    (form,) = given
    if form.name == "questionnaire":
        return sent_form(form.value, form.where)
    if form.name == "canonical":
        return named_form(call, form.value, form.where)
    return served_form(call, _referred(call, text(form.value, "reference") or "", form.where))


def _referred(call: Call, reference: str, where: str) -> Resource:
    base = f"{call.settings.public_url}/fhir/"
    kind, _, form_id = reference.removeprefix(base).partition("/")
    if kind != "Questionnaire" or not form_id:
        raise RequestError(f"{where}.reference", "no form served here", f"{base}Questionnaire/id")
    return call.held.read("Questionnaire", form_id)


def _order(policy: Policy, response: Resource, named: Mapping[str, Resource], where: str) -> Order:
    """The order that an adaptive form is filled in for: the launch context ``clinical``, or one contained in it.

    RequestError when there is none and the form looks at it: an order without elements would prove that it has none.
    """
    if "clinical" in named:
        return order_of(named["clinical"], "Parameters.parameter.where(name='context')")
    based_on = {text(each, "reference") for each in members(response, "basedOn")}
    for place, resource in enumerate(members(response, "contained")):
        if f"#{resource.get('id')}" in based_on:
            return order_of(resource, f"{where}.contained[{place}]")
    if "%clinical" not in json.dumps(policy.questionnaire):
        return Order(resource={}, reference=None, codes=(), authored=None)
    expected = "the ServiceRequest, as the context clinical or contained as basedOn"
    raise RequestError(f"{where}.basedOn", "no order", expected)
