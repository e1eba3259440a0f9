"""Whether the whole form would show an item, as far as what is known of the criteria tells.

The adaptive form asks nothing that the whole form hides. Only ``enableWhen`` is gone by: an ``enableWhenExpression`` may
see what only a form that is filled in has, so an item that has one is taken for shown.
Source: https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from cds_service.policies.domains import Value
from cds_service.record.resources import Resource, members

# linkId → the value of that item, None while it has none.
ValueOf = Callable[[str], Value | None]
_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
HIDDEN = "http://hl7.org/fhir/StructureDefinition/questionnaire-hidden"


def path_to(parent: Resource, link_id: str) -> tuple[Resource, ...]:
    """An item of a Questionnaire with the items it stands in, outermost first; empty when there is none."""
    for item in members(parent, "item"):
        if item["linkId"] == link_id:
            return (item,)
        if below := path_to(item, link_id):
            return (item, *below)
    return ()


def is_hidden(item: Resource) -> bool:
    """Whether an item is never shown: it is for the record to fill."""
    return any(
        each.get("url") == HIDDEN and each.get("valueBoolean") is True for each in members(item, "extension")
    )


def is_enabled(item: Resource, value_of: ValueOf) -> bool:
    """Whether an item's own conditions let it be shown; those of the items around it are theirs."""
    holds = [_holds(condition, value_of) for condition in members(item, "enableWhen")]
    return not holds or (any(holds) if item.get("enableBehavior") == "any" else all(holds))


def enabling(item: Resource, value_of: ValueOf) -> Iterator[str]:
    """The linkIds whose answers could yet let a disabled item be shown."""
    for condition in members(item, "enableWhen"):
        if not _holds(condition, value_of):
            yield condition["question"]


def closed_by_dont_know(questionnaire: Resource, link_id: str, values: Mapping[str, Value | None]) -> bool:
    """Whether an item stays hidden because what would open it was answered with "don't know" (None in ``values``)."""
    return any(
        _is_closed(questionnaire, item, values)
        for item in path_to(questionnaire, link_id)
        if not is_enabled(item, values.get)
    )


def _is_closed(questionnaire: Resource, item: Resource, values: Mapping[str, Value | None]) -> bool:
    """Whether no answer that can still be given opens the item, and one that is not known could have."""
    openers = [*enabling(item, values.get)]
    unknown = [
        each
        for each in openers
        if (each in values and values[each] is None) or closed_by_dont_know(questionnaire, each, values)
    ]
    if item.get("enableBehavior") == "any":
        return bool(unknown) and all(each in values or each in unknown for each in openers)
    return bool(unknown)


def _holds(condition: Resource, value_of: ValueOf) -> bool:
    value = value_of(condition["question"])
    given: tuple[Any, ...] = value if isinstance(value, tuple) else () if value is None else (value,)
    wanted: object = _value(next(each for name, each in condition.items() if name.startswith("answer")))
    match condition["operator"]:
        case "exists":
            return bool(given) == wanted
        case "=":
            return wanted in given
        case "!=":
            return wanted not in given
        case ordering:
            return any(_ORDERINGS[ordering](each, wanted) for each in given)


def _value(answer: Any) -> Any:
    if isinstance(answer, float):
        return Decimal(repr(answer))
    return answer["code"] if isinstance(answer, dict) else answer
