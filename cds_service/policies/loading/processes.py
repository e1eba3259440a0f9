"""Many plans checked in as many processes as there are processors to run them.

A process is started as ``python -m …loading.worker``, not with ``multiprocessing``: that would run the
program's main module again, which not every program that loads plans is written for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from cds_service.policies.loading.checking import Checked, Checker
from cds_service.policies.loading.folder import PlanFolder
from cds_service.record.commissioners import Directory

# From this many plans on, starting processes takes less time than it saves.
MANY = 100
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Work:
    """What one process checks: plan folders with their places, against a directory."""

    folders: tuple[tuple[int, PlanFolder], ...]
    directory: Directory


def all_listed(folders: Sequence[tuple[int, PlanFolder]], directory: Directory) -> Iterator[Checked]:
    """The plans of these folders with their places, checked, in the order in which they become known."""
    if len(folders) < MANY:
        checker = Checker(directory)
        yield from (checker.listed(place, folder) for place, folder in folders)
        return
    count = len(os.sched_getaffinity(0))
    started = [_started(Work(tuple(folders[part::count]), directory)) for part in range(count)]
    try:
        yield from _received([connection for connection, _ in started], len(folders))
    finally:
        for connection, process in started:
            connection.close()
            process.kill()
            process.wait()


def _started(work: Work) -> tuple[Connection, subprocess.Popen[bytes]]:
    """A process at work, and the connection over which it sends what it finds."""
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "cds_service.policies.loading.worker", str(theirs.fileno())]
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(  # noqa: S603  our own program, no argument from outside
        command, pass_fds=[theirs.fileno()], env={**os.environ, "PYTHONPATH": path}
    )
    theirs.close()
    ours.send(work)
    return ours, process


def _received(connections: list[Connection], expected: int) -> Iterator[Checked]:
    """What the processes send until each has closed its end. RuntimeError when one ended before its time."""
    received, waiting = 0, set(connections)
    while waiting:
        for ready in wait(list(waiting)):
            connection = next(each for each in waiting if each is ready)
            try:
                checked = connection.recv()
            except (EOFError, ConnectionError):
                waiting.remove(connection)
            else:
                received += 1
                yield checked
    if received != expected:
        raise RuntimeError(f"{expected - received} plans were not checked: a process ended before its time")
