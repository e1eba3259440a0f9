"""The forms of the policy set in use, each made ready once."""

from __future__ import annotations

from cds_service.filling.opening import Opening
from cds_service.questionnaires.form import Form


class PreparedForms:
    """Forms by what they are of. Those of an earlier policy set are let go when one of the next is asked for."""

    def __init__(self) -> None:
        self._set = ""
        self._forms: dict[str, Form] = {}

    def of(self, opening: Opening) -> Form:
        """The form of an opening."""
        if opening.library.digest != self._set:
            self._set, self._forms = opening.library.digest, {}
        if opening.canonical not in self._forms:
            self._forms[opening.canonical] = opening.prepared()
        return self._forms[opening.canonical]
