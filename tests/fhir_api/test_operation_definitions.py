"""The table of operations, and what is made of it."""

from __future__ import annotations

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_service.fhir_api.operation import PRIMITIVES, Operation, OperationParameter
from cds_service.fhir_api.operations import OPERATIONS
from cds_service.routes.fhir_operations import ANSWERS

# Types that stand where a FHIR type is expected and are no class of the models.
ABSTRACT = {"Any", "Resource"}


def parameters_of(operation: Operation) -> list[OperationParameter]:
    """Every parameter, parts included."""
    return [found for each in operation.parameters for found in (each, *each.parts)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_a_definition_is_strictly_r4_and_rests_on_a_published_one(operation: Operation) -> None:
    definition = operation.definition("https://cds.example", "1.0")

    get_fhir_model_class("OperationDefinition").model_validate(definition)
    assert definition["url"] == f"https://cds.example/fhir/OperationDefinition/{operation.id}"
    assert operation.base.startswith("http://hl7.org/fhir/")
    assert operation.base.endswith(operation.code)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_every_parameter_has_words_and_a_type_or_parts(operation: Operation) -> None:
    for parameter in parameters_of(operation):
        assert parameter.documentation
        assert (parameter.type is None) is bool(parameter.parts)
        if parameter.type is not None and parameter.type not in PRIMITIVES | ABSTRACT:
            assert get_fhir_model_class(parameter.type)


def test_every_operation_is_answered_and_named_once() -> None:
    assert set(ANSWERS) == {operation.id for operation in OPERATIONS}
    assert len({(each.resource, each.code) for each in OPERATIONS}) == len(OPERATIONS)
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_patient_data_never_stand_in_a_url(operation: Operation) -> None:
    needs_patient = any(each.name in {"subject", "data", "order"} for each in operation.parameters)

    assert operation.gettable is not operation.patient_data
    assert not needs_patient or operation.patient_data
