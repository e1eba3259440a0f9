"""The places of a filled-in form at which something may be extracted: each occurrence of each item that was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cds_service.errors import ExtractionError, FhirPathError
from cds_service.fhirpath import Environment, compile_expression
from cds_service.policies.findings import MOST_STEPS
from cds_service.policies.loading.extensions import extensions
from cds_service.questionnaires.items import response_items
from cds_service.record.resources import Resource, members, text

_ALLOCATE_ID = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-extractAllocateId"
Fresh = Callable[[], str]


@dataclass(frozen=True)
class Place:
    """An item of the Questionnaire (or the whole of it) beside one occurrence of it in the response.

    ``path`` is in the Questionnaire. ``variables``: what expressions here may name, allocated ids among them.
    """

    path: str
    item: Resource
    focus: Any
    variables: Mapping[str, Any]
    now: datetime

    @property
    def questionnaire(self) -> Resource:
        """The whole form."""
        found: Resource = self.variables["questionnaire"]
        return found

    def results(self, expression: str) -> list[Any]:
        """What an expression yields here. ExtractionError when it is none, or has no result on these answers."""
        try:
            compiled = compile_expression(expression, variables=dict.fromkeys(self.variables))
            environment = Environment(now=self.now, variables=self.variables, steps=MOST_STEPS)
            return compiled.evaluate(self.focus, environment)
        except FhirPathError as error:
            raise ExtractionError(self.path, str(error), "FHIRPath with a result") from None

    def focused(self, focus: Any, **variables: Any) -> Place:
        """The same place, looked at from another focus."""
        return replace(self, focus=focus, variables={**self.variables, **variables})


def places(questionnaire: Resource, response: Resource, now: datetime, fresh_id: Fresh) -> Iterator[Place]:
    """The whole form, whether or not anything was answered, then every answered occurrence of an item, in order."""
    common = {"resource": response, "context": response, "questionnaire": questionnaire}
    waiting = [Place("Questionnaire", questionnaire, response, common, now)]
    while waiting:
        place = _with_allocated_ids(waiting.pop(), fresh_id)
        for focus in _occurrences(place):
            yield place.focused(focus, context=focus)
        waiting += reversed([*places_below(place)])


def places_below(place: Place) -> Iterator[Place]:
    """The answered items directly below, each occurrence by itself."""
    for position, item in enumerate(members(place.item, "item")):
        for focus in _response_items_below(place.focus):
            if focus.get("linkId") == item.get("linkId") and has_answers(focus):
                path = f"{place.path}.item[{position}]"
                yield replace(place.focused(focus, context=focus, qitem=item), path=path, item=item)


def has_answers(focus: Resource) -> bool:
    """Whether an item of a response was answered, itself or any below it."""
    inside = (focus, *(item for _, item in response_items(focus)))
    return any(next(members(item, "answer"), None) for item in inside)


def _occurrences(place: Place) -> list[Any]:
    """What one resource each is made of: a question with several answers occurs once for each of them."""
    answers = list(members(place.focus, "answer"))
    return [{**place.focus, "answer": [answer]} for answer in answers] if len(answers) > 1 else [place.focus]


def _response_items_below(focus: Resource) -> Iterator[Resource]:
    yield from members(focus, "item")
    for answer in members(focus, "answer"):
        yield from members(answer, "item")


def _with_allocated_ids(place: Place, fresh_id: Fresh) -> Place:
    """The place with a new id under each name that is declared here; what is inside sees the same ids."""
    names = [text(extension, "valueString") for _, extension in extensions(place.item, _ALLOCATE_ID)]
    return place.focused(place.focus, **{name: f"urn:uuid:{fresh_id()}" for name in names if name})
