"""The directory of commissioners: ``organizations.json`` of each plans folder, and the ODS's file of GP practices."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from cds_service.errors import PlanError
from cds_service.policies.loading.documents import Document, Problems, read_json, shape_problems
from cds_service.record.commissioners import Directory
from cds_service.record.resources import Resource, identifiers, members, text

ORGANIZATIONS = "organizations.json"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
# epraccur.csv, as the NHS Organisation Data Service publishes it: 27 columns, no header.
_CODE, _NAME, _CLOSED, _COMMISSIONER, _COLUMNS = 0, 1, 11, 14, 27


def read_directory(folders: Iterable[Path], practices: Path | None, problems: Problems) -> Directory:
    """The organisations of all folders and, of a practices file, each open practice with its commissioner."""
    folders = tuple(folders)
    organizations = [each for folder in folders for each in _organizations(folder / ORGANIZATIONS, problems)]
    if not organizations and not problems.found:
        where = ", ".join(map(str, folders))
        problems.add(PlanError(where, "$", f"no {ORGANIZATIONS}", "a Bundle of Organizations"))
    directory = Directory.of(organizations)
    if practices is not None:
        with problems.noted():
            return Directory.of([*organizations, *_practices(practices, directory)])
    return directory


def _organizations(file: Path, problems: Problems) -> list[Resource]:
    if not file.exists():
        return []
    with problems.noted():
        document = Document(file, read_json(file))
        found = list(shape_problems(document))
        for problem in found:
            problems.add(problem)
        if not found:
            return [_organization(document, place, each) for place, each in _entries(document)]
    return []


def _entries(document: Document) -> Iterator[tuple[int, Resource]]:
    for place, entry in enumerate(members(document.resource, "entry")):
        yield place, entry.get("resource", {})


def _organization(document: Document, place: int, resource: Resource) -> Resource:
    if (
        resource.get("resourceType") != "Organization"
        or not text(resource, "id")
        or not list(identifiers(resource))
    ):
        raise document.problem(
            f"entry[{place}].resource", resource.get("id"), "an Organization with id and identifier"
        )
    return resource


def _practices(file: Path, directory: Directory) -> list[Resource]:
    """The practices as Organizations, part of their commissioner; one that we do not know becomes known by its code."""
    rows = [
        row for row in _rows(file) if not row[_CLOSED] and (ODS, row[_CODE]) not in directory.by_identifier
    ]
    strangers = {
        row[_COMMISSIONER]
        for row in rows
        if row[_COMMISSIONER] and (ODS, row[_COMMISSIONER]) not in directory.by_identifier
    }
    return [
        *(_of_ods(code, code, None) for code in sorted(strangers)),
        *(_of_ods(row[_CODE], row[_NAME], _parent(row[_COMMISSIONER], directory)) for row in rows),
    ]


def _rows(file: Path) -> Iterator[list[str]]:
    try:
        with file.open(newline="", encoding="utf-8", errors="replace") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                if len(row) != _COLUMNS:
                    found = f"{len(row)} columns in line {number}"
                    raise PlanError(
                        str(file), f"line {number}", found, f"the {_COLUMNS} columns of epraccur.csv"
                    )
                yield row
    except OSError as error:
        raise PlanError(
            str(file), "$", error.strerror or "an unreadable file", "a readable CSV file"
        ) from None


def _parent(code: str, directory: Directory) -> str | None:
    return directory.by_identifier.get((ODS, code), f"ods-{code}") if code else None


def _of_ods(code: str, name: str, parent: str | None) -> Resource:
    part_of = {} if parent is None else {"partOf": {"reference": f"Organization/{parent}"}}
    return {
        "resourceType": "Organization",
        "id": f"ods-{code}",
        "identifier": [{"system": ODS, "value": code}],
        "name": name,
        **part_of,
    }
