"""What is written as CSV is read back as it was, by the csv module and by pyarrow."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

from cds_service.bulk.tables import csv_line
from tests.bulk.exports import decisions, past_order, registered, run, written

# What texts are made of: all that has a meaning in CSV, and something besides.
_PIECES = ('"', '""', ",", "\n", "\r\n", " ", "", "ä", "a", "'", "\t", ";", "\\")


def _texts(chosen: random.Random) -> list[str]:
    return ["".join(chosen.choices(_PIECES, k=chosen.randint(0, 4))) for _ in range(chosen.randint(2, 6))]


def test_a_line_is_what_the_csv_module_writes() -> None:
    chosen = random.Random(9)  # noqa: S311  not for secrets
    for _ in range(2_000):
        values = [*_texts(chosen), chosen.randint(0, 12)]
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerow(values)

        assert csv_line(values) == written.getvalue()


def test_a_lone_carriage_return_does_not_end_a_row() -> None:
    row = ["a\rb", "c"]

    assert list(csv.reader(io.StringIO(csv_line(row), newline=""))) == [row]


def test_an_order_whose_id_holds_a_carriage_return_is_a_row_like_the_others(tmp_path: Path) -> None:
    orders = [{**past_order("p1"), "id": name} for name in ("a\rb", "c")]
    folder = written(tmp_path / "in", orders, {"Patient": [registered("p1")]})

    run(folder)

    assert {row["order"] for row in decisions(folder)} == {"ServiceRequest/a\rb", "ServiceRequest/c"}
    assert (folder / "out" / "decisions.parquet").exists()
