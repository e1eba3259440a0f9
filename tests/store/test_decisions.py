"""A decision is on the disk before it is given, with its cards and forms, or it is an error."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from cds_service.errors import DecisionLogError
from cds_service.store.entries import DecisionEntry, Document, IssuedCard
from cds_service.store.store import Store, open_store
from tests.store.entries import ENTRY, NAME, NOW, SECRET, SOON, another

pytestmark = pytest.mark.anyio

CARD = IssuedCard("card-1", ("suggestion-1", "suggestion-2"))
FORM = Document("form", "form-1", b"a form", SOON)


@pytest.mark.parametrize(
    "entry",
    [ENTRY, replace(ENTRY, client=None), replace(ENTRY, replay=None)],
    ids=["whole", "without a client", "without a replay"],
)
async def test_what_was_appended_is_read_back_equal(store: Store, entry: DecisionEntry) -> None:
    await store.append(entry, [], [])

    assert await store.decision(ENTRY.id) == entry


async def test_an_id_that_was_never_written_has_no_decision(store: Store) -> None:
    assert await store.decision(ENTRY.id) is None
    assert await store.decision_of_card(CARD.id) is None


async def test_a_card_leads_to_its_own_decision(store: Store) -> None:
    await store.append(ENTRY, [CARD, IssuedCard("card-2", ())], [])
    await store.append(other := another(), [IssuedCard("card-3", ())], [])

    assert await store.decision_of_card("card-2") == ENTRY
    assert await store.decision_of_card("card-3") == other


async def test_a_decision_comes_with_the_forms_that_its_cards_open(store: Store) -> None:
    await store.append(ENTRY, [CARD], [FORM])

    kept = await store.kept("form", "form-1", NOW)
    assert kept is not None
    assert kept.content == b"a form"


async def test_a_decision_that_is_not_written_leaves_no_card_and_no_form(store: Store) -> None:
    await store.append(ENTRY, [CARD], [])

    with pytest.raises(DecisionLogError):
        await store.append(another(), [IssuedCard("card-2", ()), CARD], [FORM])
    assert await store.decision_of_card("card-2") is None
    assert await store.kept("form", "form-1", NOW) is None
    assert [entry async for entry in store.decisions()] == [ENTRY]


async def test_an_id_is_written_once_and_never_replaced(store: Store) -> None:
    await store.append(ENTRY, [], [])

    with pytest.raises(DecisionLogError, match=r"SQLITE_CONSTRAINT|23505"):
        await store.append(replace(ENTRY, hook="order-select"), [], [])
    assert await store.decision(ENTRY.id) == ENTRY


async def test_no_error_says_anything_of_the_entry(store: Store) -> None:
    entry = replace(ENTRY, determinations=NAME, hook_instance=NAME)
    await store.append(entry, [], [])

    with pytest.raises(DecisionLogError) as refused:
        await store.append(entry, [], [])
    assert NAME not in f"{refused.value} {refused.value.__cause__} {refused.value.__context__}"


async def test_a_moment_is_the_same_moment_whatever_zone_it_came_in(store: Store) -> None:
    entry = replace(ENTRY, at=datetime(2026, 6, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))))
    await store.append(entry, [], [])

    assert await store.decision(entry.id) == entry


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        replace(ENTRY, at=datetime(2026, 6, 1, 0, 30))  # noqa: DTZ001 - the point of the test


async def test_decisions_come_in_order_of_time_from_since_to_before_until(store: Store) -> None:
    moments = [NOW + timedelta(seconds=second) for second in range(5)]
    entries = [replace(another(), at=moment) for moment in moments]
    for entry in reversed(entries):
        await store.append(entry, [], [])

    assert [each async for each in store.decisions()] == entries
    assert [each async for each in store.decisions(since=moments[1], until=moments[4])] == entries[1:4]
    assert [each async for each in store.decisions(limit=2)] == entries[:2]
    assert [each async for each in store.decisions(limit=0)] == []


async def test_more_decisions_than_are_read_at_once_come_each_once(store: Store) -> None:
    # All of one moment: it is their ids that keep them apart.
    entries = sorted((another() for _ in range(1_001)), key=lambda entry: entry.id)
    await asyncio.gather(*(store.append(entry, [], []) for entry in entries))

    assert [each async for each in store.decisions()] == entries
    assert [each async for each in store.decisions(limit=600)] == entries[:600]


async def test_a_reopened_store_has_its_decisions_and_takes_more(url: str) -> None:
    first = open_store(url, SECRET)
    await first.append(ENTRY, [], [])
    await first.close()

    second = open_store(url, SECRET)
    await second.append(more := another(), [], [])
    assert (await second.decision(ENTRY.id), await second.decision(more.id)) == (ENTRY, more)
    await second.close()


async def test_a_check_adds_nothing(store: Store) -> None:
    await store.check()
    await store.check()

    assert [entry async for entry in store.decisions()] == []
