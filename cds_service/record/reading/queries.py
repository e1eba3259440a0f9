"""A query of the record as one server is asked it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cds_service.errors import QueryNotReadError

_PATIENT_TOKEN = "{{%patient.id}}"  # noqa: S105 - a token of a template
_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_COUNT = re.compile(r"[?&]_count=")


@dataclass(frozen=True)
class Query:
    """A prefetch ``key``, the type of resource it asks for, and where: ``url``."""

    key: str
    resource_type: str
    is_search: bool
    url: str

    def unread(self, why: str) -> QueryNotReadError:
        """The error that says why this query was not read; ``why`` holds no data, URL or token."""
        return QueryNotReadError(self.key, why)


def is_fhir_id(text: str) -> bool:
    """Whether this is an id that stays one segment of a path."""
    return _FHIR_ID.fullmatch(text) is not None and bool(text.strip("."))


def query(key: str, template: str, base_url: str, patient_id: str, count: int) -> Query:
    """The query of a template such as ``Condition?patient={{%patient.id}}``; pages of ``count`` unless it says how many.

    ``patient_id`` is a FHIR id. QueryNotReadError when the template needs more than that.
    """
    path = template.replace(_PATIENT_TOKEN, patient_id)
    if "{{" in path:
        raise QueryNotReadError(key, "the query needs more than the patient's id")
    is_search = "?" in path
    if is_search and not _COUNT.search(path):
        path += f"&_count={count}"
    resource_type = path.replace("/", "?").partition("?")[0]
    return Query(key, resource_type, is_search, f"{base_url}/{path}")
