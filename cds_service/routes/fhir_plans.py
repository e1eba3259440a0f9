"""The operations on policies."""

from __future__ import annotations

from cds_service.errors import RequestError
from cds_service.fhir_api.apply import applied
from cds_service.fhir_api.data_requirements import data_requirements
from cds_service.fhir_api.shown_record import record_shown, refuse_other_patient, shown, subject_of
from cds_service.policies.determination import determination
from cds_service.policies.findings import Findings, Situation
from cds_service.policies.policy import Policy
from cds_service.questionnaires.responses import answers_for
from cds_service.record.orders import Order
from cds_service.record.patient_record import RESPONSES_KEY
from cds_service.record.resources import Resource
from cds_service.routes.fhir_calls import Call, order_of, policy_of_plan, value_sets_for


def applied_plan(call: Call) -> Resource:
    """``PlanDefinition/$apply``."""
    policy = policy_of_plan(call)
    patient_id = subject_of(call.inputs.needed("subject"))
    given = call.inputs.needed("order")
    order = order_of(given.value, given.where)
    refuse_other_patient(order.resource, given.where, patient_id)
    _refuse_other_order(policy, order, given.where, call)
    record = record_shown(patient_id, policy.queries, shown(call.inputs, _prefetched(call)))
    answers = answers_for(
        policy,
        order,
        record.answer(RESPONSES_KEY).resources,
        call.now.date(),
        call.settings.answers_valid_days,
    )
    findings = Findings(policy, Situation(order, record, answers, call.now))
    determined = determination(policy, findings, call.library.questions[policy.canonical])
    return applied(policy, determined, order, f"Patient/{patient_id}", call.now)


def required_data(call: Call) -> Resource:
    """``PlanDefinition/$data-requirements``."""
    policy = policy_of_plan(call)
    return data_requirements(policy, value_sets_for(call, policy.questionnaire, policy.value_sets.codes))


def _prefetched(call: Call) -> dict[str, object]:
    """The answers to queries under their prefetch keys; None where the sender found nothing."""
    named: dict[str, object] = {}
    for prefetch in call.inputs.all("prefetchData"):
        key, found = prefetch.part("key"), prefetch.part("data")
        if key is not None:
            named[key.value] = None if found is None else found.value
    return named


def _refuse_other_order(policy: Policy, order: Order, where: str, call: Call) -> None:
    """RequestError for an order that this policy says nothing of: of other codes, or of another time."""
    if not policy.codes.intersection(order.codes):
        raise RequestError(f"{where}.code", "none of the codes that the policy is about", "one of them")
    if not policy.in_force(order.authored or call.now.date()):
        expected = f"a day on which version {policy.version} of the policy is in force"
        raise RequestError(f"{where}.authoredOn", "another day", expected)
