"""Forms that others wrote are filled in, or refused with the feature named. They lie beside the project, not in it."""

from __future__ import annotations

import json
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse

from cds_service.errors import UnsupportedQuestionnaireError
from cds_service.questionnaires.form import prepared
from cds_service.questionnaires.items import response_items
from cds_service.questionnaires.population import populated
from cds_service.questionnaires.support import unsupported
from cds_service.questionnaires.validation import Limits, problems
from tests.questionnaires.forms import PATIENT, found, launch

FORMS = Path(__file__).parents[3] / "shared" / "third-party" / "questionnaires"
FILES = sorted(FORMS.glob("*.json"))
beside = pytest.mark.skipif(not FORMS.exists(), reason="the forms that others wrote lie beside the project")


def form_of(file: Path) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(file.read_text())
    return form


@beside
def test_there_are_forms_to_try() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("is_read", [True, False], ids=["nothing recorded", "nothing read"])
def test_a_form_is_filled_in_or_refused_with_the_feature_named(file: Path, is_read: bool) -> None:
    questionnaire = form_of(file)
    if unsupported(questionnaire):
        with pytest.raises(UnsupportedQuestionnaireError):
            prepared(questionnaire)
        return
    form = prepared(questionnaire)
    opened = launch({"patient": PATIENT}, {name: found() for name in form.queries} if is_read else {})

    filled = populated(form, opened)

    QuestionnaireResponse.model_validate_json(json.dumps(filled.response))
    wrong = problems(form, filled.response, opened, Limits(longest_text=10_000, deepest=20))
    assert [each for each in wrong if each.severity == "error"] == []


def observation(code: str, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "code": {"coding": [{"code": code}]}, **value}


def risk(age: float, pressure: float, cholesterol: float, hdl: float) -> int:
    """The form's own equation, once more in Python: a smoker without diabetes, not known to be a woman, in per cent."""
    total = 18.8144 - 1.8443 * log(age) - 1.4032 * log(pressure) - 0.3899 - 0.539 * log(cholesterol / hdl)
    return round((1 - exp(-exp((log(5) - total) / exp(0.6536 - 0.2402 * total)))) * 100)


@beside
def test_a_risk_calculator_of_others_comes_to_its_result() -> None:
    form = prepared(form_of(FORMS / "smart-forms__CVD-Risk-2023.json"))
    smoker = {"coding": [{"system": "http://snomed.info/sct", "code": "77176002"}]}
    pressure = {"code": {"coding": [{"code": "8480-6"}]}, "valueQuantity": {"value": 132}}
    read = {
        **{name: found() for name in form.queries},
        "ObsTobaccoSmokingStatus": found(observation("72166-2", valueCodeableConcept=smoker)),
        "ObsBloodPressure": found(observation("85354-9", component=[pressure])),
        "ObsTotalCholesterol": found(observation("14647-2", valueQuantity={"value": 5.2})),
        "ObsHDLCholesterol": found(observation("14646-4", valueQuantity={"value": 1.2})),
    }

    filled = populated(form, launch({"patient": PATIENT}, read))

    said = {
        item["text"]: next(value for name, value in item["answer"][0].items() if name.startswith("value"))
        for _, item in response_items(filled.response)
        if "answer" in item
    }
    assert said["Age"] == 66
    assert said["Smoking status"]["code"] == "77176002"
    assert said["Cardiovascular disease risk calculated result"] == risk(66, 132, 5.2, 1.2)
    assert [each.words for each in filled.issues] == [
        "not filled in: found a code, and the value set of the options is not known"
    ]
