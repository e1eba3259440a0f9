"""The knowledge artefacts that are served: plans, questionnaires, value sets and our operations' definitions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cds_service.errors import ResourceNotFoundError
from cds_service.policies.policy import canonical
from cds_service.record.resources import Resource, text

PREFERRED_TERMINOLOGY_SERVER = (
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-preferredTerminologyServer"
)

# The types that are read and searched; other types have operations alone.
SERVED_TYPES = ("OperationDefinition", "PlanDefinition", "Questionnaire", "ValueSet")


@dataclass(frozen=True)
class Artefacts:
    """Resources by type, in the order in which searches show them: by canonical URL, newest version first."""

    by_type: Mapping[str, tuple[Resource, ...]]

    def of_type(self, resource_type: str) -> tuple[Resource, ...]:
        """All of one type. ResourceNotFoundError for a type that is not served."""
        if resource_type not in self.by_type:
            served = ", ".join(self.by_type)
            raise ResourceNotFoundError(resource_type, "no such resource type", f"one of {served}")
        return self.by_type[resource_type]

    def read(self, resource_type: str, resource_id: str) -> Resource:
        """The resource of this id, in its newest version. ResourceNotFoundError when there is none."""
        for resource in self.of_type(resource_type):
            if resource["id"] == resource_id:
                return resource
        raise ResourceNotFoundError(
            f"{resource_type}.id", "an id that is not in use", f"the id of a {resource_type} served here"
        )

    def named(self, resource_type: str, reference: str, where: str) -> Resource:
        """The resource that a canonical names, in its newest version if it says none. ResourceNotFoundError if none.

        ``where``: the place in the request that names it.
        """
        url, version = canonical(reference)
        for resource in self.of_type(resource_type):
            if resource["url"] == url and version in {None, resource.get("version")}:
                return resource
        raise ResourceNotFoundError(
            where, "a canonical that is not in use", f"the url of a {resource_type} served here"
        )


def artefacts(resources: Iterable[Resource], public_url: str) -> Artefacts:
    """These resources as they are served: each canonical once, forms with our terminology server, all with a version."""
    found: dict[str, dict[tuple[str, str], Resource]] = {kind: {} for kind in SERVED_TYPES}
    for resource in resources:
        key = (resource["url"], text(resource, "version") or "")
        found[resource["resourceType"]].setdefault(key, _served(resource, public_url))
    return Artefacts({kind: _in_order(held.values()) for kind, held in found.items()})


def _in_order(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    newest_first = sorted(resources, key=_version_parts, reverse=True)
    return tuple(sorted(newest_first, key=lambda resource: str(resource["url"])))


def _version_parts(resource: Resource) -> tuple[tuple[int, str], ...]:
    """A business version as it is compared: number by number, so that 10 comes after 9."""
    parts = (text(resource, "version") or "").split(".")
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def _served(resource: Resource, public_url: str) -> Resource:
    if resource["resourceType"] == "Questionnaire":
        resource = with_terminology_server(resource, public_url)
    meta = {**resource.get("meta", {}), "versionId": version_id(resource)}
    return {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta} | {
        name: value for name, value in resource.items() if name not in {"resourceType", "id", "meta"}
    }


def with_terminology_server(questionnaire: Resource, public_url: str) -> Resource:
    """A form that tells renderers where its value sets are expanded; one that names a server keeps it."""
    extensions = questionnaire.get("extension", [])
    if any(each.get("url") == PREFERRED_TERMINOLOGY_SERVER for each in extensions):
        return questionnaire
    ours = {"url": PREFERRED_TERMINOLOGY_SERVER, "valueUrl": f"{public_url}/fhir"}
    return {**questionnaire, "extension": [*extensions, ours]}


def version_id(resource: Resource) -> str:
    """A version id that changes exactly when the content does: the head of its sha256."""
    content = json.dumps(resource, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
