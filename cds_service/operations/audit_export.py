"""The decision log written out as AuditEvents."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson

from cds_service.operations.audit import audit_event
from cds_service.store.store import open_store


async def written_audit(database_url: str, secret: bytes | None, since: datetime | None, out: Path) -> int:
    """Write one AuditEvent a line into ``out``, for each decision from ``since`` on. How many.

    StoreError when the log cannot be read. OSError when the file cannot be written; then none is left half-written.
    """
    since = since if since is None or since.tzinfo else since.replace(tzinfo=UTC)
    store, count = open_store(database_url, secret), 0
    unfinished = out.with_name(f"{out.name}.unfinished")
    try:
        with await asyncio.to_thread(unfinished.open, "wb") as file:
            async for entry in store.decisions(since):
                file.write(orjson.dumps(audit_event(entry), option=orjson.OPT_APPEND_NEWLINE))
                count += 1
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
        await store.close()
    return count
