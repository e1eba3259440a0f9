"""What an operation is: one description makes its route, its place in the capabilities and its definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.record.resources import Resource

# The types whose values stand in a query string; an operation that needs any other is POSTed.
PRIMITIVES = frozenset(
    {
        "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "integer", "string", "uri", "url",
    }
)  # fmt: skip
MANY = "*"


@dataclass(frozen=True)
class OperationParameter:
    """One parameter: ``use`` in or out; ``type`` a FHIR type, None when it has ``parts``; ``most`` a number or ``*``.

    One that is not ``heeded`` may be given and changes nothing.
    """

    name: str
    use: str
    least: int
    most: str
    type: str | None
    documentation: str
    parts: tuple[OperationParameter, ...] = ()
    heeded: bool = True

    def definition(self) -> dict[str, Any]:
        """The parameter as OperationDefinition has it."""
        words = (
            self.documentation if self.heeded else f"May be given, and changes nothing: {self.documentation}"
        )
        defined: dict[str, Any] = {
            "name": self.name,
            "use": self.use,
            "min": self.least,
            "max": self.most,
            "documentation": words,
        }
        if self.type is not None:
            defined["type"] = self.type
        if self.parts:
            defined["part"] = [part.definition() for part in self.parts]
        return defined


@dataclass(frozen=True)
class Operation:
    """An operation on one resource type, by type or on an instance of it.

    ``id`` is its OperationDefinition's, ``base`` the published definition that it keeps to. ``patient_data``: whether
    what it is given tells of a patient, so that callers must say who they are.
    """

    id: str
    code: str
    name: str
    title: str
    resource: str
    on_type: bool
    on_instance: bool
    base: str
    patient_data: bool
    description: str
    parameters: tuple[OperationParameter, ...]

    @property
    def taken(self) -> tuple[OperationParameter, ...]:
        """The parameters that go in."""
        return tuple(each for each in self.parameters if each.use == "in")

    @property
    def gettable(self) -> bool:
        """Whether it may be asked with GET: what it needs fits a query, and no patient data would stand in a URL."""
        return not self.patient_data

    def definition(self, public_url: str, version: str) -> Resource:
        """The OperationDefinition, as strictly R4 as the rest."""
        return {
            "resourceType": "OperationDefinition",
            "id": self.id,
            "url": f"{public_url}/fhir/OperationDefinition/{self.id}",
            "version": version,
            "name": self.name,
            "title": self.title,
            "status": "active",
            "kind": "operation",
            "experimental": False,
            "description": self.description,
            "affectsState": False,
            "code": self.code,
            "base": self.base,
            "resource": [self.resource],
            "system": False,
            "type": self.on_type,
            "instance": self.on_instance,
            "parameter": [each.definition() for each in self.parameters],
        }
