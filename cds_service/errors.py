"""Every error that this package raises for others to catch, and nothing else.

    CdsServiceError
    ├── FhirPathError                 an expression, with the position in it
    │   ├── FhirPathSyntaxError       it does not parse
    │   ├── FhirPathTypeError         it parses but can never be right: a misspelt element, an undefined variable
    │   └── FhirPathEvaluationError   it met data it cannot be evaluated on
    │       └── FhirPathBudgetError   it used up its steps
    ├── FileError                     a file that cannot be used: file, path in it, found, expected
    │   ├── PlanError                 of a policy folder
    │   ├── ClientsFileError          of the clients that may call
    │   ├── SmartServersFileError     of the SMART servers that may launch the form app
    │   └── BulkInputError            of the orders or records that are evaluated in bulk
    ├── PlansError                    the PlanErrors of all folders together: then no policy is loaded
    ├── NoPoliciesError               no policy set is loaded
    ├── RequestError                  a hook request that cannot be read: where, found, expected
    ├── BodyTooLargeError             a request body over the limit
    ├── UnknownServiceError           a CDS service id that is not offered
    ├── ResourceNotFoundError         a FHIR resource that is not held: where it was asked for
    ├── OperationNotSupportedError    a FHIR interaction or operation that is not offered, or not on this
    ├── NotAcceptableError            an answer was asked for in a format that is not given
    ├── ClientRejectedError           a caller that did not prove who it is; says nothing more on purpose
    ├── MissingDataError              nothing could be decided: the prefetch keys that were not sent
    ├── QueryNotReadError             an expression touched a query of the record that was not read
    ├── UnknownValueSetError          a value set that is not loaded was asked for a member
    ├── ExtractionError               a form's own extraction cannot be carried out: where, found, expected
    │   └── NothingToExtractError     it declares none
    ├── UnsupportedQuestionnaireError a form asks for features that are not carried out: each by name
    ├── FundingRequestError           a funding request cannot be made of a form: where, found, expected
    ├── EnablementLoopError           the items of a form enable each other in a circle: the linkIds in it
    ├── DiagramTooLargeError          a policy's diagram has more nodes than it may
    ├── NoPatientError                a FHIR server that is probed showed no patient to try
    ├── UnsupportedItemError          an item of a form that cannot be put on a page: linkId, feature, why
    ├── HandleError                   a card's handle that is not ours, or no longer good
    ├── WrongLaunchError              a SMART launch for another client, patient or order than the card's
    ├── FormUnavailableError          a form that cannot be opened or gone on with: why, and what to do
    ├── LaunchRefusedError            a SMART launch that comes to no patient and token: why, in public words
    └── StoreError                    the database fails: its file or host and a code, never what a row holds
        ├── DecisionLogError          something could not be written down durably, so what rests on it is not given
        │   └── StoreBusyError        more waits to be written than may wait
        └── StoreConflictError        a document was changed by somebody else since it was read

Only ``app.py`` knows which HTTP status answers which error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


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

    def __reduce__(self) -> tuple[type[FileError], tuple[str, str, str, str]]:
        """So that it gets from a worker process to whoever waits for it."""
        return type(self), (self.file, self.path, self.found, self.expected)


class PlanError(FileError):
    """A policy folder cannot be used; ``path`` is in FHIRPath notation."""


class ClientsFileError(FileError):
    """The clients file cannot be used; no key is ever quoted."""


class SmartServersFileError(FileError):
    """The file of SMART servers cannot be used; no key or secret is ever quoted."""


class BulkInputError(FileError):
    """Orders or records to be evaluated in bulk cannot be used as a whole; no line is ever quoted."""

    def __reduce__(self) -> tuple[type[BulkInputError], tuple[str, str, str, str]]:
        """Comes whole from a worker's process."""
        return type(self), (self.file, self.path, self.found, self.expected)


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


class ResourceNotFoundError(CdsServiceError):
    """A FHIR resource that is asked for is not held. ``where`` is a path in the request; no id is quoted."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        super().__init__(f"{where}: found {found}; expected {expected}")


class OperationNotSupportedError(CdsServiceError):
    """A FHIR interaction or operation that is not offered, or not on what it was asked of.

    ``allowed``: the HTTP methods by which it is offered there.
    """

    def __init__(self, where: str, found: str, expected: str, allowed: tuple[str, ...]) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        self.allowed = allowed
        super().__init__(f"{where}: found {found}; expected {expected}")


class NotAcceptableError(CdsServiceError):
    """An answer was asked for in a format that is not given."""


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


class UnknownValueSetError(CdsServiceError):
    """A value set that is not loaded was asked whether it has a member."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"the value set {url} is not loaded")


class ExtractionError(CdsServiceError):
    """What a Questionnaire declares is to be made of its answers cannot be made. No answer is ever quoted."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        super().__init__(f"{where}: found {found}; expected {expected}")


class NothingToExtractError(ExtractionError):
    """The Questionnaire does not declare that anything is to be made of its answers."""


class UnsupportedQuestionnaireError(CdsServiceError):
    """A Questionnaire asks for ``features`` that change its behaviour and are not carried out."""

    def __init__(self, features: Sequence[str]) -> None:
        self.features = tuple(features)
        super().__init__(f"the form cannot be used as its author meant it: {'; '.join(self.features)}")


class FundingRequestError(CdsServiceError):
    """A funding request cannot be made of this form: it is not completed, or another's. ``where`` is a path in it."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        super().__init__(f"{where}: found {found}; expected {expected}")


class EnablementLoopError(CdsServiceError):
    """Whether an item of a Questionnaire is asked depends, by way of the others, on its own answer."""

    def __init__(self, link_ids: Sequence[str]) -> None:
        self.link_ids = tuple(link_ids)
        super().__init__(f"items that enable each other in a circle: {' → '.join(self.link_ids)}")


class DiagramTooLargeError(CdsServiceError):
    """The diagram under construction has more nodes than its limit allows."""


class UnsupportedItemError(CdsServiceError):
    """An item of a Questionnaire cannot be put on a page, because of this ``feature``."""

    def __init__(self, link_id: str, feature: str, why: str) -> None:
        self.link_id = link_id
        self.feature = feature
        self.why = why
        super().__init__(f"item {link_id}: {feature} cannot be put on a page: {why}")


class NoPatientError(CdsServiceError):
    """The FHIR server that is probed showed no patient to try."""


class HandleError(CdsServiceError):
    """A card's handle cannot be used: it was tampered with (or is not ours at all), or it expired."""

    def __init__(self, why: Literal["tampered", "expired"]) -> None:
        self.why = why
        super().__init__(f"the handle is {why}")


class WrongLaunchError(CdsServiceError):
    """A SMART launch is not for what the card was made for. ``binding`` says which part differs, never its value."""

    def __init__(self, binding: Literal["client", "patient", "order"]) -> None:
        self.binding = binding
        super().__init__(f"the launch is for another {binding} than the card's")


class LaunchRefusedError(CdsServiceError):
    """A SMART launch ends here. ``reason`` is fixed text for the person who launched, with no token or data in it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FormUnavailableError(CdsServiceError):
    """A form cannot be opened or gone on with. ``reason`` and ``advice`` are fixed sentences for whoever wanted it."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


class StoreError(CdsServiceError):
    """The database fails. Names its file or host and a code, and nothing of what a row holds."""


class DecisionLogError(StoreError):
    """A decision, or what else must not be lost, could not be written down durably."""


class StoreBusyError(DecisionLogError):
    """More waits to be written than may wait; nothing of this was written."""


class StoreConflictError(StoreError):
    """A document was changed by somebody else since it was read."""
