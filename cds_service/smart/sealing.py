"""Small values sealed so that only this service can read or make them: JWE, dir, A256GCM (RFC 7516, RFC 7518)."""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_SMALLEST_KEY = 32
_LONGEST = 65_536
_SEGMENT = re.compile(r"[A-Za-z0-9_-]*")


def sealed(members: Mapping[str, Any], key: bytes, purpose: str) -> str:
    """The JSON members, sealed for one ``purpose``. URL-safe. ``key`` has at least 32 bytes, else ValueError."""
    return jwe.encrypt_compact(
        _HEADER, json.dumps(members).encode(), _key(key, purpose), algorithms=_allowed()
    )


def unsealed(text: str, key: bytes, purpose: str) -> Mapping[str, Any] | None:
    """What was ``sealed`` with this key for this purpose; None for anything else, changed by as much as a bit."""
    if len(text) > _LONGEST or not all(_is_canonical(segment) for segment in text.split(".")):
        return None
    try:
        found = json.loads(_plaintext(text, _key(key, purpose)))
    except (JoseError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _plaintext(text: str, key: OctKey) -> bytes:
    return jwe.decrypt_compact(text, key, algorithms=_allowed()).plaintext or b""


def _allowed() -> list[str]:
    return list(_HEADER.values())


@lru_cache(16)
def _key(key: bytes, purpose: str) -> OctKey:
    """A key of its own for every purpose: what was sealed for one cannot be passed off for another.

    Kept, because every card with a form seals a handle or two.
    """
    if len(key) < _SMALLEST_KEY:
        raise ValueError(f"found a key of {len(key)} bytes; expected at least {_SMALLEST_KEY}")
    return OctKey.import_key(hmac.digest(key, f"cds-service {purpose}".encode(), "sha256"))


def _is_canonical(segment: str) -> bool:
    """Whether this is the one way to write these bytes: base64url has unused bits at the end."""
    if not _SEGMENT.fullmatch(segment) or len(segment) % 4 == 1:
        return False
    decoded = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    return urlsafe_b64encode(decoded).rstrip(b"=").decode() == segment
