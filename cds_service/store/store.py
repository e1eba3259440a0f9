"""The store: what this service writes down and finds again, in SQLite or PostgreSQL.

Whatever is written is durable when the call returns, and what is not is an error. Writes of all callers share commits
(``writer``); reads run in threads of the store's own. Every method raises StoreError when the database fails:
DecisionLogError where something was to be written, and StoreBusyError where too much was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, TypeVar

from cds_service.errors import StoreConflictError, StoreError
from cds_service.store import answers, checks, decision_log, documents, feedback, retention, tokens
from cds_service.store.access import Access
from cds_service.store.additions import Additions
from cds_service.store.database import database
from cds_service.store.entries import Answered, DecisionEntry, Document, FeedbackItem, IssuedCard, Kept
from cds_service.store.opening import opened
from cds_service.store.sealing import Seal
from cds_service.store.writer import Change, GroupWriter
from cds_service.trust.replay import TokenUse

T = TypeVar("T")
_PAGE = 500
_CHECK_SECONDS = 1.0
_USES_PER_PURGE = 100


def open_store(
    url: str,
    secret: bytes | None,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    commit_seconds: Callable[[float], None] = lambda _: None,
    capacity: int = 10_000,
    patience: float = 5.0,
) -> Store:
    """The store in the database of ``url``, ``sqlite:///FILE`` or ``postgresql://…``, made or brought up to date.

    ``secret``: 32 bytes that what is sealed is sealed under; without one, all workers share one that the database
    keeps. ``commit_seconds`` is told of each commit, in the writer's thread; ``capacity``: how many writes may wait;
    ``patience``: for how many seconds each. StoreError when the database cannot be used: it cannot be reached or
    written, has a later schema, or was sealed under another secret.
    """
    first = database(url)
    try:
        seal = opened(first, secret)
    except BaseException:
        first.close()
        raise
    unused = [first]
    access = Access(
        lambda: unused.pop() if unused else database(url),
        lambda opened_database: GroupWriter(opened_database, capacity, commit_seconds),
    )
    return Store(access, seal, clock, patience)


class Store:
    """One open database. Made by ``open_store``; every process that is forked off may go on using it."""

    def __init__(self, access: Access, seal: Seal, clock: Callable[[], datetime], patience: float) -> None:
        self._access = access
        self._seal = seal
        self._clock = clock
        self._patience = patience
        self._uses = count(1)

    @property
    def secret(self) -> bytes:
        """32 bytes that all workers share and nobody else knows."""
        return self._seal.secret

    def patient_key(self, client: str | None, patient_id: str) -> str:
        """What stands for one client's patient, telling nothing of them."""
        return self._seal.patient_key(client, patient_id)

    async def close(self) -> None:
        """Write what waits to be written, and let go of the database; the store then refuses everything."""
        await self._access.close()

    async def check(self) -> None:
        """Write durably what adds nothing, within a second, to learn whether anything could be written."""
        await self._access.written(checks.count_up, _CHECK_SECONDS)

    async def append(
        self,
        entry: DecisionEntry,
        cards: Sequence[IssuedCard],
        forms: Sequence[Document],
        use: TokenUse | None = None,
    ) -> bool:
        """As ``appending``, begun when it is awaited."""
        return await self.appending(entry, cards, forms, use)

    def appending(
        self,
        entry: DecisionEntry,
        cards: Sequence[IssuedCard],
        forms: Sequence[Document],
        use: TokenUse | None = None,
    ) -> Awaitable[bool]:
        """Write down a decision, whose ``id`` is new, the cards that tell it and the documents that they open.

        With the ``use`` of a token all or nothing of it: nothing when that token was used before. Whether it was written.
        Begun at once, and to be awaited: meanwhile the caller can let go of what it decided on.
        """
        rows = [
            *([] if use is None else [tokens.addition(use)]),
            *decision_log.additions(entry, cards),
            *(documents.addition(documents.sealed_document(self._seal, form)) for form in forms),
        ]
        writing = self._access.writing(Additions(rows), self._patience)
        return writing if use is None else self._forgetting_others(writing)

    async def decision(self, decision_id: str) -> DecisionEntry | None:
        """The decision of this id, if it was written."""
        return await self._access.read(partial(decision_log.decision, decision_id=decision_id))

    async def decision_of_card(self, card_id: str) -> DecisionEntry | None:
        """The decision that this card told."""
        return await self._access.read(partial(decision_log.decision_of_card, card_id=card_id))

    async def decisions(
        self, since: datetime | None = None, until: datetime | None = None, limit: int | None = None
    ) -> AsyncIterator[DecisionEntry]:
        """At most ``limit`` decisions in order of time: not before ``since``, and before ``until``."""
        left, last = limit, None
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = await self._access.read(
                partial(decision_log.page, since=since, until=until, after=last, size=size)
            )
            for entry in page:
                yield entry
            if len(page) < size:
                return
            last, left = page[-1], None if left is None else left - size

    async def keep(
        self, kind: str, document_id: str, content: bytes, expires: datetime, replacing: int | None = None
    ) -> int:
        """Keep a document until it expires, in the place of any of its kind and id. Its version.

        ``replacing``: the version that it takes the place of, 0 for none. StoreConflictError when another is there.
        """
        document = documents.sealed_document(self._seal, Document(kind, document_id, content, expires))
        if replacing is None:
            return await self._written(partial(documents.put, document=document))
        version = await self._written(partial(documents.replace, document=document, version=replacing))
        if version is None:
            raise StoreConflictError(f"{kind}: found another version; expected version {replacing}")
        return version

    async def kept(self, kind: str, document_id: str, now: datetime) -> Kept | None:
        """The document and its version, unless it has expired by ``now``."""
        found = await self._access.read(partial(documents.kept, kind=kind, document_id=document_id, now=now))
        return found and Kept(self._opened(found.content, kind, document_id), found.version)

    async def take(self, kind: str, document_id: str, now: datetime) -> bytes | None:
        """The document, unless it has expired by ``now``. Of several calls one gets it; then it is there no longer."""
        found = await self._written(partial(documents.taken, kind=kind, document_id=document_id, now=now))
        return None if found is None else self._opened(found, kind, document_id)

    async def forget(self, kind: str, document_id: str) -> None:
        """Keep the document no longer."""
        await self._written(partial(documents.remove, kind=kind, document_id=document_id))

    async def keep_response(self, answered: Answered) -> None:
        """Keep answers, in the place of earlier ones of their id; twice is once.

        StoreConflictError when that id is of another client's or patient's answers.
        """
        row = answers.response_row(self._seal, answered)
        if not await self._written(partial(answers.keep, row=row)):
            raise StoreConflictError("response: found the id in use for another patient; expected a new id")

    async def responses(self, client: str | None, patient_id: str) -> tuple[dict[str, Any], ...]:
        """The QuestionnaireResponses about one client's patient, the one received last first."""
        key = self.patient_key(client, patient_id)
        return answers.resources(
            self._seal, await self._access.looked_up(answers.OF_PATIENT, patient_key=key)
        )

    async def mark_written(self, response_id: str, reference: str) -> bool:
        """Note where the client's FHIR server keeps the answers. Whether there are any of this id."""
        return await self._written(
            partial(answers.mark_written, response_id=response_id, reference=reference)
        )

    async def append_feedback(
        self, client: str | None, items: Sequence[FeedbackItem]
    ) -> tuple[FeedbackItem, ...]:
        """Write down the feedback on ``client``'s cards, and pass over what is on others. What of it was new.

        No word of this to the client: who asks about another's card learns nothing.
        """
        return await self._written(partial(feedback.append, seal=self._seal, client=client, items=items))

    async def feedback(self, decision_id: str) -> tuple[FeedbackItem, ...]:
        """The feedback on a decision's cards, in order of time."""
        return await self._access.read(
            partial(feedback.on_decision, seal=self._seal, decision_id=decision_id)
        )

    async def first_use(self, issuer: str, jti: str, until: float) -> bool:
        """Whether this token is used for the first time, over all workers and restarts (``trust.replay``)."""
        return await self._forgetting_others(
            self._written(Additions([tokens.addition(TokenUse(issuer, jti, until))]))
        )

    async def purge(self, before: datetime, now: datetime) -> Mapping[str, int]:
        """Remove what was decided or answered before then, and what has expired by ``now``. Rows removed, by table."""
        removed: Counter[str] = Counter()
        for purge in (
            partial(retention.purge_decisions, before=before),
            partial(retention.purge_responses, before=before),
            partial(retention.purge_sealed, now=now),
            partial(retention.purge_tokens, now=now),
        ):
            while any((batch := await self._written(purge)).values()):
                removed.update(batch)
        return +removed

    async def _forgetting_others(self, use_of_token: Awaitable[T]) -> T:
        """What comes of a use of a token, after which those that have expired are forgotten, now and then."""
        answer = await use_of_token
        if next(self._uses) % _USES_PER_PURGE == 0:
            with suppress(StoreError):  # the next one tries again, and what was to be written is
                await self._written(partial(retention.purge_tokens, now=self._clock()))
        return answer

    async def _written(self, change: Change[T]) -> T:
        return await self._access.written(change, self._patience)

    def _opened(self, content: bytes, kind: str, document_id: str) -> bytes:
        return self._seal.opened(content, "sealed", kind, document_id)
