"""What is kept until it expires: replaced only knowingly, taken only once, and read by nobody who opens the database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.errors import StoreConflictError, StoreError
from cds_service.store.entries import Kept
from cds_service.store.store import Store, open_store
from tests.store.entries import NAME, NOW, SECRET, SOON

pytestmark = pytest.mark.anyio


async def test_a_document_is_read_back_with_its_version(store: Store) -> None:
    assert await store.keep("form", "1", b"first", SOON) == 1

    assert await store.kept("form", "1", NOW) == Kept(b"first", 1)


async def test_a_document_takes_the_place_of_its_namesake_and_of_no_other(store: Store) -> None:
    await store.keep("form", "1", b"first", SOON)
    await store.keep("launch", "1", b"a launch", SOON)

    assert await store.keep("form", "1", b"second", SOON) == 2
    assert await store.kept("form", "1", NOW) == Kept(b"second", 2)
    assert await store.kept("launch", "1", NOW) == Kept(b"a launch", 1)
    assert await store.kept("form", "2", NOW) is None


async def test_a_document_is_kept_until_the_moment_it_expires(store: Store) -> None:
    await store.keep("form", "1", b"first", SOON)
    await store.keep("launch", "1", b"first", SOON)

    assert await store.kept("form", "1", SOON - timedelta(microseconds=1)) == Kept(b"first", 1)
    assert await store.kept("form", "1", SOON) is None
    assert await store.take("launch", "1", SOON) is None
    assert await store.take("launch", "1", NOW) is None


async def test_who_replaces_a_version_that_is_no_longer_there_is_told(store: Store) -> None:
    await store.keep("form", "1", b"first", SOON)
    assert await store.keep("form", "1", b"second", SOON, replacing=1) == 2

    with pytest.raises(StoreConflictError):
        await store.keep("form", "1", b"late", SOON, replacing=1)
    assert await store.kept("form", "1", NOW) == Kept(b"second", 2)


async def test_who_replaces_nothing_makes_the_first_or_is_told(store: Store) -> None:
    assert await store.keep("form", "1", b"first", SOON, replacing=0) == 1

    with pytest.raises(StoreConflictError):
        await store.keep("form", "1", b"late", SOON, replacing=0)
    with pytest.raises(StoreConflictError):
        await store.keep("form", "2", b"of nothing", SOON, replacing=1)
    assert await store.kept("form", "1", NOW) == Kept(b"first", 1)


async def test_of_many_who_replace_one_version_one_does(store: Store) -> None:
    await store.keep("form", "1", b"first", SOON)

    tries = [store.keep("form", "1", b"mine", SOON, replacing=1) for _ in range(20)]
    answers = await asyncio.gather(*tries, return_exceptions=True)

    assert answers.count(2) == 1
    assert sum(isinstance(answer, StoreConflictError) for answer in answers) == 19


async def test_of_many_who_take_a_document_one_gets_it(url: str, store: Store) -> None:
    other_worker = open_store(url, SECRET)
    await store.keep("launch", "1", b"state", SOON)

    taken = await asyncio.gather(*(each.take("launch", "1", NOW) for each in [store, other_worker] * 10))

    assert (taken.count(b"state"), taken.count(None)) == (1, 19)
    assert await store.kept("launch", "1", NOW) is None
    await other_worker.close()


async def test_a_document_that_is_forgotten_is_gone(store: Store) -> None:
    await store.keep("form", "1", b"first", SOON)

    await store.forget("form", "1")
    await store.forget("form", "1")
    assert await store.kept("form", "1", NOW) is None


async def test_the_file_tells_nothing_of_a_document(sqlite_store: Store, path: Path) -> None:
    await sqlite_store.keep("form", "1", NAME.encode(), SOON)

    assert NAME.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sealed SET id = '2'",
        "UPDATE sealed SET content = zeroblob(40)",
        "UPDATE sealed SET content = x''",
    ],
    ids=["moved to another row", "changed", "emptied"],
)
async def test_a_row_that_was_changed_does_not_open(sqlite_store: Store, path: Path, change: str) -> None:
    await sqlite_store.keep("form", "1", NAME.encode(), SOON)
    with closing(sqlite3.connect(path)) as meddler, meddler:
        meddler.execute(change)

    with pytest.raises(StoreError, match="does not open"):
        await sqlite_store.kept("form", "2" if "id" in change.split(" = ", maxsplit=1)[0] else "1", NOW)


async def test_workers_without_a_secret_share_one_that_stays(url: str) -> None:
    first, second = open_store(url, None), open_store(url, None)
    await first.keep("form", "1", b"first", SOON)

    assert first.secret == second.secret
    assert len(first.secret) == 32
    assert await second.kept("form", "1", NOW) == Kept(b"first", 1)
    await first.close()
    await second.close()
    third = open_store(url, None)
    assert third.secret == second.secret
    await third.close()


@pytest.mark.parametrize(
    ("first", "then", "found"),
    [(SECRET, os.urandom(32), "another"), (SECRET, None, "none"), (None, SECRET, "another")],
    ids=["another secret", "no longer one", "one instead of its own"],
)
async def test_a_database_sealed_under_another_secret_is_refused(
    url: str, first: bytes | None, then: bytes | None, found: str
) -> None:
    await open_store(url, first).close()

    with pytest.raises(StoreError, match=f"the secret: found {found}"):
        open_store(url, then)


@pytest.mark.parametrize("secret", [b"", b"short", bytes(33)])
def test_a_secret_of_another_length_is_refused(sqlite_url: str, secret: bytes) -> None:
    with pytest.raises(StoreError, match=f"found {len(secret)} bytes; expected 32"):
        open_store(sqlite_url, secret)


IDS = st.sampled_from(["a", "b"])
MOMENTS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), IDS, MOMENTS, st.none() | st.integers(0, 3)),
        st.tuples(st.sampled_from(["kept", "take", "forget"]), IDS, MOMENTS),
    ),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=30, deadline=None)
def test_documents_behave_as_a_dictionary_of_what_was_kept_would(steps: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder:
        assert asyncio.run(_said_by_store(f"sqlite:///{folder}/store.db", steps)) == _said_by_dictionary(
            steps
        )


async def _said_by_store(url: str, steps: list[tuple[object, ...]]) -> list[object]:
    store = open_store(url, SECRET)
    said: list[object] = []
    for place, (verb, document_id, moment, *rest) in enumerate(steps):
        at = datetime.fromtimestamp(int(str(moment)), UTC)
        try:
            match verb:
                case "keep":
                    content, version = str(place).encode(), rest[0]
                    said.append(await store.keep("form", str(document_id), content, at, version))  # type: ignore[arg-type]
                case "kept":
                    found = await store.kept("form", str(document_id), at)
                    said.append(found and (found.content, found.version))
                case "take":
                    said.append(await store.take("form", str(document_id), at))
                case _:
                    said.append(await store.forget("form", str(document_id)))  # type: ignore[func-returns-value]
        except StoreConflictError:
            said.append("conflict")
    await store.close()
    return said


def _said_by_dictionary(steps: list[tuple[object, ...]]) -> list[object]:
    held: dict[object, tuple[bytes, int, int]] = {}
    said: list[object] = []
    for place, (verb, document_id, moment, *rest) in enumerate(steps):
        at = int(str(moment))
        there = held.get(document_id)
        live = there if there is not None and there[2] > at else None
        match verb:
            case "keep":
                version = there[1] if there else 0
                if rest[0] is not None and rest[0] != version:
                    said.append("conflict")
                else:
                    held[document_id] = (str(place).encode(), version + 1, at)
                    said.append(version + 1)
            case "kept":
                said.append(live and live[:2])
            case "take":
                held.pop(document_id, None)
                said.append(live and live[0])
            case _:
                held.pop(document_id, None)
                said.append(None)
    return said
