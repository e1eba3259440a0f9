"""Keys that clients publish at an address of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import httpx

from cds_service.trust.keys import VerificationKey, keys_by_id

logger = logging.getLogger(__name__)

_FETCH_SECONDS = 2.0
_LARGEST_BYTES = 65_536
_RETRY_SECONDS = 60
_FRESH_SECONDS = 3_600
_LAST_GOOD_SECONDS = 86_400

FetchJwks = Callable[[str], Awaitable[bytes]]


async def fetched_jwks(url: str) -> bytes:
    """What ``url`` answers to a GET: 200 and at most 64 KiB, within 2 s, no redirect followed, no proxy.

    Raises httpx.HTTPError, TimeoutError or ValueError.
    """
    # Raw bytes are read, so nothing can unpack to more than the limit.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(_FETCH_SECONDS),
        httpx.AsyncClient(trust_env=False, follow_redirects=False, headers=headers) as http,
        http.stream("GET", url) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"found HTTP status {response.status_code}; expected 200")
        return await _limited(response)


async def _limited(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LARGEST_BYTES:
            raise ValueError(f"found more than {_LARGEST_BYTES} bytes; expected fewer")
    return bytes(body)


@dataclass(frozen=True, slots=True)
class _KeySet:
    """The keys last read from an address; times in seconds since 1970."""

    keys: Mapping[str, VerificationKey]
    read_at: float
    tried_at: float

    def fresh(self, now: float) -> bool:
        return 0 <= now - self.read_at < _FRESH_SECONDS

    def tried_lately(self, now: float) -> bool:
        return 0 <= now - self.tried_at < _RETRY_SECONDS

    def key(self, kid: str, now: float) -> VerificationKey | None:
        return self.keys.get(kid) if now - self.read_at < _LAST_GOOD_SECONDS else None


_NEVER_READ = _KeySet({}, float("-inf"), float("-inf"))


class KeySets:
    """The key sets of all addresses.

    One is read again for a kid it lacks or when it is an hour old, and at most once a minute whatever is
    asked. When it cannot be read, the last good one serves for a day.
    """

    def __init__(self, fetch: FetchJwks, clock: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._sets: dict[str, _KeySet] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def key(self, url: str, kid: str) -> VerificationKey | None:
        """The key with this ``kid`` among those published at ``url``."""
        if not self._suffices(url, kid):
            async with self._turns.setdefault(url, asyncio.Lock()):
                await self._read_again(url)
        return self._held(url).key(kid, self._now())

    async def _read_again(self, url: str) -> None:
        now = self._now()
        # Also true when another request read it while this one waited for its turn.
        if self._held(url).tried_lately(now):
            return
        self._sets[url] = replace(self._held(url), tried_at=now)
        try:
            keys = keys_by_id(await self._fetch(url))
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            logger.warning("the key set at %s could not be read: %s", url, type(error).__name__)
        else:
            self._sets[url] = _KeySet(keys, now, now)

    def _suffices(self, url: str, kid: str) -> bool:
        held = self._held(url)
        return kid in held.keys and held.fresh(self._now())

    def _held(self, url: str) -> _KeySet:
        return self._sets.get(url, _NEVER_READ)

    def _now(self) -> float:
        return self._clock().timestamp()
