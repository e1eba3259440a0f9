"""What a finished launch gives: a patient, a user, a token, and what the EHR wants shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from cds_service.errors import LaunchRefusedError
from cds_service.record.reading.queries import is_fhir_id
from cds_service.smart.issuers import SmartServer
from cds_service.smart.launch_state import LaunchState
from cds_service.smart.references import reference_on
from cds_service.smart.sealing import sealed, unsealed
from cds_service.trust.outbound import Token

logger = logging.getLogger(__name__)

NO_PATIENT = "the EHR launched without a patient"
OTHER_PATIENT = "the EHR's renewed access is for another patient"
UNUSABLE_TOKEN = "the EHR's access token cannot be used"  # noqa: S105 - a reason, no token
_PURPOSE = "session"
_LONGEST_TEXT = 4_096
# Longer ones fit in no header that servers take, and together with the rest in no seal.
_LONGEST_TOKEN = 8_192
_MOST_REFERENCES = 100
# SMART App Launch 2 allows a token no longer life; where the server does not say, it will refuse in time by itself.
_LONGEST_TOKEN_SECONDS = 3_600


@dataclass(frozen=True)
class SmartContext:
    """A launch that came to its end. Neither its repr nor its errors show a token.

    ``client``: the CDS client whose EHR this is. ``user`` and ``fhir_context``: references, relative when they are on the
    server. ``handle``: the card's, from ``app_context`` or, where the EHR dropped that, from the launch's URL.
    """

    issuer: str
    client: str
    patient_id: str
    encounter_id: str | None
    user: str | None
    fhir_context: tuple[str, ...]
    app_context: str | None
    handle: str | None
    needs_patient_banner: bool
    tenant: str | None
    scopes: frozenset[str]
    token: Token
    refresh_token: str | None = field(repr=False)
    expires: datetime

    @property
    def base_url(self) -> str:
        """The URL of the FHIR server, without a final slash."""
        return self.issuer.rstrip("/")


def smart_context(
    answer: Mapping[str, Any], server: SmartServer, state: LaunchState, user: str | None, now: datetime
) -> SmartContext:
    """The context in a token endpoint's ``answer``. LaunchRefusedError when there is no token or no patient in it."""
    patient_id = _id(answer.get("patient"), "Patient")
    if patient_id is None:
        raise LaunchRefusedError(NO_PATIENT)
    app_context = _text(answer, "appContext")
    return SmartContext(
        issuer=server.issuer,
        client=server.client,
        patient_id=patient_id,
        encounter_id=_id(answer.get("encounter"), "Encounter"),
        user=user,
        fhir_context=_references(answer.get("fhirContext"), server.base_url),
        app_context=app_context,
        handle=app_context or state.handle,
        # Without a word from the EHR, nobody else may be showing whose form this is.
        needs_patient_banner=answer.get("need_patient_banner") is not False,
        tenant=_text(answer, "tenant"),
        scopes=granted_scopes(answer, frozenset(state.scopes)),
        token=_token(answer),
        refresh_token=_text(answer, "refresh_token", _LONGEST_TOKEN),
        expires=now + timedelta(seconds=_seconds(answer.get("expires_in"))),
    )


def renewed_context(context: SmartContext, answer: Mapping[str, Any], now: datetime) -> SmartContext:
    """The same context with the new token of ``answer``. LaunchRefusedError when that is another patient's."""
    if "patient" in answer and _id(answer["patient"], "Patient") != context.patient_id:
        raise LaunchRefusedError(OTHER_PATIENT)
    return replace(
        context,
        token=_token(answer),
        refresh_token=_text(answer, "refresh_token", _LONGEST_TOKEN) or context.refresh_token,
        scopes=granted_scopes(answer, context.scopes),
        expires=now + timedelta(seconds=_seconds(answer.get("expires_in"))),
    )


def granted_scopes(answer: Mapping[str, Any], asked: frozenset[str]) -> frozenset[str]:
    """What was granted: what the answer says, else what was asked for (RFC 6749, section 5.1)."""
    said = answer.get("scope")
    granted = frozenset(said.split()) if isinstance(said, str) else asked
    if granted - asked:
        logger.info(
            "%d scopes were granted in other words than they were asked for, or unasked", len(granted - asked)
        )
    return granted


def sealed_context(context: SmartContext, key: bytes) -> str:
    """The context sealed with ``key`` (32 bytes or more), so that a store that workers share holds no token in clear."""
    members = {each.name: getattr(context, each.name) for each in fields(context)}
    members["token"] = context.token.authorization.removeprefix("Bearer ")
    members["scopes"] = sorted(context.scopes)
    members["expires"] = context.expires.isoformat()
    return sealed(members, key, _PURPOSE)


def unsealed_context(text: str, key: bytes) -> SmartContext | None:
    """The context that was sealed with this key; None for anything else."""
    kept = unsealed(text, key, _PURPOSE)
    if kept is None:
        return None
    read = {
        "fhir_context": tuple(kept["fhir_context"]),
        "scopes": frozenset(kept["scopes"]),
        "token": Token(kept["token"]),
        "expires": datetime.fromisoformat(kept["expires"]),
    }
    return SmartContext(**{**kept, **read})


def _token(answer: Mapping[str, Any]) -> Token:
    text, kind = _text(answer, "access_token", _LONGEST_TOKEN), answer.get("token_type")
    if text is not None and isinstance(kind, str) and kind.lower() == "bearer":
        try:
            return Token(text)
        except ValueError:
            pass
    raise LaunchRefusedError(UNUSABLE_TOKEN)


def _seconds(said: object) -> int:
    """How long a token lasts; some servers write the number as text."""
    text = str(said) if isinstance(said, int | str) and not isinstance(said, bool) else ""
    if said is not None and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise LaunchRefusedError(UNUSABLE_TOKEN)
    return min(int(text), _LONGEST_TOKEN_SECONDS) if text else _LONGEST_TOKEN_SECONDS


def _id(said: object, resource_type: str) -> str | None:
    """The id of a resource; some servers send its reference."""
    found = said.removeprefix(f"{resource_type}/") if isinstance(said, str) else ""
    return found if is_fhir_id(found) else None


def _text(answer: Mapping[str, Any], name: str, longest: int = _LONGEST_TEXT) -> str | None:
    found = answer.get(name)
    return found if isinstance(found, str) and 0 < len(found) <= longest else None


def _references(said: object, base_url: str) -> tuple[str, ...]:
    """The references of a ``fhirContext``; an entry that is none, or is on another server, is passed over."""
    entries = said if isinstance(said, list) else []
    texts = [entry.get("reference") if isinstance(entry, dict) else None for entry in entries]
    found = [reference_on(base_url, text) for text in texts if isinstance(text, str)]
    return tuple(reference for reference in found if reference is not None)[:_MOST_REFERENCES]
