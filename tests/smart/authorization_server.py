"""An EHR on loopback: an authorization server with SMART App Launch 2 and the FHIR server that it guards.

    with authorization_server() as running:
        ehr = running.ehr(now)
        ehr.token["patient"] = None     # take a member out of the token endpoint's answers
        …  # launch from ehr.issuer
        ehr.received("/token")          # what came in

It does what the specifications ask of a server, and refuses what they ask it to refuse; what a test wants wrong, it changes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "cds-service"
KID = "ehr-1"
SIGNING_KEY = ECKey.generate_key("P-384")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CAPABILITIES = [
    "launch-ehr",
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "sso-openid-connect",
    "context-ehr-patient",
    "permission-online",
    "permission-patient",
    "permission-v2",
]


@dataclass
class Received:
    """A request as it came in; ``form`` are the members of a form body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]
    body: bytes


@dataclass
class Ehr:
    """The running server. Changes to ``configuration``, ``token`` and ``claims`` replace members; None takes one out.

    ``instead``: path, or method and path → what is answered there instead, or in how many seconds. ``secrets``: every code and token that was given out or sent in.
    ``client_secret`` and ``client_keys``: with what the app must prove who it is; neither is a public app.
    """

    now: int
    port: int = 0
    configuration: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    id_token_header: dict[str, Any] = field(default_factory=dict)
    id_token: str | None = None
    instead: dict[str, Response | float] = field(default_factory=dict)
    client_secret: str | None = None
    client_keys: KeySet | None = None
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    searches: bool = True
    creates_conditionally: bool = True
    secrets: list[str] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    access_tokens: set[str] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.origin}/fhir"

    def received(self, path: str, method: str | None = None) -> list[Received]:
        return [each for each in self.requests if each.path == path and method in (None, each.method)]

    def secret(self, kind: str) -> str:
        made = f"canary-{kind}-{secrets.token_urlsafe(16)}"
        self.secrets.append(made)
        return made


def changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


def smart_configuration(ehr: Ehr) -> Response:
    offered = {
        "issuer": ehr.origin,
        "jwks_uri": f"{ehr.origin}/jwks",
        "authorization_endpoint": f"{ehr.origin}/authorize",
        "token_endpoint": f"{ehr.origin}/token",
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": CAPABILITIES,
    }
    return JSONResponse(changed(offered, ehr.configuration))


def jwks(_: Ehr) -> Response:
    return JSONResponse({"keys": [{**SIGNING_KEY.as_dict(private=False), "kid": KID, "use": "sig"}]})


def authorize(ehr: Ehr, asked: dict[str, str]) -> Response:
    """Asks nobody: the user is logged in, has a patient open and consents."""
    if asked.get("client_id") != CLIENT_ID or asked.get("aud") != ehr.issuer:
        return JSONResponse({"error": "invalid_request"}, 400)
    back = {"state": asked["state"], "iss": ehr.origin}
    if asked.get("code_challenge_method") != "S256" or "code_challenge" not in asked:
        return _redirect(asked, {**back, "error": "invalid_request"})
    code = ehr.secret("code")
    ehr.codes[code] = asked
    return _redirect(asked, {**back, "code": code})


def _redirect(asked: dict[str, str], back: dict[str, str]) -> Response:
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 302)


def token(ehr: Ehr, request: Received) -> Response:
    form = request.form
    ehr.secrets += [form[name] for name in ("code_verifier", "client_assertion") if name in form]
    if not _is_client(ehr, request):
        return JSONResponse({"error": "invalid_client"}, 401)
    if form.get("grant_type") == "refresh_token":
        if form["refresh_token"] not in ehr.refresh_tokens:
            return JSONResponse({"error": "invalid_grant"}, 400)
        ehr.refresh_tokens.discard(form["refresh_token"])
        return JSONResponse(changed(_granted(ehr), ehr.token))
    asked = ehr.codes.pop(form["code"], None)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
    if (
        asked is None
        or asked["code_challenge"] != challenge.decode()
        or asked["redirect_uri"] != form["redirect_uri"]
    ):
        # Some servers repeat what they were sent.
        said = {
            "error": "invalid_grant",
            "error_description": f"no good: {form['code']} {form['code_verifier']}",
        }
        return JSONResponse(said, 400)
    answer = {
        **_granted(ehr),
        "scope": asked["scope"],
        "patient": "pat-1",
        "encounter": "enc-1",
        "need_patient_banner": False,
        "fhirContext": [{"reference": "ServiceRequest/order-1"}],
    }
    if "openid" in asked["scope"].split():
        answer["id_token"] = _id_token(ehr, asked["nonce"])
    return JSONResponse(changed(answer, ehr.token))


