"""What a launch asks to be allowed, and what it was allowed (SMART App Launch 2, scopes and launch context)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal

from cds_service.smart.configuration import SmartConfiguration

FORM = "QuestionnaireResponse"
_CLINICAL = re.compile(
    r"(?:patient|user|system)/(?P<type>[A-Za-z]+|\*)\.(?P<v1>read|write|\*)|"
    r"(?:patient|user|system)/(?P<type2>[A-Za-z]+|\*)\.(?P<v2>c?r?u?d?s?)(?:\?.*)?"
)


def asked_scopes(
    configuration: SmartConfiguration, resource_types: Collection[str], *, in_ehr: bool
) -> tuple[str, ...]:
    """The scopes of a launch that reads ``resource_types`` and writes completed forms, in the server's spelling.

    ``in_ehr``: launched by the EHR, which has a patient open; else the server has to let one be chosen.
    """
    return tuple(_scopes(configuration, resource_types, in_ehr))


def _scopes(
    configuration: SmartConfiguration, resource_types: Collection[str], in_ehr: bool
) -> Iterator[str]:
    capabilities = configuration.capabilities
    second = "permission-v2" in capabilities
    yield "launch" if in_ehr else "launch/patient"
    if configuration.names_users:
        yield from ("openid", "fhirUser")
    # A form may take longer than an access token lasts; none is wanted once the user has left.
    if "permission-online" in capabilities:
        yield "online_access"
    for resource_type in sorted({*resource_types} - {FORM}):
        yield f"patient/{resource_type}.{'rs' if second else 'read'}"
    yield from [f"patient/{FORM}.crus"] if second else [f"patient/{FORM}.read", f"patient/{FORM}.write"]


def may_write(granted: Collection[str], interaction: Literal["create", "update"]) -> bool:
    """Whether these scopes, of either version, allow to create or update a QuestionnaireResponse."""
    return any(_allows(scope, interaction[0]) for scope in granted)


def _allows(scope: str, letter: str) -> bool:
    found = _CLINICAL.fullmatch(scope)
    if found is None or (found["type"] or found["type2"]) not in {FORM, "*"}:
        return False
    return found["v1"] in {"write", "*"} or letter in (found["v2"] or "")
