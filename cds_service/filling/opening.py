"""A form opened: which form it is, what it needs to read, and the session that begins with what was read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cds_service.errors import FormUnavailableError
from cds_service.fhir_api.apply import applied
from cds_service.filling.session import OPEN, FormContext, FormSession
from cds_service.hooks.cards import REQUEST_FORM
from cds_service.policies.determination import determination
from cds_service.policies.findings import Evidence, Findings, Situation
from cds_service.policies.forms import SharedForm
from cds_service.policies.library import Library
from cds_service.policies.policy import Policy
from cds_service.policies.stated import Stated, stated
from cds_service.questionnaires.form import Form, prepared
from cds_service.questionnaires.funding_request_guidance import evidence, guidance
from cds_service.questionnaires.policy_forms import policy_form, policy_launch
from cds_service.questionnaires.population import Populated, populated
from cds_service.questionnaires.responses import answers_for, newest_for
from cds_service.questionnaires.sight import Launch
from cds_service.record.orders import Order, procedure_orders
from cds_service.record.patient_record import PATIENT_KEY, RESPONSES_KEY, PatientRecord
from cds_service.record.resources import Resource

# Under which a session keeps the evidence of the decision that a request rests on.
OF_POLICY = "determination"
ORDER_AGAIN = "Check the order again in your patient record: the new card opens a form for what applies now."


@dataclass(frozen=True)
class Opening:
    """The form that a card offered: of its ``policy``, or the request for individual funding that policies share."""

    context: FormContext
    library: Library
    policy: Policy
    order: Order
    shared: SharedForm | None

    @classmethod
    def of(cls, context: FormContext, library: Library, now: datetime) -> Opening:
        """The form of a card. FormUnavailableError when its policy, or the form, is no longer in use."""
        orders = procedure_orders([context.order])
        day = (orders[0].authored if orders else None) or now.date()
        policy = library.policy_for(context.policy, day)
        if policy is None or not orders:
            raise FormUnavailableError("The policy that this form is for is no longer in force.", ORDER_AGAIN)
        if context.kind != REQUEST_FORM:
            return cls(context, library, policy, orders[0], None)
        shared = library.form(policy.route.form) if policy.route and policy.route.form else None
        if shared is None:
            raise FormUnavailableError("This request form is no longer in use.", ORDER_AGAIN)
        return cls(context, library, policy, orders[0], shared)

    def prepared(self) -> Form:
        """The form, ready to be filled in; it takes a while to make, and may be kept as long as the policy set is."""
        return prepared(self.shared.questionnaire) if self.shared else policy_form(self.policy)

    @property
    def canonical(self) -> str:
        """The versioned canonical of its Questionnaire."""
        own = f"{self.policy.questionnaire_url}|{self.policy.version}"
        return self.shared.canonical if self.shared else own

    @property
    def queries(self) -> dict[str, str]:
        """Key → template of everything that the form is filled in from, and the forms already answered."""
        own = self.shared.queries if self.shared else {}
        return {
            PATIENT_KEY: "Patient/{{%patient.id}}",
            RESPONSES_KEY: "QuestionnaireResponse?patient={{%patient.id}}",
            **self.policy.queries,
            **own,
        }


@dataclass(frozen=True)
class Opener:
    """Who opened a form, and what their session is kept by: members as in FormSession."""

    user: Resource | None
    key_digest: str
    smart: str
    shows_patient: bool
    response_id: str


def opened_session(
    opening: Opening,
    form: Form,
    record: PatientRecord,
    kept: Sequence[Resource],
    now: datetime,
    opener: Opener,
    answers_valid_days: int,
) -> FormSession:
    """The session that a form begins with: filled in from the record, or as it was last completed for this order."""
    policy, order = opening.policy, opening.order
    responses = (*record.answer(RESPONSES_KEY).resources, *kept)
    answers = answers_for(policy, order, responses, now.date(), answers_valid_days)
    funding = opening.context.funding_outcome
    situation = Situation(order, record, answers, now, funding)
    says: Resource | None = None
    rests_on: Mapping[str, tuple[Evidence, ...]] = {}
    earlier: Resource | None = None
    from_record: Stated = {}
    if opening.shared is None:
        found = populated(form, policy_launch(policy, situation, opener.user))
        without_answers = Findings(policy, Situation(order, record, None, now, funding))
        from_record = stated(without_answers[each] for each in policy.criteria)
        earlier = newest_for(policy, order, responses, now.date(), answers_valid_days)
    else:
        says, of_policy = _guidance(opening, situation)
        rests_on = {OF_POLICY: of_policy}
        found = _populated_shared_form(form, opening.shared, situation, opener.user, says)
    return FormSession(
        context=opening.context,
        key_digest=opener.key_digest,
        smart=opener.smart,
        form=opening.canonical,
        populated=found.response,
        response=_reopened(found.response, earlier),
        evidence={
            name: [asdict(each) for each in all_of] for name, all_of in {**found.evidence, **rests_on}.items()
        },
        stated=from_record,
        unread=tuple(key for key in opening.queries if record.answer(key).not_read is not None),
        asked=(),
        status=OPEN,
        patient=record.patient,
        user=opener.user,
        shows_patient=opener.shows_patient,
        guidance=says,
        response_id=opener.response_id,
        written=None,
        not_written=None,
    )


def _reopened(populated_response: Resource, earlier: Resource | None) -> Resource:
    """The answers of the form as it was last completed, where there is one: whoever opens it again changes those."""
    if earlier is None:
        return populated_response
    return {**populated_response, "item": earlier.get("item", [])}


def _guidance(opening: Opening, situation: Situation) -> tuple[Resource, tuple[Evidence, ...]]:
    """What the policy says now, as the GuidanceResponse that a funding request rests on, and on what evidence."""
    policy = opening.policy
    findings = Findings(policy, situation)
    determined = determination(policy, findings, opening.library.questions[policy.canonical])
    patient = f"Patient/{situation.record.patient_id}"
    care_plan = applied(policy, determined, opening.order, patient, situation.now)
    return guidance(care_plan), evidence(determined)


def _populated_shared_form(
    form: Form, shared: SharedForm, situation: Situation, user: Resource | None, guidance: Resource
) -> Populated:
    contexts = {
        "patient": situation.record.patient,
        "clinical": situation.order.resource,
        "user": user,
        "determination": guidance,
    }
    return populated(form, shared_form_launch(shared, contexts, situation.record, situation.now))


def shared_form_launch(
    form: SharedForm, contexts: Mapping[str, Any], record: PatientRecord, now: datetime
) -> Launch:
    """What a shared form sees of a record."""
    return Launch(
        now=now,
        subject=f"Patient/{record.patient_id}",
        contexts=contexts,
        queries={name: record.answer(name) for name in form.queries},
        member_of=form.value_sets.has_member,
        options=lambda _: None,
        resolve=record.resource,
    )
