"""Boxes to write in: text and numbers, days and times, quantities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.questionnaires.answer_words import number_text
from cds_service.record.resources import Resource, text
from cds_service.web.dates import clock_text
from cds_service.web.forms.entered import UNKNOWN, Entered, first, says_unknown, with_unknown
from cds_service.web.forms.entries import (
    UnreadableEntryError,
    plain,
    typed_date,
    typed_decimal,
    typed_moment,
)
from cds_service.web.forms.given import Given


@dataclass(frozen=True)
class Written:
    """A box to write in; ``element`` the answer's (``valueInteger``), ``read`` what makes its value of the text."""

    element: str
    read: Callable[[str], Any]
    rows: int = 1
    width: str = ""
    inputmode: str = ""
    suffix: str = ""
    max_length: int | None = None
    dont_know: bool = False
    kind: str = "written"

    @property
    def parts(self) -> tuple[str, ...]:
        return ("", UNKNOWN) if self.dont_know else ("",)

    def entered(self, said: Given) -> Entered:
        value = (value_of_answer(said.answers[0]) or ("", ""))[1] if said.answers else ""
        shown = clock_text(value) if self.element == "valueTime" and _is_clock(value) else number_text(value)
        return with_unknown({"": (shown,)}, said)

    def given(self, entered: Entered) -> Given:
        typed = plain(first(entered, ""))
        if says_unknown(entered, anything=bool(typed)):
            return Given(unknown=True)
        return Given(({self.element: self.read(typed)},)) if typed else Given()


@dataclass(frozen=True)
class Dated:
    """Day, month and year, and ``timed`` with a time of day, typed in the ``zone``."""

    zone: tzinfo
    timed: bool = False
    dont_know: bool = False
    kind: str = "dated"

    @property
    def parts(self) -> tuple[str, ...]:
        clock = ("time",) if self.timed else ()
        return ("day", "month", "year", *clock, *((UNKNOWN,) if self.dont_know else ()))

    def entered(self, said: Given) -> Entered:
        written = str((value_of_answer(said.answers[0]) or ("", ""))[1]) if said.answers else ""
        day, clock = self._local(written)
        year, month, dom = (part.lstrip("0") for part in (*day.split("-"), "", "")[:3])
        parts = {"day": (dom,), "month": (month,), "year": (year,)}
        return with_unknown({**parts, "time": (clock,)} if self.timed else parts, said)

    def given(self, entered: Entered) -> Given:
        day, month, year, clock = (plain(first(entered, part)) for part in ("day", "month", "year", "time"))
        if says_unknown(entered, anything=bool(day or month or year or clock)):
            return Given(unknown=True)
        if not (day or month or year or clock):
            return Given()
        if self.timed:
            return Given(({"valueDateTime": typed_moment(day, month, year, clock, self.zone)},))
        return Given(({"valueDate": typed_date(day, month, year)},))

    def _local(self, written: str) -> tuple[str, str]:
        """The day and the time of a written moment where the form is filled in."""
        if "T" not in written:
            return written, ""
        try:
            moment = datetime.fromisoformat(written).astimezone(self.zone)
        except ValueError:
            return written.split("T", maxsplit=1)[0], ""
        return moment.date().isoformat(), clock_text(moment.time().replace(microsecond=0).isoformat())


@dataclass(frozen=True)
class Measured:
    """A number and its unit: the only one, one of several, or (none given) one that is typed."""

    units: tuple[Resource, ...] = ()
    dont_know: bool = False
    kind: str = "measured"

    @property
    def parts(self) -> tuple[str, ...]:
        unit = () if len(self.units) == 1 else ("unit",)
        return ("", *unit, *((UNKNOWN,) if self.dont_know else ()))

    def entered(self, said: Given) -> Entered:
        found = said.answers[0].get("valueQuantity") if said.answers else None
        quantity: Mapping[str, Any] = found if isinstance(found, dict) else {}
        number = (number_text(quantity["value"]) if "value" in quantity else "",)
        unit = text(quantity, "code") if self.units else text(quantity, "unit")
        parts = {"": number} if len(self.units) == 1 else {"": number, "unit": (unit or "",)}
        return with_unknown(parts, said)

    def given(self, entered: Entered) -> Given:
        number, unit = plain(first(entered, "")), plain(first(entered, "unit"))
        if says_unknown(entered, anything=bool(number)):
            return Given(unknown=True)
        if not number:
            return Given()
        return Given(({"valueQuantity": {"value": typed_decimal(number), **self._unit(unit)}},))

    def _unit(self, typed: str) -> Mapping[str, str]:
        if not self.units:
            return {"unit": typed} if typed else {}
        for unit in self.units:
            if len(self.units) == 1 or unit.get("code") == typed:
                shown = unit.get("display") or unit.get("code")
                return {
                    name: value
                    for name, value in (
                        ("unit", shown),
                        ("system", unit.get("system")),
                        ("code", unit.get("code")),
                    )
                    if value
                }
        raise UnreadableEntryError("Must have a unit")


def _is_clock(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(clock_text(value))
    except ValueError:
        return False
