"""Calculated values: computed again from the answers of the items that are asked, until nothing changes.

Source: https://hl7.org/fhir/uv/sdc/behavior.html#calculatedExpression
"""

from __future__ import annotations

from typing import Any

from cds_service.questionnaires.enablement import enabled
from cds_service.questionnaires.filling import Filling
from cds_service.questionnaires.form import FormItem
from cds_service.questionnaires.items import RESPONSE
from cds_service.questionnaires.places import without
from cds_service.questionnaires.sight import Sight
from cds_service.record.resources import Resource, members

# Calculated values that still change after so many rounds run in a circle.
_MOST_ROUNDS = 50


def calculated(filling: Filling, full: dict[str, Any]) -> dict[str, Any]:
    """The response with its calculated values; those that never settle are left open, and noted."""
    form = filling.form
    if all(item.calculated is None for item in form.by_link_id.values()):
        return full
    changing: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        disabled = enabled(form, full, filling.launch).disabled
        visible = without(full, disabled)
        round_ = _Round(filling, disabled)
        following = round_.element(full, visible, Sight.of_form(form, filling.launch, visible), RESPONSE)
        if not round_.changing:
            return full
        full, changing = following, round_.changing
    for link_id in sorted(changing):
        item = form.by_link_id[link_id]
        if item.calculated is not None:
            filling.note(item, item.calculated, "processing", "its calculated value changes without end")
    return _emptied(full, changing)


class _Round:
    """One computation of every calculated value; ``changing`` are the linkIds of those that came out different."""

    def __init__(self, filling: Filling, disabled: frozenset[str]) -> None:
        self._filling = filling
        self._disabled = disabled
        self.changing: set[str] = set()

    def element(self, full: Resource, visible: Resource, sight: Sight, path: str) -> dict[str, Any]:
        """A response, group or answer with the items below it; ``visible`` is what expressions see of it."""
        if "item" not in full:
            return dict(full)
        pairs = zip(members(full, "item"), members(visible, "item"), strict=True)
        items = [
            self._item(item, seen, sight, f"{path}.item[{position}]")
            for position, (item, seen) in enumerate(pairs)
        ]
        return {**full, "item": items}

    def _item(self, item: Resource, seen: Resource, sight: Sight, path: str) -> dict[str, Any]:
        if path in self._disabled:
            return dict(item)
        form_item = self._filling.form.by_link_id[item["linkId"]]
        inner = sight.inside(form_item, seen, **self._filling.made_from(path))
        following = self._below_answers(self.element(item, seen, inner, path), seen, inner, path)
        return self._again(form_item, following, inner, path)

    def _below_answers(self, item: dict[str, Any], seen: Resource, sight: Sight, path: str) -> dict[str, Any]:
        if "answer" not in item:
            return item
        pairs = zip(members(item, "answer"), members(seen, "answer"), strict=True)
        answers = [
            self.element(answer, shown, sight, f"{path}.answer[{position}]")
            for position, (answer, shown) in enumerate(pairs)
        ]
        return {**item, "answer": answers}

    def _again(self, form_item: FormItem, item: dict[str, Any], sight: Sight, path: str) -> dict[str, Any]:
        """The item with its calculated value, if it has one, computed anew."""
        if form_item.calculated is None:
            return item
        filling = self._filling
        filling.problems.pop((form_item.link_id, form_item.calculated.path), None)
        answers = filling.computed(form_item, form_item.calculated, sight)
        following = filling.answered(form_item, answers, sight, path, [*members(item, "answer")])
        if following != item:
            self.changing.add(form_item.link_id)
        return following


def _emptied(element: Resource, link_ids: set[str]) -> dict[str, Any]:
    """The element without the answers of these items."""
    kept = dict(element)
    if "item" in element:
        kept["item"] = [_emptied(item, link_ids) for item in members(element, "item")]
    if "answer" in element:
        kept["answer"] = [_emptied(answer, link_ids) for answer in members(element, "answer")]
    if element.get("linkId") in link_ids:
        kept.pop("answer", None)
    return kept
