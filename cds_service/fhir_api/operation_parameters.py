"""Parameters that operations share: how a patient's record is shown to them."""

from __future__ import annotations

from cds_service.fhir_api.operation import MANY, OperationParameter


def taken(name: str, kind: str, words: str, least: int = 0, most: str = "1") -> OperationParameter:
    """A parameter that goes in."""
    return OperationParameter(name, "in", least, most, kind, words)


def given(name: str, kind: str, words: str, least: int = 0, most: str = "1") -> OperationParameter:
    """A parameter that comes out."""
    return OperationParameter(name, "out", least, most, kind, words)


def unheeded(name: str, kind: str, words: str) -> OperationParameter:
    """A parameter of the published definition that may go in and changes nothing, and why."""
    return OperationParameter(name, "in", 0, "1", kind, words, heeded=False)


DATA = taken(
    "data",
    "Bundle",
    "Resources of the patient's record, each kind of them whole: of a resource type that the Bundle holds, it holds all "
    "that there is, and a query that names no more than patient and type is answered from it. A resource type of which "
    "it holds nothing was not read: nothing is ever proven by its absence, unless complete says so.",
)
COMPLETE = taken(
    "complete",
    "boolean",
    "Ours: the sender's word that data holds everything that the form or policy reads, so that a resource type of which "
    "it holds nothing is known to have no entries. False when it is left out.",
)
CONTEXT = OperationParameter(
    "context",
    "in",
    0,
    MANY,
    None,
    "A resource of the launch context (patient, user, clinical, or what else the form declares), or the answer to one of "
    "the form's own queries, under the name of its variable: a searchset Bundle, or the OperationOutcome of a failure.",
    (
        OperationParameter("name", "in", 1, "1", "code", "The name by which the form's expressions know it"),
        OperationParameter(
            "content",
            "in",
            1,
            MANY,
            "Any",
            "The resource; or a Reference, which data must resolve. Several resources make up one Bundle.",
        ),
    ),
)
PREFETCH = OperationParameter(
    "prefetchData",
    "in",
    0,
    MANY,
    None,
    "The answer to one of the policy's queries, under its prefetch key (as in CDS Hooks and CPG).",
    (
        OperationParameter("key", "in", 1, "1", "string", "The prefetch key"),
        OperationParameter(
            "data", "in", 0, "1", "Resource", "The searchset; an OperationOutcome when it could not be read"
        ),
    ),
)
