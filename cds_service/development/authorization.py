"""An authorization server as SMART App Launch 2 asks for, which says yes to everybody: it guards invented patients."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from cds_service.development.expiring import Expiring
from cds_service.development.grants import Grant, Launch, Refused

TOKEN_SECONDS = 3_600
_LAUNCH_SECONDS, _CODE_SECONDS, _REFRESH_SECONDS = 600, 60, 86_400
_MOST = 1_000
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SCOPE = re.compile(
    r"launch(/patient)?|openid|fhirUser|online_access|offline_access|patient/[A-Za-z*]+\.(read|write|\*|c?r?u?d?s?)"
)


class AuthorizationServer:
    """Launches, codes and tokens, in memory. ``base`` is the FHIR server's URL, ``app`` that of this service."""

    def __init__(
        self, app: str, base: str, clock: Callable[[], datetime], fresh_name: Callable[[], str]
    ) -> None:
        self._app = app
        self._base = base
        self._clock = clock
        self._launches = Expiring[Launch](clock, fresh_name, _LAUNCH_SECONDS, _MOST)
        self._codes = Expiring[Grant](clock, fresh_name, _CODE_SECONDS, _MOST)
        self._tokens = Expiring[Grant](clock, fresh_name, TOKEN_SECONDS, _MOST)
        self._refreshing = Expiring[Grant](clock, fresh_name, _REFRESH_SECONDS, _MOST)

    @cached_property
    def _key(self) -> RSAKey:
        return RSAKey.generate_key(2048, {"alg": "RS256", "use": "sig", "kid": "development"})

    def configuration(self) -> dict[str, Any]:
        """The ``.well-known/smart-configuration``."""
        here = f"{self._app}/development"
        return {
            "issuer": self._base,
            "jwks_uri": f"{here}/jwks",
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "token_endpoint_auth_methods_supported": ["none"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": [
                "openid",
                "fhirUser",
                "launch",
                "launch/patient",
                "offline_access",
                "patient/*.cruds",
            ],
            "capabilities": [
                "launch-ehr",
                "launch-standalone",
                "client-public",
                "sso-openid-connect",
                "context-ehr-patient",
                "context-standalone-patient",
                "permission-patient",
                "permission-offline",
                "permission-v1",
                "permission-v2",
            ],
        }

    def keys(self) -> dict[str, Any]:
        """The public key of the id tokens, as a JSON Web Key Set."""
        return {"keys": [self._key.as_dict(private=False)]}

    def launched(self, launch: Launch, app_url: str) -> str | None:
        """The URL at which the app is opened in this context; None when the app is neither ours nor on this machine."""
        if not self._is_near(app_url):
            return None
        query = urlencode({"iss": self._base, "launch": self._launches.keep(launch)})
        return f"{app_url}{'&' if urlsplit(app_url).query else '?'}{query}"

    def authorized(self, query: Mapping[str, str], standalone: Launch | None) -> str | Refused:
        """Where the browser goes on to, with a code or an error; Refused when it cannot be sent anywhere.

        ``standalone``: the context for an app that was opened by itself.
        """
        redirect_uri = query.get("redirect_uri", "")
        if not self._is_near(redirect_uri):
            return Refused("invalid_request", "redirect_uri is neither of this service nor on this machine")
        granted = self._grant(query, redirect_uri, standalone)
        if isinstance(granted, Refused):
            answer = {"error": granted.error, "error_description": granted.description}
        else:
            answer = {"code": self._codes.keep(granted)}
        answer |= {"state": query["state"]} if "state" in query else {}
        return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{urlencode(answer)}"

    def token(self, form: Mapping[str, str]) -> dict[str, Any] | Refused:
        """The answer of the token endpoint to a code or a refresh token, either of which is good once."""
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            grant = self._codes.take(form.get("code", ""))
            if grant is None or not _is_same_app(grant, form):
                return Refused("invalid_grant", "the code is unknown, used, expired or another app's")
        elif grant_type == "refresh_token":
            grant = self._refreshing.take(form.get("refresh_token", ""))
            if grant is None or grant.client_id != form.get("client_id"):
                return Refused(
                    "invalid_grant", "the refresh token is unknown, used, expired or another app's"
                )
            grant = replace(grant, nonce=None)
        else:
            return Refused("unsupported_grant_type", "expected authorization_code or refresh_token")
        return self._issued(grant)

    def grant(self, token: str) -> Grant | None:
        """What an access token allows; None for one that is unknown or over."""
        return self._tokens.kept(token)

    def _grant(
        self, query: Mapping[str, str], redirect_uri: str, standalone: Launch | None
    ) -> Grant | Refused:
        wanted = {"response_type": "code", "aud": self._base, "code_challenge_method": "S256"}
        for name, value in wanted.items():
            if query.get(name, "").rstrip("/") != value:
                return Refused("invalid_request", f"{name}: expected {value}")
        if not query.get("client_id") or not query.get("code_challenge"):
            return Refused("invalid_request", "client_id and code_challenge are needed")
        launch = self._launches.take(query["launch"]) if "launch" in query else standalone
        if launch is None:
            return Refused("invalid_request", "the launch is unknown, used or expired")
        scopes = [each for each in query.get("scope", "").split() if _SCOPE.fullmatch(each)]
        return Grant(
            client_id=query["client_id"],
            redirect_uri=redirect_uri,
            scope=" ".join(scopes),
            challenge=query["code_challenge"],
            nonce=query.get("nonce"),
            launch=launch,
        )

    def _issued(self, grant: Grant) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": self._tokens.keep(grant),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": grant.scope,
            "patient": grant.launch.patient_id,
            "need_patient_banner": True,
        }
        if grant.launch.order is not None:
            answer["fhirContext"] = [{"reference": grant.launch.order}]
        if grant.launch.app_context is not None:
            answer["appContext"] = grant.launch.app_context
        scopes = set(grant.scope.split())
        if "openid" in scopes:
            answer["id_token"] = self._id_token(grant, "fhirUser" in scopes)
        if scopes & {"offline_access", "online_access"}:
            answer["refresh_token"] = self._refreshing.keep(grant)
        return answer

    def _id_token(self, grant: Grant, says_user: bool) -> str:
        now = int(self._clock().timestamp())
        claims = {
            "iss": self._base,
            "sub": grant.launch.user.rpartition("/")[2],
            "aud": grant.client_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            **({"fhirUser": f"{self._base}/{grant.launch.user}"} if says_user else {}),
            **({} if grant.nonce is None else {"nonce": grant.nonce}),
        }
        return jwt.encode({"alg": "RS256", "kid": "development"}, claims, self._key)

    def _is_near(self, url: str) -> bool:
        """Whether a URL is this service's or on a loopback address: nobody else's page is ever opened from here."""
        try:
            parts, own = urlsplit(url), urlsplit(self._app)
            port = parts.port
        except ValueError:
            return False
        odd = "\\" in url or parts.fragment or parts.scheme not in {"http", "https"}
        if odd or port == 0:
            return False
        return parts[:2] == own[:2] or parts.hostname in _LOOPBACK


def _is_same_app(grant: Grant, form: Mapping[str, str]) -> bool:
    """Whether the code comes back from the app that it was given to: same client, same place, and the PKCE secret."""
    verifier = form.get("code_verifier", "")
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return (
        _VERIFIER.fullmatch(verifier) is not None
        and hmac.compare_digest(challenge, grant.challenge)
        and form.get("client_id") == grant.client_id
        and form.get("redirect_uri") == grant.redirect_uri
    )
