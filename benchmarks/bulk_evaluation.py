"""Orders a second, and memory, of the bulk evaluation, on generated orders and records.

    python benchmarks/bulk_evaluation.py [--orders N] [--per-patient N] [--resources N] [--in-scope SHARE] [--processes N]
        [--own-commissioner] [--folder DIR]

Each patient has so many resources (Conditions, Procedures, DocumentReferences, Coverage, Patient; about a third are of a
kind that a policy looks at) and so many orders, a share of them for procedures that a policy is about: any policy, or
one of the patient's own commissioner, so that all of them are decided by a funding policy. Prints the time
of reading and of deciding, orders a second (and per second of processor time, which says more on a busy machine),
and the largest resident memory of the main process and of any worker.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from cds_service.bulk.deciding import Circumstances
from cds_service.bulk.evaluation import USUAL_SIZES, Evaluation, evaluated
from cds_service.bulk.work import workers
from cds_service.policies.library import Library, load_library

ROOT = Path(__file__).parents[1]
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
SNOMED = "http://snomed.info/sct"
CODES_OF_NO_POLICY = [(SNOMED, code) for code in ("80146002", "73761001", "44608003", "174041007")]
KINDS = (
    "Patient",
    "Coverage",
    "Condition",
    "Procedure",
    "DocumentReference",
    "QuestionnaireResponse",
    "Observation",
)


def generated(folder: Path, options: argparse.Namespace, library: Library) -> None:
    """Write orders.ndjson and records/*.ndjson."""
    chosen = random.Random(7)  # noqa: S311  not for secrets
    practices = sorted(value for system, value in library.directory.by_identifier if system == ODS)
    covered = {practice: _covered(library, practice, options) for practice in practices}
    practices = [practice for practice in practices if covered[practice]]
    known = sorted(
        {code for policy in library.policies for codes in policy.value_sets.codes.values() for code in codes}
    )
    (folder / "records").mkdir(parents=True)
    with ExitStack() as files:
        orders = files.enter_context((folder / "orders.ndjson").open("wb"))
        records = {
            kind: files.enter_context((folder / "records" / f"{kind}.ndjson").open("wb")) for kind in KINDS
        }
        for number in range(options.orders // options.per_patient):
            practice = chosen.choice(practices)
            for each in record(number, options.resources, chosen, practice, known):
                records[each["resourceType"]].write(orjson.dumps(each) + b"\n")
            for place in range(options.per_patient):
                codes = covered[practice] if chosen.random() < options.in_scope else CODES_OF_NO_POLICY
                code = chosen.choice(codes)
                orders.write(orjson.dumps(order(number, place, code, chosen)) + b"\n")


def _covered(library: Library, practice: str, options: argparse.Namespace) -> list[tuple[str, str]]:
    """The codes of all policies, or of the funding policies of a practice's commissioner."""
    directory = library.directory
    own = directory.with_ancestors(directory.by_identifier[ODS, practice])
    return sorted(
        {
            code
            for policy in library.policies
            if not options.own_commissioner or (policy.commissioner in own and not policy.is_advice)
            for code in policy.codes
        }
    )


def order(number: int, place: int, code: tuple[str, str], chosen: random.Random) -> dict[str, Any]:
    """A past order."""
    return {
        "resourceType": "ServiceRequest",
        "id": f"o{number}-{place}",
        "status": "completed",
        "intent": "order",
        "subject": {"reference": f"Patient/p{number}"},
        "code": {"coding": [{"system": code[0], "code": code[1]}]},
        "authoredOn": f"2026-{chosen.randint(1, 11):02}-{chosen.randint(1, 20):02}",
    }


def record(
    number: int, resources: int, chosen: random.Random, practice: str, known: list[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """A patient and the rest of their record."""
    subject = {"reference": f"Patient/p{number}"}
    yield {
        "resourceType": "Patient",
        "id": f"p{number}",
        "birthDate": "1971-05-02",
        "managingOrganization": {"identifier": {"system": ODS, "value": practice}},
    }
    for place in range(resources - 1):
        kind = chosen.choices(KINDS[2:], (20, 10, 5, 0, 65 if resources > 100 else 15))[0]
        system, code = chosen.choice(known) if chosen.random() < 0.3 else (SNOMED, "38341003")
        yield {
            "resourceType": kind,
            "id": f"{kind[:2].lower()}{number}-{place}",
            "meta": {"versionId": "1", "lastUpdated": "2026-01-20T10:00:00Z"},
            "status": "completed" if kind == "Procedure" else "final",
            "verificationStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                        "code": "confirmed",
                    }
                ]
            },
            "code": {"coding": [{"system": system, "code": code}], "text": "as recorded by the practice"},
            "subject": subject,
            "recordedDate": f"20{chosen.randint(10, 25)}-03-05",
        }


def megabytes(who: int) -> float:
    """The largest resident memory so far of this process, or of any child."""
    return resource.getrusage(who).ru_maxrss / 1024


def processor_seconds() -> float:
    """Processor time used so far, by this process and by the workers that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def measured(folder: Path, options: argparse.Namespace) -> None:
    """Evaluate, and print what it took."""
    evaluation = Evaluation(
        orders=folder / "orders.ndjson",
        records=folder / "records",
        plans=(ROOT / "plans",),
        against=(),
        practices=None,
        out=folder / "out",
        with_patient=True,
        circumstances=Circumstances(None, "UTC", "http://127.0.0.1:8000", 90),
    )
    started, used, marks = time.perf_counter(), processor_seconds(), {}

    def mark(doing: str, done: int, of: int) -> None:
        marks[doing, done == of] = time.perf_counter() - started

    summary = evaluated(evaluation, workers(options.processes, None), mark, USUAL_SIZES)
    taken = time.perf_counter() - started
    decided, size = summary.orders["decided"], sum(path.stat().st_size for path in folder.rglob("*.ndjson"))
    print(
        f"{decided:,} orders, {summary.records['in']:,} lines of records read, {size / 2**20:,.0f} MB\n"
        f"reading {marks['Reading', True]:.1f} s, deciding {marks['Deciding', True] - marks['Reading', True]:.1f} s, "
        f"putting together {taken - marks['Deciding', True]:.1f} s\n"
        f"{decided / taken:,.0f} orders/s, {decided / (processor_seconds() - used):,.0f} per second of processor time; "
        f"largest memory {megabytes(resource.RUSAGE_SELF):.0f} MB, "
        f"of a worker {megabytes(resource.RUSAGE_CHILDREN):.0f} MB"
    )


def main() -> None:
    """Generate, evaluate, print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--orders", type=int, default=20_000)
    options.add_argument("--per-patient", type=int, default=1)
    options.add_argument("--resources", type=int, default=50)
    options.add_argument("--in-scope", type=float, default=1.0)
    options.add_argument("--own-commissioner", action="store_true")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)) / "bulk"
        if not folder.exists():
            generated(folder, chosen, load_library([ROOT / "plans"]))
        measured(folder, chosen)


if __name__ == "__main__":
    main()
