"""Whether a caller is one of the configured CDS clients."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from cds_service.errors import ClientRejectedError
from cds_service.trust.clients import Client
from cds_service.trust.key_sets import FetchJwks, KeySets
from cds_service.trust.keys import VerificationKey
from cds_service.trust.replay import ReplayStore, TokenUse
from cds_service.trust.tokens import (
    Token,
    TokenRefusedError,
    check_claims,
    check_signature,
    read_token,
    use_of,
)

logger = logging.getLogger(__name__)


class Presented:
    """A call whose token is good, though perhaps not for the first time. ``client``: None where nobody shows a token.

    The use of the token is written down once: by whoever takes it, or else when it is spent.
    """

    def __init__(
        self, client: Client | None, use: TokenUse | None = None, replay: ReplayStore | None = None
    ) -> None:
        self.client = client
        self._use = use
        self._replay = replay

    def taken(self) -> TokenUse | None:
        """The use of the token, which is now the taker's to write down. None when that was done."""
        use, self._use = self._use, None
        return use

    async def spend(self) -> None:
        """Write the use down, unless it was taken. ClientRejectedError when the token was used before."""
        use = self.taken()
        if use is not None and self._replay is not None and not await self._replay.first_use(*use):
            raise replayed()


def replayed() -> ClientRejectedError:
    """What a token that was used before is refused with: as any other, and a word in the log."""
    logger.warning("client rejected: replay")
    return ClientRejectedError()


class ClientVerifier:
    """Verifies callers' tokens against ``clients``. ``clock`` tells the time with its zone."""

    def __init__(
        self,
        clients: Sequence[Client],
        replay: ReplayStore,
        fetch_jwks: FetchJwks,
        clock: Callable[[], datetime],
    ) -> None:
        self._clients = {client.issuer: client for client in clients}
        self._replay = replay
        self._key_sets = KeySets(fetch_jwks, clock)
        self._clock = clock

    async def presented(self, authorization: str | None, audience: str) -> Presented:
        """The call of a client that we know, by its ``Authorization`` header. Its token may have been used before.

        ``audience`` is the configured public URL of the endpoint that was called, never what the request says
        it is. ClientRejectedError is always the same; the log has a code.
        """
        try:
            return await self._believed(read_token(authorization), audience)
        except TokenRefusedError as refused:
            logger.warning("client rejected: %s", refused.code)
        # Raised out here, so that it carries no trace of what was wrong.
        raise ClientRejectedError

    async def _believed(self, token: Token, audience: str) -> Presented:
        client = self._client(token)
        check_signature(token, await self._key(token, client))
        check_claims(token.claims, client, audience, self._clock().timestamp())
        return Presented(client, use_of(token.claims, client.issuer), self._replay)

    def _client(self, token: Token) -> Client:
        client = self._clients.get(token.issuer)
        if client is None:
            raise TokenRefusedError("issuer")
        if token.algorithm not in client.algorithms:
            raise TokenRefusedError("algorithm")
        return client

    async def _key(self, token: Token, client: Client) -> VerificationKey:
        # The address in a token is compared, never fetched.
        if token.jku is not None and token.jku != client.jwks_url:
            raise TokenRefusedError("jku")
        key = await self._found(token.kid, client)
        if key is None:
            raise TokenRefusedError("kid")
        return key

    async def _found(self, kid: str, client: Client) -> VerificationKey | None:
        if client.jwks is not None:
            return client.jwks.get(kid)
        return await self._key_sets.key(client.jwks_url, kid) if client.jwks_url is not None else None
