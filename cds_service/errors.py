"""Every error that this package raises for others to catch, and nothing else.

    CdsServiceError
    ├── FhirPathError                 an expression, with the position in it
    │   ├── FhirPathSyntaxError       it does not parse
    │   ├── FhirPathTypeError         it parses but can never be right: a misspelt element, an undefined variable
    │   └── FhirPathEvaluationError   it met data it cannot be evaluated on
    │       └── FhirPathBudgetError   it used up its steps
    ├── FileError                     a file that cannot be used: file, path in it, found, expected
    │   ├── PlanError                 of a policy folder
    │   └── ClientsFileError          of the clients that may call
    ├── PlansError                    the PlanErrors of all folders together: then no policy is loaded
    ├── NoPoliciesError               no policy set is loaded
    ├── RequestError                  a hook request that cannot be read: where, found, expected
    ├── BodyTooLargeError             a request body over the limit
    ├── UnknownServiceError           a CDS service id that is not offered
    ├── ClientRejectedError           a caller that did not prove who it is; says nothing more on purpose
    ├── MissingDataError              nothing could be decided: the prefetch keys that were not sent
    ├── QueryNotReadError             an expression touched a query of the record that was not read
    ├── DiagramTooLargeError          a policy's diagram has more nodes than it may
    ├── NoPatientError                a FHIR server that is probed showed no patient to try
    └── DecisionLogError              a decision could not be written down, so it is not given

Only ``app.py`` knows which HTTP status answers which error.
"""

from __future__ import annotations

from collections.abc import Sequence


class CdsServiceError(Exception):
    """Any error of this package."""


class FhirPathError(CdsServiceError):
    """A FHIRPath expression failed; ``position`` is the 0-based offset in ``expression``."""

    def __init__(self, message: str, expression: str, position: int) -> None:
        self.message = message
        self.expression = expression
        self.position = position
        super().__init__(f"{message} (at character {position + 1} of {expression!r})")


class FhirPathSyntaxError(FhirPathError):
    """The expression does not parse."""


class FhirPathTypeError(FhirPathError):
    """The expression parses, but no data could make it right."""


class FhirPathEvaluationError(FhirPathError):
    """The expression met data on which the specification gives no result."""


class FhirPathBudgetError(FhirPathEvaluationError):
    """The expression used more steps than its environment allows."""


class FileError(CdsServiceError):
    """A file of the deployment cannot be used. ``path`` is the place inside ``file``."""

    def __init__(self, file: str, path: str, found: str, expected: str) -> None:
        self.file = file
        self.path = path
        self.found = found
        self.expected = expected
        super().__init__(f"{file}: {path}: found {found}; expected {expected}")


class PlanError(FileError):
    """A policy folder cannot be used; ``path`` is in FHIRPath notation."""


class ClientsFileError(FileError):
    """The clients file cannot be used; no key is ever quoted."""


class PlansError(CdsServiceError):
    """The policy set cannot be used, because of these ``problems``."""

    def __init__(self, problems: Sequence[PlanError]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class NoPoliciesError(CdsServiceError):
    """No policy set is loaded."""


class RequestError(CdsServiceError):
    """A hook request cannot be read. ``where`` is a path in the request body."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        super().__init__(f"{where}: found {found}; expected {expected}")


class BodyTooLargeError(CdsServiceError):
    """A request body has more bytes than are read."""


class UnknownServiceError(CdsServiceError):
    """No CDS service with this id is offered."""


class ClientRejectedError(CdsServiceError):
    """The caller did not prove who it is."""


class MissingDataError(CdsServiceError):
    """Nothing could be decided, because these prefetch keys were neither sent nor readable."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        super().__init__(f"no order could be checked without the prefetch {', '.join(self.keys)}")


class QueryNotReadError(CdsServiceError):
    """An expression touched a query whose answer was not, or not wholly, read."""

    def __init__(self, query: str, why: str) -> None:
        self.query = query
        self.why = why
        super().__init__(f"{query} was not read: {why}")


class DiagramTooLargeError(CdsServiceError):
    """The diagram under construction has more nodes than its limit allows."""


class NoPatientError(CdsServiceError):
    """The FHIR server that is probed showed no patient to try."""


class DecisionLogError(CdsServiceError):
    """A decision could not be written down."""
