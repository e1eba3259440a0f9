"""Which elements a summary shows, against the models' own marks."""

from __future__ import annotations

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_service.fhir_api.artefacts import SERVED_TYPES
from cds_service.fhir_api.subsets import subset


def marked(resource_type: str) -> set[str]:
    """The elements that R4 marks as part of the summary."""
    fields = get_fhir_model_class(resource_type).model_fields.items()
    return {
        field.alias or name
        for name, field in fields
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("summary_element_property")
    }


@pytest.mark.parametrize("resource_type", SERVED_TYPES)
def test_a_summary_shows_exactly_the_elements_that_r4_marks(resource_type: str) -> None:
    every = dict.fromkeys(get_fhir_model_class(resource_type).elements_sequence(), "x")
    resource = {**every, "resourceType": resource_type, "meta": {}}

    shown = set(subset(resource, "true", ()))

    # R4 wants these in every answer, whatever is asked for.
    always = {"resourceType", "id", "meta", "implicitRules", "modifierExtension"}
    assert shown - always == marked(resource_type) - always


def test_all_of_a_resource_is_not_marked_as_a_part() -> None:
    resource = {"resourceType": "ValueSet", "id": "v", "status": "active"}

    assert subset(resource, "false", ()) == resource
