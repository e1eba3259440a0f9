"""Several worker processes on one port: started, told what the first process is told, and started again when one dies.

uvicorn's own supervisor replaces its workers on SIGHUP, which would put a broken policy set in the place of a good one;
here the signal is handed on, and each worker reloads by itself.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET, AddressFamily, socket
from threading import Thread
from types import FrameType
from typing import Any

logger = logging.getLogger("cds_service")

# A worker that dies so soon after its start will die again.
_SHORT_LIFE = 2.0
_FAILED = 1
_LOOKS_EVERY = 1.0
# Only there does the kernel spread connections over sockets that share an address.
_SPREADS = sys.platform == "linux"


def listening_socket(host: str, port: int) -> socket:
    """A socket to accept connections from. OSError when the address is taken."""
    return _bound(AF_INET6 if ":" in host else AF_INET, (host, port), SO_REUSEADDR)


def shared_address(host: str, port: int) -> socket:
    """What each worker makes ``its_own`` socket of. OSError when the address is taken."""
    # Sockets that may share would share with another service, too.
    with listening_socket(host, port) as alone:
        family, address = alone.family, alone.getsockname()
    return _bound(family, address, SO_REUSEADDR, SO_REUSEPORT)


def its_own(shared: socket) -> socket:
    """A worker's socket at an address that all of them share.

    From one socket whoever wakes first accepts all that waits, so that one worker could have every connection of a client
    and another none; here the kernel deals them out. That of a worker that died goes with it.
    """
    if not _SPREADS:
        return shared
    return _bound(shared.family, shared.getsockname(), SO_REUSEADDR, SO_REUSEPORT)


def _bound(family: AddressFamily, address: tuple[Any, ...], *options: int) -> socket:
    bound = socket(family)
    try:
        for option in options:
            bound.setsockopt(SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def supervised(count: int, work: Callable[[bool], int]) -> int:
    """Run ``work`` in ``count`` forked processes until a signal ends them. The worst of their exit statuses.

    Each is told whether it takes the place of one that died.
    """
    supervisor = _Supervisor(work)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), supervisor.told)
    for _ in range(count):
        supervisor.start(again=False)
    return supervisor.watched()


def _end_without(parent: int) -> None:
    """End this worker when its parent is gone without a word: nobody would tell it to any more."""
    while os.getppid() == parent:
        time.sleep(_LOOKS_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class _Supervisor:
    work: Callable[[bool], int]
    children: dict[int, float] = field(default_factory=dict)
    stopping: bool = False
    status: int = 0

    def start(self, *, again: bool) -> None:
        """Fork one more worker, in the place of another when it is started ``again``."""
        parent, pid = os.getpid(), os.fork()
        if pid:
            self.children[pid] = time.monotonic()
            return
        for name in ("SIGTERM", "SIGINT"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        # Until it can reload, it is loading what it would reload.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        Thread(target=_end_without, args=(parent,), daemon=True).start()
        status = _FAILED
        try:
            status = self.work(again)
        finally:
            os._exit(status)

    def told(self, number: int, _: FrameType | None) -> None:
        """Hand a signal on to every worker."""
        self.stopping |= number != signal.SIGHUP
        for pid in self.children:
            os.kill(pid, signal.SIGTERM if number == signal.SIGINT else number)

    def watched(self) -> int:
        """Wait for the workers; start another for one that dies while nobody asked it to."""
        while self.children:
            pid, waited = os.waitpid(-1, 0)
            started = self.children.pop(pid, None)
            status = os.waitstatus_to_exitcode(waited)
            if self.stopping or started is None:
                self.status = max(self.status, abs(status))
            elif time.monotonic() - started < _SHORT_LIFE:
                logger.error("worker %d could not start (status %d); stopping", pid, status)
                self.status = _FAILED
                self.told(signal.SIGTERM, None)
            else:
                logger.error("worker %d died (status %d); another is started", pid, status)
                self.start(again=True)
        return self.status
