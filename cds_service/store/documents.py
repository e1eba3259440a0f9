"""Sealed documents: kept under a kind and an id until they expire, and replaced only knowingly where that matters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, delete, select, update

from cds_service.store.additions import Addition, Row
from cds_service.store.entries import Document, Kept
from cds_service.store.schema import sealed
from cds_service.store.sealing import Seal
from cds_service.store.upserts import upsert

_DOCUMENT = Addition(sealed)


@dataclass(frozen=True, slots=True)
class SealedDocument:
    """A document as its row holds it."""

    kind: str
    id: str
    content: bytes
    expires_at: datetime


def sealed_document(seal: Seal, document: Document) -> SealedDocument:
    """The document, its content sealed for its row."""
    content = seal.sealed(document.content, "sealed", document.kind, document.id)
    return SealedDocument(document.kind, document.id, content, document.expires)


def addition(document: SealedDocument) -> tuple[Addition, Row]:
    """The row of a document whose id is new."""
    return _DOCUMENT, _row(document, version=1)


def put(connection: Connection, document: SealedDocument) -> int:
    """Keep the document, in the place of any of its kind and id. Its version."""
    row = _row(document, version=1)
    replaced = row | {"version": sealed.c.version + 1}
    added = upsert(connection, sealed).values(row)
    put_there = added.on_conflict_do_update(index_elements=["kind", "id"], set_=replaced)
    return int(connection.execute(put_there.returning(sealed.c.version)).scalar_one())


def replace(connection: Connection, document: SealedDocument, version: int) -> int | None:
    """Keep the document in the place of its ``version``, 0 for no such document. None when another is there."""
    row = _row(document, version + 1)
    if version == 0:
        added = upsert(connection, sealed).values(row).on_conflict_do_nothing()
        changed = connection.execute(added.returning(sealed.c.version))
    else:
        there = and_(_is(document.kind, document.id), sealed.c.version == version)
        changed = connection.execute(update(sealed).where(there).values(row).returning(sealed.c.version))
    return changed.scalar_one_or_none()


def kept(connection: Connection, kind: str, document_id: str, now: datetime) -> Kept | None:
    """The document, still sealed, unless it has expired by ``now``."""
    wanted = select(sealed.c.content, sealed.c.version).where(
        _is(kind, document_id), sealed.c.expires_at > now
    )
    row = connection.execute(wanted).one_or_none()
    return row and Kept(row.content, row.version)


def taken(connection: Connection, kind: str, document_id: str, now: datetime) -> bytes | None:
    """The document, still sealed, unless it has expired by ``now``; either way it is there no longer."""
    gone = delete(sealed).where(_is(kind, document_id)).returning(sealed.c.content, sealed.c.expires_at)
    row = connection.execute(gone).one_or_none()
    return row.content if row and row.expires_at > now else None


def remove(connection: Connection, kind: str, document_id: str) -> None:
    """Keep the document no longer, if it was kept."""
    connection.execute(delete(sealed).where(_is(kind, document_id)))


def _is(kind: str, document_id: str):  # type: ignore[no-untyped-def]
    return and_(sealed.c.kind == kind, sealed.c.id == document_id)


def _row(document: SealedDocument, version: int) -> dict[str, object]:
    return {
        "kind": document.kind,
        "id": document.id,
        "expires_at": document.expires_at,
        "version": version,
        "content": document.content,
    }
