"""The records that the development FHIR server shows, and the forms that were written to it since it started."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Lock
from typing import Any

from cds_service.development.search import bundle_of, is_of_patient
from cds_service.errors import RequestError
from cds_service.record.resources import Resource, logical_id, text

FORM = "QuestionnaireResponse"
# Draft orders are not among them: an EHR does not show what is not yet signed.
TYPES = (
    "Condition",
    "Coverage",
    "DocumentReference",
    "Encounter",
    "Observation",
    "Patient",
    "Procedure",
    FORM,
)
_MOST_FORMS = 500


class Records:
    """Resources that stay as they are, and QuestionnaireResponses that come and change; the oldest of many go."""

    def __init__(
        self,
        resources: Iterable[Resource],
        clock: Callable[[], datetime],
        fresh_id: Callable[[], str],
        most_forms: int = _MOST_FORMS,
    ) -> None:
        self._fixed = {(each["resourceType"], each["id"]): each for each in resources}
        self._forms: dict[str, Resource] = {}
        self._clock = clock
        self._fresh_id = fresh_id
        self._most_forms = most_forms
        self._lock = Lock()

    def resource(self, resource_type: str, resource_id: str) -> Resource | None:
        """The resource of this type and id."""
        written = self._forms.get(resource_id) if resource_type == FORM else None
        return written or self._fixed.get((resource_type, resource_id))

    def found(
        self, base: str, resource_type: str, parameters: dict[str, str], patient_id: str | None = None
    ) -> Resource:
        """The searchset of a type; only of ``patient_id`` when one is given. RequestError for an unknown parameter."""
        with self._lock:
            forms = dict(self._forms) if resource_type == FORM else {}
        fixed = {name: each for (kind, name), each in self._fixed.items() if kind == resource_type}
        shown = (
            each
            for each in {**fixed, **forms}.values()
            if patient_id is None or is_of_patient(each, patient_id)
        )
        return bundle_of(shown, base, resource_type, parameters)

    def created(self, form: object) -> Resource:
        """The form as it is kept, under a new id. RequestError when it is none, or of nobody here."""
        return self._kept(self._of_a_patient(form), self._fresh_id())

    def updated(self, form: object, form_id: str) -> Resource:
        """The form as it is kept in place of what had its id. RequestError as for ``created``, or for another id."""
        whole = self._of_a_patient(form)
        if whole.get("id") != form_id:
            raise RequestError(f"{FORM}.id", "another id or none", "the id of the URL")
        return self._kept(whole, form_id)

    def forget_forms(self) -> None:
        """Go back to the forms that the fixtures came with."""
        with self._lock:
            self._forms.clear()

    def _of_a_patient(self, form: object) -> dict[str, Any]:
        if not isinstance(form, dict) or form.get("resourceType") != FORM:
            raise RequestError("$", "something else", f"a {FORM}")
        subject = text(form, "subject", "reference")
        if subject is None or ("Patient", logical_id(subject)) not in self._fixed:
            raise RequestError(f"{FORM}.subject", "no patient of this server", "a reference to its Patient")
        return form

    def _kept(self, form: Resource, form_id: str) -> Resource:
        with self._lock:
            earlier = self._forms.pop(form_id, None) or self._fixed.get((FORM, form_id))
            version = int(text(earlier, "meta", "versionId") or "0") + 1
            meta = {
                "versionId": str(version),
                "lastUpdated": self._clock().isoformat(timespec="milliseconds"),
            }
            kept = {**form, "id": form_id, "meta": {**(form.get("meta") or {}), **meta}}
            self._forms[form_id] = kept
            if len(self._forms) > self._most_forms:
                del self._forms[next(iter(self._forms))]
        return kept
