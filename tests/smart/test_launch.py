"""A launch ends with a patient and a token, or with a reason that anybody may read."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from cds_service.errors import LaunchRefusedError
from cds_service.smart import configuration, context, launch, token_endpoint
from cds_service.smart.smart_app import SmartApp
from tests.smart.authorization_server import CAPABILITIES, Ehr
from tests.smart.launches import NOW, READ, REDIRECT_URI, Launches, assert_keeps_secrets, query_of

WELL_KNOWN = "/fhir/.well-known/smart-configuration"


def test_a_launch_in_the_ehr_gives_patient_user_order_and_token(ehr: Ehr, launches: Launches) -> None:
    found = launches.context()

    assert (found.issuer, found.client) == (ehr.issuer, "trust-a")
    assert (found.patient_id, found.encounter_id, found.user) == ("pat-1", "enc-1", "Practitioner/prac-1")
    assert found.fhir_context == ("ServiceRequest/order-1",)
    assert found.needs_patient_banner is False
    assert found.token.authorization.removeprefix("Bearer ") in ehr.access_tokens
    assert (found.expires - NOW).total_seconds() == 300
    assert found.handle is None


def test_the_authorization_request_is_what_smart_asks_for(ehr: Ehr, launches: Launches) -> None:
    url, state = launches.run(lambda app: app.begun({"iss": ehr.issuer, "launch": "l-1"}, READ, REDIRECT_URI))

    asked = query_of(url)
    assert url.startswith(f"{ehr.origin}/authorize?")
    assert asked == {
        "response_type": "code",
        "client_id": "cds-service",
        "redirect_uri": REDIRECT_URI,
        "scope": "launch openid fhirUser online_access patient/Condition.rs patient/Observation.rs "
        "patient/Patient.rs patient/QuestionnaireResponse.crus",
        "state": state.state,
        "aud": ehr.issuer,
        "launch": "l-1",
        "nonce": state.nonce,
        "code_challenge": asked["code_challenge"],
        "code_challenge_method": "S256",
    }
    assert state.code_verifier not in url + repr(state)
    assert len({state.state, state.nonce, state.code_verifier}) == 3
    assert min(len(state.state), len(state.code_verifier)) >= 43


def test_two_launches_share_nothing_secret(ehr: Ehr, launches: Launches) -> None:
    async def twice(app: SmartApp) -> list[Any]:
        return [await app.begun({"iss": ehr.issuer, "launch": "l-1"}, READ, REDIRECT_URI) for _ in range(2)]

    (_, first), (_, second) = launches.run(twice)

    assert {first.state, first.nonce, first.code_verifier}.isdisjoint(
        {second.state, second.nonce, second.code_verifier}
    )


def test_a_standalone_launch_asks_for_a_patient_to_be_chosen(ehr: Ehr, launches: Launches) -> None:
    url, _ = launches.run(lambda app: app.begun({"iss": ehr.issuer}, READ, REDIRECT_URI))

    assert "launch" not in query_of(url)
    assert query_of(url)["scope"].split()[0] == "launch/patient"


def test_the_configuration_is_read_once_for_many_launches_and_again_after_ten_minutes(
    ehr: Ehr, launches: Launches
) -> None:
    async def several(app: SmartApp) -> list[int]:
        await asyncio.gather(*(launches.arrived(app) for _ in range(3)))
        first = len(ehr.received(WELL_KNOWN))
        launches.pass_by(599)
        await launches.arrived(app)
        second = len(ehr.received(WELL_KNOWN))
        launches.pass_by(1)
        await launches.arrived(app)
        return [first, second, len(ehr.received(WELL_KNOWN))]

    assert launches.run(several) == [1, 1, 2]


@pytest.mark.parametrize(
    ("query", "token", "handle"),
    [
        ({"launch": "l"}, {"appContext": "from-the-token"}, "from-the-token"),
        ({"launch": "l", "handle": "from-the-url"}, {}, "from-the-url"),
        ({"launch": "l", "handle": "from-the-url"}, {"appContext": "from-the-token"}, "from-the-token"),
        ({"launch": "l"}, {}, None),
    ],
)
def test_the_handle_comes_with_the_token_or_else_with_the_launch(
    ehr: Ehr, launches: Launches, query: dict[str, str], token: dict[str, str], handle: str | None
) -> None:
    ehr.token |= token

    assert launches.context(**query).handle == handle


def test_the_browser_comes_back_to_the_address_that_the_servers_file_gives(ehr: Ehr) -> None:
    elsewhere = "https://forms.example/back"
    launches = Launches(ehr, {"redirect_uri": elsewhere})

    url, state = launches.run(lambda app: app.begun({"iss": ehr.issuer, "launch": "l"}, READ, REDIRECT_URI))

    assert query_of(url)["redirect_uri"] == state.redirect_uri == elsewhere


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({}, launch.NO_ISSUER),
        ({"iss": ""}, launch.NO_ISSUER),
        ({"iss": "https://unknown.example/fhir", "launch": "l"}, launch.UNKNOWN_ISSUER),
        ({"iss": "{issuer}/", "launch": "l"}, launch.UNKNOWN_ISSUER),
        ({"iss": "{issuer}.evil.example", "launch": "l"}, launch.UNKNOWN_ISSUER),
        ({"iss": "{issuer}", "launch": "l" * 4_097}, launch.ODD_LAUNCH),
        ({"iss": "{issuer}", "launch": "l\r\nSet-Cookie: a"}, launch.ODD_LAUNCH),
        ({"iss": "{issuer}", "launch": "l", "handle": "h\x00"}, launch.ODD_LAUNCH),
    ],
)
def test_a_launch_that_names_no_configured_ehr_is_refused_and_nothing_is_fetched(
    ehr: Ehr, launches: Launches, query: dict[str, str], reason: str
) -> None:
    asked = {name: value.replace("{issuer}", ehr.issuer) for name, value in query.items()}

    with pytest.raises(LaunchRefusedError) as refused:
        launches.run(lambda app: app.begun(asked, READ, REDIRECT_URI))

    assert refused.value.reason == reason
    assert ehr.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"authorization_endpoint": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://login.example/token"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user@login.example/authorize"},
        {"authorization_endpoint": "https://login.example/authorize#there"},
        {"authorization_endpoint": "https://login.example/authorize?a=#there"},
        {"authorization_endpoint": ["https://login.example"]},
        {"jwks_uri": "file:///etc/passwd"},
        {"code_challenge_methods_supported": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": "S256"},
    ],
)
def test_a_configuration_that_no_safe_launch_can_be_made_with_is_refused(
    ehr: Ehr, launches: Launches, changes: dict[str, Any]
) -> None:
    ehr.configuration |= changes

    assert launches.refusal().reason == configuration.UNREADABLE


@pytest.mark.parametrize(
    "instead",
    [
        RedirectResponse("/elsewhere"),
        JSONResponse({"error": "not here"}, 404),
        Response(status_code=500),
        PlainTextResponse("{"),
        PlainTextResponse("[]"),
        PlainTextResponse("[" * 60_000),
        PlainTextResponse('{"capabilities": [], "capabilities": []}'),
        PlainTextResponse(" " * 70_000 + "{}"),
        Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}),
        5.0,
    ],
    ids=["redirect", "404", "500", "half", "array", "deep", "twice", "long", "packed", "late"],
)
def test_a_configuration_that_cannot_be_read_is_refused(
    ehr: Ehr, launches: Launches, instead: Response | float
) -> None:
    ehr.instead[WELL_KNOWN] = instead
    launches.app_members = {"seconds": 0.3}

    assert launches.refusal().reason == configuration.UNREADABLE
    assert ehr.received("/elsewhere") == []


def test_a_server_that_is_not_there_is_refused(ehr: Ehr) -> None:
    gone = Launches(ehr, {"issuer": "http://127.0.0.1:9/fhir"})

    with pytest.raises(LaunchRefusedError) as refused:
        gone.run(lambda app: app.begun({"iss": "http://127.0.0.1:9/fhir", "launch": "l"}, READ, REDIRECT_URI))

    assert refused.value.reason == configuration.UNREADABLE


def test_a_configuration_that_failed_is_not_read_again_at_every_launch(ehr: Ehr, launches: Launches) -> None:
    ehr.instead[WELL_KNOWN] = Response(status_code=500)

    async def often(app: SmartApp) -> list[int]:
        counts = []
        for seconds in (0, 14, 1):
            launches.pass_by(seconds)
            with pytest.raises(LaunchRefusedError):
                await app.begun({"iss": ehr.issuer, "launch": "l"}, READ, REDIRECT_URI)
            counts.append(len(ehr.received(WELL_KNOWN)))
        return counts

    assert launches.run(often) == [1, 1, 2]


def test_the_last_good_configuration_serves_for_an_hour(ehr: Ehr, launches: Launches) -> None:
    async def later(app: SmartApp) -> None:
        await launches.arrived(app)
        ehr.instead[WELL_KNOWN] = Response(status_code=500)
        launches.pass_by(3_599)
        await launches.arrived(app)
        launches.pass_by(1)
        with pytest.raises(LaunchRefusedError, match=configuration.UNREADABLE):
            await launches.arrived(app)

    launches.run(later)


@pytest.mark.parametrize(
    ("missing", "query"), [("launch-ehr", {"launch": "l"}), ("launch-standalone", {"handle": "h"})]
)
def test_a_kind_of_launch_that_the_server_does_not_offer_is_refused(
    ehr: Ehr, launches: Launches, missing: str, query: dict[str, str]
) -> None:
    ehr.configuration["capabilities"] = [each for each in CAPABILITIES if each != missing]

    assert launches.refusal(**query).reason == launch.NOT_OFFERED


def without(name: str, returned: dict[str, str]) -> dict[str, str]:
    return {each: value for each, value in returned.items() if each != name}


@pytest.mark.parametrize(
    ("tampered", "reason"),
    [
        (lambda returned: {**returned, "state": "another"}, launch.UNKNOWN_STATE),
        (lambda returned: {**returned, "state": "ünknown"}, launch.UNKNOWN_STATE),
        (lambda returned: without("state", returned), launch.UNKNOWN_STATE),
        (lambda returned: {**returned, "iss": "https://other.example"}, launch.OTHER_SERVER),
        (lambda returned: without("code", returned), launch.NO_CODE),
        (lambda returned: {**returned, "code": ""}, launch.NO_CODE),
        (lambda returned: {**returned, "code": "guessed"}, "invalid_grant"),
        (lambda returned: {**returned, "error": "access_denied"}, "access_denied"),
        (lambda returned: {**returned, "error": "<script>"}, "an error of its own"),
    ],
)
def test_a_query_that_is_not_the_servers_answer_to_this_launch_is_refused(
    launches: Launches, tampered: Any, reason: str
) -> None:
    launches.tampered = tampered

    assert reason in launches.refusal().reason
    assert "<script>" not in launches.refusal().reason


def test_an_error_is_not_believed_before_the_state_is(launches: Launches) -> None:
    launches.tampered = lambda _: {"error": "access_denied", "state": "another"}

    assert launches.refusal().reason == launch.UNKNOWN_STATE


@pytest.mark.parametrize("held", [None, "", "another"])
def test_a_launch_that_another_browser_brings_back_is_refused_and_its_code_not_used(
    ehr: Ehr, launches: Launches, held: str | None
) -> None:
    async def in_another(app: SmartApp) -> None:
        state, returned = await launches.returned(app)
        await app.finished(state, returned, held)

    with pytest.raises(LaunchRefusedError, match=launch.OTHER_BROWSER):
        launches.run(in_another)
    assert ehr.received("/token") == []


def test_a_state_that_was_already_taken_is_refused(launches: Launches) -> None:
    async def replayed(app: SmartApp) -> None:
        store = {}
        state, returned = await launches.returned(app)
        store[state.state] = state.to_json()
        taken = type(state).from_json(store.pop(returned["state"]))
        await app.finished(taken, returned, state.state)
        assert store.pop(returned["state"], None) is None
        await app.finished(None, returned, state.state)

    with pytest.raises(LaunchRefusedError, match=launch.UNKNOWN_STATE):
        launches.run(replayed)


def test_even_a_state_that_was_kept_twice_gives_no_second_token(launches: Launches) -> None:
    async def replayed(app: SmartApp) -> None:
        state, returned = await launches.returned(app)
        await app.finished(state, returned, state.state)
        await app.finished(state, returned, state.state)

    with pytest.raises(LaunchRefusedError, match="invalid_grant"):
        launches.run(replayed)


@pytest.mark.parametrize(("seconds", "refused"), [(599, False), (600, True)])
def test_a_launch_takes_less_than_ten_minutes(launches: Launches, seconds: int, refused: bool) -> None:
    async def slowly(app: SmartApp) -> None:
        state, returned = await launches.returned(app)
        launches.pass_by(seconds)
        await app.finished(state, returned, state.state)

    if refused:
        with pytest.raises(LaunchRefusedError, match=launch.EXPIRED_STATE):
            launches.run(slowly)
    else:
        launches.run(slowly)


def test_a_code_is_of_no_use_without_the_verifier_that_its_launch_began_with(
    ehr: Ehr, launches: Launches
) -> None:
    async def stolen(app: SmartApp) -> None:
        _, victims = await launches.returned(app)
        thiefs, _ = await launches.returned(app)
        await app.finished(thiefs, {**victims, "state": thiefs.state}, thiefs.state)

    with pytest.raises(LaunchRefusedError, match="invalid_grant") as refused:
        launches.run(stolen)
    assert_keeps_secrets(refused.value, ehr)


REFUSED = token_endpoint.MALFORMED
ANSWERS: list[tuple[Response | float, str]] = [
    (JSONResponse({"error": "invalid_client"}, 401), "invalid_client"),
    (JSONResponse({"error": "invalid_grant"}, 200), "invalid_grant"),
    (JSONResponse({"error": "canary-code"}, 400), "an error of its own"),
    (JSONResponse({"error": ["invalid_grant"]}, 400), "an error of its own"),
    (JSONResponse({"error": "invalid_grant"}, 500), REFUSED),
    (JSONResponse({}, 400), REFUSED),
    (JSONResponse([], 200), REFUSED),
    (JSONResponse({"access_token": "a", "token_type": "Bearer", "patient": "p"}, 201), REFUSED),
    (PlainTextResponse("<html>", 200), REFUSED),
    (PlainTextResponse("[" * 60_000, 200), REFUSED),
    (PlainTextResponse(" " * 70_000 + "{}", 200), REFUSED),
    (PlainTextResponse(b"\xff", 200), REFUSED),
    (RedirectResponse("/elsewhere", 307), REFUSED),
    (5.0, token_endpoint.NOT_REACHED),
]


@pytest.mark.parametrize(("instead", "reason"), ANSWERS)
def test_a_token_endpoint_that_gives_no_token_ends_the_launch(
    ehr: Ehr, launches: Launches, instead: Response | float, reason: str
) -> None:
    ehr.instead["/token"] = instead
    launches.app_members = {"seconds": 0.3}

    assert reason in launches.refusal().reason
    assert ehr.received("/elsewhere") == []
    assert len(ehr.received("/token")) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"patient": None}, context.NO_PATIENT),
        ({"patient": ""}, context.NO_PATIENT),
        ({"patient": "../Patient/2"}, context.NO_PATIENT),
        ({"patient": ["pat-1"]}, context.NO_PATIENT),
        ({"access_token": None}, context.UNUSABLE_TOKEN),
        ({"access_token": "a b\r\n"}, context.UNUSABLE_TOKEN),
        ({"access_token": 1}, context.UNUSABLE_TOKEN),
        ({"access_token": "a" * 8_193}, context.UNUSABLE_TOKEN),
        ({"token_type": None}, context.UNUSABLE_TOKEN),
        ({"token_type": "DPoP"}, context.UNUSABLE_TOKEN),
        ({"expires_in": "soon"}, context.UNUSABLE_TOKEN),
        ({"expires_in": -1}, context.UNUSABLE_TOKEN),
        ({"expires_in": True}, context.UNUSABLE_TOKEN),
        ({"expires_in": 1.5}, context.UNUSABLE_TOKEN),
    ],
)
def test_an_answer_without_a_patient_or_a_usable_token_ends_the_launch(
    ehr: Ehr, launches: Launches, changes: dict[str, Any], reason: str
) -> None:
    ehr.token |= changes

    assert launches.refusal().reason == reason


@pytest.mark.parametrize(
    ("changes", "member", "expected"),
    [
        ({"patient": "Patient/pat-1"}, "patient_id", "pat-1"),
        ({"token_type": "bearer"}, "client", "trust-a"),
        ({"encounter": None}, "encounter_id", None),
        ({"encounter": "../1"}, "encounter_id", None),
        ({"need_patient_banner": None}, "needs_patient_banner", True),
        ({"need_patient_banner": "false"}, "needs_patient_banner", True),
        ({"tenant": "ward-1"}, "tenant", "ward-1"),
        ({"appContext": {"a": 1}}, "app_context", None),
        ({"fhirContext": "ServiceRequest/1"}, "fhir_context", ()),
        (
            {
                "fhirContext": [
                    1,
                    {"reference": 2},
                    {"reference": "#a"},
                    {"identifier": {}},
                    {"reference": "Task/1"},
                ]
            },
            "fhir_context",
            ("Task/1",),
        ),
        ({"fhirContext": [{"reference": "https://other.example/fhir/Task/1"}]}, "fhir_context", ()),
        ({"refresh_token": None}, "refresh_token", None),
    ],
)
def test_the_rest_of_an_answer_is_read_leniently(
    ehr: Ehr, launches: Launches, changes: dict[str, Any], member: str, expected: object
) -> None:
    ehr.token |= changes

    assert getattr(launches.context(), member) == expected


def test_an_absolute_reference_on_the_same_server_is_made_relative(ehr: Ehr, launches: Launches) -> None:
    ehr.token["fhirContext"] = [{"reference": f"{ehr.issuer}/ServiceRequest/order-1/_history/3"}]

    assert launches.context().fhir_context == ("ServiceRequest/order-1",)


@pytest.mark.parametrize(("said", "seconds"), [(None, 3_600), (60, 60), ("60", 60), (999_999, 3_600), (0, 0)])
def test_a_token_lasts_as_long_as_the_server_says_and_never_more_than_an_hour(
    ehr: Ehr, launches: Launches, said: object, seconds: int
) -> None:
    ehr.token["expires_in"] = said

    assert (launches.context().expires - NOW).total_seconds() == seconds


def test_scopes_that_are_not_said_were_granted_as_asked(ehr: Ehr, launches: Launches) -> None:
    ehr.token["scope"] = None

    found = launches.context()

    assert "patient/QuestionnaireResponse.crus" in found.scopes
    assert found.user == "Practitioner/prac-1"


def test_scopes_that_are_said_are_those_granted(ehr: Ehr, launches: Launches) -> None:
    ehr.token["scope"] = "launch patient/Patient.rs"

    assert launches.context().scopes == {"launch", "patient/Patient.rs"}


def test_the_configured_scopes_are_asked_for_instead(ehr: Ehr) -> None:
    launches = Launches(ehr, {"scopes": ("launch", "patient/*.read")})

    url, _ = launches.run(lambda app: app.begun({"iss": ehr.issuer, "launch": "l"}, READ, REDIRECT_URI))

    assert query_of(url)["scope"] == "launch patient/*.read"
    assert "nonce" not in query_of(url)
    assert launches.context().user is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_another_origin_that_turns_out_to_be_a_private_address_is_not_connected_to(
    ehr: Ehr, launches: Launches, address: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.setblocking(False)
        ehr.configuration["token_endpoint"] = f"https://login.example:{inner.getsockname()[1]}/token"

        async def resolved(host: str, _: int) -> list[str]:
            return [address if host == "login.example" else host]

        launches.app_members = {"resolve": resolved, "seconds": 0.5}

        assert launches.refusal().reason == token_endpoint.NOT_REACHED
        with pytest.raises(BlockingIOError):
            inner.accept()


def test_with_private_addresses_allowed_another_origin_may_be_one(ehr: Ehr, launches: Launches) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.setblocking(False)
        ehr.configuration["token_endpoint"] = f"https://login.example:{inner.getsockname()[1]}/token"

        async def resolved(host: str, _: int) -> list[str]:
            return ["127.0.0.1" if host == "login.example" else host]

        launches.app_members = {"resolve": resolved, "seconds": 0.5, "private_addresses": True}

        # It speaks no TLS; but it was connected to.
        assert launches.refusal().reason == token_endpoint.NOT_REACHED
        connection, _ = inner.accept()
        connection.close()


def test_nothing_that_is_shown_of_a_context_is_a_token(ehr: Ehr, launches: Launches) -> None:
    found = launches.context()

    assert not [secret for secret in ehr.secrets if secret in repr(found)]
    assert "***" in repr(found.token)
