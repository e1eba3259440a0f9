"""Tokens that were used: each is good once."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class TokenUse(NamedTuple):
    """Which token was used: its issuer and ``jti``; ``until``, in seconds since 1970, it must be remembered."""

    issuer: str
    jti: str
    until: float


class ReplayStore(Protocol):
    """Remembers tokens that were used."""

    async def first_use(self, issuer: str, jti: str, until: float) -> bool:
        """Whether this token is used for the first time; from now on it is not.

        ``until``, in seconds since 1970, is when the token can be forgotten. Of several calls at once, one is
        the first.
        """
        ...
