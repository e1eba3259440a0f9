"""What must be remembered while the browser is away at the authorization server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

LAUNCH_SECONDS = 600


@dataclass(frozen=True)
class LaunchState:
    """A launch that was begun and not yet finished. To be kept by ``state``, and taken from there once.

    ``code_verifier`` is a secret (RFC 7636); ``handle`` is that of the launch's URL; ``scopes`` were asked for.
    """

    state: str
    issuer: str
    code_verifier: str = field(repr=False)
    nonce: str
    redirect_uri: str
    handle: str | None
    scopes: tuple[str, ...]
    expires: datetime

    def to_json(self) -> str:
        """The launch as JSON, for a store that other workers read too."""
        return json.dumps({**asdict(self), "expires": self.expires.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> LaunchState:
        """The launch that ``to_json`` wrote."""
        kept: dict[str, Any] = json.loads(text)
        members = {each.name: kept[each.name] for each in fields(cls)}
        members["scopes"] = tuple(kept["scopes"])
        members["expires"] = datetime.fromisoformat(kept["expires"])
        return cls(**members)
