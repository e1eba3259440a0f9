"""The decision log gone through again, outside the running service: replay and purge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cds_service.explaining import replay_differences
from cds_service.policies.library import Library
from cds_service.settings import Settings
from cds_service.store.entries import DecisionEntry
from cds_service.store.store import Store, open_store


@dataclass
class Counts:
    """How many decisions came to the same again, how many did not, how many were made by another policy set."""

    same: int = 0
    different: int = 0
    of_another_set: int = 0

    @property
    def total(self) -> int:
        """How many were replayed."""
        return self.same + self.different


async def replayed(
    settings: Settings,
    library: Library,
    decision_id: str | None,
    since: datetime | None,
    say: Callable[[str], None],
) -> Counts:
    """Decide one decision (or, without an id, all since then) again, and say each difference."""
    store, counts = open_store(settings.database_url, settings.secret_bytes), Counts()
    try:
        async for entry in _entries(store, decision_id, since):
            _count(entry, library, counts, say, by_set=decision_id is not None)
    finally:
        await store.close()
    return counts


async def purged(settings: Settings, before: datetime | None) -> Mapping[str, int]:
    """Remove what is kept long enough. Rows removed, by table."""
    now = datetime.now(UTC)
    oldest = _aware(before) if before else now - timedelta(days=settings.retention_days)
    store = open_store(settings.database_url, settings.secret_bytes)
    try:
        return await store.purge(oldest, now)
    finally:
        await store.close()


async def _entries(
    store: Store, decision_id: str | None, since: datetime | None
) -> AsyncIterator[DecisionEntry]:
    if decision_id is None:
        async for entry in store.decisions(_aware(since) if since else None):
            yield entry
        return
    found = await store.decision(decision_id) or await store.decision_of_card(decision_id)
    if found is not None:
        yield found


def _count(
    entry: DecisionEntry, library: Library, counts: Counts, say: Callable[[str], None], *, by_set: bool
) -> None:
    """Count one decision; of many, it is not said of each that another set made it."""
    differences = replay_differences(entry, library)
    is_other_set = entry.plan_set != library.digest
    counts.of_another_set += is_other_set
    counts.same += not differences
    counts.different += bool(differences)
    if is_other_set and by_set:
        say(f"{entry.id}: decided with policy set {entry.plan_set[:12]}; these are {library.digest[:12]}")
    for each in differences:
        say(f"{entry.id}: card {each.card}: {each.member}: it said {each.told}; now {each.now}")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
