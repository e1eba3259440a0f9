"""What a service that is closed to all but one client is started with, and that client's key: for schemathesis."""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import ECKey


def prepared(folder: Path) -> tuple[Path, Path, Path]:
    """The files of a client's private key, of the clients, and of the description."""
    key = ECKey.generate_key("P-384", {"kid": "k", "use": "sig"})
    private, clients, description = (folder / name for name in ("key.json", "clients.json", "openapi.json"))
    private.write_text(json.dumps(key.as_dict(private=True)))
    client = {
        "name": "trust-a",
        "issuer": "https://ehr.example",
        "algorithms": ["ES384"],
        "jwks": {"keys": [{**key.as_dict(private=False), "kid": "k"}]},
    }
    clients.write_text(json.dumps({"clients": [client]}))
    return private, clients, description
