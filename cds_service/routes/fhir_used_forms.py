"""The form that a call uses, and what it is filled in with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cds_service.errors import RequestError, UnknownValueSetError
from cds_service.fhir_api.shown_record import Shown, record_shown
from cds_service.fhir_api.terminology import codes_of
from cds_service.policies.findings import FUNDING_OUTCOME, NO_FUNDING_POLICY
from cds_service.policies.policy import Policy
from cds_service.questionnaires.form import Form, prepared
from cds_service.questionnaires.items import questionnaire_items
from cds_service.questionnaires.population import Populated, populated
from cds_service.questionnaires.sight import Launch
from cds_service.record.patient_record import OWN_QUERIES, PatientRecord
from cds_service.record.resources import Resource, members, text
from cds_service.record.value_sets import ValueSets
from cds_service.routes.fhir_calls import Call, policy_of_form

# A form or a response that goes deeper is nobody's form.
DEEPEST = 30


@dataclass(frozen=True)
class UsedForm:
    """The form of a call, and the policy whose it is, if it is a policy's."""

    form: Form
    policy: Policy | None

    @property
    def own(self) -> dict[str, Any]:
        """What the form's expressions name beside its launch: the deployer's lists, and that no policy spoke before."""
        if self.policy is None:
            return {}
        return {**self.policy.lists, FUNDING_OUTCOME: NO_FUNDING_POLICY}


def named_form(call: Call, reference: str, where: str) -> UsedForm:
    """The form served here that a canonical names. ResourceNotFoundError when there is none."""
    return served_form(call, call.held.named("Questionnaire", reference, where))


def checked(questionnaire: Resource, where: str) -> Resource:
    """A form that was sent in full. RequestError for an item that nothing can be done with, or too many in each other."""
    for path, item in questionnaire_items(questionnaire):
        place = f"{where}{path.removeprefix('Questionnaire')}"
        for name in ("linkId", "type"):
            if text(item, name) is None:
                raise RequestError(f"{place}.{name}", "nothing", f"the item's {name}")
        if path.count(".item[") > DEEPEST:
            raise RequestError(
                place, f"more than {DEEPEST} items in each other", "a form that people can fill in"
            )
    return questionnaire


def served_form(call: Call, questionnaire: Resource) -> UsedForm:
    """A form that is served here, ready to be filled in."""
    url, version = text(questionnaire, "url"), text(questionnaire, "version")
    policy = policy_of_form(call.library, f"{url}|{version}")
    names = () if policy is None else (*policy.lists, FUNDING_OUTCOME)
    return UsedForm(prepared(questionnaire, names), policy)


def sent_form(questionnaire: Resource, where: str) -> UsedForm:
    """A form that was sent in full, ready to be filled in. It is no policy's: a copy may say anything."""
    return UsedForm(prepared(checked(questionnaire, where), ()), None)


def form_of_response(call: Call, response: Resource, where: str) -> UsedForm:
    """The form that a response answers: given beside it, contained in it, or served here."""
    given = call.inputs.one("questionnaire")
    if given is not None:
        return sent_form(given.value, given.where)
    named = text(response, "questionnaire") or ""
    for place, resource in enumerate(members(response, "contained")):
        if named == f"#{resource.get('id')}" and resource.get("resourceType") == "Questionnaire":
            return sent_form(resource, f"{where}.contained[{place}]")
    return served_form(call, call.held.named("Questionnaire", named, f"{where}.questionnaire"))


def launch_of(call: Call, used: UsedForm, record: PatientRecord, contexts: Mapping[str, Any]) -> Launch:
    """What a form is filled with: the record shown, the launch context, the value sets served here."""
    patient = {} if record.patient is None else {"patient": record.patient}
    others = {
        name: value for name, value in contexts.items() if name not in {*used.form.queries, *OWN_QUERIES}
    }

    @cache
    def holding(url: str) -> ValueSets | None:
        return _holding(call, used, url)

    def member_of(url: str, system: str | None, code: str) -> bool:
        if (held := holding(url)) is None:
            raise UnknownValueSetError(url)
        return held.has_member(url, system, code)

    def options(url: str) -> Sequence[Resource] | None:
        if holding(url) is None:
            return None
        return [code.contained for code in codes_of(call.held.named("ValueSet", url, url), call.held)]

    return Launch(
        now=call.now,
        subject=f"Patient/{record.patient_id}" if record.patient_id else None,
        contexts={**used.own, **others, **patient},
        queries=record.answers,
        member_of=member_of,
        options=options,
        resolve=record.resource,
    )


def filled(
    call: Call, used: UsedForm, patient_id: str, contexts: Mapping[str, Any], sent: Shown
) -> tuple[Populated, PatientRecord]:
    """A form filled with what is shown of a patient."""
    record = record_shown(patient_id, used.form.queries, sent)
    return populated(used.form, launch_of(call, used, record, contexts)), record


def passed_over(record: PatientRecord) -> list[dict[str, Any]]:
    """An issue for every query of which entries were passed over."""
    return [
        {
            "severity": "warning",
            "code": "business-rule",
            "diagnostics": f"{name}: {len(answer.refused)} entries were passed over: "
            + "; ".join(sorted(set(answer.refused))),
        }
        for name, answer in record.answers.items()
        if answer.refused
    ]


def _holding(call: Call, used: UsedForm, url: str) -> ValueSets | None:
    """The value sets among which one is: those of the form's own policy, of the first other, of the first shared form.

    The own ones first: another version may have one of the same name.
    """
    if used.policy is not None and url in used.policy.value_sets:
        return used.policy.value_sets
    for place, listing in enumerate(call.library.listings):
        if url in listing.value_sets:
            return call.library.policies[place].value_sets
    return next((form.value_sets for form in call.library.forms if url in form.value_sets), None)
