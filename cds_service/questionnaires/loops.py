"""Circles of enablement: an item that is asked only if its own answer, by way of others, says so.

What an enableWhenExpression reads is taken from the linkIds that it compares with; an expression that picks items in
another way is not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from cds_service.fhirpath import parse
from cds_service.fhirpath.ast import Binary, Literal, Member, Node, Special, Variable, walk
from cds_service.policies.loading.circles import first_circle
from cds_service.record.resources import members, text

if TYPE_CHECKING:
    from cds_service.questionnaires.form import FormExpression, FormItem


def enablement_loop(items: Iterable[FormItem], variables: Iterable[FormExpression]) -> tuple[str, ...]:
    """The linkIds of one circle, its first again at its end; none when there is no circle."""
    turns_on: dict[str, tuple[str, ...]] = {}
    _gather(items, None, {each.name: each for each in variables if each.name}, turns_on)
    return first_circle(turns_on)


def _gather(
    items: Iterable[FormItem],
    parent: str | None,
    variables: Mapping[str, FormExpression],
    turns_on: dict[str, tuple[str, ...]],
) -> None:
    """For each item the linkIds that its being asked turns on: its conditions' questions, and what it stands in."""
    for item in items:
        inner = {**variables, **{each.name: each for each in item.variables if each.name}}
        named = [text(condition, "question") for condition in members(item.resource, "enableWhen")]
        read = _read_by(item.enable_when, inner) if item.enable_when is not None else ()
        turns_on[item.link_id] = tuple(each for each in (parent, *named, *read) if each is not None)
        _gather(item.items, item.link_id, inner, turns_on)


def _read_by(expression: FormExpression, variables: Mapping[str, FormExpression]) -> Iterator[str]:
    """The linkIds that an expression compares with, by itself or in the variables that it names."""
    waiting, seen = [expression], {expression}
    while waiting:
        current = waiting.pop()
        if current.compiled is None:
            continue
        for node in walk(parse(current.text)):
            if isinstance(node, Binary):
                yield from _compared(node)
            named = variables.get(node.name) if isinstance(node, Variable) else None
            if named is not None and named not in seen:
                seen.add(named)
                waiting.append(named)


def _compared(node: Binary) -> Iterator[str]:
    """The linkIds that a comparison picks items by, as ``where(linkId = 'a')`` does."""
    sides: tuple[Node, Node] = (node.left, node.right)
    if node.operator in {"=", "~", "in"} and any(_is_link_id(side) for side in sides):
        for part in (part for side in sides for part in walk(side)):
            if isinstance(part, Literal) and isinstance(part.value, str):
                yield part.value


def _is_link_id(node: Node) -> bool:
    """The linkId of the items at hand; that of ``%qitem`` or ``%context`` picks none."""
    return isinstance(node, Member) and node.name == "linkId" and isinstance(node.target, Special | None)
