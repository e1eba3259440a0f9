"""One read of a client's keys, against a server that sends what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from cds_service.trust.key_sets import fetched_jwks


async def with_server(
    answer: bytes, pause: float, asked: bool, scene: Callable[[int], Awaitable[Any]]
) -> Any:
    """What ``scene`` makes of a server that sends ``answer`` byte by byte."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in answer:
            if writer.is_closing():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(pause)
        writer.close()
        served.set()

    served = asyncio.Event()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        seen = await scene(server.sockets[0].getsockname()[1])
        if asked:
            await served.wait()
        return seen


def test_an_answer_that_trickles_in_is_given_up_after_two_seconds() -> None:
    async def scene(port: int) -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await fetched_jwks(f"http://127.0.0.1:{port}/")
        return asyncio.get_running_loop().time() - began

    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b" " * 100
    assert 1.9 < asyncio.run(with_server(answer, 0.1, True, scene)) < 3


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(port: int) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(httpx.ConnectError):
            await fetched_jwks("http://127.0.0.1:9/")

    asyncio.run(with_server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 0, False, scene))
