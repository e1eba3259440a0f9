"""What is written of a decided order: one row for each policy that decides it, or one that says why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from cds_service.errors import MissingDataError
from cds_service.hooks.cards import EXTENSION, determination_extension
from cds_service.policies.policy import canonical
from cds_service.record.orders import Order
from cds_service.service import Determined

# The statuses of a row besides those of a determination.
NO_POLICY, NOT_READ = "no-policy", "not-read"


class Row(NamedTuple):
    """One policy's decision of one order; empty texts where there is nothing to say.

    ``extension`` is the determination as the hook's card tells it to software, without the card's id.
    """

    order: str
    patient: str
    day: str
    policy: str
    commissioner: str
    status: str
    outcome: str
    rules: tuple[str, ...]
    extension: Mapping[str, Any]

    @property
    def said(self) -> str:
        """The outcome, or the status of a row without one."""
        return self.outcome or self.status

    @property
    def clauses(self) -> str:
        """The labels of the clauses it rests on."""
        return "; ".join(each["label"] for each in self.extension.get("citations", ()))

    @property
    def policy_url(self) -> str:
        """The policy, whatever its version."""
        return canonical(self.policy)[0]


@dataclass(frozen=True)
class Found:
    """What is told of one order: what policies determined, and the cards that ask who commissions the patient's care."""

    determined: Sequence[Determined]
    asking: Sequence[Mapping[str, Any]]


_COLUMNS = (
    "order",
    "patient",
    "day",
    "policy",
    "commissioner",
    "status",
    "outcome",
    "rule",
    "clauses",
    "possible_outcomes",
    "outstanding_count",
    "outstanding",
    "findings",
    "unknowns",
    "redirected_from",
)


def columns(*, with_patient: bool) -> tuple[str, ...]:
    """The names of the columns; that of the patient may be left out."""
    return tuple(name for name in _COLUMNS if with_patient or name != "patient")


def cells(row: Row, *, with_patient: bool) -> tuple[object, ...]:
    """A row's values for the columns."""
    told = row.extension.get
    findings, outstanding = told("findings", []), told("outstanding", ())
    whose = (row.order, row.patient, row.day) if with_patient else (row.order, row.day)
    return (
        *whose,
        row.policy,
        row.commissioner,
        row.status,
        row.outcome,
        " ".join(row.rules),
        row.clauses,
        " ".join(told("possibleOutcomes", ())),
        len(outstanding),
        " ".join(outstanding),
        _json(findings),
        _json(_unknowns(findings)),
        " ".join(told("redirectedFrom", ())),
    )


def rows_of(
    order: Order, patient_id: str, day: str, found: Found | MissingDataError | None
) -> tuple[Row, ...]:
    """The rows of an order. None: no policy is about it. MissingDataError: the hook refuses it for want of data (412)."""
    blank = Row(order.reference or "", f"Patient/{patient_id}", day, "", "", NO_POLICY, "", (), {})
    if found is None:
        return (blank,)
    if isinstance(found, MissingDataError):
        findings = [{"criterion": key, "origin": "unknown", "why": NOT_READ} for key in found.keys]
        return (_with(blank, NOT_READ, {"findings": findings}),)
    rows = (*(_row(blank, each) for each in found.determined), *_asking(blank, found.asking))
    return rows or (blank,)


def _row(blank: Row, found: Determined) -> Row:
    extension = determination_extension(found.determination, found.order, "", found.redirected_from)
    del extension["id"]
    policy = found.determination.policy
    return Row(
        blank.order,
        blank.patient,
        blank.day,
        policy.canonical,
        policy.commissioner_name or "",
        extension["status"],
        extension.get("outcome", ""),
        tuple(rule.id for rule in found.determination.rules),
        extension,
    )


def _asking(blank: Row, cards: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """The row of an order of which nobody knows who pays for it; only the card says so."""
    for card in cards:
        extension = card["extension"][EXTENSION]
        yield _with(blank, extension["status"], {**extension, "id": None})


def _with(blank: Row, status: str, extension: Mapping[str, Any]) -> Row:
    return Row(blank.order, blank.patient, blank.day, "", "", status, "", (), extension)


def _unknowns(findings: Any) -> dict[str, str]:
    return {each["criterion"]: each["why"] for each in findings if each["origin"] == "unknown"}


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
