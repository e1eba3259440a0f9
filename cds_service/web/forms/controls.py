"""The ways to put a question: from answers to what its inputs hold, and from what they hold to answers.

Pages are made from what a control enters and posts are read into it, so both ways meet here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from cds_service.web.forms.boxes import Dated, Measured, Written
from cds_service.web.forms.entered import Entered
from cds_service.web.forms.given import Given


class Control(Protocol):
    """One way to put a question. ``kind`` names the macro that draws it; ``parts`` its inputs, the first named ``""``."""

    @property
    def kind(self) -> str: ...

    @property
    def parts(self) -> tuple[str, ...]: ...

    def entered(self, said: Given) -> Entered:
        """What the inputs hold when this was said."""

    def given(self, entered: Entered) -> Given:
        """What inputs that hold this say. UnreadableEntryError when it is nothing that can be said."""


@dataclass(frozen=True)
class Repeated:
    """The same inputs once for each answer, and once more for another."""

    control: Written | Dated | Measured

    @property
    def kind(self) -> str:
        return "repeated"

    @property
    def parts(self) -> tuple[str, ...]:
        return self.control.parts

    def entered(self, said: Given) -> Entered:
        each = [self.control.entered(Given((answer,))) for answer in said.answers]
        rows = [*each, self.control.entered(Given())]
        return {
            part: tuple(value for row in rows for value in row.get(part, ("",)))
            for part in self.control.parts
        }

    def given(self, entered: Entered) -> Given:
        return Given(
            tuple(answer for row in self.rows(entered) for answer in self.control.given(row).answers)
        )

    def rows(self, entered: Entered) -> list[Entered]:
        """What the inputs for each answer hold."""
        columns = zip_longest(*(entered.get(part, ()) for part in self.parts), fillvalue="")
        return [{part: (value,) for part, value in zip(self.parts, row, strict=True)} for row in columns]
