"""The same results, byte for byte, whoever works, however often it is stopped, and in whatever order lines come."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from cds_service.bulk.evaluation import USUAL_SIZES, Sizes
from cds_service.bulk.evaluation import evaluated as evaluated_orders
from cds_service.bulk.work import Here, Processes, RayCluster
from cds_service.errors import BulkInputError
from tests.bulk.exports import (
    PLANS,
    ROOT,
    SMALL,
    decisions,
    diagnosed,
    evaluation,
    lines,
    past_order,
    quarantined,
    registered,
    results,
    run,
    written,
)
from tests.bulk.populations import population

KILLED_RUN = """
import sys
from pathlib import Path
from cds_service.bulk.work import Processes
from tests.bulk.exports import run
if __name__ == "__main__":
    run(Path(sys.argv[1]), Processes(2))
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred orders, one line in fifty damaged, decided by this process."""
    generated = population(200, 11)
    chosen = random.Random(11)  # noqa: S311  not for secrets
    orders: list[object] = list(generated.orders)
    conditions: list[object] = list(generated.records["Condition"])
    for kind in (orders, conditions):
        for place in sorted(chosen.sample(range(len(kind)), len(kind) // 50)):
            kind[place] = b'{"resourceType":"Condition","id":"cut'
    folder = tmp_path_factory.mktemp("evaluated") / "in"
    written(folder, orders, {**generated.records, "Condition": conditions})
    run(folder)
    return folder


def test_two_processes_give_the_same_bytes(evaluated: Path, tmp_path: Path) -> None:
    again = _copied(evaluated, tmp_path)

    run(again, Processes(2))

    assert results(again) == results(evaluated)


def test_processes_that_cannot_be_forked_give_the_same_bytes(evaluated: Path, tmp_path: Path) -> None:
    again = _copied(evaluated, tmp_path)

    with _another_thread():
        run(again, Processes(2))

    assert results(again) == results(evaluated)


def test_policies_that_change_meanwhile_are_refused_by_a_process_that_has_to_load_them(
    evaluated: Path, tmp_path: Path
) -> None:
    again, plans = _copied(evaluated, tmp_path), Path(shutil.copytree(PLANS, tmp_path / "plans"))

    with _another_thread(), pytest.raises(BulkInputError, match="policies that changed meanwhile"):
        evaluated_orders(evaluation(again, plans=(plans,)), Processes(1), _losing_a_policy(plans), SMALL)


def test_policies_that_change_meanwhile_change_nothing_for_who_has_loaded_them(
    evaluated: Path, tmp_path: Path
) -> None:
    again, plans = _copied(evaluated, tmp_path), Path(shutil.copytree(PLANS, tmp_path / "plans"))

    evaluated_orders(evaluation(again, plans=(plans,)), Here(), _losing_a_policy(plans), SMALL)

    assert results(again) == results(evaluated)


def test_a_ray_cluster_gives_the_same_bytes(evaluated: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed (the extra ray)")
    again = _copied(evaluated, tmp_path)

    run(again, RayCluster("local"))

    assert results(again) == results(evaluated)


def test_other_sizes_of_parts_and_buckets_give_the_same_bytes(evaluated: Path, tmp_path: Path) -> None:

    again = _copied(evaluated, tmp_path)

    run(again, sizes=USUAL_SIZES)

    assert results(again) == results(evaluated)


@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_no_line_is_lost_or_read_twice_where_a_part_begins(beside: int, tmp_path: Path) -> None:
    orders = [past_order("p1", f"{number:03}") for number in range(20)]
    length = len(lines(orders[:1]))
    folder = written(tmp_path / "in", orders, {"Patient": [registered("p1")]})

    summary = run(folder, sizes=Sizes(part=2 * length + beside, bucket=100_000))

    assert summary.orders["in"] == 20
    assert [row["order"][-3:] for row in decisions(folder)] == [f"{number:03}" for number in range(20)]


def test_shuffled_lines_in_several_compressed_files_give_the_same_decisions(
    evaluated: Path, tmp_path: Path
) -> None:
    again = _copied(evaluated, tmp_path)
    chosen = random.Random(5)  # noqa: S311  not for secrets
    for file in (again / "orders.ndjson", *sorted((again / "records").iterdir())):
        shuffled = file.read_bytes().splitlines(keepends=True)
        chosen.shuffle(shuffled)
        file.write_bytes(b"".join(shuffled))
    conditions = (again / "records" / "Condition.ndjson").read_bytes().splitlines(keepends=True)
    (again / "records" / "Condition.ndjson").unlink()
    for number, half in enumerate((conditions[:90], conditions[90:])):
        (again / "records" / f"Condition.{number}.ndjson.gz").write_bytes(gzip.compress(b"".join(half)))

    run(again)

    for name in ("decisions.csv", "decisions.parquet", "summary.json"):
        assert results(again)[name] == results(evaluated)[name], name
    assert len(quarantined(again)) == len(quarantined(evaluated))


@pytest.mark.parametrize("stage", ["spool", "buckets"])
def test_a_run_that_is_killed_is_taken_up_with_the_same_bytes(
    stage: str, evaluated: Path, tmp_path: Path
) -> None:
    again = _copied(evaluated, tmp_path)
    between = again / "out" / ".evaluation" / stage

    _killed_when(again, lambda: between.is_dir() and len(_whole(between)) >= 3)

    kept = {path: path.stat().st_mtime_ns for path in _whole(between)}
    seen: dict[Path, int] = {}

    def look(doing: str, done: int, of: int) -> None:
        seen.update({path: path.stat().st_mtime_ns for path in kept if path.exists()})

    evaluated_orders(evaluation(again), Here(), look, SMALL)
    assert seen == kept
    assert results(again) == results(evaluated)


def test_a_changed_record_is_read_again_after_a_run_that_was_stopped(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "in",
        [past_order("p1")],
        {"Patient": [registered("p1")], "Condition": [], "Procedure": [], "Coverage": []},
    )

    def stop(doing: str, done: int, of: int) -> None:
        if (doing, done) == ("Deciding", of):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated_orders(evaluation(folder), Here(), stop, SMALL)
    (folder / "records" / "Patient.ndjson").write_bytes(lines([registered("p1", "nowhere")]))
    run(folder)

    assert decisions(folder)[0]["outstanding"] == "commissioner"


def test_what_lay_between_when_the_machine_went_down_is_not_gone_by(evaluated: Path, tmp_path: Path) -> None:
    again = _copied(evaluated, tmp_path)
    between = again / "out" / ".evaluation"

    def stop(doing: str, done: int, of: int) -> None:
        if (doing, done) == ("Deciding", of):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated_orders(evaluation(again), Here(), stop, SMALL)
    # A name may outlive what it names when the power fails.
    for file in (*between.glob("spool/*"), *between.glob("buckets/*/*")):
        file.write_bytes(b"")
    (between / "machine-started").write_text("before the power failed")
    run(again)

    assert results(again) == results(evaluated)


def test_one_pool_of_processes_serves_two_evaluations(evaluated: Path, tmp_path: Path) -> None:
    processes = Processes(2)
    first, second = (_copied(evaluated, tmp_path / name) for name in ("first", "second"))

    run(first, processes)
    run(second, processes)

    assert results(first) == results(second) == results(evaluated)


def test_nothing_in_between_is_left(evaluated: Path) -> None:
    assert sorted(results_names(evaluated)) == [
        "decisions.csv",
        "decisions.parquet",
        "quarantine.ndjson",
        "summary.json",
    ]


def results_names(folder: Path) -> list[str]:
    """The names of all that lies in the folder of the results."""
    return [path.name for path in (folder / "out").iterdir()]


def test_a_second_evaluation_into_the_same_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", [past_order("p1")], {"Patient": [registered("p1")]})
    refused: list[BulkInputError] = []

    def try_another(doing: str, done: int, of: int) -> None:
        if not refused:
            with pytest.raises(BulkInputError, match="another evaluation under way") as error:
                run(folder)
            refused.append(error.value)

    evaluated_orders(evaluation(folder), Here(), try_another, USUAL_SIZES)

    assert len(refused) == 1
    assert len(decisions(folder)) == 1


def test_parquet_holds_the_same_rows_as_the_csv_file(evaluated: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (the extra bulk)")

    rows = parquet.read_table(evaluated / "out" / "decisions.parquet").to_pylist()

    assert [{name: str(value) for name, value in row.items()} for row in rows] == decisions(evaluated)


def test_patients_can_be_left_out(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "in",
        [past_order("a-patient", id="order-1")],
        {"Patient": [registered("a-patient")], "Condition": [diagnosed("a-patient", "254837009", id="c1")]},
    )

    run(folder, with_patient=False)

    assert "patient" not in decisions(folder)[0]
    assert all(b"a-patient" not in content for content in results(folder).values())


def test_an_order_is_decided_as_of_its_own_day_or_of_a_day_that_is_named(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "in",
        [past_order("p1", authoredOn="1999-01-01")],
        {"Patient": [registered("p1")], "Condition": [], "Procedure": [], "Coverage": []},
    )

    run(folder)
    own = decisions(folder)
    run(folder, as_of=date(2026, 11, 20))
    named = decisions(folder)

    assert [(row["day"], row["status"]) for row in own] == [("1999-01-01", "no-policy")]
    assert [(row["day"], row["status"]) for row in named] == [("2026-11-20", "undetermined")]


def _copied(evaluated: Path, tmp_path: Path) -> Path:
    """The same input, without results."""
    return Path(shutil.copytree(evaluated, tmp_path / "in", ignore=shutil.ignore_patterns("out")))


@contextmanager
def _another_thread() -> Iterator[None]:
    """A thread of this process that a fork would leave behind."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _losing_a_policy(plans: Path) -> Callable[[str, int, int], None]:
    """Takes a policy away when everything is read and nothing decided."""

    def lose(doing: str, done: int, of: int) -> None:
        if (doing, done) == ("Reading", of):
            shutil.rmtree(plans / "derby-mastopexy")

    return lose


def _whole(folder: Path) -> list[Path]:
    """What was finished in a folder of files in between."""
    return sorted(path for path in folder.iterdir() if "." not in path.name)


def _killed_when(folder: Path, enough: Callable[[], bool]) -> None:
    """Evaluate in a process of its own, with two workers, and kill all of them when there is enough."""
    process = subprocess.Popen(  # noqa: S603  our own interpreter and script
        [sys.executable, _script(folder), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 240
        while not enough():
            assert process.poll() is None, "it was done before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _script(folder: Path) -> str:
    """The run as a file, because workers that are spawned import the main module by its path."""
    script = folder.parent / "killed_run.py"
    script.write_text(KILLED_RUN)
    return str(script)
