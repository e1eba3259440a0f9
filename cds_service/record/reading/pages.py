"""The pages of a search, put together to one answer or found wanting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from cds_service.record.patient_record import QueryAnswer, query_answer
from cds_service.record.reading.exchange import Reply
from cds_service.record.reading.queries import Query
from cds_service.record.resources import Resource, members, text

_JSON_TYPES = frozenset({"application/fhir+json", "application/json", "application/json+fhir"})
_FAILED = frozenset({"error", "fatal"})


def resource_of(reply: Reply, query: Query) -> Resource:
    """The Bundle, or for a read the resource, in an answer with status 200. QueryNotReadError when it is none."""
    if reply.fault is not None:
        raise query.unread(reply.fault)
    if not reply.body:
        raise query.unread("the server's answer was empty")
    if reply.content_type not in _JSON_TYPES:
        raise query.unread("the server's answer was no FHIR JSON")
    found = _parsed(reply.body, query)
    kind = found.get("resourceType") if isinstance(found, Mapping) else None
    if kind == "OperationOutcome":
        raise query.unread("the server answered with an error")
    expected = "Bundle" if query.is_search else query.resource_type
    if not isinstance(found, Mapping) or kind != expected:
        raise query.unread(f"the server's answer was no {expected}")
    return found


def _parsed(body: bytes, query: Query) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise query.unread("the server's answer was no whole JSON") from None


def next_link(bundle: Resource) -> str | None:
    """The URL of the following page; empty when there is one that nobody can find."""
    following = [link for link in members(bundle, "link") if link.get("relation") == "next"]
    return (text(following[0], "url") or "") if following else None


class Pages:
    """The entries of a search's pages so far. Never more than ``most`` of them."""

    def __init__(self, query: Query, most: int) -> None:
        self._query = query
        self._most = most
        self._entries: list[object] = []
        self._passed_over: list[str] = []
        self._total = 0
        self._by_reference: dict[tuple[str, str], Resource] = {}

    def add(self, bundle: Resource) -> None:
        """Take in another page. QueryNotReadError when it shows that the search cannot be relied on."""
        entries = bundle.get("entry", [])
        if not isinstance(entries, list):
            raise self._query.unread("the Bundle's entry is no list")
        if len(self._entries) + len(self._passed_over) + len(entries) > self._most:
            raise self._query.unread(f"cut off after {self._most} resources")
        total = bundle.get("total")
        self._total = max(self._total, total if isinstance(total, int) else 0)
        self._entries += self._matches(entries)

    def answer(self, patient_id: str) -> QueryAnswer:
        """What all pages together say of this patient."""
        bundle = {"resourceType": "Bundle", "total": self._total, "entry": self._entries}
        answer = query_answer(bundle, self._query.resource_type, patient_id)
        return QueryAnswer(answer.resources, answer.not_read, (*answer.refused, *self._passed_over))

    def _matches(self, entries: list[Any]) -> Iterator[object]:
        for entry in entries:
            mode = text(entry, "search", "mode")
            resource = entry.get("resource") if isinstance(entry, Mapping) else None
            self._refuse_failure(resource)
            if mode in {"include", "outcome"}:
                self._passed_over.append("an entry that is no match")
            elif not self._seen(resource):
                yield entry

    def _refuse_failure(self, resource: object) -> None:
        """An error among the entries means that others may be missing."""
        if text(resource, "resourceType") == "OperationOutcome" and any(
            text(issue, "severity") in _FAILED for issue in members(resource, "issue")
        ):
            raise self._query.unread("the server could read it only in part")

    def _seen(self, resource: object) -> bool:
        """Whether the same resource came before, as it does when a page repeats. A changed one makes both doubtful."""
        kind, logical_id = text(resource, "resourceType"), text(resource, "id")
        if kind is None or logical_id is None or not isinstance(resource, Mapping):
            return False
        earlier = self._by_reference.setdefault((kind, logical_id), resource)
        if earlier is not resource and not _same(earlier, resource):
            raise self._query.unread("the server sent a resource twice, and differently")
        return earlier is not resource


def _same(one: Resource, other: Resource) -> bool:
    try:
        return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
            other, option=orjson.OPT_SORT_KEYS
        )
    except orjson.JSONEncodeError:  # nested too deeply to be compared
        return False
