"""Which items of a form are asked, given the answers so far.

An item is asked when its own condition holds and what it stands in is asked. The answers of an item that is not asked
count for nothing, so they are left out and the conditions looked at again until nothing changes. A condition that
cannot be evaluated leaves its item open to be answered, with a warning (SDC: permit entry).

Source: https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen; SDC enableWhenExpression
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.errors import EnablementLoopError
from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.questionnaires.enable_when import OPERATORS, fulfils
from cds_service.questionnaires.form import Form
from cds_service.questionnaires.places import Place, nearest, places_of, without
from cds_service.questionnaires.problems import EXPRESSION_ERRORS, WARNING, Problem, why_not_evaluated
from cds_service.questionnaires.sight import Launch, Sight
from cds_service.record.resources import Resource, members


@dataclass(frozen=True)
class Enablement:
    """Every place of a response in the form's order, which of them are not asked (by path), and what was not certain."""

    places: tuple[Place, ...]
    disabled: frozenset[str]
    problems: tuple[Problem, ...]

    def asks(self, link_id: str) -> bool:
        """Whether the item is asked, at any of its places."""
        return any(each.item.link_id == link_id and each.path not in self.disabled for each in self.places)

    @property
    def link_ids(self) -> frozenset[str]:
        """The linkIds of the items that are asked."""
        return frozenset(each.item.link_id for each in self.places if each.path not in self.disabled)


def enabled(form: Form, response: Resource, launch: Launch) -> Enablement:
    """Which items of a form are asked, at every place of a response.

    EnablementLoopError when leaving out the answers of items that are not asked never comes to an end.
    """
    places = tuple(places_of(form, response))
    by_link_id: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_link_id[place.item.link_id].append(place)
    disabled: frozenset[str] = frozenset()
    for _ in range(len(form.by_link_id) + 2):
        look = _Look(form, response, launch, by_link_id, disabled)
        now_disabled = look.disabled(places)
        if now_disabled == disabled:
            return Enablement(places, disabled, tuple(look.problems))
        changed, disabled = now_disabled ^ disabled, now_disabled
    raise EnablementLoopError(sorted({each.item.link_id for each in places if each.path in changed}))


class _Look:
    """One look at all conditions, the answers of what is known to be disabled left out."""

    def __init__(
        self,
        form: Form,
        response: Resource,
        launch: Launch,
        by_link_id: Mapping[str, list[Place]],
        disabled: frozenset[str],
    ) -> None:
        self._by_link_id = by_link_id
        self._disabled = disabled
        self._launch = launch
        self._root = Sight.of_form(form, launch, without(response, disabled))
        self._sights: dict[str, Sight] = {}
        self.problems: list[Problem] = []

    def disabled(self, places: Iterable[Place]) -> frozenset[str]:
        found: set[str] = set()
        for place in places:
            around = place.inside
            if (around is not None and around.path in found) or not self._holds(place):
                found.add(place.path)
        return frozenset(found)

    def _holds(self, place: Place) -> bool:
        if place.item.enable_when is not None:
            return self._expression_holds(place)
        conditions = [*members(place.item.resource, "enableWhen")]
        if not conditions:
            return True
        results = (self._condition_holds(place, each) for each in conditions)
        every = place.item.resource.get("enableBehavior") == "all"
        return all(results) if every else any(results)

    def _condition_holds(self, place: Place, condition: Resource) -> bool:
        source = nearest(place, self._by_link_id.get(str(condition.get("question")), ()))
        answers = [] if source is None else self._answers(source)
        operator = str(condition.get("operator"))
        wanted = next(((name, value) for name, value in condition.items() if name.startswith("answer")), None)
        if wanted is None or operator not in OPERATORS:
            words = f"the enableWhen with the operator {operator} cannot be carried out, so it is asked"
            self._warn(place, "not-supported", words)
            return True
        return fulfils(operator, wanted[0].removeprefix("answer"), wanted[1], answers, self._launch)

    def _answers(self, source: Place) -> list[tuple[str, Any]]:
        if source.found is None or source.path in self._disabled:
            return []
        values = (value_of_answer(answer) for answer in members(source.found, "answer"))
        return [value for value in values if value is not None]

    def _expression_holds(self, place: Place) -> bool:
        expression = place.item.enable_when
        try:
            return expression is not None and self._sight(place).truth(expression) is True
        except EXPRESSION_ERRORS as error:
            code, words = why_not_evaluated(error)
            self._warn(place, code, f"whether it is to be asked is not known, so it is; {words}")
            return True

    def _sight(self, place: Place) -> Sight:
        known = self._sights.get(place.path)
        if known is None:
            outer = self._root if place.inside is None else self._sight(place.inside)
            is_left_out = place.found is None or place.path in self._disabled
            focus = None if is_left_out else place.found
            known = outer.inside(place.item, focus or {"linkId": place.item.link_id})
            self._sights[place.path] = known
        return known

    def _warn(self, place: Place, code: str, words: str) -> None:
        self.problems.append(Problem(place.path, place.item.link_id, code, words, WARNING))
