"""The Derby policy as a HealthChain service, for ``peers.py``; runs in the environment that it makes, not in ours.

Written as HealthChain's documentation shows: a typed request, its prefetch as FHIR objects, a card. With ``PLAIN=1`` the
prefetch stays the plain JSON that it came as. ``FOLDER`` is the policy's folder: its value sets are read from there.
What the request orders cannot be asked: of ``context`` HealthChain 0.16.1 hands on the user and the patient only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from healthchain.fhir import convert_prefetch_to_fhir_objects  # type: ignore[import-not-found]
from healthchain.gateway import CDSHooksService, HealthChainAPI  # type: ignore[import-not-found]
from healthchain.models.requests.cdsrequest import CDSRequest  # type: ignore[import-not-found]
from healthchain.models.responses.cdsresponse import Card, CDSResponse, Source  # type: ignore[import-not-found]

FOLDER, PLAIN = Path(os.environ["FOLDER"]), os.environ.get("PLAIN") == "1"


def codes(value_set: str) -> frozenset[tuple[str, str]]:
    """The codes of one of the policy's value sets."""
    expansion = json.loads((FOLDER / f"ValueSet-{value_set}.json").read_text())["expansion"]
    return frozenset((each["system"], each["code"]) for each in expansion["contains"])


CANCERS, OPERATIONS = codes("derby-breast-cancer"), codes("derby-symmetry-operations-counted")
service = CDSHooksService()
app = HealthChainAPI()


@service.hook("order-select", id="procedure-funding")  # type: ignore[untyped-decorator]
def procedure_funding(request: CDSRequest) -> CDSResponse:
    """What the Derby policy says: by the confirmed cancers and completed operations of the record."""
    record: dict[str, Any] = request.prefetch or {}
    if PLAIN:
        conditions, procedures = (
            [entry["resource"] for entry in record[key].get("entry", ())]
            for key in ("conditions", "procedures")
        )
        cancers = [each for each in conditions if _is_confirmed(each) and _has_code(each, CANCERS)]
        done = [each for each in procedures if each["status"] == "completed" and _has_code(each, OPERATIONS)]
    else:
        objects: dict[str, Any] = convert_prefetch_to_fhir_objects(record)
        conditions, procedures = (
            [entry.resource for entry in objects[key].entry or ()] for key in ("conditions", "procedures")
        )
        cancers = [each for each in conditions if _object_is_confirmed(each) and _object_has(each, CANCERS)]
        done = [each for each in procedures if each.status == "completed" and _object_has(each, OPERATIONS)]
    return CDSResponse(cards=[_card(len(cancers), len(done))])


def _card(cancers: int, operations: int) -> Card:
    found = (
        f"Breast cancer or DCIS: {'yes' if cancers else 'not recorded'}; symmetry operations: {operations}"
    )
    outcome = "individual funding request needed" if operations else "not normally funded unless"
    return Card(
        summary=f"Mastopexy: {outcome}, 2 questions",
        detail=found,
        indicator="warning",
        source=Source(label="NHS Derby and Derbyshire"),
    )


def _has_code(resource: dict[str, Any], wanted: frozenset[tuple[str, str]]) -> bool:
    codings = resource.get("code", {}).get("coding", ())
    return any((each.get("system"), each.get("code")) in wanted for each in codings)


def _is_confirmed(condition: dict[str, Any]) -> bool:
    codings = condition.get("verificationStatus", {}).get("coding", ())
    return any(each.get("code") == "confirmed" for each in codings)


def _object_has(resource: Any, wanted: frozenset[tuple[str, str]]) -> bool:
    codings = resource.code.coding or () if resource.code else ()
    return any((str(each.system), each.code) in wanted for each in codings)


def _object_is_confirmed(condition: Any) -> bool:
    status = condition.verificationStatus
    return status is not None and any(each.code == "confirmed" for each in status.coding or ())


app.register_service(service)
