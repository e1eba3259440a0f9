"""The policies put into use anew while the service runs: all of a good set, or nothing of a bad one."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cds_service.errors import PlanError, PlansError
from cds_service.policies.cases import read_cases, run_case
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Policy


@dataclass(frozen=True)
class Reload:
    """What came of a reload: the set of ``digest`` was put into use, or, with ``problems``, the last good one stays."""

    at: datetime
    digest: str | None
    problems: tuple[PlanError, ...]

    @property
    def is_good(self) -> bool:
        """Whether the new set is in use."""
        return not self.problems


class Reloads:
    """Reloads one at a time, off the event loop. Whoever asks before one begins shares it; whoever asks later, the next.

    ``read`` gives a set of policies that was tried, or raises PlansError; ``put`` puts it into use; ``told`` hears of
    each reload.
    """

    def __init__(
        self,
        read: Callable[[], Library],
        put: Callable[[Library], None],
        told: Callable[[Reload], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._read = read
        self._put = put
        self._told = told
        self._clock = clock
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[Reload] | None = None
        self.last: Reload | None = None

    async def made(self) -> Reload:
        """What came of a reload that began after this was asked for."""
        if self._next is None:
            self._next = asyncio.create_task(self._begun())
        # Shielded: that one of those who wait goes away must not stop it for the others.
        return await asyncio.shield(self._next)

    async def _begun(self) -> Reload:
        async with self._turn:
            # From here on files are read: who changes one now and asks, asks for another reload.
            self._next = None
            self.last = await self._made()
            self._told(self.last)
            # The set that was in use is full of circles, which only the collector frees.
            await asyncio.to_thread(gc.collect)
            return self.last

    async def _made(self) -> Reload:
        try:
            library = await asyncio.to_thread(self._read)
        except PlansError as error:
            return Reload(self._clock(), None, error.problems)
        self._put(library)
        return Reload(self._clock(), library.digest, ())


def tried_library(folders: Iterable[Path], practices: Path | None, cache: Path | None) -> Library:
    """The policies of these folders, every one of whose own cases passes. PlansError with all problems for others."""
    library = load_library(folders, practices, cache)
    # Of thousands, only those that bring cases are built for them.
    tried = (
        policy
        for listing in library.listings
        if (Path(listing.folder) / "cases").is_dir() and (policy := library.policy(listing.canonical))
    )
    problems = tuple(problem for policy in tried for problem in _failing_cases(policy, library))
    if problems:
        raise PlansError(problems)
    return library


def plan_of(problem: PlanError, folders: Iterable[Path]) -> str:
    """The plan that a problem is about: its folder's name, or that of a file that lies beside the plans."""
    file = Path(problem.file)
    below = next((file.relative_to(folder) for folder in folders if file.is_relative_to(folder)), file)
    return below.parts[0] if below.parts else file.name


def _failing_cases(policy: Policy, library: Library) -> Iterator[PlanError]:
    try:
        cases = read_cases(policy.folder)
    except PlanError as problem:
        yield problem
        return
    for case in cases:
        for fault in run_case(case, policy, library).faults:
            yield PlanError(str(case.file), "expect", fault, "what the case expects")
