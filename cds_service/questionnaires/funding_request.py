"""A completed funding request as a FHIR document: what is asked for, what the policy said, and on what evidence.

Source: https://hl7.org/fhir/R4/documents.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape

from cds_service.errors import FundingRequestError
from cds_service.policies.findings import Evidence
from cds_service.policies.policy import canonical
from cds_service.questionnaires.funding_request_guidance import policy_name
from cds_service.questionnaires.funding_request_references import URIS, Places
from cds_service.questionnaires.funding_request_sections import Line, Section, sections
from cds_service.record.dates import date_in_words
from cds_service.record.orders import Order
from cds_service.record.resources import Resource, members, text

_XHTML = "http://www.w3.org/1999/xhtml"
_SENT = frozenset({"completed", "amended"})
# What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The parts that a document consists of, by the title of the section that they have of their own.
_ORDER, _POLICY, _EVIDENCE = "The order", "What the policy check said", "Evidence in the record"
_FORM = "The form"


@dataclass(frozen=True)
class FundingRequest:
    """A completed form, and what it rests on.

    ``determination`` is the GuidanceResponse that led to it. ``evidence`` stays where it is and is referred to; what is
    ``given`` (the Patient, the applicant's Practitioner, evidence as copies) goes into the document. ``server``: the base
    URL that relative references are to, None when the record came without one.
    """

    questionnaire: Resource
    response: Resource
    order: Order
    determination: Resource | None
    evidence: tuple[Evidence, ...]
    given: tuple[Resource, ...]
    server: str | None

    @property
    def cited(self) -> tuple[tuple[str, str | None], ...]:
        """The evidence that can be referred to: reference and date."""
        return tuple((each.reference, each.date) for each in self.evidence if each.reference is not None)


def printed_sections(request: FundingRequest) -> tuple[Section, ...]:
    """The whole request as a person reads it: the order, what the policy said, the form, the evidence."""
    return tuple(section for section, _ in _told(request))


def funding_document(request: FundingRequest, now: datetime, fresh_id: Callable[[], str]) -> Resource:
    """The request as a Bundle of type document. FundingRequestError when the form is not completed, or another's.

    ``now`` is aware. Every reference in it is to an entry, or names what lies outside: absolute where the server is
    known, else as an identifier.
    """
    _refuse_unsent(request)
    parts = {part: (f"urn:uuid:{fresh_id()}", resource) for part, resource in _parts(request, now)}
    given = [(f"urn:uuid:{fresh_id()}", resource) for resource in request.given]
    composition = _composition(request, now, {part: url for part, (url, _) in parts.items()})
    entries = [(f"urn:uuid:{fresh_id()}", composition), *parts.values(), *given]
    places = Places.of(entries, request.server)
    return {
        "resourceType": "Bundle",
        "identifier": {"system": URIS, "value": f"urn:uuid:{fresh_id()}"},
        "type": "document",
        "timestamp": now.isoformat(),
        "entry": [{"fullUrl": url, "resource": places.relocated(resource)} for url, resource in entries],
    }


def _told(request: FundingRequest) -> Iterator[tuple[Section, str]]:
    """The sections that say something, each with the part that it tells of."""
    answered = sections(request.questionnaire, request.response)
    told = [(_order_section(request.order), _ORDER), *((each, _FORM) for each in answered)]
    if request.determination is not None:
        told.insert(1, (_policy_section(request.determination), _POLICY))
    told.append((_evidence_section(request), _EVIDENCE))
    return ((section, part) for section, part in told if section.lines)


def _parts(request: FundingRequest, now: datetime) -> Iterator[tuple[str, Resource]]:
    yield _FORM, request.response
    yield _ORDER, request.order.resource
    if request.determination is not None:
        yield _POLICY, request.determination
    if request.cited:
        yield _EVIDENCE, _evidence_list(request, now)


def _refuse_unsent(request: FundingRequest) -> None:
    status = text(request.response, "status")
    if status not in _SENT:
        raise FundingRequestError("QuestionnaireResponse.status", str(status), " or ".join(sorted(_SENT)))
    answered = text(request.response, "questionnaire") or ""
    url, version = canonical(answered)
    if url != request.questionnaire["url"] or version not in {None, request.questionnaire["version"]}:
        expected = f"{request.questionnaire['url']}|{request.questionnaire['version']}"
        raise FundingRequestError("QuestionnaireResponse.questionnaire", answered, expected)


def _composition(request: FundingRequest, now: datetime, urls: Mapping[str, str]) -> Resource:
    title = text(request.questionnaire, "title") or "Funding request"
    return {
        "resourceType": "Composition",
        "status": "amended" if request.response["status"] == "amended" else "final",
        "type": {"text": title},
        "subject": _subject(request),
        "date": now.isoformat(),
        "author": [_author(request.response)],
        "title": title,
        "section": [
            {
                "title": section.title,
                "text": {"status": "generated", "div": _narrative(section)},
                "entry": [{"reference": urls[part]}],
            }
            for section, part in _told(request)
        ],
    }


def _subject(request: FundingRequest) -> Resource:
    return dict(request.response.get("subject") or request.order.resource["subject"])


def _author(response: Resource) -> Resource:
    """Who filled the form in; the one whom the form itself names when the response does not say."""
    return dict(response.get("author") or response.get("source") or {"display": "The applicant named in it"})


def _evidence_list(request: FundingRequest, now: datetime) -> Resource:
    """The evidence as a List: a section refers to entries only, and a List may refer outside."""
    return {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "title": _EVIDENCE,
        "subject": _subject(request),
        "date": now.isoformat(),
        "entry": [{"item": {"reference": reference}} for reference, _ in request.cited],
    }


def _order_section(order: Order) -> Section:
    codes = tuple(f"{code} ({system})" for system, code in order.codes)
    ordered = () if order.authored is None else (date_in_words(order.authored.isoformat()),)
    lines = (Line("Procedure", (order.name,), 0), Line("Codes", codes, 0), Line("Ordered on", ordered, 0))
    return Section(_ORDER, tuple(line for line in lines if line.answers))


def _policy_section(determination: Resource) -> Section:
    """The policy, in whose words it speaks, and the clauses it rests on."""
    contained = [*members(determination, "contained")]
    actions = (action for each in contained for action in members(each, "action"))
    cited = (
        each for one in contained for each in members(one, "parameter") if each.get("name") == "citation"
    )
    labels = (text(part, "valueString") for each in cited for part in members(each, "part"))
    lines = (
        Line("Policy", _said(policy_name(determination)), 0),
        Line("It says", _said(*(text(action, "title") for action in actions)), 0),
        Line("Clauses", _said(*labels), 0),
    )
    return Section(_POLICY, tuple(line for line in lines if line.answers))


def _said(*words: str | None) -> tuple[str, ...]:
    return tuple(each for each in words if each)


def _evidence_section(request: FundingRequest) -> Section:
    dated = ((reference, date_in_words(day) if day else "No date") for reference, day in request.cited)
    return Section(_EVIDENCE, tuple(Line(reference, (day,), 0) for reference, day in dated))


def _narrative(section: Section) -> str:
    """The section as XHTML: a table of questions and answers, everything that was typed escaped."""
    rows = "".join(
        f"<tr><th>{_escaped(line.label)}</th><td>{'<br/>'.join(map(_escaped, line.answers))}</td></tr>"
        for line in section.lines
    )
    return f'<div xmlns="{_XHTML}"><table><tbody>{rows}</tbody></table></div>'


def _escaped(words: str) -> str:
    """Text as XHTML; characters that XML cannot hold are left out."""
    return "<br/>".join(escape(_NOT_XML.sub("", line)) for line in words.splitlines())
