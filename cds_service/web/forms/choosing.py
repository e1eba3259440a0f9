"""A choice: radios, checkboxes, or a list to pull down."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.web.forms.entered import OTHER, Entered
from cds_service.web.forms.entries import UnreadableEntryError, plain
from cds_service.web.forms.given import Given
from cds_service.web.forms.options import DONT_KNOW_OPTION, DONT_KNOW_TOKEN, Option, token


@dataclass(frozen=True)
class Chosen:
    """Radios, checkboxes (``several``) or a list to pull down; ``open`` with a box for what is not on offer."""

    options: tuple[Option, ...]
    several: bool = False
    drop_down: bool = False
    open: bool = False

    @property
    def kind(self) -> str:
        if self.several:
            return "checkboxes"
        return "select" if self.drop_down else "radios"

    @property
    def parts(self) -> tuple[str, ...]:
        return ("", OTHER) if self.open else ("",)

    def entered(self, said: Given) -> Entered:
        if said.unknown:
            return {"": (DONT_KNOW_TOKEN,)}
        tokens = [token(answer) for answer in said.answers]
        chosen = tuple(each.token for each in self.options if each.token in tokens)
        own = [answer for answer in said.answers if token(answer) not in chosen]
        typed = "\n".join(str((value_of_answer(answer) or ("", ""))[1]) for answer in own)
        return {"": chosen, OTHER: (typed,)} if self.open else {"": chosen}

    def given(self, entered: Entered) -> Given:
        tokens = {each for each in entered.get("", ()) if each}
        chosen = [option for option in self.options if option.token in tokens]
        if len(chosen) < len(tokens):
            raise UnreadableEntryError("Must be one of the options")
        typed = plain("\n".join(entered.get(OTHER, ()))) if self.open else ""
        own = tuple(
            {"valueString": line} for line in (typed.split("\n") if self.several else [typed]) if line
        )
        self._refuse_contradiction(chosen, len(own))
        answers = tuple(option.answer for option in chosen if option.answer is not None)
        return Given((*answers, *own), unknown=DONT_KNOW_OPTION in chosen)

    def _refuse_contradiction(self, chosen: list[Option], own: int) -> None:
        count = len(chosen) + own
        alone = [option.label for option in chosen if option.exclusive]
        if count > 1 and alone:
            raise UnreadableEntryError(f"Cannot be “{alone[0]}” and something else")
        if count > 1 and not self.several:
            raise UnreadableEntryError("Must be one answer only")
