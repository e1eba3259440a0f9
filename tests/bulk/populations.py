"""Generated patients, records and orders, about what the real plans are about."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cds_service.policies.library import Library, load_library
from tests.bulk.exports import PLANS, diagnosed, past_order, registered
from tests.hook_requests import ODS
from tests.plan_folders import PAYER_SYSTEM, coverage


@dataclass
class Population:
    """Orders, and records by resource type."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    records: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))


@cache
def library() -> Library:
    """The real plans."""
    return load_library([PLANS])


def population(patients: int, seed: int) -> Population:
    """So many patients, with an order each, and records in which the plans' codes are frequent."""
    chosen = random.Random(seed)  # noqa: S311  not for secrets
    codes = sorted({code for policy in library().policies for code in policy.codes})
    known = sorted(
        {
            code
            for policy in library().policies
            for pairs in policy.value_sets.codes.values()
            for system, code in pairs
            if system == "http://snomed.info/sct"
        }
    )
    payers = sorted(value for system, value in library().directory.by_identifier if system == PAYER_SYSTEM)
    practices = sorted(value for system, value in library().directory.by_identifier if system == ODS)
    found = Population()
    for number in range(patients):
        patient = f"p{seed}-{number}"
        system, code = chosen.choice(codes)
        day = f"2026-{chosen.randint(1, 11):02}-{chosen.randint(1, 20):02}"
        found.orders.append(past_order(patient, code=code, system=system, authoredOn=day))
        found.records["Patient"].append(registered(patient, chosen.choice(practices)))
        for place in range(chosen.randint(0, 4)):
            found.records["Condition"].append(diagnosed(patient, chosen.choice(known), str(place)))
        for place in range(chosen.randint(0, 3)):
            found.records["Procedure"].append(_operated(patient, chosen.choice(known), str(place)))
        if chosen.random() < 0.4:
            found.records["Coverage"].append(_covered(patient, chosen.choice(payers)))
    return found


def _operated(patient: str, code: str, number: str) -> dict[str, Any]:
    condition = diagnosed(patient, code, number)
    return {
        "resourceType": "Procedure",
        "id": f"o-{patient}-{number}",
        "status": "completed",
        "subject": condition["subject"],
        "code": condition["code"],
        "performedDateTime": "2023-02-01",
    }


def _covered(patient: str, kind: str) -> dict[str, Any]:
    return {**coverage(kind), "id": f"v-{patient}", "beneficiary": {"reference": f"Patient/{patient}"}}
