"""Orders and Bulk Data exports written to disk, evaluated, and read back."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.bulk.deciding import Circumstances
from cds_service.bulk.evaluation import Evaluation, Sizes, evaluated
from cds_service.bulk.results import Summary
from cds_service.bulk.work import Here, Workers
from tests.hook_requests import ODS, OPCS4

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "plans"
# So small that everything is split: into parts of some lines, and buckets of some patients.
SMALL = Sizes(part=2_000, bucket=4_000)


def lines(resources: Iterable[object]) -> bytes:
    """NDJSON; what is bytes already stands for itself."""
    return b"".join(
        (each if isinstance(each, bytes) else json.dumps(each, separators=(",", ":")).encode()) + b"\n"
        for each in resources
    )


def written(folder: Path, orders: Iterable[object], records: Mapping[str, Iterable[object]]) -> Path:
    """Orders and a file for each of ``records``: resource type, or file name, → resources."""
    (folder / "records").mkdir(parents=True)
    (folder / "orders.ndjson").write_bytes(lines(orders))
    for name, resources in records.items():
        file = folder / "records" / (name if ".ndjson" in name else f"{name}.ndjson")
        content = lines(resources)
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return folder


def evaluation(folder: Path, **members: Any) -> Evaluation:
    """The evaluation of what ``written`` wrote, by the real plans unless told otherwise."""
    usual: dict[str, Any] = {
        "orders": folder / "orders.ndjson",
        "records": folder / "records",
        "plans": (PLANS,),
        "against": (),
        "practices": None,
        "out": folder / "out",
        "with_patient": True,
        "circumstances": Circumstances(members.pop("as_of", None), "UTC", "http://127.0.0.1:8000", 90),
    }
    return Evaluation(**{**usual, **members})


def run(folder: Path, workers: Workers | None = None, **members: Any) -> Summary:
    """Evaluate in this process, in small parts, unless told otherwise."""
    sizes = members.pop("sizes", SMALL)
    return evaluated(evaluation(folder, **members), workers or Here(), _silent, sizes)


def decisions(folder: Path, name: str = "decisions.csv") -> list[dict[str, str]]:
    """The rows of a result."""
    with (folder / "out" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def results(folder: Path) -> dict[str, bytes]:
    """Every file of the results, by name."""
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def quarantined(folder: Path) -> list[dict[str, Any]]:
    """What the quarantine says."""
    return [json.loads(line) for line in (folder / "out" / "quarantine.ndjson").read_bytes().splitlines()]


def past_order(
    patient: str, number: str = "1", code: str = "B31.3", system: str = OPCS4, **members: Any
) -> dict[str, Any]:
    """An order for a mastopexy, or for another code, of autumn 2026."""
    return {
        "resourceType": "ServiceRequest",
        "id": f"{patient}-{number}",
        "status": "completed",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": system, "code": code}]},
        "authoredOn": str(date(2026, 11, 20)),
        **members,
    }


def registered(patient: str, organization: str = "15M") -> dict[str, Any]:
    """A patient registered with an organisation, by ODS code."""
    return {
        "resourceType": "Patient",
        "id": patient,
        "managingOrganization": {"identifier": {"system": ODS, "value": organization}},
    }


def diagnosed(patient: str, code: str, number: str = "1", **members: Any) -> dict[str, Any]:
    """A confirmed Condition, in SNOMED CT."""
    status = {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}
    return {
        "resourceType": "Condition",
        "id": f"c-{patient}-{number}",
        "subject": {"reference": f"Patient/{patient}"},
        "verificationStatus": {"coding": [status]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        "recordedDate": "2024-03-05",
        **members,
    }


def _silent(doing: str, done: int, of: int) -> None:
    """Shows no progress."""
