"""``Questionnaire/$questionnaire-package``: which forms are packed, for whom, filled with what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from cds_service.errors import RequestError, ResourceNotFoundError
from cds_service.fhir_api.parameters import Given, outputs
from cds_service.fhir_api.shown_record import patient_id_of, shown
from cds_service.questionnaires.package import questionnaire_package, value_sets_used
from cds_service.record.orders import Order
from cds_service.record.patient_record import COVERAGES_KEY, PATIENT_KEY
from cds_service.record.resources import Resource, text
from cds_service.routes.fhir_calls import Call, order_of, outcome, value_sets_for
from cds_service.routes.fhir_used_forms import UsedForm, filled, named_form, passed_over

_DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"


def packaged(call: Call) -> Resource:
    """A package for each form that is named, or that a policy on one of the orders has."""
    orders = [order_of(each.value, each.where) for each in call.inputs.all("order")]
    patient_id = _patient_id(call)
    forms, issues = _forms(call, orders)
    packages = []
    for used, about in forms.values():
        package, said = _package(call, used, about, patient_id)
        packages.append(package)
        issues += said
    named = [("packagebundle", package) for package in packages]
    return outputs([*named, ("outcome", outcome(issues))])


def _patient_id(call: Call) -> str:
    """The one patient of orders and coverages. RequestError when there is none, or more than one."""
    people = [
        (patient_id_of(text(each.value, element, "reference"), where), where)
        for name, element in (("order", "subject"), ("coverage", "beneficiary"))
        for each in call.inputs.all(name)
        for where in (f"{each.where}.{element}.reference",)
    ]
    if not people:
        raise RequestError("Parameters", "no patient", "an order or a coverage")
    first, _ = people[0]
    for patient_id, where in people:
        if patient_id != first:
            raise RequestError(where, "another patient", "the patient of the others")
    return first


def _forms(
    call: Call, orders: Sequence[Order]
) -> tuple[dict[str, tuple[UsedForm, list[Order]]], list[dict[str, Any]]]:
    """Canonical → form and the orders that it is filled in for; and an issue for each form that is not served."""
    found: dict[str, tuple[UsedForm, list[Order]]] = {}
    issues: list[dict[str, Any]] = []
    for reference, where, about in _references(call, orders):
        try:
            used = named_form(call, reference, where)
        except ResourceNotFoundError as error:
            issues.append(_issue("warning", "not-found", str(error), where))
            continue
        _, known = found.setdefault(str(used.form.canonical), (used, []))
        known += [each for each in about if each not in known]
    if not found and not issues:
        issues.append(
            _issue("information", "informational", "No policy here is on these orders.", "Parameters")
        )
    return found, issues


def _references(call: Call, orders: Sequence[Order]) -> Iterator[tuple[str, str, list[Order]]]:
    """The forms by canonical, where each is named, and the orders that it is for."""
    if call.resource_id is not None:
        questionnaire = call.held.read("Questionnaire", call.resource_id)
        yield f"{questionnaire['url']}|{questionnaire['version']}", "Questionnaire", list(orders)
    named: tuple[Given, ...] = call.inputs.all("questionnaire")
    for each in named:
        yield each.value, each.where, list(orders)
    if named or call.resource_id is not None:
        return
    for order in orders:
        for policy in call.library.covering(order, call.now.date()):
            yield f"{policy.questionnaire_url}|{policy.version}", "Parameters", [order]


def _package(
    call: Call, used: UsedForm, orders: Sequence[Order], patient_id: str
) -> tuple[Resource, list[dict[str, Any]]]:
    """One form with a draft for each of its orders, and what was not read or passed over for them."""
    drafts: list[dict[str, Any]] = []
    issues: dict[str, dict[str, Any]] = {}
    for order in orders or (None,):
        contexts = {} if order is None else {"clinical": order.resource}
        made, record = filled(call, used, patient_id, contexts, shown(call.inputs, _named(call)))
        drafts.append({"extension": [*_about(call, order)], **made.response})
        for each in (*(problem.issue for problem in made.issues), *passed_over(record)):
            issues[each["diagnostics"]] = each
    first, *others = drafts
    questionnaire = used.form.questionnaire
    value_sets = value_sets_for(call, questionnaire, value_sets_used(questionnaire))
    bundle = questionnaire_package(questionnaire, first, value_sets, call.now, lambda: str(uuid4()))
    entry = [*bundle["entry"]]
    entry[2:2] = [
        {"fullUrl": f"urn:uuid:{uuid4()}", "resource": {**draft, "id": str(uuid4())}} for draft in others
    ]
    return {**bundle, "entry": entry}, list(issues.values())


def _named(call: Call) -> dict[str, object]:
    """What the call's own resources answer: who the patient is, and the coverages."""
    patients = [
        each.value for each in call.inputs.all("referenced") if each.value["resourceType"] == "Patient"
    ]
    coverages = [{"resource": each.value} for each in call.inputs.all("coverage")]
    named: dict[str, object] = {}
    if patients:
        named[PATIENT_KEY] = patients[0]
    if coverages:
        named[COVERAGES_KEY] = {"resourceType": "Bundle", "type": "searchset", "entry": coverages}
    return named


def _about(call: Call, order: Order | None) -> Iterator[dict[str, Any]]:
    """The order and the coverages of a draft, as DTR writes them."""
    if order is not None and order.reference is not None:
        yield {"url": f"{_DTR}/qr-context", "valueReference": {"reference": order.reference}}
    for coverage in call.inputs.all("coverage"):
        if coverage_id := text(coverage.value, "id"):
            reference = {"reference": f"Coverage/{coverage_id}"}
            yield {"url": f"{_DTR}/qr-coverage", "valueReference": reference}


def _issue(severity: str, code: str, words: str, where: str) -> dict[str, Any]:
    return {"severity": severity, "code": code, "diagnostics": words, "expression": [where]}
