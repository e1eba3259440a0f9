"""HTTP clients that put a load on a service: one that keeps to a timetable, and one that asks as fast as it is answered.

The first sends each request when it is due, however late earlier answers are, and counts from the moment when it was due:
a client that waits for an answer before it asks again would hide how long the others would have waited.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

CONNECTIONS = 16
SATURATING = 32
_WRK_SCRIPT = """
local body, tokens, sent = nil, {}, 0
function init(args)
  body = io.open(args[1], "rb"):read("*a")
  if args[2] then for line in io.lines(args[2]) do tokens[#tokens + 1] = line end end
end
function request()
  sent = sent + 1
  local headers = {["Content-Type"] = "application/json"}
  if #tokens > 0 then headers["Authorization"] = tokens[sent] end
  return wrk.format("POST", nil, headers, body)
end
function done(summary, latency)
  local e = summary.errors
  local errors = e.status + e.connect + e.read + e.write + e.timeout
  print(string.format('{"requests": %d, "microseconds": %d, "errors": %d}', summary.requests, summary.duration, errors))
end
"""


@dataclass(frozen=True)
class Target:
    """Where requests go, and with what body. ``tokens``: Authorization headers, each for one request; or none at all."""

    host: str
    port: int
    path: str
    body: bytes
    tokens: Iterator[str] | None

    def request(self) -> bytes:
        """The next request, whole."""
        token = f"Authorization: {next(self.tokens)}\r\n" if self.tokens else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"{token}Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


class _Connection(asyncio.Protocol):
    """A connection that carries one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one by its methods only

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the service closed the connection"))

    async def answered(self, request: bytes) -> int:
        """The status of the answer, once all of it is there."""
        assert self._transport is not None
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or self._answer is None or self._answer.done():
            return
        head = bytes(self._received[:head_end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._received) >= head_end + 4 + length:
            self._answer.set_result(int(head[9:12]))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def by_timetable(target: Target, rate: float, seconds: float, connections: int = CONNECTIONS) -> list[float]:
    """Milliseconds from when each request was due to the end of its answer, ``rate`` requests a second."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_by_timetable(target, rate, seconds, connections))


async def _by_timetable(target: Target, rate: float, seconds: float, connections: int) -> list[float]:
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(connections):
        idle.put_nowait(await _connected(target))
    requests = [target.request() for _ in range(int(rate * seconds) + connections)]
    for _ in range(connections):  # each connection once, so that none is counted cold
        await _milliseconds(idle, requests.pop(), time.perf_counter())
    start = time.perf_counter() + 0.1
    waiting = []
    for number, request in enumerate(requests):
        due = start + number / rate
        await _until(due)
        waiting.append(asyncio.ensure_future(_milliseconds(idle, request, due)))
    taken = list(await asyncio.gather(*waiting))
    while not idle.empty():
        idle.get_nowait().close()
    return taken


async def _connected(target: Target) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, target.host, target.port)
    return connection


async def _until(due: float) -> None:
    """Sleep, and for the last two milliseconds turn with the loop, whose timers know no less than one."""
    await asyncio.sleep(max(0.0, due - time.perf_counter() - 0.002))
    while time.perf_counter() < due:
        await asyncio.sleep(0)


async def _milliseconds(idle: asyncio.Queue[_Connection], request: bytes, due: float) -> float:
    connection = await idle.get()
    status = await connection.answered(request)
    taken = (time.perf_counter() - due) * 1000
    assert status == 200, f"the service answered {status}"
    idle.put_nowait(connection)
    return taken


def saturated(target: Target, seconds: int, connections: int = SATURATING) -> float:
    """Requests answered a second when there are always so many under way: by wrk where it is installed."""
    if shutil.which("wrk") is None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_saturated(target, seconds, connections))
    with tempfile.TemporaryDirectory() as folder:
        return _by_wrk(target, seconds, connections, Path(folder))


def _by_wrk(target: Target, seconds: int, connections: int, folder: Path) -> float:
    script, body = folder / "wrk.lua", folder / "body.json"
    script.write_text(_WRK_SCRIPT)
    body.write_bytes(target.body)
    arguments: Sequence[str] = [str(body)]
    if target.tokens is not None:
        tokens = folder / "tokens"
        tokens.write_text("\n".join(next(target.tokens) for _ in range(seconds * 1_500)))
        arguments = [str(body), str(tokens)]
    url = f"http://{target.host}:{target.port}{target.path}"
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
        url,
        "--",
        *arguments,
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  our own words
    figures = json.loads(told.strip().splitlines()[-1])
    assert not figures["errors"], told
    return float(figures["requests"] / figures["microseconds"] * 1e6)


async def _saturated(target: Target, seconds: float, connections: int) -> float:
    end, count = time.perf_counter() + seconds, 0

    async def one_after_the_other() -> None:
        nonlocal count
        connection = await _connected(target)
        while time.perf_counter() < end:
            status = await connection.answered(target.request())
            assert status == 200, f"the service answered {status}"
            count += 1
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(connections)))
    return count / (time.perf_counter() - started)
