"""What can be asked of forms and of their answers."""

from __future__ import annotations

from cds_service.fhir_api.operation import MANY, Operation
from cds_service.fhir_api.operation_parameters import COMPLETE, CONTEXT, DATA, given, taken, unheeded

_R4 = "http://hl7.org/fhir/OperationDefinition"
_SDC = "http://hl7.org/fhir/uv/sdc/OperationDefinition"
_DTR = "http://hl7.org/fhir/us/davinci-dtr/OperationDefinition"

POPULATE = Operation(
    id="Questionnaire-populate",
    code="populate",
    name="Populate",
    title="A form filled with what the record proves",
    resource="Questionnaire",
    on_type=True,
    on_instance=True,
    base=f"{_SDC}/Questionnaire-populate",
    patient_data=True,
    description="The QuestionnaireResponse of a form with the answers that the record proves. What is not proven is left "
    "open, never answered with no; what was not read or could not be evaluated is told in issues. The record is what the "
    "call itself shows (context, data): this service reads no other server for it.",
    parameters=(
        taken("canonical", "uri", "The canonical of a form served here, with or without its version"),
        taken("questionnaireRef", "Reference", "Reference to a form served here"),
        taken("questionnaire", "Questionnaire", "A form in full"),
        taken("subject", "Reference", "The patient", 1),
        CONTEXT,
        unheeded("local", "boolean", "this service keeps no records of its own"),
        DATA,
        COMPLETE,
        given("response", "QuestionnaireResponse", "The draft with what is known", 1),
        given("issues", "OperationOutcome", "What was not read, or could not be evaluated"),
    ),
)
NEXT_QUESTION = Operation(
    id="Questionnaire-next-question",
    code="next-question",
    name="NextQuestion",
    title="The next question of an adaptive form",
    resource="Questionnaire",
    on_type=True,
    on_instance=False,
    base=f"{_SDC}/Questionnaire-next-question",
    patient_data=True,
    description="The response with one question more: the one that settles most of what the policy still leaves open. "
    "Once no answer could change what the policy says, the response is completed. What the record shown proves is "
    "not asked, and neither is what was answered with don't know.",
    parameters=(
        taken(
            "questionnaire-response",
            "QuestionnaireResponse",
            "The draft; its contained Questionnaire is derivedFrom a policy's form served here",
            1,
        ),
        CONTEXT,
        DATA,
        COMPLETE,
        given("return", "QuestionnaireResponse", "The draft with the next question, or completed", 1),
    ),
)
QUESTIONNAIRE_PACKAGE = Operation(
    id="Questionnaire-questionnaire-package",
    code="questionnaire-package",
    name="QuestionnairePackage",
    title="Everything that a form needs, in one Bundle",
    resource="Questionnaire",
    on_type=True,
    on_instance=True,
    base=f"{_DTR}/questionnaire-package",
    patient_data=True,
    description="A Bundle for each form: the Questionnaire, a draft QuestionnaireResponse for each order filled as "
    "$populate does, and the value sets. Forms are named, or found as those of the policies on the orders. Coverage "
    "may be left out. The id of a CRD context is not taken, since none is given out.",
    parameters=(
        taken("coverage", "Coverage", "The patient's coverage, to stand in the draft", 0, MANY),
        taken("order", "ServiceRequest", "The orders", 0, MANY),
        taken("referenced", "Resource", "Resources that order and coverage refer to", 0, MANY),
        taken("questionnaire", "canonical", "Forms served here, with or without version", 0, MANY),
        unheeded("changedsince", "dateTime", "the package is always given"),
        DATA,
        COMPLETE,
        given("packagebundle", "Bundle", "One form's package", 0, MANY),
        given("outcome", "OperationOutcome", "Forms that are not served here, and what was not read"),
    ),
)
EXTRACT = Operation(
    id="QuestionnaireResponse-extract",
    code="extract",
    name="Extract",
    title="Resources made from a form's answers",
    resource="QuestionnaireResponse",
    on_type=True,
    on_instance=False,
    base=f"{_SDC}/QuestionnaireResponse-extract",
    patient_data=True,
    description="What a form declares is to be made of its answers (definition-based and template-based extraction). A "
    "form that declares nothing is refused.",
    parameters=(
        taken("questionnaire-response", "QuestionnaireResponse", "The completed form", 1),
        taken("questionnaire", "Questionnaire", "Its form in full, unless it is served here or contained"),
        given(
            "return",
            "Bundle",
            "A transaction; without entries when nothing of what it declares was answered",
            1,
        ),
    ),
)
VALIDATE = Operation(
    id="QuestionnaireResponse-validate",
    code="validate",
    name="Validate",
    title="A response checked against its form",
    resource="QuestionnaireResponse",
    on_type=True,
    on_instance=False,
    base=f"{_R4}/Resource-validate",
    patient_data=True,
    description="Every problem of a response with its path: types, required and disabled items, options, repeats, "
    "limits, unknown items. The form is the one that it names, or the one it contains.",
    parameters=(
        taken("resource", "QuestionnaireResponse", "The response", 1),
        taken(
            "questionnaire", "Questionnaire", "Ours: its form in full, unless it is served here or contained"
        ),
        unheeded("mode", "code", "a response is checked the same whatever happens to it next"),
        unheeded("profile", "uri", "a response is checked against its form"),
        given("return", "OperationOutcome", "The problems; one issue of information when there is none", 1),
    ),
)
