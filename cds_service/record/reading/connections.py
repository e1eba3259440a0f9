"""Connections to FHIR servers: made to the very address that was checked, and never retried blindly."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore
import httpx

from cds_service.trust.outbound import address_refusal

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
MayBePrivate = Callable[[str, int], bool]

_IDLE_SECONDS = 15.0
_MOST_IDLE = 64


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
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._checked(host, port)
                return await self._connected(addresses, port, local_address, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout("no connection in time") from None

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

    async def _connected(
        self,
        addresses: Sequence[str],
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one."""
        failure = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                connected = await self._network.connect_tcp(
                    address, port, local_address=local_address, socket_options=socket_options
                )
                return _Stream(connected)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that knows whether any byte has come since the last request was written."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._answered = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data = await self._inner.read(max_bytes, timeout)
        except (httpcore.ReadError, OSError) as error:
            raise self._broken() from error
        if not data and not self._answered:
            raise self._broken()
        self._answered = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answered = self._answered and not buffer
        try:
            await self._inner.write(buffer, timeout)
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
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _broken(self) -> httpcore.ReadError:
        return (httpcore.ReadError if self._answered else UnansweredError)("the connection broke")
