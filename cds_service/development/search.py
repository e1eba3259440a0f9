"""FHIR search over a list of resources: the parameters that prefetch templates and form apps use, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from cds_service.errors import RequestError
from cds_service.record.resources import Resource, codings, identifiers, logical_id, members, text

_MOST_ENTRIES = 200
_PAGING = ("_count", "_offset")
# They change how an answer is written, not what it says; there is one way here.
_PASSED_OVER = frozenset({"_format", "_sort", "_total", "_pretty"})
_Test = Callable[[Resource, str], bool]


def bundle_of(
    found: Iterable[Resource], base: str, resource_type: str, parameters: Mapping[str, str]
) -> Resource:
    """The searchset of the resources that match, a page of it. RequestError for a parameter that is not understood."""
    tests = [(_test(resource_type, name), value) for name, value in parameters.items() if _selects(name)]
    matches = [each for each in found if all(test(each, value) for test, value in tests)]
    count = min(_whole_number(parameters, "_count", _MOST_ENTRIES), _MOST_ENTRIES)
    offset = _whole_number(parameters, "_offset", 0)
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(matches),
        "link": list(_links(f"{base}/{resource_type}", parameters, count, offset, len(matches))),
        "entry": [_entry(base, each) for each in matches[offset : offset + count]],
    }


def is_of_patient(resource: Resource, patient_id: str) -> bool:
    """Whether the resource is the patient, or names the patient as its subject."""
    if resource.get("resourceType") == "Patient":
        return resource.get("id") == patient_id
    return _refers(resource, ("subject", "patient", "beneficiary"), patient_id)


def _selects(name: str) -> bool:
    return name not in _PAGING and name not in _PASSED_OVER


def _test(resource_type: str, name: str) -> _Test:
    test = _TESTS.get(name)
    if test is None:
        understood = ", ".join(sorted((*_TESTS, *_PAGING)))
        raise RequestError(f"{resource_type}?{name[:60]}", "a search parameter not served", understood)
    return test


def _refers(resource: Resource, elements: Iterable[str], wanted: str) -> bool:
    return any(
        logical_id(reference) == logical_id(wanted)
        for element in elements
        if (reference := text(resource, element, "reference"))
    )


def _is_based_on(resource: Resource, wanted: str) -> bool:
    references = (text(each, "reference") for each in members(resource, "basedOn"))
    return any(reference and logical_id(reference) == logical_id(wanted) for reference in references)


def _has_token(pairs: Iterable[tuple[str, str]], wanted: str) -> bool:
    """Whether one of the (system, code) pairs is among the tokens ``code``, ``system|code``, ``system|``."""
    return any(_is_token(pair, token) for pair in list(pairs) for token in wanted.split(","))


def _is_token(pair: tuple[str, str], token: str) -> bool:
    system, bar, code = token.rpartition("|")
    return (not bar or pair[0] == system) and (not code or pair[1] == code)


def _all_codings(resource: Resource, element: str) -> Iterator[tuple[str, str]]:
    value = resource.get(element)
    for concept in value if isinstance(value, list) else [value]:
        yield from codings(concept)


def _identifiers(resource: Resource) -> Iterator[tuple[str, str]]:
    """A QuestionnaireResponse has one identifier, most other resources a list."""
    one = resource.get("identifier")
    yield from identifiers({"identifier": [one]} if isinstance(one, dict) else resource)


def _is_of_questionnaire(resource: Resource, wanted: str) -> bool:
    canonical = text(resource, "questionnaire") or ""
    return wanted in {canonical, canonical.partition("|")[0]}


def _is_called(resource: Resource, wanted: str) -> bool:
    names = [
        part
        for name in members(resource, "name")
        for part in (*name.get("given", []), name.get("family", ""))
    ]
    return any(str(part).lower().startswith(wanted.lower()) for part in names)


_TESTS: Mapping[str, _Test] = {
    "_id": lambda resource, wanted: resource.get("id") in wanted.split(","),
    "patient": lambda resource, wanted: is_of_patient(resource, logical_id(wanted)),
    "subject": lambda resource, wanted: is_of_patient(resource, logical_id(wanted)),
    "beneficiary": lambda resource, wanted: _refers(resource, ("beneficiary",), wanted),
    "based-on": _is_based_on,
    "questionnaire": _is_of_questionnaire,
    "identifier": lambda resource, wanted: _has_token(_identifiers(resource), wanted),
    "status": lambda resource, wanted: resource.get("status") in wanted.split(","),
    "code": lambda resource, wanted: _has_token(_all_codings(resource, "code"), wanted),
    "category": lambda resource, wanted: _has_token(_all_codings(resource, "category"), wanted),
    "clinical-status": lambda resource, wanted: _has_token(_all_codings(resource, "clinicalStatus"), wanted),
    "verification-status": lambda resource, wanted: _has_token(
        _all_codings(resource, "verificationStatus"), wanted
    ),
    "name": _is_called,
}
PARAMETERS = tuple(_TESTS)


def _whole_number(parameters: Mapping[str, str], name: str, otherwise: int) -> int:
    value = parameters.get(name)
    if value is None:
        return otherwise
    if not value.isascii() or not value.isdigit() or len(value) > 6:
        raise RequestError(name, repr(value[:20]), "a whole number")
    return int(value)


def _links(
    url: str, parameters: Mapping[str, str], count: int, offset: int, total: int
) -> Iterator[dict[str, Any]]:
    yield {"relation": "self", "url": f"{url}?{urlencode(parameters)}"}
    if offset + count < total and count:
        yield {"relation": "next", "url": f"{url}?{urlencode({**parameters, '_offset': offset + count})}"}


def _entry(base: str, resource: Resource) -> dict[str, Any]:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}
