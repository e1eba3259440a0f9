"""The app proves who it is in each of the ways that a server may ask for."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from cds_service.smart.client_keys import ClientKey, client_key
from cds_service.smart.issuers import Authentication
from cds_service.smart.smart_app import SmartApp
from tests.smart.authorization_server import Ehr
from tests.smart.launches import Launches

# With every character that means something in a header or a form.
SECRET = 'canary-secret %41&=+:"/ \\'  # noqa: S105 - of a test


@pytest.fixture(scope="module", params=["ES384", "RS384"])
def key(request: pytest.FixtureRequest) -> ClientKey:
    made = ECKey.generate_key("P-384") if request.param == "ES384" else RSAKey.generate_key(2048)
    return client_key(made.as_pem(private=True), "app-1", request.param)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_an_app_with_the_secret_is_let_in(ehr: Ehr, method: str) -> None:
    ehr.client_secret = SECRET
    ehr.secrets.append(SECRET)

    assert (
        Launches(ehr, {"authentication": Authentication(method, secret=SECRET)}).context().patient_id
        == "pat-1"
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_an_app_with_another_secret_is_not(ehr: Ehr, method: str) -> None:
    ehr.client_secret = SECRET
    launches = Launches(ehr, {"authentication": Authentication(method, secret=SECRET[:-1])})

    assert "invalid_client" in launches.refusal().reason


def test_an_app_with_a_key_is_let_in_by_the_key_set_that_it_publishes(ehr: Ehr, key: ClientKey) -> None:
    launches = Launches(ehr, {"authentication": Authentication("private_key_jwt", key=key)})

    async def published(app: SmartApp) -> KeySet:
        assert set(app.key_set["keys"][0]).isdisjoint({"d", "p", "q", "dp", "dq", "qi"})
        return KeySet.import_key_set(app.key_set)  # type: ignore[arg-type]

    ehr.client_keys = launches.run(published)

    assert launches.context().patient_id == "pat-1"
    (request,) = ehr.received("/token")
    assert "authorization" not in request.headers
    assert "client_secret" not in request.form


def test_an_assertion_is_signed_anew_for_every_request(ehr: Ehr, key: ClientKey) -> None:
    launches = Launches(ehr, {"authentication": Authentication("private_key_jwt", key=key)})
    ehr.client_keys = KeySet([key.key])

    launches.refusal()
    launches.refusal()

    first, second = (
        jwt.decode(each.form["client_assertion"], key.key, algorithms=[key.algorithm]).claims["jti"]
        for each in ehr.received("/token")
    )
    assert first != second


def test_an_app_without_keys_publishes_an_empty_key_set(launches: Launches) -> None:
    async def published(app: SmartApp) -> object:
        return app.key_set

    assert launches.run(published) == {"keys": []}
