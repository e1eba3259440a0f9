"""A fresh client token for each call that schemathesis makes: it loads this file by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import schemathesis
from joserfc import jwt
from joserfc.jwk import ECKey

_KEY = ECKey.import_key(json.loads(Path(os.environ["HOSTILE_KEY"]).read_text()))
_PUBLIC = os.environ["HOSTILE_PUBLIC_URL"]


@schemathesis.auth(refresh_interval=None)
class FreshToken:
    """Signed for the very path that is called."""

    def get(self, case: schemathesis.Case[Any], _: schemathesis.AuthContext) -> str:
        now = int(time.time())
        claims = {
            "iss": "https://ehr.example",
            "aud": _PUBLIC + unquote(case.formatted_path),
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid4()),
        }
        return jwt.encode({"alg": "ES384", "kid": "k", "typ": "JWT"}, claims, _KEY, algorithms=["ES384"])

    def set(self, case: schemathesis.Case[Any], data: str, _: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
