"""The files that pages load: style sheet and scripts, addressed by their content so that browsers may keep them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
# What is asked for by its content's digest never changes; anything else is asked again each time.
CACHE_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """A file's bytes, its media type, and the entity tag that stands for its content."""

    content: bytes
    media_type: str
    etag: str


def static_file(name: str) -> StaticFile | None:
    """One of the pages' files; None when there is none of this name."""
    return _all_files().get(name)


def static_url(name: str) -> str:
    """The path of a file, with the digest of its content. KeyError when there is none of this name."""
    digest = _all_files()[name].etag.strip('"')
    return f"/static/{name}?v={digest}"


@cache
def _all_files() -> dict[str, StaticFile]:
    found = files("cds_service.web").joinpath("static").iterdir()
    return {
        each.name: _read(each.read_bytes(), _MEDIA_TYPES[suffix])
        for each in found
        if (suffix := f".{each.name.rpartition('.')[2]}") in _MEDIA_TYPES
    }


def _read(content: bytes, media_type: str) -> StaticFile:
    return StaticFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
