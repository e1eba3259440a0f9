"""The extensions and item types of forms: what is carried out, and what is not.

Sources: https://hl7.org/fhir/uv/sdc/ (4.0); https://hl7.org/fhir/R4/questionnaire-profiles.html
"""

from __future__ import annotations

from cds_service.policies.loading.extensions import (
    CONTEXT_EXPRESSION,
    ENABLE_WHEN_EXPRESSION,
    FHIR_QUERY,
    FHIRPATH,
    INITIAL_EXPRESSION,
    VARIABLE,
)

SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
CORE = "http://hl7.org/fhir/StructureDefinition/"
CALCULATED_EXPRESSION = f"{SDC}calculatedExpression"
POPULATION_CONTEXT = f"{SDC}itemPopulationContext"

ITEM_TYPES = frozenset(
    {
        "group",
        "display",
        "boolean",
        "decimal",
        "integer",
        "date",
        "dateTime",
        "time",
        "string",
        "text",
        "url",
        "choice",
        "open-choice",
        "attachment",
        "reference",
        "quantity",
    }
)
# The languages in which an expression of each kind is carried out.
LANGUAGES = {
    VARIABLE: (FHIRPATH, FHIR_QUERY),
    POPULATION_CONTEXT: (FHIRPATH, FHIR_QUERY),
    INITIAL_EXPRESSION: (FHIRPATH,),
    CALCULATED_EXPRESSION: (FHIRPATH,),
    CONTEXT_EXPRESSION: (FHIRPATH,),
    ENABLE_WHEN_EXPRESSION: (FHIRPATH,),
    f"{CORE}targetConstraint": (FHIRPATH,),
}
NOT_CARRIED_OUT = {
    f"{SDC}answerExpression": "answers computed from data",
    f"{SDC}candidateExpression": "candidate answers computed from data",
    f"{SDC}answerOptionsToggleExpression": "options that come and go",
    f"{SDC}sourceQueries": "population from a batch of queries",
    f"{SDC}sourceStructureMap": "population by a StructureMap",
    f"{SDC}observationLinkPeriod": "population from Observations by their code",
    f"{SDC}subQuestionnaire": "a form assembled from others: assemble it first",
    f"{SDC}assembleContext": "a form assembled from others: assemble it first",
    f"{SDC}isSubject": "an item that changes whom the answers below it are about",
    f"{SDC}lookupQuestionnaire": "answers chosen with another form",
    f"{SDC}unitOpen": "units beyond those listed",
    f"{SDC}unitSupplementalSystem": "units beyond those listed",
    f"{CORE}cqf-expression": "a value computed by an expression",
    f"{CORE}cqf-calculatedValue": "a value computed by an expression",
    f"{CORE}questionnaire-optionRestriction": "options restricted by a value set",
    f"{CORE}questionnaire-signatureRequired": "a signature",
    f"{CORE}questionnaire-referenceFilter": "references found by a search",
}
# Carried out here or by the extraction, or of no consequence for what is answered.
KNOWN = frozenset(
    f"{SDC}{name}"
    for name in (
        "launchContext",
        "initialExpression",
        "calculatedExpression",
        "contextExpression",
        "enableWhenExpression",
        "itemPopulationContext",
        "minQuantity",
        "maxQuantity",
        "questionnaireAdaptive",
        "targetStructureMap",
        "assembledFrom",
        "assemble-expectation",
        "definitionExtract",
        "definitionExtractValue",
        "templateExtract",
        "templateExtractBundle",
        "templateExtractContext",
        "templateExtractValue",
        "extractAllocateId",
        "observationExtract",
        "observationExtractEntry",
        "observation-extract-category",
        "preferredTerminologyServer",
        "performerType",
        "endpoint",
        "entryMode",
        "shortText",
        "openLabel",
        "width",
        "columnCount",
        "collapsible",
        "choiceColumn",
        "itemMedia",
        "itemAnswerMedia",
        "optionalDisplay",
        "keyboard",
        "rendering-criticalExtension",
        "referencesContained",
        "servicerequest-questionnaire",
    )
)
