"""Hook requests that were good once: of the fixtures, changed in a few places, by somebody careless or hostile."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.running_service import ROOT

_LARGE = "derby-100-resources"
FIXTURES: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text())
    for file in sorted((ROOT / "fhir_fixtures" / "hooks").glob("*.json"))
    if file.stem != _LARGE
}
# What reads a server, or tells more about the reader than about the reading.
_LEFT_OUT = ("fhirServer", "fhirAuthorization")

HOSTILE_TEXTS = (
    "",
    " ",
    "\x7f",
    "\u202e",
    "\ufeff",
    "\U0001f600" * 40,
    "x" * 5_000,
    "<script>alert(1)</script>",
    "[a](javascript:alert(1))",
    "{{context.patientId}}",
    "${jndi:ldap://x.example}",
    "' OR 1=1 --",
    "../../etc/passwd",
    "http://[::1",
    "Patient/",
    "/",
    "Patient/p1/_history/",
    "%00",
    "0000-00-00",
    "9999-12-31T23:59:60Z",
    "2024-02-30",
    "2024-02-29T24:00:00+14:00",
    "1e999",
    "NaN",
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**63 - 1,
    1e308,
    -0.0,
    1.5,
    {},
    [],
    [[]],
    [None],
    {"": None},
    {"resourceType": None},
    {"resourceType": "Bundle", "entry": [None, {}, {"resource": None}, {"resource": []}]},
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
    {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"item": [{}]}]},
    {"coding": [{"system": "http://snomed.info/sct", "code": "254837009"}]},
    {"value": 10**15, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    {"reference": "Patient/somebody-else"},
    {"start": "9999-12-31", "end": "0001-01-01"},
    *HOSTILE_TEXTS,
)


@st.composite
def changed_requests(draw: st.DrawFn) -> dict[str, Any]:
    """A fixture's request with up to eight changes, some of them nearly always to what is read."""
    request = deepcopy(FIXTURES[draw(st.sampled_from(sorted(FIXTURES)))])
    for name in _LEFT_OUT:
        request.pop(name, None)
    random = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(0, 8))):
        _change(request, random)
    return request


def _change(request: dict[str, Any], random: Random) -> None:
    """One change, at a place that is found by going down at random; the request itself is changed."""
    holder, key = _place(request, random)
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other = _place(FIXTURES[random.choice(sorted(FIXTURES))], random)
        holder[key] = deepcopy(other[0][other[1]])
    elif kind == 2 and isinstance(holder, list):
        holder.insert(key, deepcopy(holder[key]))
    elif kind == 3:
        holder[key] = [holder[key]]
    elif kind == 4 and isinstance(holder, dict):
        holder[random.choice(("id", "status", "code", "item", "x", "extension"))] = deepcopy(
            random.choice(JUNK)
        )
    else:
        holder[key] = deepcopy(random.choice(JUNK))
    request.setdefault("hook", "order-sign")


def _place(value: Any, random: Random) -> tuple[Any, Any]:
    """A container, and a key in it; seldom near the top, where any change ends in a refusal."""
    holder: Any = {"request": value}
    key: Any = "request"
    depth = 0
    while True:
        inner = holder[key]
        stops = depth > 0 and random.random() < (0.02 if depth < 4 else 0.15)
        if stops or not isinstance(inner, dict | list) or not inner:
            return (holder, key) if depth else ({"request": value, "x": 1}, "x")
        holder, depth = inner, depth + 1
        key = random.choice(list(inner)) if isinstance(inner, dict) else random.randrange(len(inner))


@st.composite
def requests_shown_and_not(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A changed request, and the same with some of the record in it unreadable or left out."""
    request = draw(changed_requests())
    prefetch = request.get("prefetch")
    of_record = sorted(prefetch.keys() - NOT_OF_THE_RECORD) if isinstance(prefetch, dict) else []
    unread = deepcopy(request)
    for key in draw(st.lists(st.sampled_from(of_record), min_size=1, unique=True)) if of_record else ():
        unread["prefetch"][key] = draw(st.sampled_from(UNREAD))
        if draw(st.integers(0, 3)) == 0:
            del unread["prefetch"][key]
    return request, unread


# Answers override the record, and the other two say who pays: without them it may be settled otherwise.
NOT_OF_THE_RECORD = frozenset({"patient", "coverages", "questionnaireResponses"})

# Each way in which an answer can be there and not be read.
UNREAD: tuple[dict[str, Any] | str, ...] = (
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]},
    {"resourceType": "Bundle", "link": [{"relation": "next", "url": "x"}], "entry": []},
    {"resourceType": "Bundle", "total": 7, "entry": []},
    {"resourceType": "Bundle", "entry": {"0": {}}},
    {"resourceType": "Bundle", "entry": [{}] * 10_001},
    {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "fatal"}]}}],
    },
    {"resourceType": "Binary"},
    "not a resource",
)
