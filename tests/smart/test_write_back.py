"""A completed form gets to the EHR once, or it is said why not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from cds_service.smart.context import SmartContext
from cds_service.smart.write_back import NotWritten, Written
from cds_service.trust.outbound import Token
from tests.fhir_servers import FhirServer
from tests.smart.authorization_server import Ehr
from tests.smart.launches import NOW, Launches

WRITE = "/fhir/QuestionnaireResponse"
FORM: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "id": "ours-1",
    "identifier": {"system": "https://cds.example/forms", "value": "7f3a"},
    "status": "completed",
    "subject": {"reference": "Patient/pat-1"},
    "item": [{"linkId": "pain", "answer": [{"valueString": "canary-answer"}]}],
}


@pytest.fixture
def launched(ehr: Ehr, launches: Launches) -> SmartContext:
    found = launches.context()
    ehr.secrets.append("canary-answer")
    return found


def test_a_new_form_is_created_and_said_what_it_is_called(
    ehr: Ehr, launches: Launches, launched: SmartContext
) -> None:
    assert launches.written(launched, FORM) == Written("QuestionnaireResponse/form-1")

    (request,) = ehr.received(WRITE, "POST")
    assert request.headers["authorization"] == launched.token.authorization
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["prefer"] == "return=minimal"
    assert "id" not in json.loads(request.body)
    assert ehr.forms["form-1"] == {**FORM, "id": "form-1"}


@pytest.mark.parametrize(("searches", "conditionally"), [(True, True), (True, False), (False, True)])
def test_a_form_that_is_sent_twice_is_there_once(
    ehr: Ehr, launches: Launches, launched: SmartContext, searches: bool, conditionally: bool
) -> None:
    ehr.searches, ehr.creates_conditionally = searches, conditionally

    first = launches.written(launched, FORM)
    second = launches.written(launched, FORM)

    assert first == second == Written("QuestionnaireResponse/form-1")
    assert list(ehr.forms) == ["form-1"]


@pytest.mark.parametrize(
    "instead",
    [
        Response(status_code=403),
        JSONResponse({"resourceType": "OperationOutcome"}, 400),
        JSONResponse(
            {"resourceType": "Bundle", "entry": [{"resource": {**FORM, "identifier": {"value": "7f3a"}}}]}
        ),
        JSONResponse({"resourceType": "Bundle", "entry": [{}, 1]}),
        PlainTextResponse("not json"),
    ],
)
def test_a_search_that_shows_no_such_form_keeps_it_from_nothing(
    ehr: Ehr, launches: Launches, launched: SmartContext, instead: Response
) -> None:
    ehr.instead[f"GET {WRITE}"] = instead

    assert launches.written(launched, FORM) == Written("QuestionnaireResponse/form-1")


def test_another_form_is_another_one(ehr: Ehr, launches: Launches, launched: SmartContext) -> None:
    launches.written(launched, FORM)
    other = {**FORM, "identifier": {"system": "https://cds.example/forms", "value": "7f3b"}}

    assert launches.written(launched, other) == Written("QuestionnaireResponse/form-2")


def test_an_identifier_is_escaped_as_a_search_parameter(
    ehr: Ehr, launches: Launches, launched: SmartContext
) -> None:
    odd = {**FORM, "identifier": {"system": "urn:a&b=c", "value": "1|2,3$4\\5 é"}}

    launches.written(launched, odd)

    (request,) = ehr.received(WRITE, "POST")
    assert request.headers["if-none-exist"] == (
        "identifier=urn%3Aa%26b%3Dc%7C1%5C%7C2%5C%2C3%5C%244%5C%5C5%20%C3%A9"
    )


def test_a_form_that_is_there_is_updated_in_its_place(
    ehr: Ehr, launches: Launches, launched: SmartContext
) -> None:
    launches.written(launched, FORM)
    amended = {**FORM, "status": "amended"}

    result = launches.written(launched, amended, "QuestionnaireResponse/form-1")

    assert result == Written("QuestionnaireResponse/form-1")
    assert ehr.forms == {"form-1": {**amended, "id": "form-1"}}


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        (Response(status_code=401), NotWritten("refused", 401)),
        (Response(status_code=403), NotWritten("refused", 403)),
        (JSONResponse({"resourceType": "OperationOutcome"}, 422), NotWritten("refused", 422)),
        (Response(status_code=412), NotWritten("refused", 412)),
        (Response(status_code=500), NotWritten("refused", 500)),
        (Response(status_code=202), NotWritten("refused", 202)),
        (RedirectResponse("/elsewhere", 307), NotWritten("refused", 307)),
        (5.0, NotWritten("timed out")),
    ],
)
def test_a_form_that_is_not_taken_says_why(
    ehr: Ehr, launches: Launches, launched: SmartContext, instead: Response | float, expected: NotWritten
) -> None:
    ehr.instead[f"POST {WRITE}"] = instead
    launches.app_members = {"seconds": 0.3}

    assert launches.written(launched, FORM) == expected
    assert len(ehr.received(WRITE, "POST")) == 1
    assert ehr.received("/elsewhere") == []


@pytest.mark.parametrize(
    ("instead", "reference"),
    [
        (
            Response(status_code=201, headers={"Location": "QuestionnaireResponse/9"}),
            "QuestionnaireResponse/9",
        ),
        (
            Response(status_code=200, headers={"Content-Location": "QuestionnaireResponse/9"}),
            "QuestionnaireResponse/9",
        ),
        (JSONResponse({"resourceType": "QuestionnaireResponse", "id": "9"}, 201), "QuestionnaireResponse/9"),
        (JSONResponse({"resourceType": "OperationOutcome", "id": "9"}, 201), None),
        (JSONResponse({"resourceType": "QuestionnaireResponse", "id": "../9"}, 201), None),
        (
            Response(status_code=201, headers={"Location": "https://evil.example/QuestionnaireResponse/9"}),
            None,
        ),
        (Response(status_code=201, headers={"Location": "Patient/9"}), None),
        (PlainTextResponse("not json", 201), None),
        (PlainTextResponse(" " * 70_000, 201), None),
        (Response(status_code=201), None),
    ],
)
def test_a_form_that_is_taken_is_written_whatever_else_the_server_says(
    ehr: Ehr, launches: Launches, launched: SmartContext, instead: Response, reference: str | None
) -> None:
    ehr.instead[f"POST {WRITE}"] = instead

    assert launches.written(launched, FORM) == Written(reference)


def test_a_form_after_a_timeout_can_be_sent_again(
    ehr: Ehr, launches: Launches, launched: SmartContext
) -> None:
    ehr.instead[f"POST {WRITE}"] = 0.6
    launches.app_members = {"seconds": 0.3}
    assert launches.written(launched, FORM) == NotWritten("timed out")
    ehr.instead.clear()

    assert launches.written(launched, FORM) == Written("QuestionnaireResponse/form-1")


def test_nothing_is_sent_without_permission(ehr: Ehr, launches: Launches) -> None:
    ehr.token["scope"] = "launch patient/*.rs patient/QuestionnaireResponse.c"
    launched = launches.context()

    assert launches.written(launched, FORM, "QuestionnaireResponse/form-1") == NotWritten("no permission")
    assert not [each for each in ehr.requests if each.path.startswith(WRITE)]
    assert launches.written(launched, FORM) == Written("QuestionnaireResponse/form-1")


@pytest.mark.parametrize(("seconds", "ended"), [(299, False), (300, True)])
def test_nothing_is_sent_with_a_token_that_is_over(
    ehr: Ehr, launches: Launches, launched: SmartContext, seconds: int, ended: bool
) -> None:
    launches.pass_by(seconds)

    assert (launches.written(launched, FORM) == NotWritten("session ended")) is ended
    assert (ehr.received(WRITE) == []) is ended


def test_a_server_that_is_gone_is_unreachable(ehr: Ehr, launches: Launches, launched: SmartContext) -> None:
    async def nowhere(_: str, __: int) -> list[str]:
        raise OSError

    launches.app_members = {"resolve": nowhere}

    assert launches.written(launched, FORM) == NotWritten("unreachable")


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": {"reference": "Patient/pat-2"}},
        {"subject": {}},
        {"identifier": {"value": "7f3a"}},
        {"identifier": {"system": "https://cds.example/forms"}},
        {"identifier": None},
    ],
)
def test_a_form_that_must_not_be_sent_is_a_mistake_of_ours(
    ehr: Ehr, launches: Launches, launched: SmartContext, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="found a form"):
        launches.written(launched, {**FORM, **changes})

    assert ehr.received(WRITE) == []


@pytest.fixture
def elsewhere(fhir_server: FhirServer) -> tuple[FhirServer, SmartContext]:
    """A FHIR server of others, and what a launch from it would have given."""
    with fhir_server.client() as client:
        patient = client.get("/Patient?_count=1").json()["entry"][0]["resource"]
    return fhir_server, SmartContext(
        issuer=fhir_server.base_url,
        client="trust-a",
        patient_id=patient["id"],
        encounter_id=None,
        user=None,
        fhir_context=(),
        app_context=None,
        handle=None,
        needs_patient_banner=True,
        tenant=None,
        scopes=frozenset({"patient/QuestionnaireResponse.cruds"}),
        token=Token(fhir_server.token or "none"),
        refresh_token=None,
        expires=NOW + timedelta(hours=1),
    )


def test_a_server_of_others_takes_a_form_once_and_then_its_amendment(
    elsewhere: tuple[FhirServer, SmartContext], ehr: Ehr
) -> None:
    server, launched = elsewhere
    launches = Launches(ehr, {"issuer": server.base_url})
    form = {
        **FORM,
        "identifier": {"system": "https://cds.example/forms", "value": str(uuid4())},
        "questionnaire": "https://cds.example/Questionnaire/hip|1.0",
        "subject": {"reference": f"Patient/{launched.patient_id}"},
    }

    first = launches.written(launched, form)
    second = launches.written(launched, form)
    assert isinstance(first, Written)
    assert first.reference is not None
    third = launches.written(launched, {**form, "status": "amended"}, first.reference)

    assert first == second == third
    with server.client() as client:
        kept = client.get(f"/{first.reference}").json()
        found = client.get(
            "/QuestionnaireResponse", params={"subject": f"Patient/{launched.patient_id}"}
        ).json()
    assert (kept["status"], kept["identifier"]) == ("amended", form["identifier"])
    same = [each for each in found["entry"] if each["resource"].get("identifier") == form["identifier"]]
    assert len(same) == 1
