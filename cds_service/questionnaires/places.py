"""The places of a response: each item of its form where it is answered, or could be.

Source: https://hl7.org/fhir/R4/questionnaireresponse.html#notes
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.questionnaires.form import Form, FormItem
from cds_service.questionnaires.items import RESPONSE
from cds_service.record.resources import Resource, members, text


@dataclass(frozen=True, eq=False)
class Place:
    """An item of a form at one place of a response: ``found`` there, or None where it could be answered and is not.

    ``path`` names the place either way. ``inside`` is the place around it. What stands below a question has a place
    only under an answer.
    """

    item: FormItem
    path: str
    found: Resource | None
    inside: Place | None
    order: int

    @property
    def around(self) -> Iterator[Place]:
        """The places that it stands in, innermost first."""
        place = self.inside
        while place is not None:
            yield place
            place = place.inside


def places_of(form: Form, response: Resource) -> Iterator[Place]:
    """Every place of a response in the form's order, outer before inner."""
    order = 0

    def of(items: Sequence[FormItem], path: str, element: Resource, inside: Place | None) -> Iterator[Place]:
        nonlocal order
        found: dict[str | None, list[tuple[str, Resource | None]]] = defaultdict(list)
        for where, present in _numbered(path, element, "item"):
            found[text(present, "linkId")].append((where, present))
        for item in items:
            absent = (f"{path}.item.where(linkId='{item.link_id}')", None)
            for where, each in found[item.link_id] or [absent]:
                order += 1
                place = Place(item, where, each, inside, order)
                yield place
                if item.type == "group":
                    yield from of(item.items, where, each or {}, place)
                elif item.items:
                    for inner, answer in _numbered(where, each or {}, "answer"):
                        yield from of(item.items, inner, answer, place)

    return of(form.items, RESPONSE, response, None)


def nearest(place: Place, candidates: Iterable[Place]) -> Place | None:
    """The occurrence of a question that a condition means: in the smallest place around both the last before the item
    (what it stands in comes before it), else the first after.
    """
    found = [*candidates]
    for container in (*place.around, None):
        inside = [each for each in found if container is None or container in each.around]
        if inside:
            before = [each for each in inside if each.order < place.order]
            return before[-1] if before else inside[0]
    return None


def without(response: Resource, paths: frozenset[str]) -> dict[str, Any]:
    """The response without the answers of these items; the items stay, empty, so that every path stays the same."""
    return _stripped(response, paths, _ways_to(paths), RESPONSE)


def _stripped(element: Resource, paths: frozenset[str], ways: frozenset[str], path: str) -> dict[str, Any]:
    """Nothing is copied, or gone into, that no path leads through."""
    kept: dict[str, Any] = dict(element)
    for name in ("item", "answer"):
        if name in element:
            kept[name] = [
                {"linkId": each.get("linkId")}
                if where in paths
                else _stripped(each, paths, ways, where)
                if where in ways
                else each
                for where, each in _numbered(path, element, name)
            ]
    return kept


def _ways_to(paths: Iterable[str]) -> frozenset[str]:
    """Every path that leads to one of these."""
    return frozenset(
        ".".join(parts[:length])
        for parts in (path.split(".") for path in paths)
        for length in range(1, len(parts))
    )


def _numbered(path: str, element: Resource, name: str) -> Iterator[tuple[str, Resource]]:
    for position, each in enumerate(members(element, name)):
        yield f"{path}.{name}[{position}]", each
