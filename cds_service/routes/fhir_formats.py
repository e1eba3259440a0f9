"""Which formats a FHIR request asks for, and how it wants unknown parameters to be handled."""

from __future__ import annotations

from fastapi import Request

from cds_service.errors import NotAcceptableError

# Asked for by Accept or by _format; ``json`` only by the latter.
_JSON = frozenset(
    {
        "application/fhir+json",
        "application/json",
        "application/json+fhir",
        "application/*",
        "text/json",
        "*/*",
    }
)
_VERSIONS = frozenset({"4.0", "4.0.1"})


async def refuse_other_formats(request: Request) -> None:
    """NotAcceptableError when the answer is wanted as anything but R4 in JSON. ``_format`` goes before Accept."""
    asked = request.query_params.get("_format")
    # A plus sign in a query that was not escaped arrives as a space.
    ranges = asked.replace(" ", "+") if asked is not None else request.headers.get("accept", "*/*")
    if not any(_is_given(each) for each in ranges.split(",")):
        raise NotAcceptableError("only application/fhir+json of FHIR 4.0 is given here")


def wants_strict(request: Request) -> bool:
    """Whether unknown search parameters shall be refused (``Prefer: handling=strict``)."""
    preferences = ",".join(request.headers.getlist("prefer")).replace(";", ",").split(",")
    return any(each.strip().replace('"', "").lower() == "handling=strict" for each in preferences)


def _is_given(media_range: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
    named = dict(part.replace('"', "").partition("=")[::2] for part in parameters)
    refused = named.get("q", "1").rstrip("0").rstrip(".") in {"0", ""}
    return kind in {*_JSON, "json"} and not refused and named.get("fhirversion", "4.0") in _VERSIONS
