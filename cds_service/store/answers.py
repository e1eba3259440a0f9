"""Answers given to us: QuestionnaireResponses, found again by a key that stands for one client's patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, select, update

from cds_service.store.access import LookUp
from cds_service.store.entries import Answered
from cds_service.store.schema import responses
from cds_service.store.sealing import Seal
from cds_service.store.upserts import upsert

# What every hook call asks: id and content of a patient's responses, the one received last first.
OF_PATIENT = LookUp(
    select(responses.c.id, responses.c.content)
    .where(responses.c.patient_key == bindparam("patient_key"))
    .order_by(responses.c.received_at.desc(), responses.c.id)
)
_REPLACED = ("received_at", "questionnaire", "order_reference", "status", "content")


def response_row(seal: Seal, answered: Answered) -> dict[str, object]:
    """The row of a response: its content sealed, its patient a key."""
    return {
        "id": answered.id,
        "received_at": answered.received_at,
        "client": answered.client,
        "patient_key": seal.patient_key(answered.client, answered.patient_id),
        "questionnaire": answered.questionnaire,
        "order_reference": answered.order,
        "status": answered.status,
        "content": seal.sealed(orjson.dumps(answered.resource), "responses", answered.id),
    }


def keep(connection: Connection, row: dict[str, object]) -> bool:
    """Keep the response, in the place of an earlier one of its id. False when that is of another client or patient."""
    insert = upsert(connection, responses).values(row)
    own = responses.c.patient_key == insert.excluded.patient_key
    replaced = {name: insert.excluded[name] for name in _REPLACED}
    kept = insert.on_conflict_do_update(index_elements=["id"], set_=replaced, where=own)
    return connection.execute(kept.returning(responses.c.id)).one_or_none() is not None


def mark_written(connection: Connection, response_id: str, reference: str) -> bool:
    """Note under what reference the client's FHIR server keeps the response. Whether there is such a response."""
    marked = update(responses).where(responses.c.id == response_id).values(written_reference=reference)
    return connection.execute(marked).rowcount == 1


def resources(seal: Seal, rows: Iterable[Sequence[Any]]) -> tuple[dict[str, Any], ...]:
    """The QuestionnaireResponses that the rows of ``OF_PATIENT`` hold."""
    return tuple(orjson.loads(seal.opened(content, "responses", of)) for of, content in rows)
