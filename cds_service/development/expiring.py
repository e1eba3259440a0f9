"""Things that are kept for a while under a name that cannot be guessed: launches, codes, tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

_Kept = TypeVar("_Kept")


class Expiring(Generic[_Kept]):
    """At most ``most`` things, each for ``seconds``; when one more comes, the oldest goes."""

    def __init__(
        self, clock: Callable[[], datetime], fresh_name: Callable[[], str], seconds: int, most: int
    ) -> None:
        self._clock = clock
        self._fresh_name = fresh_name
        self._lifetime = timedelta(seconds=seconds)
        self._most = most
        self._kept: dict[str, tuple[datetime, _Kept]] = {}
        self._lock = Lock()

    def keep(self, thing: _Kept) -> str:
        """The name under which the thing is kept from now on."""
        name = self._fresh_name()
        with self._lock:
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = (self._clock() + self._lifetime, thing)
        return name

    def kept(self, name: str) -> _Kept | None:
        """The thing of this name, unless its time is over."""
        with self._lock:
            return self._unless_over(self._kept.get(name))

    def take(self, name: str) -> _Kept | None:
        """The thing of this name, which is not kept any longer."""
        with self._lock:
            return self._unless_over(self._kept.pop(name, None))

    def _unless_over(self, found: tuple[datetime, _Kept] | None) -> _Kept | None:
        return found[1] if found is not None and self._clock() < found[0] else None
