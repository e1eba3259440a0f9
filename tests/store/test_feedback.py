"""Feedback counts once, and only on the sender's own cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from cds_service.store.entries import IssuedCard
from cds_service.store.store import Store
from tests.store.entries import ENTRY, FEEDBACK, NAME, NOW, another

pytestmark = pytest.mark.anyio

CARD = IssuedCard("card-1", ("suggestion-1", "suggestion-2"))
ACCEPTED = replace(FEEDBACK, outcome="accepted", accepted_suggestions=("suggestion-1",), user_comment=None)


async def test_feedback_is_read_back_with_its_decision(store: Store) -> None:
    await store.append(ENTRY, [CARD], [])
    later = replace(ACCEPTED, outcome_timestamp=NOW + timedelta(seconds=1))

    assert await store.append_feedback("sandbox", [later, FEEDBACK]) == (later, FEEDBACK)
    assert await store.feedback(ENTRY.id) == (FEEDBACK, later)


async def test_feedback_that_is_sent_again_is_not_new(store: Store) -> None:
    await store.append(ENTRY, [CARD], [])
    await store.append_feedback("sandbox", [FEEDBACK])
    elsewhere = replace(FEEDBACK, outcome_timestamp=NOW.astimezone(timezone(timedelta(hours=1))))

    assert await store.append_feedback("sandbox", [FEEDBACK, elsewhere, FEEDBACK]) == ()
    assert await store.feedback(ENTRY.id) == (FEEDBACK,)


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "accepted"},
        {"outcome_timestamp": NOW + timedelta(microseconds=1)},
        {"accepted_suggestions": ("suggestion-2",)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_feedback_that_says_something_else_is_new(store: Store, change: dict[str, object]) -> None:
    await store.append(ENTRY, [CARD], [])
    await store.append_feedback("sandbox", [FEEDBACK])

    assert len(await store.append_feedback("sandbox", [replace(FEEDBACK, **change)])) == 1  # type: ignore[arg-type]
    assert len(await store.feedback(ENTRY.id)) == 2


async def test_feedback_on_cards_of_others_and_of_nobody_is_passed_over(store: Store) -> None:
    await store.append(ENTRY, [CARD], [])
    await store.append(unnamed := replace(another(), client=None), [IssuedCard("card-2", ())], [])
    of_unnamed = replace(FEEDBACK, card="card-2")

    assert await store.append_feedback("another", [FEEDBACK, of_unnamed]) == ()
    assert await store.append_feedback(None, [FEEDBACK, replace(FEEDBACK, card="card-3")]) == ()
    assert await store.append_feedback("sandbox", [of_unnamed, FEEDBACK]) == (FEEDBACK,)
    assert await store.append_feedback(None, [of_unnamed]) == (of_unnamed,)
    assert (await store.feedback(ENTRY.id), await store.feedback(unnamed.id)) == ((FEEDBACK,), (of_unnamed,))


async def test_suggestions_that_the_card_did_not_make_are_not_written(store: Store) -> None:
    await store.append(ENTRY, [CARD], [])
    await store.append_feedback(
        "sandbox", [replace(ACCEPTED, accepted_suggestions=("suggestion-2", NAME, "suggestion-1"))]
    )

    (kept,) = await store.feedback(ENTRY.id)
    assert kept.accepted_suggestions == ("suggestion-1", "suggestion-2")


async def test_no_feedback_is_no_error(store: Store) -> None:
    assert await store.append_feedback("sandbox", []) == ()


async def test_the_file_tells_nothing_of_a_comment(sqlite_store: Store, path: Path) -> None:
    await sqlite_store.append(ENTRY, [CARD], [])
    await sqlite_store.append_feedback("sandbox", [FEEDBACK])

    assert NAME.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())
