"""Connections to FHIR servers: made to the very address that was checked, and never retried blindly."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from cds_service.trust.outbound import address_refusal

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
MayBePrivate = Callable[[str, int], bool]

_deadline: ContextVar[float] = ContextVar("deadline of the exchange", default=math.inf)

_IDLE_SECONDS = 15.0
_MOST_IDLE = 64


def keep_deadline(deadline: float) -> None:
    """Let whatever the current task does on connections time out at ``deadline``, of the running loop's clock.

    Cancelling instead would be simpler, but httpcore's pool keeps, for ever, connections whose request was cancelled at
    the wrong moment.
    """
    _deadline.set(deadline)


def _within(timeout: float | None) -> float:
    """The seconds that an operation may take when it may take ``timeout`` and must keep the deadline."""
    left = _deadline.get() - asyncio.get_running_loop().time()
    return max(0.0, left if timeout is None else min(left, timeout))


class ForbiddenAddressError(httpcore.ConnectError):
    """A server's name resolved to an address to which nothing is sent."""


class UnansweredError(httpcore.ReadError):
    """A connection broke before any byte of the answer: the request may be sent again."""


async def system_addresses(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host, by the system's resolver. OSError when it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class CheckedTransport(httpx.AsyncHTTPTransport):
    """HTTP/1.1 over connections whose addresses were checked.

    It is used without httpx's client, which would keep cookies from one caller's reads for the next caller's and log
    URLs, in which patients' ids are.
    """

    def __init__(self, resolve: Resolve, may_be_private: MayBePrivate, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_CheckedBackend(resolve, may_be_private),
        )


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks what it stands for, and connects there: what it stands for later does not matter."""

    def __init__(self, resolve: Resolve, may_be_private: MayBePrivate) -> None:
        self._resolve = resolve
        self._may_be_private = may_be_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_within(timeout)):
                addresses = await self._checked(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from None
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError("no address")
        for address in addresses:
            left = _within(timeout) - (asyncio.get_running_loop().time() - started)
            try:
                return _Stream(
                    await self._network.connect_tcp(address, port, left, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            raise httpcore.ConnectError("the name does not resolve") from None
        private = self._may_be_private(host, port)
        for address in addresses:
            if refusal := address_refusal(address, private_addresses=private):
                raise ForbiddenAddressError(refusal)
        return addresses


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that keeps the deadline, and knows whether any byte has come since a request was written."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._answered = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data = await self._inner.read(max_bytes, _within(timeout))
        except (httpcore.ReadError, OSError) as error:
            raise self._broken() from error
        if not data and not self._answered:
            raise self._broken()
        self._answered = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answered = self._answered and not buffer
        try:
            await self._inner.write(buffer, _within(timeout))
        except OSError as error:
            raise httpcore.WriteError("the connection broke") from error

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, _within(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _broken(self) -> httpcore.ReadError:
        return (httpcore.ReadError if self._answered else UnansweredError)("the connection broke")
