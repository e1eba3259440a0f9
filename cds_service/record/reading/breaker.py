"""A circuit breaker: a server that failed again and again is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FAILED_LATELY = "the server failed a moment ago"
BUSY_LATELY = "the server was busy a moment ago"


@dataclass
class Attempt:
    """How one exchange with a server went: ``failed`` is None until that is known.

    ``wait``: the seconds that the server asked to be left alone.
    """

    failed: bool | None = None
    wait: float | None = None


class Breaker:
    """Closed: all may ask. Open: nobody may. When its time is over one may, and the outcome decides.

    It opens after so many ``failures`` in a row, for ``seconds``, and says so by ``opened``.
    """

    def __init__(
        self, failures: int, seconds: float, monotonic: Callable[[], float], opened: Callable[[], None]
    ) -> None:
        self._most_failures = failures
        self._seconds = seconds
        self._monotonic = monotonic
        self._opened = opened
        self._failures = 0
        self._alone_until: float | None = None
        self._why = FAILED_LATELY
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the server is being left alone, or only tried."""
        return self._alone_until is not None

    def refusal(self) -> str | None:
        """Why the server may not be asked now, if it may not."""
        if self._alone_until is None or (self._monotonic() >= self._alone_until and not self._probing):
            return None
        return self._why

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """One exchange, entered only when there is no ``refusal``; who enters it writes down how it went."""
        attempt = Attempt()
        probe = self.is_open
        self._probing = self._probing or probe
        try:
            yield attempt
        finally:
            self._probing = self._probing and not probe
            self._learn(attempt)

    def _learn(self, attempt: Attempt) -> None:
        if attempt.wait is not None:
            self._open(attempt.wait, BUSY_LATELY)
        elif attempt.failed:
            self._failures += 1
            if self._failures >= self._most_failures:
                self._open(self._seconds, FAILED_LATELY)
        elif attempt.failed is False:
            self._failures = 0
            self._alone_until = None

    def _open(self, seconds: float, why: str) -> None:
        if not self.is_open:
            self._opened()
        self._alone_until = self._monotonic() + seconds
        self._why = why
