"""The first answers of a form, from its initial values and its expressions, and what is met on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cds_service.policies.findings import Evidence
from cds_service.questionnaires.computed_answers import computed_answers
from cds_service.questionnaires.evidence import evidence_at
from cds_service.questionnaires.form import Form, FormExpression, FormItem
from cds_service.questionnaires.items import RESPONSE
from cds_service.questionnaires.origin import AUTO_SERVER, with_origin
from cds_service.questionnaires.problems import EXPRESSION_ERRORS, WARNING, Problem, why_not_evaluated
from cds_service.questionnaires.sight import Launch, Sight
from cds_service.record.resources import Resource, members, text


class Filling:
    """One population under way: what could not be had, the evidence seen, and which answers are the form's own.

    ``problems`` are by linkId and expression, so that what succeeds later takes its earlier failure back.
    """

    def __init__(self, form: Form, launch: Launch) -> None:
        self.form = form
        self.launch = launch
        self.problems: dict[tuple[str, str], Problem] = {}
        self.evidence: dict[str, list[Evidence]] = {}
        self.defaults: set[str] = set()
        self._made_from: dict[str, dict[str, Any]] = {}

    def first(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """The response with every item in it, those that have one with their first answer."""
        sight = Sight.of_form(self.form, self.launch, head)
        return {**head, "item": self.items(self.form.items, sight, RESPONSE)}

    def made_from(self, path: str) -> Mapping[str, Any]:
        """What the group at a path sees by the name of its population context."""
        return self._made_from.get(path, MappingProxyType({}))

    def items(self, items: Iterable[FormItem], sight: Sight, path: str) -> list[dict[str, Any]]:
        """Items of the form, below the element at ``path``; what is only shown has no place in a response."""
        made: list[dict[str, Any]] = []
        for item in items:
            if item.type == "group":
                for own in self._instances(item, sight):
                    where = f"{path}.item[{len(made)}]"
                    self._made_from[where] = own
                    inner = sight.inside(item, {"linkId": item.link_id}, **own)
                    made.append({**bare(item), "item": self.items(item.items, inner, where)})
            elif item.type != "display":
                made.append(self._question(item, sight, f"{path}.item[{len(made)}]"))
        return made

    def _instances(self, item: FormItem, sight: Sight) -> list[dict[str, Any]]:
        """What each instance of a group sees by the name of its population context: one of its results."""
        if item.context is None or item.context.name is None:
            return [{}]
        try:
            found = sight.inside(item, {"linkId": item.link_id}).results(item.context)
        except EXPRESSION_ERRORS as error:
            self.note(item, item.context, *why_not_evaluated(error))
            found = []
        name = item.context.name
        return [{name: each} for each in found] if item.repeats else [{name: found}]

    def _question(self, item: FormItem, sight: Sight, path: str) -> dict[str, Any]:
        inner = sight.inside(item, {"linkId": item.link_id})
        answers = [] if item.initial is None else self.computed(item, item.initial, inner)
        if not self._sees_evidence(item, inner):
            answers = []
        if not answers:
            answers = [*_initial(item)]
            self.defaults |= {item.link_id} if answers else set()
        return self.answered(item, answers, inner, path, ())

    def answered(
        self,
        item: FormItem,
        answers: Sequence[Resource],
        sight: Sight,
        path: str,
        before: Sequence[Resource],
    ) -> dict[str, Any]:
        """The item with its answers, below each what stood there before, or else the items that its question opens."""
        if not answers:
            return bare(item)
        marked = [with_origin(answer, AUTO_SERVER, None) for answer in answers]
        if item.items:
            for position, answer in enumerate(marked):
                old = before[position].get("item") if position < len(before) else None
                answer["item"] = old or self.items(item.items, sight, f"{path}.answer[{position}]")
        return {**bare(item), "answer": marked}

    def computed(self, item: FormItem, expression: FormExpression, sight: Sight) -> list[dict[str, Any]]:
        """An expression's answers; none, and why noted, when it has none that can be relied on."""
        try:
            return computed_answers(self.form, item, sight.results(expression), self.launch)
        except EXPRESSION_ERRORS as error:
            self.note(item, expression, *why_not_evaluated(error))
        except ValueError as error:
            self.note(item, expression, "value", f"not filled in: {error}")
        return []

    def _sees_evidence(self, item: FormItem, sight: Sight) -> bool:
        """Note the evidence; False when it failed, and an answer could not be shown with what it rests on."""
        if item.evidence is None:
            return True
        try:
            found = evidence_at(sight, item.evidence)
        except EXPRESSION_ERRORS as error:
            self.note(item, item.evidence, *why_not_evaluated(error))
            return False
        self.evidence.setdefault(item.link_id, []).extend(found)
        return True

    def note(self, item: FormItem, expression: FormExpression, code: str, words: str) -> None:
        """Why an item stays open. A refused expression is among the form's own problems already."""
        if expression.refused is None:
            problem = Problem(expression.path, item.link_id, code, words, WARNING)
            self.problems[item.link_id, expression.path] = problem


def bare(item: FormItem) -> dict[str, Any]:
    """The item in a response, not answered."""
    words = text(item.resource, "text")
    return {"linkId": item.link_id} if words is None else {"linkId": item.link_id, "text": words}


def _initial(item: FormItem) -> Iterator[dict[str, Any]]:
    """The form's own initial answers: ``item.initial``, or the options that are selected from the start."""
    for each in members(item.resource, "initial"):
        yield {name: value for name, value in each.items() if name.startswith("value")}
    for option in members(item.resource, "answerOption"):
        if option.get("initialSelected") is True:
            yield {name: value for name, value in option.items() if name.startswith("value")}
