"""Where tasks are carried out: here, in processes of this machine, or on a Ray cluster. The results are the same."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cds_service.errors import BulkInputError

Task = TypeVar("Task")
Result = TypeVar("Result")
# Tasks given to a worker before it is done with its last: enough never to wait, too few to fill memory.
_AHEAD = 2


class Workers(Protocol):
    """Carries out a function on tasks.

    ``is_one_machine``: whether all of them see what the others wrote, as long as this machine is up.
    """

    @property
    def is_one_machine(self) -> bool: ...

    def start(self) -> None:
        """Have ready whoever works, as far as that can be: with what is in memory by now, and nothing opened later."""

    def done(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results as they come, in no particular order."""

    def close(self) -> None:
        """Let go of what it works with; whoever asks again has to wait for it to start again."""


def workers(processes: int, ray: str | None) -> Workers:
    """A Ray cluster when one is named; else so many processes, 0 for one a core. One is this process itself."""
    if ray is not None:
        return RayCluster(ray)
    count = processes or os.cpu_count() or 1
    return Here() if count == 1 else Processes(count)


class Here:
    """One task after the other, in this process."""

    is_one_machine = True

    def start(self) -> None:
        """This process runs."""

    def done(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results in the order of the tasks."""
        yield from map(work, tasks)

    def close(self) -> None:
        """Nothing to let go of."""


class Processes:
    """So many processes of this machine, which stay until ``close``.

    They are forked from this one, with the policies that it has loaded: to import and load anew takes each of them more
    than half a second. Where threads run that a fork would leave behind, they are started anew (spawned) nevertheless.
    """

    is_one_machine = True

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Fork all of them, now."""
        self._started()

    def done(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results as they come."""
        pool = self._started()
        waiting = iter(tasks)
        running: set[Future[Result]] = set()
        while True:
            for _, task in zip(range(self._count * _AHEAD - len(running)), waiting, strict=False):
                running.add(pool.submit(work, task))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("fork" if _is_alone() else "spawn")
            self._pool = ProcessPoolExecutor(self._count, context, initializer=_begin_beside_parent)
            # A pool forks its processes when it is given its first task.
            self._pool.submit(os.getpid).result()
        return self._pool

    def close(self) -> None:
        """Wait for what is under way, and end the processes."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


class RayCluster:
    """The nodes of a Ray cluster, which see the same files under the same paths. ``local`` starts one of this machine."""

    is_one_machine = False

    def __init__(self, address: str) -> None:
        try:
            self._ray: Any = import_module("ray")
        except ModuleNotFoundError:
            raise BulkInputError(
                "--ray", "$", "no package ray", "ray installed (pip install cds-service[ray])"
            ) from None
        if not self._ray.is_initialized():
            self._ray.init(address=address, log_to_driver=False, include_dashboard=False)

    def start(self) -> None:
        """The cluster runs."""

    def done(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results as they come."""
        remote = self._ray.remote(work)
        ahead = max(1, int(self._ray.cluster_resources().get("CPU", 1))) * _AHEAD
        waiting = iter(tasks)
        running: list[Any] = []
        while True:
            running += [
                remote.remote(task) for _, task in zip(range(ahead - len(running)), waiting, strict=False)
            ]
            if not running:
                return
            finished, running = self._ray.wait(running)
            yield from self._ray.get(finished)

    def close(self) -> None:
        """The cluster is not ours to end."""


def _is_alone() -> bool:
    """Whether no other thread runs in this process, of Python's or of a library's; False where nobody tells it."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def _begin_beside_parent() -> None:
    """Have a worker end when the process that started it is gone, also when that was killed."""
    # What is loaded by now stays, and memory that a collection does not look at stays shared with the other processes.
    gc.freeze()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
