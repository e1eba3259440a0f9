"""A session lasts as long as its token, and longer when the server gave what to renew it with."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import JSONResponse

from cds_service.errors import LaunchRefusedError
from cds_service.smart import context, smart_app
from cds_service.smart.context import SmartContext, sealed_context, unsealed_context
from cds_service.smart.smart_app import SmartApp
from tests.smart.authorization_server import Ehr
from tests.smart.launches import Launches, assert_keeps_secrets

KEY = bytes(range(32))


def renewed(launches: Launches, old: SmartContext) -> SmartContext:
    found = launches.run(lambda app: app.renewed(old))
    assert isinstance(found, SmartContext)
    return found


def test_a_renewed_session_has_a_new_token_and_is_otherwise_the_same(ehr: Ehr, launches: Launches) -> None:
    old = launches.context()
    launches.pass_by(299)

    new = renewed(launches, old)

    assert new.token.authorization != old.token.authorization
    assert new.expires == launches.clock.now + (
        old.expires - old.expires.__class__.fromtimestamp(ehr.now - 299, old.expires.tzinfo)
    )
    same = ("issuer", "client", "patient_id", "encounter_id", "user", "fhir_context", "handle", "scopes")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]


def test_a_session_is_renewed_with_the_newest_refresh_token(ehr: Ehr, launches: Launches) -> None:
    third = renewed(launches, renewed(launches, launches.context()))

    assert third.token.authorization.removeprefix("Bearer ") in ehr.access_tokens
    assert len({each.form.get("refresh_token") for each in ehr.received("/token")[1:]}) == 2


def test_a_server_that_sends_no_new_refresh_token_means_the_old_one(ehr: Ehr, launches: Launches) -> None:
    old = launches.context()
    ehr.token["refresh_token"] = None

    assert renewed(launches, old).refresh_token == old.refresh_token


def test_scopes_may_become_fewer(ehr: Ehr, launches: Launches) -> None:
    old = launches.context()
    ehr.token["scope"] = "launch patient/Patient.rs"

    assert renewed(launches, old).scopes == {"launch", "patient/Patient.rs"}


def test_without_a_refresh_token_the_session_ends(ehr: Ehr, launches: Launches) -> None:
    ehr.token["refresh_token"] = None
    old = launches.context()

    with pytest.raises(LaunchRefusedError, match=smart_app.SESSION_ENDED):
        renewed(launches, old)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"patient": "pat-2"}, context.OTHER_PATIENT), ({"access_token": None}, context.UNUSABLE_TOKEN)],
)
def test_a_renewal_for_another_patient_or_without_a_token_ends_the_session(
    ehr: Ehr, launches: Launches, changes: dict[str, Any], reason: str
) -> None:
    old = launches.context()
    ehr.token |= changes

    with pytest.raises(LaunchRefusedError, match=reason) as refused:
        renewed(launches, old)
    assert_keeps_secrets(refused.value, ehr)


def test_a_renewal_that_the_server_refuses_ends_the_session(ehr: Ehr, launches: Launches) -> None:
    old = launches.context()
    ehr.instead["/token"] = JSONResponse(
        {"error": "invalid_grant", "error_description": old.refresh_token}, 400
    )

    with pytest.raises(LaunchRefusedError, match="invalid_grant") as refused:
        renewed(launches, old)
    assert_keeps_secrets(refused.value, ehr)


def test_a_sealed_context_comes_back_whole_and_shows_nothing(ehr: Ehr, launches: Launches) -> None:
    found = launches.context(launch="l", handle="h")

    kept = sealed_context(found, KEY)
    back = unsealed_context(kept, KEY)

    assert back is not None
    assert back.token.authorization == found.token.authorization
    assert sealed_context(back, KEY) != kept
    members = [name for name in vars(found) if name != "token"]
    assert [getattr(back, name) for name in members] == [getattr(found, name) for name in members]
    assert not [secret for secret in (*ehr.secrets, "pat-1") if secret in kept]


def test_even_the_largest_context_can_be_sealed(ehr: Ehr, launches: Launches) -> None:
    ehr.token |= {
        "access_token": "a" * 8_192,
        "refresh_token": "b" * 8_192,
        "appContext": "c" * 4_096,
        "tenant": "d" * 4_096,
        "fhirContext": [{"reference": f"ServiceRequest/{number:063}"} for number in range(300)],
    }

    back = unsealed_context(sealed_context(launches.context(), KEY), KEY)

    assert back is not None
    assert len(back.fhir_context) == 100
    assert back.refresh_token == "b" * 8_192


@pytest.mark.parametrize(
    "spoil", [lambda kept: kept[:-1], lambda kept: kept + "A", lambda _: "", lambda _: "a.b.c.d.e"]
)
def test_a_sealed_context_that_was_touched_is_none(launches: Launches, spoil: Any) -> None:
    kept = sealed_context(launches.context(), KEY)

    assert unsealed_context(spoil(kept), KEY) is None
    assert unsealed_context(kept, bytes(32)) is None


def test_a_context_of_an_ehr_that_is_no_longer_configured_is_not_renewed(
    ehr: Ehr, launches: Launches
) -> None:
    old = launches.context()
    ehr.requests.clear()

    async def elsewhere(_: SmartApp) -> None:
        other = Launches(ehr, {"issuer": "https://other.example/fhir"}).app()
        try:
            await other.renewed(old)
        finally:
            await other.aclose()

    with pytest.raises(LaunchRefusedError, match="not one that this service is set up for"):
        launches.run(elsewhere)
    assert ehr.requests == []
