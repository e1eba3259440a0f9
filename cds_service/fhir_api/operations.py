"""The operations that are offered. Routes, capabilities and OperationDefinitions are made from this table alone."""

from __future__ import annotations

from cds_service.fhir_api.form_operations import (
    EXTRACT,
    NEXT_QUESTION,
    POPULATE,
    QUESTIONNAIRE_PACKAGE,
    VALIDATE,
)
from cds_service.fhir_api.plan_operations import APPLY, DATA_REQUIREMENTS
from cds_service.fhir_api.value_set_operations import EXPAND, VALIDATE_CODE

OPERATIONS = (
    APPLY,
    DATA_REQUIREMENTS,
    POPULATE,
    NEXT_QUESTION,
    QUESTIONNAIRE_PACKAGE,
    EXTRACT,
    VALIDATE,
    EXPAND,
    VALIDATE_CODE,
)
