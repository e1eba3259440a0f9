"""What an export shows, what it does not, and which of its lines cannot be used."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import BulkInputError
from tests.bulk.exports import decisions, diagnosed, lines, past_order, quarantined, registered, run, written

LOBULAR = "109888004"
EMPTY: dict[str, list[Any]] = {
    "Coverage": [],
    "QuestionnaireResponse": [],
    "Condition": [],
    "Procedure": [],
}


def exported(tmp_path: Path, orders: Sequence[object] = (), **records: Any) -> Path:
    """An order of a Derby patient, and an export in which every type was read, empty unless given."""
    return written(
        tmp_path / "in", orders or [past_order("p1")], {"Patient": [registered("p1")], **EMPTY, **records}
    )


def whys(folder: Path) -> set[str]:
    """Why the findings of the only row are unknown."""
    (row,) = decisions(folder)
    return set(json.loads(row["unknowns"]).values())


def test_a_type_with_an_empty_file_was_read(tmp_path: Path) -> None:
    folder = exported(tmp_path)

    summary = run(folder)

    assert "not-read" not in whys(folder)
    assert "Condition" not in summary.not_read


def test_a_type_without_a_file_was_not_read(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "records" / "Condition.ndjson").unlink()

    summary = run(folder)

    assert "not-read" in whys(folder)
    assert summary.not_read["Condition"] == "not exported"


def test_a_file_is_known_by_what_its_lines_hold_whatever_it_is_called(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "records" / "Condition.ndjson").rename(folder / "records" / "ghost.ndjson")
    (folder / "records" / "ghost.ndjson").write_bytes(lines([diagnosed("p2", LOBULAR)]))

    assert "Condition" not in run(folder).not_read


def test_several_files_of_a_type_plain_and_compressed_are_read_together(tmp_path: Path) -> None:
    one = exported(tmp_path / "one", Condition=[diagnosed("p1", LOBULAR, str(each)) for each in range(40)])
    several = exported(tmp_path / "several")
    (several / "records" / "Condition.ndjson").write_bytes(
        lines(diagnosed("p1", LOBULAR, str(each)) for each in range(15))
    )
    (several / "records" / "Condition.1.ndjson.gz").write_bytes(
        gzip.compress(lines(diagnosed("p1", LOBULAR, str(each)) for each in range(15, 40)))
    )

    run(one)
    run(several)

    assert decisions(several) == decisions(one)
    assert "c-p1-39" in decisions(one)[0]["findings"]


def test_lines_with_spaces_and_absolute_references_name_their_patient_too(tmp_path: Path) -> None:
    condition = diagnosed("p1", LOBULAR, subject={"reference": "https://ehr.example/fhir/Patient/p1"})
    folder = exported(tmp_path, Condition=[json.dumps(condition, indent=None).encode()])

    run(folder)

    assert "c-p1-1" in decisions(folder)[0]["findings"]


def test_a_subject_that_only_a_contained_resource_has_is_not_the_patient(tmp_path: Path) -> None:
    condition = diagnosed("p1", LOBULAR, contained=[diagnosed("p1", LOBULAR)])
    del condition["subject"]
    folder = exported(tmp_path, Condition=[condition])

    run(folder)

    assert [each["why"] for each in quarantined(folder)] == ["it names no patient"]
    assert "c-p1-1" not in decisions(folder)[0]["findings"]


def test_a_contained_resource_about_somebody_else_does_not_change_whose_record_it_is(tmp_path: Path) -> None:
    relative = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/mother"}}
    condition = {"resourceType": "Condition", "contained": [relative], **diagnosed("p1", LOBULAR)}
    folder = exported(tmp_path, Condition=[condition])

    run(folder)

    assert quarantined(folder) == []
    assert "c-p1-1" in decisions(folder)[0]["findings"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"resourceType":"Condition","id":"cut', "not JSON"),
        (b"[]", "no Condition, as the rest of the file"),
        (b'{"resourceType":"Condition","id":"c"}', "it names no patient"),
        (
            b'{"resourceType":"Condition","subject":{"reference":"Patient/a b"}}',
            "the patient's id is not one that FHIR allows",
        ),
        # Found by the patient's reference, and seen to be broken only when the record is read.
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"}', "not JSON"),
        (
            b'{"resourceType":"Procedure","subject":{"reference":"Patient/p1"}}',
            "no Condition, as the rest of the file",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_named_by_file_and_line_and_not_quoted(
    line: bytes, why: str, tmp_path: Path
) -> None:
    folder = exported(
        tmp_path, Condition=[diagnosed("p1", LOBULAR), b"", line, diagnosed("p1", LOBULAR, "2")]
    )

    summary = run(folder)

    assert quarantined(folder) == [{"file": "Condition.ndjson", "line": 3, "why": why}]
    assert summary.records == {"in": 4, "quarantined": 1}
    assert "c-p1-2" in decisions(folder)[0]["findings"]


def test_a_line_that_no_decision_looks_at_is_not_noticed_however_broken(tmp_path: Path) -> None:
    broken = b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"}'
    # Nobody's policies decide, so none of their questions is asked of the record.
    folder = exported(tmp_path, Patient=[registered("p1", "NOBODY")], Condition=[broken])

    summary = run(folder)

    assert decisions(folder)[0]["outstanding"] == "commissioner"
    assert quarantined(folder) == []
    assert summary.records == {"in": 2, "quarantined": 0}


def test_every_order_is_decided_passed_over_or_quarantined(tmp_path: Path) -> None:
    orders: list[object] = [
        past_order("p1", "1"),
        past_order("p1", "2", status="entered-in-error"),
        past_order("p1", "3", doNotPerform=True),
        past_order("p1", "4", authoredOn=None),
        past_order("p1", "5", status="revoked"),
        b"{",
        b"  ",
    ]
    folder = exported(tmp_path, orders)

    summary = run(folder)

    assert summary.orders == {"in": 6, "decided": 2, "passed over": 2, "quarantined": 2}
    assert {row["order"] for row in decisions(folder)} == {"ServiceRequest/p1-1", "ServiceRequest/p1-5"}
    assert sorted((each["file"], each["line"]) for each in quarantined(folder)) == [
        ("orders.ndjson", 4),
        ("orders.ndjson", 6),
    ]


def test_a_type_whose_file_breaks_off_was_not_read(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    whole = gzip.compress(lines(diagnosed("p1", LOBULAR, str(each)) for each in range(200)))
    (folder / "records" / "Condition.1.ndjson.gz").write_bytes(whole[: len(whole) // 2])

    summary = run(folder)

    assert summary.not_read["Condition"] == "Condition.1.ndjson.gz: it breaks off"
    assert "not-read" in whys(folder)


def test_a_plain_file_that_ends_within_a_line_was_not_read(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "records" / "Condition.ndjson").write_bytes(lines([diagnosed("p1", LOBULAR)])[:-20])

    assert run(folder).not_read["Condition"] == "Condition.ndjson: it breaks off within its last line"


def test_orders_cut_short_are_refused(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "orders.ndjson").write_bytes(lines([past_order("p1")])[:-20])

    with pytest.raises(BulkInputError, match="a file cut short; expected all orders"):
        run(folder)


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", [past_order("p1")], {})

    with pytest.raises(BulkInputError, match="found no file; expected a FHIR Bulk Data export"):
        run(folder)


def manifest(folder: Path, **members: Any) -> None:
    """A manifest beside the export's files."""
    (folder / "records" / "manifest.json").write_text(
        json.dumps({"transactionTime": "2026-11-21T00:00:00Z", "output": [], "error": [], **members})
    )


