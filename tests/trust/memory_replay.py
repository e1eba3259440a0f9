"""Tokens that were used, remembered by one process: what the verifier is tried with, the store being tried by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush


class MemoryReplayStore:
    """A ``cds_service.trust.replay.ReplayStore`` that a restart forgets."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._used: set[tuple[str, str]] = set()
        self._by_age: list[tuple[float, tuple[str, str]]] = []

    async def first_use(self, issuer: str, jti: str, until: float) -> bool:
        """Whether this token is used for the first time."""
        self._forget()
        token = (issuer, jti)
        if token in self._used:
            return False
        self._used.add(token)
        heappush(self._by_age, (until, token))
        return True

    def _forget(self) -> None:
        now = self._clock().timestamp()
        while self._by_age and self._by_age[0][0] < now:
            self._used.discard(heappop(self._by_age)[1])
