"""Whether resources are well-shaped FHIR, found out once for each part that many of them have alike.

A resource is well-shaped when each element holds members that its type allows, each well-shaped itself: no rule of
``fhir.resources`` looks into an element's children, except into what says why a primitive is missing (``_name``). So an
element is validated with a stand-in for each child, and the children by themselves, unless the very same child was
found well-shaped before, wherever that was.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from typing import Any, get_args

from fhir.resources.R4B import get_fhir_model_class
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from fhir_core.types import FhirBase, FhirElementOrResourceBase

from cds_service.policies.recent import Recent
from cds_service.record.resources import Resource

Model = type[FHIRAbstractModel]


class SoundParts:
    """The parts that were found well-shaped last, at most ``most`` of them.

    A part of fewer than ``small`` bytes is validated whole, which takes less time than to look for its parts.
    """

    def __init__(self, most: int, small: int) -> None:
        self._found: Recent[tuple[Model, bytes], FHIRAbstractModel] = Recent(most)
        self._small = small

    def make_up(self, resource: Resource) -> bool:
        """Whether a resource is well-shaped. What is wrong with one that is not, its whole validation tells."""
        try:
            self._validate(get_fhir_model_class(resource["resourceType"]), resource)
        except ValueError:
            return False
        return True

    def _validate(self, model: Model, element: Resource) -> None:
        """ValueError when the element, or anything in it, is not well-shaped."""
        known = _children(model)
        model.model_validate(
            {
                name: self._with_stand_ins(known[name], value) if name in known else value
                for name, value in element.items()
            }
        )

    def _with_stand_ins(self, kind: type[FhirBase], value: object) -> object:
        if isinstance(value, list):
            return [self._with_stand_ins(kind, each) if isinstance(each, dict) else each for each in value]
        return self._part(kind.get_model_klass(), value) if isinstance(value, dict) else value

    def _part(self, model: Model, element: dict[str, Any]) -> FHIRAbstractModel:
        """A stand-in for a part. ValueError when it is not well-shaped."""
        # Version 2 writes no references. Whatever JSON tells apart, this does: 1 from 1.0 and true, NaN from null.
        content = marshal.dumps(element, 2)

        def validated() -> FHIRAbstractModel:
            if len(content) < self._small:
                model.model_validate(element)
            else:
                self._validate(model, element)
            return _stand_in(model)

        return self._found.of((model, sha256(content).digest()), validated)


@cache
def _stand_in(model: Model) -> FHIRAbstractModel:
    """An object of a type, at which an element that holds it does not look any closer."""
    return model.model_construct()


@cache
def _children(model: Model) -> Mapping[str, type[FhirBase]]:
    """The members of a type that hold elements of one type each, by their names in JSON."""
    return {
        field.alias or name: kind
        for name, field in model.model_fields.items()
        for kind in _kinds(field.annotation)
        if not (field.alias or name).startswith("_")
    }


def _kinds(annotation: Any) -> Iterator[type[FhirBase]]:
    """The type in ``list[Type] | None`` and the like; none for primitives, and for what may be any resource."""
    is_one = isinstance(annotation, type) and issubclass(annotation, FhirBase)
    if is_one and not issubclass(annotation, FhirElementOrResourceBase):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)
