"""What can be asked of value sets."""

from __future__ import annotations

from cds_service.fhir_api.operation import Operation
from cds_service.fhir_api.operation_parameters import given, taken, unheeded

_R4 = "http://hl7.org/fhir/OperationDefinition"

EXPAND = Operation(
    id="ValueSet-expand",
    code="expand",
    name="Expand",
    title="Value set expansion",
    resource="ValueSet",
    on_type=True,
    on_instance=True,
    base=f"{_R4}/ValueSet-expand",
    patient_data=False,
    description="The codes of a value set that is served here, as they are pinned in it, or of one given in full. A "
    "value set that can only be expanded with a code system at hand is refused, not expanded to nothing.",
    parameters=(
        taken("url", "uri", "The canonical of a value set served here, with or without its version"),
        taken("valueSet", "ValueSet", "A value set in full: its expansion, or codes one by one"),
        taken("valueSetVersion", "string", "The value set's business version"),
        taken("filter", "string", "Words that a code or its display must hold, whatever the case"),
        taken("offset", "integer", "How many codes to leave out at the start"),
        taken("count", "integer", "How many codes to give; 0 for their number alone"),
        taken("includeDefinition", "boolean", "Whether to show the definition (compose) too"),
        unheeded("includeDesignations", "boolean", "no designations are held"),
        unheeded("activeOnly", "boolean", "all codes held are active"),
        unheeded("excludeNested", "boolean", "every expansion is flat"),
        unheeded("displayLanguage", "code", "displays are in English or absent"),
        given("return", "ValueSet", "The value set with its expansion", 1),
    ),
)
VALIDATE_CODE = Operation(
    id="ValueSet-validate-code",
    code="validate-code",
    name="ValidateCode",
    title="Value set membership",
    resource="ValueSet",
    on_type=True,
    on_instance=True,
    base=f"{_R4}/ValueSet-validate-code",
    patient_data=False,
    description="Whether a code is in a value set: exactly, or in another spelling in circulation of its code system or "
    "of the dot in an OPCS-4 code, as policies are decided.",
    parameters=(
        taken("url", "uri", "The canonical of a value set served here, with or without its version"),
        taken("valueSet", "ValueSet", "A value set in full: its expansion, or codes one by one"),
        taken("valueSetVersion", "string", "The value set's business version"),
        taken("code", "code", "The code; system goes with it"),
        taken("system", "uri", "The code's system"),
        taken("display", "string", "The display to compare with the one that is held, if one is"),
        taken("coding", "Coding", "A coding, instead of code and system"),
        taken("codeableConcept", "CodeableConcept", "A concept: one of its codings is enough"),
        unheeded("systemVersion", "string", "value sets are pinned whatever the system's version"),
        unheeded("displayLanguage", "code", "displays are in English or absent"),
        given("result", "boolean", "Whether the code is a member", 1),
        given("message", "string", "Why it is not, or what is odd about it"),
        given("display", "string", "The display that is held"),
    ),
)
