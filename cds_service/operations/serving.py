"""The server, stopped gently: who asks hears that it stops, who waits for an answer gets it, then it ends with 0."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn

LAST_CALL_SECONDS = 2.0
"""How long requests are still accepted once the service is to stop: time for a load balancer to look at /readyz."""
ANSWER_SECONDS = 7
"""How long those under way then have. Both together stay below the 10 s after which Docker kills."""


class GentleServer(uvicorn.Server):
    """A uvicorn server that on SIGTERM first says that it stops (``stopping`` is called), and stops a little later."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._is_told = False

    async def serve(self, sockets: list[socket] | None = None) -> None:
        """Serve until a signal says to stop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM starts the last call; Ctrl-C, or a second SIGTERM, cuts it short."""
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        elif self._is_told or not self.started:
            self.should_exit = True
        else:
            self._is_told = True
            # A signal comes between any two steps of the program: what it means is done by the loop.
            self._loop.call_soon_threadsafe(self._last_call)

    def _last_call(self) -> None:
        self._stopping()
        self._loop.call_later(LAST_CALL_SECONDS, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
