"""Tokens that were used, for all workers and over a restart."""

from __future__ import annotations

import hashlib
import json

from cds_service.store.additions import Addition, Row
from cds_service.store.schema import tokens
from cds_service.trust.replay import TokenUse

_TOKEN = Addition(tokens, unless_there=True)


def addition(use: TokenUse) -> tuple[Addition, Row]:
    """The row of a token that is used now; it is there already when the token was used before."""
    digest = hashlib.sha256(json.dumps([use.issuer, use.jti]).encode()).digest()
    return _TOKEN, {"digest": digest, "until": use.until}
