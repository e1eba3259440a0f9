"""Whose the lines of a block are, found in one pass over all of them, because an export has millions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from cds_service.bulk.parts import PATIENT, REFERENCE, SUBJECT_NAMES, LineFaultError, patient_in


class Run(NamedTuple):
    """Lines behind each other about one patient: the first's number, how many, and where they stand in their block."""

    patient: bytes
    first: int
    lines: int
    start: int
    end: int


@dataclass(frozen=True)
class Attributed:
    """The lines of a block by patient: ``runs``; those that cannot be used, number and why; and how many there are.

    Blank lines are only counted.
    """

    runs: tuple[Run, ...]
    refused: tuple[tuple[int, str], ...]
    lines: int


class _Mark(NamedTuple):
    """Where the lines of a patient begin, or (None) lines that nobody can be told of, by number and place."""

    patient: bytes | None
    first: int
    start: int


def attributed(block: bytes, before: int, resource_type: str) -> Attributed:
    """Whose each line of a block is, as ``patient_in`` says it of the line alone.

    ``block`` ends with the end of a line; ``before``: how many lines stand before it.
    """
    refused: list[tuple[int, str]] = []
    marks = list(_marks(block, before, resource_type, refused))
    runs = (
        Run(mark.patient, mark.first, after.first - mark.first, mark.start, after.start)
        for mark, after in pairwise(marks)
        if mark.patient is not None
    )
    return Attributed(tuple(runs), tuple(refused), marks[-1].first - before - 1)


def _marks(block: bytes, before: int, resource_type: str, refused: list[tuple[int, str]]) -> Iterator[_Mark]:
    """A mark wherever another patient's lines begin, and one behind the last line."""
    patient: bytes | None = None
    # What the reference begins with when a further line is about the same patient; nothing begins with ().
    same: bytes | tuple[()] = ()
    number, start, at = before + 1, 0, 0
    named, names, is_named = b"", 0, False
    for part in block.split(REFERENCE):
        if is_named:
            named, names = part, names + 1
        end = part.find(b"\n") + 1
        while end:
            if names != 1 or not named.startswith(same):
                found = PATIENT(named) if names == 1 and resource_type != "Patient" else None
                line = block[start : at + end - 1]
                whose = found[1] if found else _parsed(line, number, resource_type, refused)
                if whose is None or whose != patient:
                    yield _Mark(whose, number, start)
                patient, same = whose, b'Patient/%b"' % found[1] if found else ()
            number, start, names = number + 1, at + end, 0
            end = part.find(b"\n", end) + 1
        is_named = part.endswith(SUBJECT_NAMES)
        at += len(part) + len(REFERENCE)
    yield _Mark(None, number, start)


def _parsed(line: bytes, number: int, resource_type: str, refused: list[tuple[int, str]]) -> bytes | None:
    """The patient of a line that has to be parsed; None when it says none, which is told unless it is blank."""
    try:
        return patient_in(line, resource_type)
    except LineFaultError as fault:
        if line.strip():
            refused.append((number, str(fault)))
        return None