def outcome(severity: str, diagnostics: str) -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": "exception", "diagnostics": diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@pytest.mark.parametrize(
    ("severity", "diagnostics", "not_read"),
    [
        ("error", "Condition could not be exported", {"Condition"}),
        (
            "fatal",
            "the disk was full",
            {"Patient", "Condition", "Procedure", "Coverage", "QuestionnaireResponse", "DocumentReference"},
        ),
        ("warning", "Condition is large", {"DocumentReference"}),
    ],
)
def test_a_type_that_the_exporter_reports_an_error_of_was_not_read(
    severity: str, diagnostics: str, not_read: set[str], tmp_path: Path
) -> None:
    folder = exported(tmp_path, **{"errors.ndjson": [outcome(severity, diagnostics)]})
    error = {"type": "OperationOutcome", "url": "https://ehr.example/bulk/errors.ndjson"}
    manifest(folder, error=[error])

    assert set(run(folder).not_read) - {"DocumentReference"} == not_read - {"DocumentReference"}


def test_a_file_that_the_manifest_names_and_the_folder_lacks_leaves_its_type_unread(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    manifest(folder, output=[{"type": "Condition", "url": "https://ehr.example/bulk/Condition.2.ndjson"}])

    assert run(folder).not_read["Condition"] == "Condition.2.ndjson is in the manifest and not in the folder"


@pytest.mark.parametrize(
    ("member", "found"),
    [
        ({"deleted": [{"type": "Bundle", "url": "https://ehr.example/d.ndjson"}]}, "deleted resources"),
        ({"link": [{"relation": "next", "url": "https://ehr.example/2"}]}, "a further manifest"),
    ],
)
def test_half_an_export_is_refused(member: dict[str, Any], found: str, tmp_path: Path) -> None:
    folder = exported(tmp_path)
    manifest(folder, **member)

    with pytest.raises(BulkInputError, match=f"found {found}"):
        run(folder)


def test_a_query_that_asks_for_more_than_the_patient_is_not_answered_by_all_of_its_type() -> None:
    from cds_service.bulk.patients import BulkPatient

    patient = BulkPatient("p1", [], {}, {}, [])

    answers = patient.answers(
        {
            "all": "Observation?patient={{%patient.id}}",
            "some": "Observation?patient={{%patient.id}}&code=718-7",
        }
    )

    assert answers["all"].not_read is None
    assert answers["some"].not_read == "an export is not searched by parameters other than the patient"
