"""Requests to SMART servers: over checked connections, in bounded time and memory, no redirect followed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx

from cds_service.record.reading.connections import CheckedTransport, Resolve, keep_deadline, system_addresses
from cds_service.smart.issuers import SmartServer
from cds_service.trust.outbound import allowed_servers

_LARGEST_BYTES = 65_536


@dataclass(frozen=True)
class Answer:
    """What a server answered. ``body`` is None when it is packed or longer than is read."""

    status: int
    headers: httpx.Headers
    body: bytes | None


class SmartExchange:
    """Asks SMART servers; one for the whole process, closed at its end.

    ``private_addresses``: whether any of their names may resolve to an address of a private network; otherwise only an
    issuer that is itself configured by such an address may. ``seconds`` is what one request may take.
    """

    def __init__(
        self,
        servers: Iterable[SmartServer],
        *,
        private_addresses: bool,
        tls: ssl.SSLContext,
        resolve: Resolve = system_addresses,
        seconds: float = 5.0,
        connect_seconds: float = 2.0,
    ) -> None:
        configured = allowed_servers(
            [server.issuer for server in servers], private_addresses=private_addresses
        )
        self._private = {(each.host, each.port) for each in configured if each.private_addresses}
        self._private_addresses = private_addresses
        self._seconds = seconds
        self._connect_seconds = connect_seconds
        self._transport = CheckedTransport(resolve, self._may_be_private, tls)

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        """The answer of a server. Raises httpx.HTTPError; when time is up, httpx.TimeoutException.

        Nothing is sent twice, no cookie is kept, and no URL, header or body is logged. It is not to be cancelled.
        """
        keep_deadline(asyncio.get_running_loop().time() + self._seconds)
        response = await self._transport.handle_async_request(self._request(method, url, headers, content))
        try:
            return Answer(response.status_code, response.headers, await _body(response))
        finally:
            await response.aclose()

    async def document(self, url: str) -> bytes:
        """The body of the JSON document at ``url``. Raises httpx.HTTPError, or ValueError when the answer is none."""
        answer = await self.send("GET", url, {"Accept": "application/json"})
        if answer.status != httpx.codes.OK:
            raise ValueError(f"found HTTP status {answer.status}; expected 200")
        if answer.body is None:
            raise ValueError(f"found a packed body or more than {_LARGEST_BYTES} bytes; expected JSON")
        return answer.body

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _request(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> httpx.Request:
        # Not asked for packed, nothing can unpack to more than the limit.
        every = {"Accept-Encoding": "identity", **headers}
        timeout = {"timeout": {"connect": self._connect_seconds}}
        return httpx.Request(method, url, headers=every, content=content, extensions=timeout)

    def _may_be_private(self, host: str, port: int) -> bool:
        return self._private_addresses or (host, port) in self._private


async def _body(response: httpx.Response) -> bytes | None:
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LARGEST_BYTES:
            return None
    return bytes(body)
