"""What can be asked of policies."""

from __future__ import annotations

from cds_service.fhir_api.operation import Operation
from cds_service.fhir_api.operation_parameters import COMPLETE, DATA, PREFETCH, given, taken

_R4 = "http://hl7.org/fhir/OperationDefinition"

APPLY = Operation(
    id="PlanDefinition-apply",
    code="apply",
    name="Apply",
    title="What a policy says of an order",
    resource="PlanDefinition",
    on_type=True,
    on_instance=True,
    base=f"{_R4}/PlanDefinition-apply",
    patient_data=True,
    description="One policy's determination of one order, as a CarePlan with RequestGroup and GuidanceResponse in "
    "it. Whether the policy is that of the patient's commissioner is for the caller to know: the CDS Hooks service finds "
    "that out, $apply does not. Forms in data that answer the policy count as they do there.",
    parameters=(
        taken("url", "uri", "The canonical of a policy served here, with or without its version"),
        taken("version", "string", "The policy's business version"),
        taken("subject", "string", "The patient, as a reference", 1),
        taken("order", "ServiceRequest", "Ours: the order to be determined", 1),
        DATA,
        COMPLETE,
        PREFETCH,
        given("return", "CarePlan", "The determination", 1),
    ),
)
DATA_REQUIREMENTS = Operation(
    id="PlanDefinition-data-requirements",
    code="data-requirements",
    name="DataRequirements",
    title="What a policy reads",
    resource="PlanDefinition",
    on_type=True,
    on_instance=True,
    base=f"{_R4}/PlanDefinition-data-requirements",
    patient_data=False,
    description="The data that a policy is decided from, as a Library of the type module-definition.",
    parameters=(
        taken("url", "uri", "The canonical of a policy served here, with or without its version"),
        taken("version", "string", "The policy's business version"),
        given("return", "Library", "The requirements", 1),
    ),
)
