"""Small values sealed so that only this service can read or make them: AES-256-GCM under a fresh nonce, in base64url.

Not a JWE, which would say the same in more words: we alone make and read these, and every card makes one or two.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_SMALLEST_KEY = 32
# 96 bits, as NIST SP 800-38D recommends.
_NONCE_BYTES = 12
_LONGEST = 65_536
_TEXT = re.compile(r"[A-Za-z0-9_-]*")


def sealed(members: Mapping[str, Any], key: bytes, purpose: str) -> str:
    """The JSON members, sealed for one ``purpose``. URL-safe. ``key`` has at least 32 bytes, else ValueError."""
    nonce = os.urandom(_NONCE_BYTES)
    return _written(nonce + _cipher(key, purpose).encrypt(nonce, json.dumps(members).encode(), None))


def unsealed(text: str, key: bytes, purpose: str) -> Mapping[str, Any] | None:
    """What was ``sealed`` with this key for this purpose; None for anything else, changed by as much as a bit."""
    read = _read(text) if len(text) <= _LONGEST else None
    if read is None:
        return None
    try:
        found = json.loads(_cipher(key, purpose).decrypt(read[:_NONCE_BYTES], read[_NONCE_BYTES:], None))
    except (InvalidTag, ValueError):
        return None
    return found if isinstance(found, dict) else None


@lru_cache(16)
def _cipher(key: bytes, purpose: str) -> AESGCM:
    """The cipher of one purpose, under a key of its own: what was sealed for one cannot be passed off for another."""
    if len(key) < _SMALLEST_KEY:
        raise ValueError(f"found a key of {len(key)} bytes; expected at least {_SMALLEST_KEY}")
    return AESGCM(hmac.digest(key, f"cds-service {purpose}".encode(), "sha256"))


def _written(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _read(text: str) -> bytes | None:
    """The bytes, if this is the one way to write them: base64url has unused bits at the end."""
    if not _TEXT.fullmatch(text) or len(text) % 4 == 1:
        return None
    content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return content if _written(content) == text else None
