"""ValueSet files read as lists of codes: exactly those listed, nothing to be expanded elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cds_service.policies.loading.documents import Document, Problems
from cds_service.policies.loading.shared import Codes, Shared
from cds_service.record.codes import SNOMED, is_snomed_id, spellings
from cds_service.record.resources import members, text
from cds_service.record.value_sets import ValueSets


def read_value_sets(documents: Iterable[Document], problems: Problems, shared: Shared) -> ValueSets:
    """The value sets of a policy by canonical URL, problems noted."""
    codes: dict[str, Codes] = {}
    for document in documents:
        with problems.noted():
            url = text(document.resource, "url")
            if url is None or url in codes:
                raise document.problem("url", url, "a canonical URL that no other ValueSet here has")
            codes[url] = _spelt(document, shared)
    return ValueSets(codes)


def _spelt(document: Document, shared: Shared) -> Codes:
    """The codes in every spelling; one set for all value sets of the same content."""

    def spelt() -> Codes:
        return frozenset(
            spelling for system, code in _codes(document) for spelling in spellings(system, code)
        )

    return spelt() if document.digest is None else shared.codes.of(document.digest, spelt)


def _codes(document: Document) -> tuple[tuple[str, str], ...]:
    """The codes of the expansion, which must be those that compose lists: the set is pinned, not computed."""
    expansion = document.resource.get("expansion")
    if not isinstance(expansion, Mapping):
        raise document.problem("expansion", None, "the codes pinned in an expansion")
    expanded = tuple(
        _code(document, f"expansion.contains[{position}]", contained)
        for position, contained in enumerate(members(expansion, "contains"))
    )
    for position, include in enumerate(members(document.resource.get("compose"), "include")):
        if not list(members(include, "concept")):
            path = f"compose.include[{position}]"
            raise document.problem(
                path, include, "codes one by one; no compose at all for an empty value set"
            )
    composed = {
        (str(include.get("system")), str(concept.get("code")))
        for include in members(document.resource.get("compose"), "include")
        for concept in members(include, "concept")
    }
    if composed != set(expanded):
        odd = min(composed.symmetric_difference(expanded))
        raise document.problem(
            "expansion", f"{odd[1]} on one side only", "the codes that compose.include.concept lists"
        )
    if expansion.get("total", len(expanded)) != len(expanded) or len(set(expanded)) != len(expanded):
        raise document.problem("expansion.total", expansion.get("total"), f"{len(expanded)} codes, each once")
    return expanded


def _code(document: Document, path: str, contained: Mapping[str, object]) -> tuple[str, str]:
    system, code = text(contained, "system"), text(contained, "code")
    if system is None or code is None:
        raise document.problem(path, contained, "a code with its system")
    if system == SNOMED and not is_snomed_id(code):
        raise document.problem(f"{path}.code", code, "a SNOMED CT identifier with a valid check digit")
    return system, code
