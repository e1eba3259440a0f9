"""The search parameters that every served type has, and what each of them matches (R4 ``search.html``)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cds_service.errors import RequestError
from cds_service.record.resources import Resource, text

_DEFINITIONS = "http://hl7.org/fhir/SearchParameter"
_PUBLICATION_STATUS = "http://hl7.org/fhir/publication-status"


@dataclass(frozen=True)
class SearchParameter:
    """A search parameter: what it is called, of which type it is, which element it looks at, which modifiers it has.

    ``system`` is the code system of a token whose element has no system of its own.
    """

    name: str
    type: str
    element: str
    modifiers: frozenset[str]
    documentation: str
    system: str | None = None

    def definition(self, resource_type: str) -> str:
        """The canonical of HL7's SearchParameter; terminology and conformance resources share theirs."""
        if self.name == "_id":
            return f"{_DEFINITIONS}/Resource-id"
        shared = resource_type in {"ValueSet", "OperationDefinition"}
        return f"{_DEFINITIONS}/{'conformance' if shared else resource_type}-{self.name}"


SEARCH_PARAMETERS: Mapping[str, SearchParameter] = {
    each.name: each
    for each in (
        SearchParameter("_id", "token", "id", frozenset(), "The resource's id"),
        SearchParameter("url", "uri", "url", frozenset(), "The canonical URL, whole"),
        SearchParameter("version", "token", "version", frozenset(), "The business version"),
        SearchParameter(
            "status", "token", "status", frozenset(), "The publication status", _PUBLICATION_STATUS
        ),
        SearchParameter(
            "title",
            "string",
            "title",
            frozenset({"exact", "contains"}),
            "The title's beginning, whatever the case and the accents",
        ),
    )
}


@dataclass(frozen=True)
class Filter:
    """One search parameter as it was used: any of ``alternatives`` (still escaped) is enough."""

    parameter: SearchParameter
    modifier: str | None
    alternatives: tuple[str, ...]

    def holds(self, resource: Resource) -> bool:
        """Whether the resource is one that is looked for."""
        value = text(resource, self.parameter.element)
        return value is not None and any(self._matches(value, wanted) for wanted in self.alternatives)

    def _matches(self, value: str, wanted: str) -> bool:
        if self.parameter.type == "token":
            return _is_token(value, wanted, self.parameter.system)
        if self.parameter.type == "uri":
            return value == unescaped(wanted)
        return _STRING_MATCHES[self.modifier](value, unescaped(wanted))


def search_filter(name: str, value: str) -> Filter | None:
    """One parameter of a query as a filter, None when it is no search parameter. RequestError for a modifier it lacks."""
    plain, _, modifier = name.partition(":")
    parameter = SEARCH_PARAMETERS.get(plain)
    if parameter is None:
        return None
    if ":" in name and modifier not in parameter.modifiers:
        known = " or ".join(f":{each}" for each in sorted(parameter.modifiers))
        # R4: a server must refuse a modifier that it does not know, however leniently it was asked to handle the rest.
        raise RequestError(f"http.{plain}", f"the modifier :{modifier[:20]}", known or "no modifier")
    return Filter(parameter, modifier or None, split(value, ","))


def split(value: str, separator: str) -> tuple[str, ...]:
    """The parts of a value between separators that no backslash stands before; escapes are kept."""
    parts, part, position = [], "", 0
    while position < len(value):
        width = 2 if value[position] == "\\" else 1
        taken = value[position : position + width]
        if taken == separator:
            parts.append(part)
            part = ""
        else:
            part += taken
        position += width
    return (*parts, part)


def unescaped(value: str) -> str:
    r"""A value without the backslashes of FHIR's escapes: ``\,`` ``\|`` ``\$`` ``\\``."""
    plain, position = "", 0
    while position < len(value):
        escape = value[position] == "\\" and value[position + 1 : position + 2] in {",", "|", "$", "\\"}
        position += 1 if escape else 0
        plain += value[position]
        position += 1
    return plain


def _is_token(value: str, wanted: str, system: str | None) -> bool:
    """``code``, ``system|code``, ``|code`` (of no system) or ``system|`` (any code of it)."""
    parts = [unescaped(part) for part in split(wanted, "|")]
    if len(parts) == 1:
        return value == parts[0]
    asked_system, code = parts[0], "|".join(parts[1:])
    return asked_system == (system or "") and code in {"", value} and bool(asked_system or code)


def _plain(words: str) -> str:
    """Words without case and accents."""
    decomposed = unicodedata.normalize("NFKD", words.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


_STRING_MATCHES: Mapping[str | None, Callable[[str, str], bool]] = {
    None: lambda value, wanted: _plain(value).startswith(_plain(wanted)),
    "contains": lambda value, wanted: _plain(wanted) in _plain(value),
    "exact": lambda value, wanted: value == wanted,
}
