"""The references of a document: each to one of its entries, or plainly to something outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cds_service.record.resources import Resource, text

URIS = "urn:ietf:rfc:3986"


@dataclass(frozen=True)
class Places:
    """Where what is referred to stands: ``inside`` the document by ``Type/id``, else on ``server``.

    ``urls``: those of all entries, also of those without an id.
    """

    inside: Mapping[str, str]
    urls: frozenset[str]
    server: str | None

    @classmethod
    def of(cls, entries: Iterable[tuple[str, Resource]], server: str | None) -> Places:
        """The places of a document's entries, each a fullUrl and its resource."""
        placed = tuple(entries)
        inside = {f"{each['resourceType']}/{each['id']}": url for url, each in placed if text(each, "id")}
        return cls(inside, frozenset(url for url, _ in placed), server)

    def relocated(self, resource: Resource) -> Resource:
        """The same resource with every Reference pointing to an entry, or plainly outside."""
        whole: list[Any] = [resource]
        waiting: list[Any] = [whole]
        while waiting:
            holder = waiting.pop()
            for key, value in list(enumerate(holder) if isinstance(holder, list) else holder.items()):
                if isinstance(value, dict | list):
                    holder[key] = self._pointer(value) if isinstance(value, dict) else list(value)
                    waiting.append(holder[key])
        return cast(Resource, whole[0])

    def _pointer(self, element: Resource) -> dict[str, Any]:
        """A copy of an element; a Reference is turned to where its target stands."""
        target = element.get("reference")
        if not isinstance(target, str):
            return dict(element)
        rest = {name: value for name, value in element.items() if name != "reference"}
        name = target.removeprefix(f"{self.server}/").split("/_history/", maxsplit=1)[0]
        if name in self.inside:
            return rest | {"reference": self.inside[name]}
        if target.startswith("#") or target in self.urls or "://" in target:
            return rest | {"reference": target}
        if target.startswith("urn:"):
            return {"identifier": {"system": URIS, "value": target}} | rest
        if self.server is not None:
            return rest | {"reference": f"{self.server}/{target}"}
        return {"type": name.partition("/")[0], "identifier": {"value": name}} | rest
