"""Whether a response is built like its form: known items at their places, answers where answers go, no text too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from cds_service.questionnaires.answer_values import is_dont_know, value_names
from cds_service.questionnaires.form import Form, FormItem
from cds_service.questionnaires.items import RESPONSE
from cds_service.questionnaires.problems import Problem
from cds_service.record.resources import Resource, members, text


def structure_problems(form: Form, response: Resource, longest_text: int) -> tuple[Problem, ...]:
    """What is not where its form has it, or longer than it may be. The response must not be too deep to walk."""
    return (*_below(form, RESPONSE, response, form.items), *_too_long(RESPONSE, response, longest_text))


def _below(form: Form, path: str, element: Resource, expected: Sequence[FormItem]) -> Iterator[Problem]:
    """The items directly below an element of a response, against those of the form there."""
    yield from _malformed(path, element, "item")
    by_link_id = {item.link_id: item for item in expected}
    counted = Counter(text(item, "linkId") for item in members(element, "item"))
    seen: set[str] = set()
    for position, item in enumerate(members(element, "item")):
        where, link_id = f"{path}.item[{position}]", text(item, "linkId")
        if link_id is None:
            yield Problem(where, None, "required", "an item without linkId")
        elif link_id not in by_link_id:
            known = link_id in form.by_link_id
            words = "the form has this item in another place" if known else "the form has no such item"
            yield Problem(where, link_id, "structure" if known else "not-found", words)
        else:
            form_item = by_link_id[link_id]
            several = counted[link_id] > 1 and not (form_item.type == "group" and form_item.repeats)
            if several and link_id in seen:
                yield Problem(where, link_id, "duplicate", "the item stands here more than once")
            seen.add(link_id)
            yield from _of_item(form, where, item, form_item)


def _of_item(form: Form, path: str, item: Resource, form_item: FormItem) -> Iterator[Problem]:
    link_id = form_item.link_id
    yield from _malformed(path, item, "answer")
    if form_item.type == "group":
        if "answer" in item:
            yield Problem(f"{path}.answer", link_id, "structure", "a group has items and no answers")
        yield from _below(form, path, item, form_item.items)
        return
    if form_item.type == "display":
        if "answer" in item or "item" in item:
            yield Problem(
                path, link_id, "structure", "this item is only shown: it has no answer and no items"
            )
        return
    if "item" in item:
        yield Problem(f"{path}.item", link_id, "structure", "items below a question stand under its answer")
    for position, answer in enumerate(members(item, "answer")):
        where = f"{path}.answer[{position}]"
        if not value_names(answer) and not is_dont_know(answer):
            yield Problem(where, link_id, "required", "an answer without a value")
        yield from _below(form, where, answer, form_item.items)


def _malformed(path: str, element: Resource, name: str) -> Iterator[Problem]:
    found = element.get(name, [])
    if not isinstance(found, list):
        yield Problem(f"{path}.{name}", None, "structure", f"{name} is a list")
        return
    for position, each in enumerate(found):
        if not isinstance(each, dict):
            yield Problem(f"{path}.{name}[{position}]", None, "structure", f"each {name} is an object")


def _too_long(path: str, element: Any, longest: int) -> Iterator[Problem]:
    """Every string over the limit, wherever it stands, with the item that it stands in."""
    waiting: list[tuple[str, Any, str | None]] = [(path, element, None)]
    while waiting:
        where, value, link_id = waiting.pop()
        if isinstance(value, str) and len(value) > longest:
            words = f"found {len(value)} characters, expected at most {longest}"
            yield Problem(where, link_id, "too-long", words)
        elif isinstance(value, dict):
            inside = text(value, "linkId") or link_id
            waiting += [(f"{where}.{name}", each, inside) for name, each in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{where}[{at}]", each, link_id) for at, each in reversed([*enumerate(value)])]
