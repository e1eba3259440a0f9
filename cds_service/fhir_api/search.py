"""A search as it was asked, and the searchset that answers it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cds_service.errors import RequestError
from cds_service.fhir_api.artefacts import Artefact
from cds_service.fhir_api.search_parameters import Filter, search_filter
from cds_service.fhir_api.subsets import SUMMARIES, subset
from cds_service.record.resources import Resource

USUAL_COUNT, MOST_COUNT = 20, 100
# What the shell looks at; it shapes the answer's bytes and not what is found.
_OF_THE_SHELL = frozenset({"_format", "_pretty"})


@dataclass(frozen=True)
class View:
    """How much of each resource is shown: the values of ``_summary`` and ``_elements``."""

    summary: str = "false"
    elements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """What is looked for, how much of it is shown, and from where on.

    ``used`` are the parameters that were heeded, as name and value; ``ignored`` the names of the others.
    """

    filters: tuple[Filter, ...]
    view: View
    count: int
    offset: int
    used: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


def view_of(pairs: Iterable[tuple[str, str]]) -> View:
    """The ``_summary`` and ``_elements`` of a query. RequestError for a summary that is none."""
    named = dict(pairs)
    summary = named.get("_summary") or "false"
    if summary not in SUMMARIES:
        raise RequestError("http._summary", repr(summary[:20]), f"one of {', '.join(SUMMARIES)}")
    return View(summary, tuple(name for name in named.get("_elements", "").split(",") if name))


def search_of(pairs: Sequence[tuple[str, str]], *, strict: bool) -> Search:
    """The search that a query asks for. RequestError for what cannot be read; ``strict``: for what is not known too."""
    view = view_of(pairs)
    filters: list[Filter] = []
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in pairs:
        if name in _OF_THE_SHELL or name in {"_count", "_page"}:
            continue
        found = search_filter(name, value) if value else None
        if found is not None:
            filters.append(found)
        elif name not in {"_summary", "_elements"} or not value:
            ignored.append(name)
            continue
        used.append((name, value))
    if strict and ignored:
        raise RequestError(f"http.{ignored[0][:40]}", "a parameter that is not known", "handling=lenient")
    named = dict(pairs)
    return Search(tuple(filters), view, _count(named), _offset(named), tuple(used), tuple(ignored))


def _count(named: dict[str, str]) -> int:
    asked = named.get("_count") or str(USUAL_COUNT)
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= 9):
        raise RequestError("http._count", repr(asked[:20]), "a whole number, 0 or more")
    return min(int(asked), MOST_COUNT)


def _offset(named: dict[str, str]) -> int:
    token = named.get("_page")
    if not token:
        return 0
    try:
        written = base64.urlsafe_b64decode(token.encode()).decode("ascii")
        if written.isdecimal() and page_token(int(written[:9])) == token:
            return int(written)
    except (binascii.Error, ValueError):
        pass
    raise RequestError("http._page", "a page that is none of ours", "a next link as it was given")


def page_token(offset: int) -> str:
    """Where a page begins, in a form that says to clients: follow the link, do not make it."""
    return base64.urlsafe_b64encode(f"{offset:06}".encode()).decode()


def searchset(search: Search, held: Iterable[Artefact], base_url: str, resource_type: str) -> Resource:
    """The Bundle of one page. ``base_url`` is that of the FHIR API, without a final slash."""
    found = [each for each in held if all(wanted.holds(each.found_by) for wanted in search.filters)]
    counting = search.view.summary == "count" or search.count == 0
    page = [] if counting else found[search.offset : search.offset + search.count]
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": f"{base_url}/{resource_type}/{each.found_by['id']}",
            "resource": subset(each.resource(), search.view.summary, search.view.elements),
            "search": {"mode": "match"},
        }
        for each in page
    ]
    if search.ignored and not counting:
        entries.append({"resource": _ignored(search.ignored), "search": {"mode": "outcome"}})
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": list(_links(search, f"{base_url}/{resource_type}", len(found), counting=counting)),
    }
    return {**bundle, "entry": entries} if entries else bundle


def _links(search: Search, url: str, total: int, *, counting: bool) -> Iterable[dict[str, str]]:
    """``self`` with what was heeded; ``next`` and ``previous`` where there is more."""
    yield _link("self", url, search, search.offset)
    if counting:
        return
    if search.offset > 0:
        yield _link("previous", url, search, max(search.offset - search.count, 0))
    if search.offset + search.count < total:
        yield _link("next", url, search, search.offset + search.count)


def _link(relation: str, url: str, search: Search, offset: int) -> dict[str, str]:
    pairs = [*search.used, ("_count", str(search.count))]
    if offset:
        pairs.append(("_page", page_token(offset)))
    return {"relation": relation, "url": f"{url}?{urlencode(pairs)}"}


def _ignored(names: Iterable[str]) -> Resource:
    """R4: what is passed over is told, in an entry of the mode ``outcome``."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "warning",
                "code": "not-supported",
                "diagnostics": f"the parameter {name[:40]} was passed over",
                "expression": [f"http.{name[:40]}"],
            }
            for name in names
        ],
    }
