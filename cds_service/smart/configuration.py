"""What a SMART server says of itself at ``.well-known/smart-configuration`` (SMART App Launch 2, conformance)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import httpx

from cds_service.errors import LaunchRefusedError
from cds_service.smart.issuers import is_loopback
from cds_service.trust.outbound import AllowedServer, allowed_servers
from cds_service.trust.strict_json import strict_json

logger = logging.getLogger(__name__)

UNREADABLE = "the EHR's SMART configuration could not be read"
_FRESH_SECONDS = 600
_RETRY_SECONDS = 15
_LAST_GOOD_SECONDS = 3_600
_QUERY = re.compile(r"[\x21\x24-\x7e]*")

FetchDocument = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class SmartConfiguration:
    """What a launch needs of a server's configuration. ``token_issuer`` and ``jwks_uri``: those of its id tokens."""

    authorization_endpoint: str
    token_endpoint: str
    token_issuer: str | None
    jwks_uri: str | None
    capabilities: frozenset[str]

    @property
    def names_users(self) -> bool:
        """Whether its id tokens can be asked for and checked."""
        offered = "sso-openid-connect" in self.capabilities
        return offered and self.token_issuer is not None and self.jwks_uri is not None


def smart_configuration(document: bytes, issuer: str) -> SmartConfiguration:
    """The configuration in ``document``. ValueError (found, expected) when no safe launch can be made with it.

    The endpoints may be on another origin than the ``issuer``, as authorization servers often are: the issuer is one
    that was configured, and it is for it to say who speaks for it. They are https all the same, and their addresses
    are checked when they are connected to.
    """
    members = strict_json(document)
    if not isinstance(members, dict):
        raise ValueError("found no object; expected a SMART configuration")
    if "S256" not in _texts(members, "code_challenge_methods_supported"):
        raise ValueError("found no S256 among code_challenge_methods_supported; expected it")
    token_issuer = members.get("issuer")
    return SmartConfiguration(
        authorization_endpoint=_endpoint(members, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(members, "token_endpoint", issuer),
        token_issuer=token_issuer if isinstance(token_issuer, str) and token_issuer else None,
        jwks_uri=_endpoint(members, "jwks_uri", issuer) if "jwks_uri" in members else None,
        capabilities=frozenset(_texts(members, "capabilities")),
    )


def _texts(members: Mapping[str, object], name: str) -> list[str]:
    found = members.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _endpoint(members: Mapping[str, object], name: str, issuer: str) -> str:
    url = members.get(name)
    if not isinstance(url, str):
        raise ValueError(f"found no {name}; expected an https URL")
    base, _, query = url.partition("?")
    if not _QUERY.fullmatch(query):
        raise ValueError(f"{name}: found a query with odd characters; expected ASCII without a fragment")
    try:
        (server,) = allowed_servers([base], private_addresses=True)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if server.scheme != "https" and not (_is_development(server) and _is_development_issuer(issuer)):
        raise ValueError(f"{name}: found http; expected https")
    return url


def _is_development(server: AllowedServer) -> bool:
    return server.scheme == "http" and is_loopback(server.host)


def _is_development_issuer(issuer: str) -> bool:
    """Only a server beside us may name others beside us: none out there can send us to our own doors."""
    (server,) = allowed_servers([issuer], private_addresses=True)
    return _is_development(server)


@dataclass(frozen=True, slots=True)
class _Held:
    """A configuration as last read, if it ever was; times in seconds since 1970."""

    configuration: SmartConfiguration | None
    read_at: float
    tried_at: float


_NEVER = _Held(None, float("-inf"), float("-inf"))


class Configurations:
    """The configurations of all issuers: read again after ten minutes, and after a failure at most every 15 s.

    When one cannot be read again, the last good one serves for an hour.
    """

    def __init__(self, fetch: FetchDocument, clock: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def of(self, issuer: str) -> SmartConfiguration:
        """The configuration of a configured issuer. LaunchRefusedError when there is none to go by."""
        async with self._turns.setdefault(issuer, asyncio.Lock()):
            held = self._held.get(issuer, _NEVER)
            now = self._clock().timestamp()
            if now - held.read_at >= _FRESH_SECONDS and now - held.tried_at >= _RETRY_SECONDS:
                held = self._held[issuer] = await self._read(issuer, replace(held, tried_at=now))
        if held.configuration is None or now - held.read_at >= _LAST_GOOD_SECONDS:
            raise LaunchRefusedError(UNREADABLE)
        return held.configuration

    async def _read(self, issuer: str, held: _Held) -> _Held:
        url = f"{issuer.rstrip('/')}/.well-known/smart-configuration"
        try:
            found = smart_configuration(await self._fetch(url), issuer)
        except httpx.HTTPError as error:
            logger.warning("the SMART configuration of %s was not read: %s", issuer, type(error).__name__)
        except ValueError as error:
            logger.warning("the SMART configuration of %s cannot be used: %s", issuer, error)
        else:
            return _Held(found, held.tried_at, held.tried_at)
        return held
