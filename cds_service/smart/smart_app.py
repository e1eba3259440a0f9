"""The form app's side of SMART launches, put together: what the routes call.

launch's query → begun → browser to the EHR and back → finished → SmartContext → renewed, written
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

from cds_service.errors import LaunchRefusedError
from cds_service.record.reading.connections import Resolve, system_addresses
from cds_service.smart.client_keys import public_key_set
from cds_service.smart.configuration import Configurations, SmartConfiguration
from cds_service.smart.context import SmartContext, granted_scopes, renewed_context, smart_context
from cds_service.smart.exchange import SmartExchange
from cds_service.smart.id_token import user_named
from cds_service.smart.issuers import SmartServer
from cds_service.smart.launch import (
    UNKNOWN_STATE,
    authorization_code,
    begun,
    launch_request,
    launching_server,
)
from cds_service.smart.launch_state import LaunchState
from cds_service.smart.token_endpoint import token_answer
from cds_service.smart.write_back import NotWritten, Written, written
from cds_service.trust.key_sets import KeySets

SESSION_ENDED = "the EHR's access has ended and cannot be renewed"


def fresh_secret() -> str:
    """43 characters that nobody can guess (256 bits)."""
    return token_urlsafe(32)


class SmartApp:
    """Launches from the configured ``servers``; one for the whole process, closed at its end.

    ``private_addresses``: whether their names may resolve to addresses of a private network. ``tls`` says which
    certificates are trusted; ``fresh`` gives unguessable text.
    """

    def __init__(
        self,
        servers: Mapping[str, SmartServer],
        clock: Callable[[], datetime],
        *,
        private_addresses: bool,
        tls: ssl.SSLContext,
        fresh: Callable[[], str] = fresh_secret,
        resolve: Resolve = system_addresses,
        seconds: float = 5.0,
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._fresh = fresh
        self._exchange = SmartExchange(
            servers.values(), private_addresses=private_addresses, tls=tls, resolve=resolve, seconds=seconds
        )
        self._configurations = Configurations(self._exchange.document, clock)
        self._key_sets = KeySets(self._exchange.document, clock)

    @property
    def key_set(self) -> dict[str, Any]:
        """The JSON Web Key Set by which servers know this app; its keys may be none."""
        keys = [server.authentication.key for server in self._servers.values()]
        return public_key_set(key for key in keys if key is not None)

    async def begun(
        self, query: Mapping[str, str], resource_types: Collection[str], redirect_uri: str
    ) -> tuple[str, LaunchState]:
        """Where to send the browser for a launch with this ``query``, and what to keep until it is back.

        LaunchRefusedError says why there is no such launch.
        """
        request = launch_request(query)
        server = launching_server(request.issuer, self._servers)
        configuration = await self._configurations.of(server.issuer)
        return begun(request, server, configuration, resource_types, redirect_uri, self._clock(), self._fresh)

    async def finished(
        self, state: LaunchState | None, returned: Mapping[str, str], browser_state: str | None
    ) -> SmartContext:
        """What the launch gives, when the browser is back with the query ``returned``.

        ``state``: what was kept under its ``state`` and just taken away, so that it is used once; ``browser_state``: the
        state that the browser itself kept (a cookie). LaunchRefusedError says why the launch ends here.
        """
        if state is None:
            raise LaunchRefusedError(UNKNOWN_STATE)
        server = launching_server(state.issuer, self._servers)
        configuration = await self._configurations.of(server.issuer)
        code = authorization_code(state, returned, browser_state, configuration, self._clock())
        grant = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": state.redirect_uri,
            "code_verifier": state.code_verifier,
        }
        answer = await self._token_answer(configuration, server, grant)
        user = await self._user(answer, configuration, server, state)
        return smart_context(answer, server, state, user, self._clock())

    async def renewed(self, context: SmartContext) -> SmartContext:
        """The context with a new access token. LaunchRefusedError when there is none to be had: then the session ends."""
        if context.refresh_token is None:
            raise LaunchRefusedError(SESSION_ENDED)
        server = launching_server(context.issuer, self._servers)
        configuration = await self._configurations.of(server.issuer)
        grant = {"grant_type": "refresh_token", "refresh_token": context.refresh_token}
        return renewed_context(context, await self._token_answer(configuration, server, grant), self._clock())

    async def written(
        self, response: Mapping[str, Any], existing: str | None, context: SmartContext
    ) -> Written | NotWritten:
        """Write a completed form to the EHR: see ``write_back.written``."""
        return await written(response, existing, context, self._exchange, self._clock())

    async def aclose(self) -> None:
        """Close all connections."""
        await self._exchange.aclose()

    async def _token_answer(
        self, configuration: SmartConfiguration, server: SmartServer, grant: Mapping[str, str]
    ) -> Mapping[str, Any]:
        endpoint = configuration.token_endpoint
        return await token_answer(self._exchange, endpoint, server, grant, self._clock(), self._fresh())

    async def _user(
        self,
        answer: Mapping[str, Any],
        configuration: SmartConfiguration,
        server: SmartServer,
        state: LaunchState,
    ) -> str | None:
        """Who launched; None when the server was not asked, or did not grant it."""
        jwks_uri = configuration.jwks_uri
        granted = granted_scopes(answer, frozenset(state.scopes))
        if (
            jwks_uri is None
            or "openid" not in state.scopes
            or "openid" not in granted
            or "id_token" not in answer
        ):
            return None
        return await user_named(
            answer["id_token"],
            lambda kid: self._key_sets.key(jwks_uri, kid),
            configuration.token_issuer,
            server.client_id,
            state.nonce,
            self._clock(),
            server.base_url,
        )
