"""Whose the lines of a block are, found for all of them at once, is what each line says alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cds_service.bulk.parts import LineFaultError, patient_in
from cds_service.bulk.runs import Attributed, attributed

# What lines are made of, whole and broken; joined at random they come close to every way of naming a patient.
PIECES = [
    b'{"resourceType":"Condition"',
    b'"subject":{"reference":"Patient/p1"}',
    b'"subject":{"reference":"Patient/p2"}',
    b'"subject":{"reference":"Patient/p2/_history/1"}',
    b'"subject":{"reference":"https://ehr.example/fhir/Patient/p1"}',
    b'"subject": {"reference": "Patient/p1"}',
    b'"subject":{"reference":"Patient/p_1"}',
    b'"subject":{"reference":"',
    b'"subject":{"reference":"Patient/',
    b'"subject":{"reference":"Patient/p1',
    b'":{"reference":"',
    b'"subject',
    b'"patient":{"reference":"Patient/p1"}',
    b'"beneficiary":{"reference":"Patient/p1"}',
    b'"encounter":{"reference":"Encounter/1"}',
    b'"asserter":{"reference":"Patient/p1"}',
    b'"contained":[{"subject":{"reference":"Patient/p2"}}]',
    b'"id":"p1"',
    b'"note":"\xc3\xa9\\u0041"',
    b"\xff",
    b",",
    b"}",
    b" ",
    b"\r",
    b"",
]
_LINE = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join),
    st.lists(st.sampled_from(PIECES[1:18]), max_size=3).map(
        lambda members: b",".join((PIECES[0], *members)) + b"}"
    ),
)
_BLOCK = st.lists(_LINE, min_size=1, max_size=12).map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(block=_BLOCK, before=st.integers(0, 3), kind=st.sampled_from(["Condition", "Patient"]))
def test_every_line_of_a_block_is_attributed_as_it_is_alone(block: bytes, before: int, kind: str) -> None:
    found = attributed(block, before, kind)

    assert _told(found, block) == _one_by_one(block, before, kind)
    assert found.lines == block.count(b"\n")


@given(block=_BLOCK)
def test_a_run_is_never_followed_by_one_of_the_same_patient_that_goes_on_where_it_ends(block: bytes) -> None:
    runs = attributed(block, 0, "Condition").runs

    ends = {(run.patient, run.first + run.lines) for run in runs}
    assert not any((run.patient, run.first) in ends for run in runs)


def test_lines_of_one_patient_behind_each_other_are_one_run() -> None:
    line = b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"},"asserter":{"reference":"Patient/p2"}}\n'

    (run,) = attributed(line * 3, 10, "Condition").runs

    assert run == (b"p1", 11, 3, 0, 3 * len(line))


def test_a_line_that_also_names_another_patient_does_not_go_on_with_the_lines_before_it() -> None:
    own = b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"}}\n'
    doubtful = (
        b'{"resourceType":"Condition","subject":{"reference":"Patient/p2"},'
        b'"contained":[{"subject":{"reference":"Patient/p1"}}]}\n'
    )

    before, alone = attributed(own + doubtful, 0, "Condition"), attributed(doubtful, 1, "Condition")

    assert (
        _told(before, own + doubtful)[2]
        == _told(alone, doubtful)[2]
        == _one_by_one(doubtful, 1, "Condition")[2]
    )


def _told(found: Attributed, block: bytes) -> dict[int, tuple[bytes, bytes | None]]:
    """Number → the line and its patient, or why it is refused and None; each line once."""
    told: dict[int, tuple[bytes, bytes | None]] = {}
    for run in found.runs:
        lines = block[run.start : run.end].removesuffix(b"\n").split(b"\n")
        assert len(lines) == run.lines
        for number, line in enumerate(lines, run.first):
            assert number not in told
            told[number] = (line, run.patient)
    for number, why in found.refused:
        assert number not in told
        told[number] = (why.encode(), None)
    return told


def _one_by_one(block: bytes, before: int, kind: str) -> dict[int, tuple[bytes, bytes | None]]:
    """The same, by asking of each line alone."""
    told: dict[int, tuple[bytes, bytes | None]] = {}
    for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), before + 1):
        try:
            told[number] = (line, patient_in(line, kind))
        except LineFaultError as fault:
            if line.strip():
                told[number] = (str(fault).encode(), None)
    return told
