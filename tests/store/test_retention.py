"""What was decided before a day, and what has expired, is removed; nothing else is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cds_service.store.entries import IssuedCard
from cds_service.store.store import Store
from tests.store.entries import ANSWERED, ENTRY, FEEDBACK, NOW, SOON, another

pytestmark = pytest.mark.anyio

A_TICK = timedelta(microseconds=1)


async def test_what_is_older_goes_with_all_that_belongs_to_it_and_the_rest_stays(store: Store) -> None:
    old, new = replace(another(), at=NOW - A_TICK), replace(another(), at=NOW)
    for entry, card in ((old, "card-1"), (new, "card-2")):
        await store.append(entry, [IssuedCard(card, ())], [])
        await store.append_feedback("sandbox", [replace(FEEDBACK, card=card)])
    await store.keep_response(replace(ANSWERED, received_at=NOW - A_TICK))
    await store.keep_response(replace(ANSWERED, id="new", received_at=NOW, resource={"new": True}))

    removed = await store.purge(NOW, NOW)

    assert removed == {"decisions": 1, "cards": 1, "feedback": 1, "responses": 1}
    assert [entry async for entry in store.decisions()] == [new]
    assert await store.decision_of_card("card-1") is None
    assert await store.feedback(new.id) == (replace(FEEDBACK, card="card-2"),)
    assert await store.responses("sandbox", "patient-1") == ({"new": True},)


async def test_what_has_expired_goes_and_the_rest_stays(store: Store) -> None:
    await store.keep("form", "expired", b"", NOW)
    await store.keep("form", "kept", b"", SOON)
    await store.first_use("issuer", "expired", (NOW - timedelta(seconds=1)).timestamp())
    await store.first_use("issuer", "kept", SOON.timestamp())

    assert await store.purge(NOW - timedelta(days=1), NOW) == {"sealed": 1, "tokens": 1}
    assert await store.kept("form", "kept", NOW) is not None
    assert not await store.first_use("issuer", "kept", SOON.timestamp())


async def test_a_second_purge_finds_nothing(store: Store) -> None:
    await store.append(replace(ENTRY, at=NOW - A_TICK), [], [])
    await store.purge(NOW, NOW)

    assert await store.purge(NOW, NOW) == {}


async def test_decisions_are_written_while_many_are_removed(store: Store) -> None:
    old = [replace(another(), at=NOW - A_TICK) for _ in range(1_200)]
    await asyncio.gather(*(store.append(entry, [], []) for entry in old))
    new = [another() for _ in range(20)]

    purged = asyncio.create_task(store.purge(NOW, NOW))
    for entry in new:
        await store.append(entry, [], [])

    assert await purged == {"decisions": 1_200}
    assert {entry.id async for entry in store.decisions()} == {entry.id for entry in new}


async def test_what_was_removed_is_overwritten_in_the_file(sqlite_store: Store, path: Path) -> None:
    await sqlite_store.append(replace(ENTRY, at=NOW - A_TICK, determinations="REMOVED"), [], [])
    await sqlite_store.purge(NOW, NOW)
    await sqlite_store.close()

    assert b"REMOVED" not in path.read_bytes()
