"""A part spread over buckets: what it takes in memory meanwhile."""

from __future__ import annotations

from pathlib import Path

from cds_service.bulk.export import ExportFile
from cds_service.bulk.parts import parts_of
from cds_service.bulk.spool import Spooled, SpoolTask, spooled


def _spooled(folder: Path, patients: int, lines_each: int) -> Spooled:
    """A part of so many patients, each with so many lines of a Condition behind each other."""
    folder.mkdir()
    (folder / "orders.ndjson").touch()
    file = folder / "Condition.ndjson"
    with file.open("wb") as stream:
        for number in range(patients):
            line = b'{"resourceType":"Condition","subject":{"reference":"Patient/%d"}}\n' % number
            stream.write(line * lines_each)
    parts = parts_of(folder / "orders.ndjson", [ExportFile(file, "Condition")], 2**30)
    return spooled(SpoolTask(parts[1], folder, 8, False))


def test_lines_of_many_patients_are_written_out_sooner_than_as_many_of_few(tmp_path: Path) -> None:
    of_few = _spooled(tmp_path / "few", 1_500, 100)
    of_many = _spooled(tmp_path / "many", 150_000, 1)

    assert of_few.lines == of_many.lines == 150_000
    # Of the same size, but what holds the many runs together takes memory too.
    assert len(of_few.indexes) == 1
    assert len(of_many.indexes) == 2
