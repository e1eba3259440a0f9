"""What is asked for is what is needed; what is granted is read in both of SMART's spellings."""

from __future__ import annotations

from typing import Literal

import pytest

from cds_service.smart.configuration import SmartConfiguration
from cds_service.smart.scopes import asked_scopes, may_write


def offering(*capabilities: str, issuer: str | None = "https://ehr.example") -> SmartConfiguration:
    endpoint = "https://ehr.example/oauth"
    return SmartConfiguration(endpoint, endpoint, issuer, endpoint, frozenset(capabilities))


@pytest.mark.parametrize(
    ("configuration", "in_ehr", "expected"),
    [
        (
            offering("permission-v2"),
            True,
            "launch patient/Condition.rs patient/Patient.rs patient/QuestionnaireResponse.crus",
        ),
        (
            offering("permission-v1", "permission-v2"),
            False,
            "launch/patient patient/Condition.rs patient/Patient.rs patient/QuestionnaireResponse.crus",
        ),
        (
            offering("permission-v1"),
            True,
            "launch patient/Condition.read patient/Patient.read"
            " patient/QuestionnaireResponse.read patient/QuestionnaireResponse.write",
        ),
        (
            offering(),
            True,
            "launch patient/Condition.read patient/Patient.read"
            " patient/QuestionnaireResponse.read patient/QuestionnaireResponse.write",
        ),
        (
            offering("permission-v2", "sso-openid-connect", "permission-online", "permission-offline"),
            True,
            "launch openid fhirUser online_access"
            " patient/Condition.rs patient/Patient.rs patient/QuestionnaireResponse.crus",
        ),
        (
            offering("permission-v2", "sso-openid-connect", issuer=None),
            True,
            "launch patient/Condition.rs patient/Patient.rs patient/QuestionnaireResponse.crus",
        ),
    ],
)
def test_the_scopes_are_those_needed_in_the_servers_spelling(
    configuration: SmartConfiguration, in_ehr: bool, expected: str
) -> None:
    asked = asked_scopes(configuration, ["Patient", "Condition", "QuestionnaireResponse"], in_ehr=in_ehr)

    assert " ".join(asked) == expected


@pytest.mark.parametrize(
    ("scope", "create", "update"),
    [
        ("patient/QuestionnaireResponse.crus", True, True),
        ("patient/QuestionnaireResponse.cruds", True, True),
        ("patient/QuestionnaireResponse.c", True, False),
        ("patient/QuestionnaireResponse.u", False, True),
        ("patient/QuestionnaireResponse.cu?status=completed", True, True),
        ("user/QuestionnaireResponse.c", True, False),
        ("patient/*.cruds", True, True),
        ("patient/QuestionnaireResponse.rs", False, False),
        ("patient/Questionnaire.cruds", False, False),
        ("patient/QuestionnaireResponses.cruds", False, False),
        ("patient/QuestionnaireResponse.write", True, True),
        ("patient/QuestionnaireResponse.*", True, True),
        ("patient/*.*", True, True),
        ("patient/*.write", True, True),
        ("patient/QuestionnaireResponse.read", False, False),
        ("patient/*.read", False, False),
        ("launch", False, False),
        ("openid", False, False),
        ("xpatient/QuestionnaireResponse.c", False, False),
        ("patient/QuestionnaireResponse.uc", False, False),
        ("patient/QuestionnaireResponse.", False, False),
    ],
)
def test_a_form_may_be_written_when_a_scope_says_so(scope: str, create: bool, update: bool) -> None:
    allowed: dict[Literal["create", "update"], bool] = {"create": create, "update": update}

    for interaction, expected in allowed.items():
        assert may_write(["launch", scope], interaction) is expected
