"""A launch from its first request to the EHR's authorization server: everything here is pure (SMART App Launch 2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]

from cds_service.errors import LaunchRefusedError
from cds_service.smart.configuration import SmartConfiguration
from cds_service.smart.issuers import SmartServer
from cds_service.smart.launch_state import LAUNCH_SECONDS, LaunchState
from cds_service.smart.refusals import server_refusal
from cds_service.smart.scopes import asked_scopes

NO_ISSUER = "the launch does not say from which EHR it comes"
UNKNOWN_ISSUER = "this EHR is not one that this service is set up for"
ODD_LAUNCH = "the launch's address is malformed"
NOT_OFFERED = "the EHR does not offer this kind of launch"
UNKNOWN_STATE = "this launch is not known, or was already used"
OTHER_BROWSER = "this launch was begun in another browser or window"
EXPIRED_STATE = "this launch took too long"
OTHER_SERVER = "the answer comes from another server than the one that was asked"
NO_CODE = "the EHR sent no authorization code"
_LONGEST = 4_096


@dataclass(frozen=True)
class LaunchRequest:
    """A launch as the EHR asks for it. ``launch`` is the EHR's own word for its context; none is a standalone launch."""

    issuer: str
    launch: str | None
    handle: str | None


def launch_request(query: Mapping[str, str]) -> LaunchRequest:
    """The launch in a query's ``iss``, ``launch`` and ``handle``. LaunchRefusedError when it is none."""
    found = {name: query.get(name) or None for name in ("iss", "launch", "handle")}
    if any(value and (len(value) > _LONGEST or not value.isprintable()) for value in found.values()):
        raise LaunchRefusedError(ODD_LAUNCH)
    if found["iss"] is None:
        raise LaunchRefusedError(NO_ISSUER)
    return LaunchRequest(found["iss"], found["launch"], found["handle"])


def launching_server(issuer: str, servers: Mapping[str, SmartServer]) -> SmartServer:
    """The configured server with exactly this issuer; nothing is ever fetched from another."""
    server = servers.get(issuer)
    if server is None:
        raise LaunchRefusedError(UNKNOWN_ISSUER)
    return server


def begun(
    request: LaunchRequest,
    server: SmartServer,
    configuration: SmartConfiguration,
    resource_types: Collection[str],
    redirect_uri: str,
    now: datetime,
    fresh: Callable[[], str],
) -> tuple[str, LaunchState]:
    """Where to send the browser, and what to remember meanwhile.

    ``resource_types``: what the policies read. ``redirect_uri``: the app's own address, for a server without another.
    ``fresh`` gives unguessable text of 43 to 128 characters out of A-Z, a-z, 0-9, ``-`` and ``_``.
    """
    _refuse_unless_offered(request, configuration)
    asked = server.scopes or asked_scopes(configuration, resource_types, in_ehr=request.launch is not None)
    state = LaunchState(
        state=fresh(),
        issuer=server.issuer,
        code_verifier=fresh(),
        nonce=fresh(),
        redirect_uri=server.redirect_uri or redirect_uri,
        handle=request.handle,
        scopes=asked,
        expires=now + timedelta(seconds=LAUNCH_SECONDS),
    )
    return _authorization_url(request, server, configuration, state), state


def authorization_code(
    state: LaunchState | None,
    returned: Mapping[str, str],
    browser_state: str | None,
    configuration: SmartConfiguration,
    now: datetime,
) -> str:
    """The code that the browser brought back. LaunchRefusedError unless this very browser began this very launch.

    ``state`` was just taken from where launches are kept; ``browser_state`` is what the browser's cookie holds.
    """
    _refuse_other_launch(state, returned, browser_state, now)
    # RFC 9207: a server that signs its answers with its name cannot be mistaken for another.
    if (
        configuration.token_issuer
        and returned.get("iss", configuration.token_issuer) != configuration.token_issuer
    ):
        raise LaunchRefusedError(OTHER_SERVER)
    if "error" in returned:
        raise LaunchRefusedError(server_refusal(returned["error"]))
    if not returned.get("code"):
        raise LaunchRefusedError(NO_CODE)
    return returned["code"]


def _refuse_unless_offered(request: LaunchRequest, configuration: SmartConfiguration) -> None:
    wanted = "launch-standalone" if request.launch is None else "launch-ehr"
    if configuration.capabilities and wanted not in configuration.capabilities:
        raise LaunchRefusedError(NOT_OFFERED)


def _refuse_other_launch(
    state: LaunchState | None, returned: Mapping[str, str], browser_state: str | None, now: datetime
) -> None:
    if state is None or not _same(state.state, returned.get("state")):
        raise LaunchRefusedError(UNKNOWN_STATE)
    if not _same(state.state, browser_state):
        raise LaunchRefusedError(OTHER_BROWSER)
    if now >= state.expires:
        raise LaunchRefusedError(EXPIRED_STATE)


def _same(ours: str, theirs: str | None) -> bool:
    return theirs is not None and compare_digest(ours.encode(), theirs.encode())


def _authorization_url(
    request: LaunchRequest, server: SmartServer, configuration: SmartConfiguration, state: LaunchState
) -> str:
    return str(
        prepare_grant_uri(
            configuration.authorization_endpoint,
            client_id=server.client_id,
            response_type="code",
            redirect_uri=state.redirect_uri,
            scope=" ".join(state.scopes),
            state=state.state,
            aud=server.issuer,
            launch=request.launch,
            nonce=state.nonce if "openid" in state.scopes else None,
            code_challenge=create_s256_code_challenge(state.code_verifier),
            code_challenge_method="S256",
        )
    )
