"""References to resources of one FHIR server."""

from __future__ import annotations

import re
from collections.abc import Collection

_REFERENCE = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}")


def reference_on(base_url: str, text: str, types: Collection[str] | None = None) -> str | None:
    """The relative reference ``Type/id`` of a resource on the server at ``base_url``; None when it is no such thing.

    ``text`` may be absolute and may name a version. ``types``: which resource types it may be of, else any.
    """
    relative = text.removeprefix(f"{base_url}/").split("/_history/", maxsplit=1)[0]
    found = _REFERENCE.fullmatch(relative)
    if found is None or (types is not None and found["type"] not in types):
        return None
    return relative
