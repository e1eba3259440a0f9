"""What answers each operation of the FHIR API."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cds_service.fhir_api.form_operations import (
    EXTRACT,
    NEXT_QUESTION,
    POPULATE,
    QUESTIONNAIRE_PACKAGE,
    VALIDATE,
)
from cds_service.fhir_api.plan_operations import APPLY, DATA_REQUIREMENTS
from cds_service.fhir_api.terminology import expanded, validated, value_set_of
from cds_service.fhir_api.value_set_operations import EXPAND, VALIDATE_CODE
from cds_service.record.resources import Resource
from cds_service.routes.fhir_calls import Call
from cds_service.routes.fhir_forms import (
    asked_next,
    extracted_resources,
    populated_form,
    validated_response,
)
from cds_service.routes.fhir_packages import packaged
from cds_service.routes.fhir_plans import applied_plan, required_data


def _expanded(call: Call) -> Resource:
    value_set = value_set_of(call.inputs, call.resource_id, call.held)
    return expanded(value_set, call.inputs, call.held, call.now)


def _validated_code(call: Call) -> Resource:
    value_set = value_set_of(call.inputs, call.resource_id, call.held)
    return validated(value_set, call.inputs, call.held)


# By the id of the operation's OperationDefinition.
ANSWERS: Mapping[str, Callable[[Call], Resource]] = {
    APPLY.id: applied_plan,
    DATA_REQUIREMENTS.id: required_data,
    QUESTIONNAIRE_PACKAGE.id: packaged,
    POPULATE.id: populated_form,
    NEXT_QUESTION.id: asked_next,
    EXTRACT.id: extracted_resources,
    VALIDATE.id: validated_response,
    EXPAND.id: _expanded,
    VALIDATE_CODE.id: _validated_code,
}
