"""What the database may keep but not know: sealed contents, and patients by a key that says nothing of them.

One secret, and from it a key for each purpose (HKDF-SHA256, RFC 5869). Contents are sealed with AES-256-GCM (NIST SP
800-38D) under a fresh 96-bit nonce, bound to the row that they belong to. A secret that the database itself keeps
protects single rows in a dump or a log of statements, not a stolen database; for that, hand one in.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cds_service.errors import StoreError

SECRET_BYTES = 32
_NONCE_BYTES = 12


class Seal:
    """Seals and opens under one secret. Threads may share it."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise StoreError(f"the secret: found {len(secret)} bytes; expected {SECRET_BYTES}")
        self.secret = secret
        self._cipher = AESGCM(_key(secret, "contents"))
        # Begun once and copied: OpenSSL takes longer to begin than to finish.
        self._patients = hmac.new(_key(secret, "patients"), digestmod="sha256")

    def sealed(self, content: bytes, *row: str) -> bytes:
        """``content`` for the ``row`` of this name: it opens there and nowhere else."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, _joined(*row))

    def opened(self, sealed: bytes, *row: str) -> bytes:
        """The content again. StoreError when it was sealed for another row or under another secret, or was changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _joined(*row))
        except (InvalidTag, ValueError):
            # From None: only the kind of row is told.
            raise StoreError(f"a row of {row[0]} does not open: it was changed in the database") from None

    def patient_key(self, client: str | None, patient_id: str) -> str:
        """What stands for one client's patient in a row: the same each time, telling nothing without the secret."""
        of_patient = self._patients.copy()
        of_patient.update(_joined(client, patient_id))
        return of_patient.hexdigest()

    @property
    def fingerprint(self) -> bytes:
        """By which the secret is known again."""
        return hashlib.sha256(_key(self.secret, "fingerprint")).digest()


def _key(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"cds-service {purpose}".encode()).derive(secret)


def _joined(*parts: str | None) -> bytes:
    """The parts as one, so that no other parts make the same."""
    return json.dumps(parts).encode()
