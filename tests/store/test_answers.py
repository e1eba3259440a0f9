"""Answers are found again for the patient they were given for, by the client that has them, and by nobody else."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cds_service.errors import StoreConflictError, StoreError
from cds_service.store.access import Access
from cds_service.store.database import Looking
from cds_service.store.store import Store, open_store
from tests.store.entries import ANSWERED, NAME, NOW, SECRET

pytestmark = pytest.mark.anyio


async def test_answers_are_found_again_the_last_received_first(store: Store) -> None:
    later = replace(ANSWERED, id="later", received_at=NOW + timedelta(seconds=1), resource={"later": True})
    await store.keep_response(ANSWERED)
    await store.keep_response(later)

    assert await store.responses("sandbox", "patient-1") == ({"later": True}, ANSWERED.resource)


async def test_answers_are_found_also_when_they_cannot_be_told_at_once(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sqlite_store.keep_response(ANSWERED)
    tried: list[str] = []

    def busy(_: Looking, query: str, *values: str) -> list[tuple[object, ...]]:
        tried.append(query)
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Looking, "rows", busy)

    assert await sqlite_store.responses("sandbox", "patient-1") == (ANSWERED.resource,)
    assert len(tried) == 1


async def test_a_look_takes_no_change_of_thread_where_a_file_tells_at_once(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sqlite_store.keep_response(ANSWERED)
    monkeypatch.delattr(Access, "read")

    assert await sqlite_store.responses("sandbox", "patient-1") == (ANSWERED.resource,)


async def test_a_store_that_is_closed_tells_no_answers(url: str) -> None:
    store = open_store(url, SECRET)
    await store.keep_response(ANSWERED)
    await store.responses("sandbox", "patient-1")
    await store.close()

    with pytest.raises(StoreError, match="the store is closed"):
        await store.responses("sandbox", "patient-1")


async def test_a_look_waits_for_nobody_and_looks_anew_the_next_time(path: Path, sqlite_url: str) -> None:
    looking = Looking(path)
    with pytest.raises(sqlite3.OperationalError):
        looking.rows("SELECT id FROM responses")
    assert not path.exists()

    await open_store(sqlite_url, SECRET).close()
    assert looking.rows("SELECT id FROM responses") == []
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        looking.rows("DELETE FROM responses")
    looking.close()


@pytest.mark.parametrize(
    ("client", "patient_id"), [("sandbox", "patient-2"), ("another", "patient-1"), (None, "patient-1")]
)
async def test_answers_are_not_found_for_another_patient_or_client(
    store: Store, client: str | None, patient_id: str
) -> None:
    await store.keep_response(ANSWERED)

    assert await store.responses(client, patient_id) == ()


async def test_answers_that_one_worker_keeps_another_finds_at_once(url: str, store: Store) -> None:
    other_worker = open_store(url, SECRET)
    assert await other_worker.responses("sandbox", "patient-1") == ()

    await store.keep_response(ANSWERED)

    assert await other_worker.responses("sandbox", "patient-1") == (ANSWERED.resource,)
    await other_worker.close()


async def test_the_same_answers_twice_are_kept_once(store: Store) -> None:
    await store.keep_response(ANSWERED)
    await store.keep_response(ANSWERED)

    assert await store.responses("sandbox", "patient-1") == (ANSWERED.resource,)


async def test_amended_answers_take_the_place_of_the_earlier(store: Store) -> None:
    await store.keep_response(ANSWERED)
    await store.keep_response(replace(ANSWERED, status="amended", resource={"status": "amended"}))

    assert await store.responses("sandbox", "patient-1") == ({"status": "amended"},)


@pytest.mark.parametrize(("client", "patient_id"), [("another", "patient-1"), ("sandbox", "patient-2")])
async def test_answers_never_take_the_place_of_another_patients(
    store: Store, client: str, patient_id: str
) -> None:
    await store.keep_response(ANSWERED)

    with pytest.raises(StoreConflictError):
        await store.keep_response(replace(ANSWERED, resource={}, client=client, patient_id=patient_id))
    assert await store.responses("sandbox", "patient-1") == (ANSWERED.resource,)


async def test_where_answers_were_written_is_noted_once_there_are_any(store: Store) -> None:
    assert not await store.mark_written(ANSWERED.id, "QuestionnaireResponse/7")

    await store.keep_response(ANSWERED)
    assert await store.mark_written(ANSWERED.id, "QuestionnaireResponse/7")


async def test_the_file_tells_nothing_of_patient_and_answers(sqlite_store: Store, path: Path) -> None:
    await sqlite_store.keep_response(ANSWERED)

    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert NAME.encode() not in written
    assert b"patient-1" not in written
    assert sqlite_store.patient_key("sandbox", "patient-1").encode() in written


async def test_a_patients_key_is_of_the_client_the_patient_and_the_secret(
    sqlite_store: Store, tmp_path: Path
) -> None:
    elsewhere = open_store(f"sqlite:///{tmp_path / 'elsewhere.db'}", bytes(32))
    keys = {
        sqlite_store.patient_key("a", "bc"),
        sqlite_store.patient_key("ab", "c"),
        sqlite_store.patient_key("", "abc"),
        sqlite_store.patient_key(None, "abc"),
        elsewhere.patient_key("a", "bc"),
    }

    assert len(keys) == 5
    assert sqlite_store.patient_key("a", "bc") in keys
    await elsewhere.close()
