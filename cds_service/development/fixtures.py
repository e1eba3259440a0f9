"""The invented patients and the stories told of them, read from a folder of fixtures.

``patients/<id>.json`` is one record: a Bundle (collection) that begins with its Patient. ``hooks/<story>.json`` is a
whole CDS Hooks request. Of a story the drafts and the completed forms are taken; the rest of its prefetch must be what
the patient's record says anyway, else the story needs another record and is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.errors import FileError
from cds_service.record.resources import Resource, members, text

_FORM = "QuestionnaireResponse"


@dataclass(frozen=True)
class Story:
    """What somebody orders for a patient. ``drafts`` are ServiceRequests, of which ``selected`` (ids) are in question.

    ``sends_record``: whether the request comes with a prefetch.
    """

    id: str
    title: str
    hook: str
    patient_id: str
    requester: str
    drafts: tuple[Resource, ...]
    selected: tuple[str, ...]
    sends_record: bool


@dataclass(frozen=True)
class Fixtures:
    """Every patient's record with the forms that the stories have completed, and the stories."""

    patients: tuple[Resource, ...]
    resources: tuple[Resource, ...]
    stories: tuple[Story, ...]


def read_fixtures(folder: Path) -> Fixtures | None:
    """The fixtures in a folder; None when there is no such folder. FileError for a file that is none of ours."""
    if not folder.is_dir():
        return None
    records = [_record(file) for file in sorted((folder / "patients").glob("*.json"))]
    requests = {file: _request(file) for file in sorted((folder / "hooks").glob("*.json"))}
    ordered = Counter(pair for request in requests.values() for pair in _ordered(request))
    told = [_story(file, request, records, ordered) for file, request in requests.items()]
    stories, forms = zip(*(each for each in told if each), strict=True) if any(told) else ((), ())
    resources = [resource for record in records for resource in record]
    return Fixtures(
        patients=tuple(record[0] for record in records),
        resources=(*resources, *(form for each in forms for form in each)),
        stories=tuple(stories),
    )


def _record(file: Path) -> list[Resource]:
    """The resources of one record, its Patient first."""
    resources = [entry["resource"] for entry in members(_json(file), "entry") if "resource" in entry]
    if not resources or resources[0].get("resourceType") != "Patient" or not all(map(_is_named, resources)):
        raise FileError(
            str(file), "entry", "something else", "a Patient and its record, each with type and id"
        )
    return resources


def _title(file: Path) -> str:
    """The name of a file as a sentence; ``spelling.json`` says which words are written otherwise there."""
    spelling = file.parents[1] / "spelling.json"
    spelt = _json(spelling) if spelling.exists() else {}
    words = " ".join(spelt.get(word, word) for word in file.stem.split("-"))
    return words[:1].upper() + words[1:]


def _request(file: Path) -> dict[str, Any]:
    request = _json(file)
    if text(request, "hook") is None or text(request, "context", "patientId") is None:
        raise FileError(
            str(file), "context", "something else", "a CDS Hooks request on a patient's draft orders"
        )
    return request


def _ordered(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The patient and the id of each draft order."""
    for draft in _drafts(request):
        yield request["context"]["patientId"], draft["id"]


def _drafts(request: Mapping[str, Any]) -> list[Resource]:
    return [entry["resource"] for entry in members(request["context"].get("draftOrders"), "entry")]


def _story(
    file: Path,
    request: Mapping[str, Any],
    records: Iterable[list[Resource]],
    ordered: Counter[tuple[str, str]],
) -> tuple[Story, list[Resource]] | None:
    """A story and its completed forms; None when it is told of another record than the patient's."""
    context, drafts = request["context"], _drafts(request)
    record = next((each for each in records if each[0]["id"] == context["patientId"]), [])
    shown = list(_shown(request.get("prefetch", {})))
    if not record or any(each not in record for each in shown if each["resourceType"] != _FORM):
        return None
    # Where two stories of a patient call their orders the same, the form of one would answer for the other.
    names = {
        draft["id"]: draft["id"] if ordered[pair] == 1 else f"{file.stem}-{place}"
        for place, (draft, pair) in enumerate(zip(drafts, _ordered(request), strict=True), start=1)
    }
    selected = [reference.rpartition("/")[2] for reference in context.get("selections", [])] or list(names)
    story = Story(
        id=file.stem,
        title=_title(file),
        hook=request["hook"],
        patient_id=context["patientId"],
        requester=context["userId"],
        drafts=tuple({**draft, "id": names[draft["id"]]} for draft in drafts),
        selected=tuple(names[each] for each in selected),
        sends_record="prefetch" in request,
    )
    return story, [_own(form, file.stem, names) for form in shown if form["resourceType"] == _FORM]


def _own(form: Resource, story: str, names: Mapping[str, str]) -> Resource:
    """A completed form under the story's name: several stories may be told of one patient, each with its own form."""
    ordered = [text(each, "reference") or "" for each in members(form, "basedOn")]
    based_on = [{"reference": f"ServiceRequest/{names[each.rpartition('/')[2]]}"} for each in ordered]
    return {**form, "id": f"{story}-form", "basedOn": based_on}


def _shown(prefetch: Mapping[str, Any]) -> Iterator[Resource]:
    for answer in prefetch.values():
        if text(answer, "resourceType") == "Bundle":
            yield from (entry["resource"] for entry in members(answer, "entry"))
        elif isinstance(answer, dict):
            yield answer


def _is_named(resource: object) -> bool:
    return text(resource, "resourceType") is not None and text(resource, "id") is not None


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise FileError(str(file), "$", "no JSON object", "a JSON object")
    return content
