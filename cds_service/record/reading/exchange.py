"""One GET and its answer, in bounded memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import httpx

from cds_service.record.reading.connections import UnansweredError, keep_deadline
from cds_service.trust.outbound import Token

_GZIP_WINDOW = 31


@dataclass(frozen=True)
class Reply:
    """What a server answered. ``body`` is None unless the status is 200; ``fault`` says why such a body is unusable."""

    status: int
    content_type: str
    retry_after: str | None
    body: bytes | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Exchange:
    """How servers are asked; ``connect_seconds`` is how long a connection may take to make."""

    transport: httpx.AsyncBaseTransport
    connect_seconds: float

    async def get(self, url: str, token: Token | None, room: int, deadline: float) -> Reply:
        """The answer of the server, its body unpacked and of up to ``room`` bytes.

        No redirect is followed, and no body of an error is read. Raises httpx.HTTPError; at the ``deadline``, which is of
        the running loop's clock, httpx.TimeoutException. It is not to be cancelled.
        """
        keep_deadline(deadline)
        response = await self._sent(self._request(url, token))
        try:
            return await _reply(response, room)
        finally:
            await response.aclose()

    def _request(self, url: str, token: Token | None) -> httpx.Request:
        headers = {"Accept": "application/fhir+json", "Accept-Encoding": "gzip"}
        if token is not None:
            headers["Authorization"] = token.authorization
        return httpx.Request(
            "GET", url, headers=headers, extensions={"timeout": {"connect": self.connect_seconds}}
        )

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        """Sent again, once, when the connection broke before any byte of an answer, as kept-alive ones do."""
        try:
            return await self.transport.handle_async_request(request)
        except httpx.ReadError as error:
            if not isinstance(error.__cause__, UnansweredError):
                raise
        return await self.transport.handle_async_request(request)


async def _reply(response: httpx.Response, room: int) -> Reply:
    headers = response.headers
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    reply = Reply(response.status_code, content_type, headers.get("retry-after"))
    if reply.status != httpx.codes.OK:
        return reply
    encoding = headers.get("content-encoding", "identity").strip().lower()
    body, fault = await _body(response, encoding, room)
    return Reply(reply.status, content_type, reply.retry_after, body, fault)


async def _body(response: httpx.Response, encoding: str, room: int) -> tuple[bytes, str | None]:
    """The unpacked body, or the part of it before the fault that is given with it."""
    if encoding not in {"identity", "gzip", "x-gzip"}:
        return b"", "the answer is packed in a way that was not asked for"
    packing = None if encoding == "identity" else zlib.decompressobj(_GZIP_WINDOW)
    body = bytearray()
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        try:
            body += packing.decompress(chunk, room + 1 - len(body)) if packing else chunk
        except zlib.error:
            return b"", "the answer cannot be unpacked"
        if max(received, len(body)) > room:
            return b"", "cut off: the answer is longer than may be read"
    if packing is not None and (not packing.eof or packing.unused_data):
        return b"", "the answer cannot be unpacked"
    return bytes(body), None
