"""What is wrong with a form or a response, as one list entry for a person and for an OperationOutcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.errors import FhirPathError, QueryNotReadError, UnknownValueSetError

ERROR, WARNING = "error", "warning"
# What evaluating an expression of a form may fail with, whatever the form; anything else is a bug.
EXPRESSION_ERRORS = (QueryNotReadError, FhirPathError, UnknownValueSetError)


@dataclass(frozen=True)
class Problem:
    """One fault: ``path`` in FHIRPath notation, ``code`` a FHIR issue type, ``words`` without any answer in them.

    ``severity`` is ``error`` or ``warning``. ``link_id`` is None when it is not about one item.
    Source of the codes: https://hl7.org/fhir/R4/valueset-issue-type.html
    """

    path: str
    link_id: str | None
    code: str
    words: str
    severity: str = ERROR

    @property
    def issue(self) -> dict[str, Any]:
        """The problem as ``OperationOutcome.issue``."""
        return {
            "severity": self.severity,
            "code": self.code,
            "diagnostics": self.words if self.link_id is None else f"{self.link_id}: {self.words}",
            "expression": [self.path],
        }


def why_not_evaluated(error: Exception) -> tuple[str, str]:
    """The FHIR issue type and the words for an expression that gave no result."""
    if isinstance(error, QueryNotReadError):
        return "incomplete", f"not read: {error.query} ({error.why})"
    if isinstance(error, UnknownValueSetError):
        return "not-found", f"not known: the value set {error.url}"
    return "exception", f"failed: {error}"