def _granted(ehr: Ehr) -> dict[str, Any]:
    access, refresh = ehr.secret("access"), ehr.secret("refresh")
    ehr.access_tokens.add(access)
    ehr.refresh_tokens.add(refresh)
    return {"access_token": access, "token_type": "Bearer", "expires_in": 300, "refresh_token": refresh}


def _is_client(ehr: Ehr, request: Received) -> bool:
    form = request.form
    if ehr.client_keys is not None:
        assertion = jwt.decode(form["client_assertion"], ehr.client_keys, algorithms=["ES384", "RS384"])
        claims = assertion.claims
        named = claims["iss"] == claims["sub"] == CLIENT_ID and claims["aud"] == f"{ehr.origin}/token"
        lasts = ehr.now < claims["exp"] <= ehr.now + 300 and bool(claims["jti"])
        return named and lasts and form["client_assertion_type"] == ASSERTION_TYPE
    if ehr.client_secret is not None:
        basic = base64.b64encode(f"{CLIENT_ID}:{ehr.client_secret}".encode()).decode()
        in_form = form.get("client_id") == CLIENT_ID and form.get("client_secret") == ehr.client_secret
        return request.headers.get("authorization") == f"Basic {basic}" or in_form
    return form.get("client_id") == CLIENT_ID


def _id_token(ehr: Ehr, nonce: str) -> str:
    if ehr.id_token is not None:
        ehr.secrets.append(ehr.id_token)
        return ehr.id_token
    claims = {
        "iss": ehr.origin,
        "sub": "user-1",
        "aud": CLIENT_ID,
        "iat": ehr.now,
        "exp": ehr.now + 300,
        "nonce": nonce,
        "fhirUser": f"{ehr.issuer}/Practitioner/prac-1",
    }
    header = changed({"alg": "ES384", "kid": KID}, ehr.id_token_header)
    made = jwt.encode(header, changed(claims, ehr.claims), SIGNING_KEY, algorithms=["ES384"])
    ehr.secrets.append(made)
    return made


def forms(ehr: Ehr, request: Received, form_id: str | None) -> Response:
    """Search, conditional create and update as FHIR R4 says."""
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in ehr.access_tokens:
        return Response(status_code=401)
    if request.method == "GET":
        found = [
            kept for kept in ehr.forms.values() if ehr.searches and _has(kept, request.query["identifier"])
        ]
        return JSONResponse({"resourceType": "Bundle", "entry": [{"resource": each} for each in found]})
    form = json.loads(request.body)
    if form_id is not None:
        ehr.forms[form_id] = form
        return Response(status_code=200)
    wanted = dict(parse_qsl(request.headers["if-none-exist"]))["identifier"]
    for known, kept in ehr.forms.items():
        if ehr.creates_conditionally and _has(kept, wanted):
            return Response(
                status_code=200, headers={"Location": f"{ehr.issuer}/QuestionnaireResponse/{known}"}
            )
    made = f"form-{len(ehr.forms) + 1}"
    ehr.forms[made] = {**form, "id": made}
    location = f"{ehr.issuer}/QuestionnaireResponse/{made}/_history/1"
    return Response(status_code=201, headers={"Location": location})


def _has(form: dict[str, Any], wanted: str) -> bool:
    return wanted == f"{form['identifier']['system']}|{form['identifier']['value']}"


async def answer(request: Request) -> Response:
    ehr: Ehr = request.app.state.ehr
    body = await request.body()
    form = (
        dict(parse_qsl(body.decode()))
        if request.headers.get("content-type", "").endswith("urlencoded")
        else {}
    )
    path = request.url.path
    query = dict(request.query_params)
    received = Received(request.method, path, query, dict(request.headers), form, body)
    ehr.requests.append(received)
    instead = ehr.instead.get(path, ehr.instead.get(f"{request.method} {path}"))
    if isinstance(instead, Response):
        return instead
    if instead is not None:
        await asyncio.sleep(instead)
    if path == "/fhir/.well-known/smart-configuration":
        return smart_configuration(ehr)
    if path == "/jwks":
        return jwks(ehr)
    if path == "/authorize":
        return authorize(ehr, dict(request.query_params))
    if path == "/token":
        return token(ehr, received)
    if path.startswith("/fhir/QuestionnaireResponse"):
        return forms(ehr, received, path.partition("/fhir/QuestionnaireResponse/")[2] or None)
    return Response(status_code=404)


@dataclass
class RunningServer:
    """Where the server listens; it can be made another EHR, one that knows nothing of what was before."""

    app: Starlette
    port: int

    def ehr(self, now: int) -> Ehr:
        """A new EHR, where it is ``now`` (seconds since 1970)."""
        self.app.state.ehr = Ehr(now, self.port)
        return self.app.state.ehr  # type: ignore[no-any-return]


@contextmanager
def authorization_server() -> Iterator[RunningServer]:
    """The server, in a thread of its own."""
    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT"])])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, lifespan="off", ws="none"
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield RunningServer(app, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
