"""A form that several policies share: a Questionnaire in a folder without a PlanDefinition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cds_service.fhirpath import Expression
from cds_service.record.resources import Resource
from cds_service.record.value_sets import ValueSets


@dataclass(frozen=True)
class SharedForm:
    """A shared Questionnaire, checked. It decides nothing, so its ``queries`` are read only when it is filled in.

    ``variables`` are its named expressions; ``contexts`` what it may be launched with, by name, as FHIR types.
    """

    id: str
    url: str
    version: str
    title: str
    questionnaire: Resource
    contexts: Mapping[str, str]
    queries: Mapping[str, str]
    variables: Mapping[str, Expression]
    value_sets: ValueSets
    folder: Path

    @property
    def canonical(self) -> str:
        """The versioned canonical: ``url|version``."""
        return f"{self.url}|{self.version}"
