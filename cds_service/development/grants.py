"""What the development authorization server remembers and answers: launches, grants, refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """What the EHR knows when it opens an app: whose record is open, who sits there, and what was being done.

    ``order``: a reference to the draft order; ``app_context``: what the card's link carries.
    """

    patient_id: str
    user: str
    order: str | None
    app_context: str | None


@dataclass(frozen=True)
class Grant:
    """What an app was allowed: its scopes, for which launch, and how it proves that it is the app that asked."""

    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    nonce: str | None
    launch: Launch

    def may_write_forms(self) -> bool:
        """Whether a QuestionnaireResponse may be created or changed."""
        allowed = re.compile(r"patient/(QuestionnaireResponse|\*)\.(write|\*|c?r?u?d?s?)")
        found = [match[2] for scope in self.scope.split() if (match := allowed.fullmatch(scope))]
        return any(each in {"write", "*"} or ("c" in each and "u" in each) for each in found)


@dataclass(frozen=True)
class Refused:
    """An OAuth error: its code, and in words what was found and expected."""

    error: str
    description: str
