"""A token is good once: over many callers, workers and restarts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from cds_service.store.store import Store, open_store
from cds_service.trust.replay import ReplayStore
from tests.store.entries import NOW, SECRET, child

pytestmark = pytest.mark.anyio

USE_EACH_ONCE = """
import asyncio, sys
from cds_service.store.store import open_store
async def use():
    store = open_store(sys.argv[1], bytes(range(32)))
    uses = [store.first_use("issuer", str(jti), 4e9) for jti in range(200)]
    first = await asyncio.gather(*uses)
    await store.close()
    print(*(jti for jti, was_first in enumerate(first) if was_first))
asyncio.run(use())
"""
UNTIL = (NOW + timedelta(minutes=15)).timestamp()


async def test_a_store_remembers_tokens_for_the_verifier(store: Store) -> None:
    replay: ReplayStore = store

    assert await replay.first_use("issuer", "1", UNTIL)
    assert not await replay.first_use("issuer", "1", UNTIL)


async def test_another_token_or_the_same_of_another_issuer_is_another_first_use(store: Store) -> None:
    assert await store.first_use("ab", "c", UNTIL)

    assert await store.first_use("ab", "d", UNTIL)
    assert await store.first_use("a", "bc", UNTIL)
    assert await store.first_use("ab", "c\0", UNTIL)


async def test_of_many_uses_at_once_one_is_the_first(store: Store) -> None:
    uses = await asyncio.gather(*(store.first_use("issuer", "1", UNTIL) for _ in range(100)))

    assert uses.count(True) == 1


async def test_over_two_processes_and_a_restart_each_token_is_used_once(url: str) -> None:
    workers = [child(USE_EACH_ONCE, url) for _ in range(2)]
    first = [jti for worker in workers for jti in worker.communicate()[0].split()]
    restarted = open_store(url, SECRET)

    assert sorted(first, key=int) == [str(jti) for jti in range(200)]
    assert not any([await restarted.first_use("issuer", str(jti), UNTIL) for jti in range(200)])
    await restarted.close()


async def test_tokens_are_forgotten_in_passing_once_they_have_expired(sqlite_url: str) -> None:
    times: list[datetime] = [NOW]
    store = open_store(sqlite_url, SECRET, clock=lambda: times[0])
    await store.first_use("issuer", "old", UNTIL)
    for use in range(150):
        await store.first_use("issuer", f"{use}", UNTIL + 2)

    times[0] = NOW + timedelta(minutes=15, seconds=1)
    for use in range(100):
        await store.first_use("issuer", f"later {use}", UNTIL + 100)

    assert await store.first_use("issuer", "old", UNTIL + 100)
    assert not await store.first_use("issuer", "1", UNTIL + 100)
    await store.close()
