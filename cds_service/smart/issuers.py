"""The SMART servers that this app may be launched from, as a deployer lists them in one JSON file.

{"servers": [{
    "issuer": "https://ehr.example/fhir",     a launch's iss, exactly: the base URL of the EHR's FHIR server
    "client": "trust-a",                      the CDS client whose cards it opens, by its name in the clients file
    "client_id": "cds-service",               what the EHR's authorization server calls this app
    "authentication": {"method": "none"},     how the app proves who it is; below are the others
    "scopes": ["launch", "openid"],           optional: asked for instead of those that the policies need
    "redirect_uri": "https://…"}]}            optional: where the browser comes back to, instead of the app's own address

{"method": "client_secret_basic", "client_secret_file": "ehr.secret"}            or client_secret_post
{"method": "private_key_jwt", "key_file": "app.pem", "kid": "2026", "algorithm": "ES384"}     or RS384

The named files lie beside this one, or at an absolute path; so no secret stands here in clear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from cds_service.errors import SmartServersFileError
from cds_service.smart.client_keys import ALGORITHMS, ClientKey, client_key
from cds_service.trust.json_places import Place, json_file
from cds_service.trust.outbound import allowed_servers

_REQUIRED = frozenset({"issuer", "client", "client_id", "authentication"})
_OPTIONAL = frozenset({"scopes", "redirect_uri"})
_METHODS: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "client_secret_basic": frozenset({"client_secret_file"}),
    "client_secret_post": frozenset({"client_secret_file"}),
    "private_key_jwt": frozenset({"key_file", "kid", "algorithm"}),
}
_LONGEST_FILE = 65_536
# What RFC 6749 lets a client's name and secret (A.1, A.2) and a scope (A.4) consist of.
_VISIBLE = re.compile(r"[\x20-\x7e]+")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True)
class Authentication:
    """How the app proves at the token endpoint who it is; ``method`` as in RFC 7591, section 2."""

    method: str
    secret: str | None = field(default=None, repr=False)
    key: ClientKey | None = None


@dataclass(frozen=True, slots=True)
class SmartServer:
    """An EHR that may launch this app, known by its ``issuer``. Without ``scopes``, the policies say what is needed."""

    issuer: str
    client: str
    client_id: str
    authentication: Authentication
    scopes: tuple[str, ...] | None
    redirect_uri: str | None

    @property
    def base_url(self) -> str:
        """The URL of its FHIR server, without a final slash."""
        return self.issuer.rstrip("/")


def load_smart_servers(path: Path) -> Mapping[str, SmartServer]:
    """The servers in the file at ``path`` by issuer, at least one. SmartServersFileError names the first thing wrong."""
    whole = json_file(path, SmartServersFileError)
    listed = whole.members(frozenset({"servers"}), frozenset())["servers"].items()
    servers: dict[str, SmartServer] = {}
    for place in listed:
        server = _server(place)
        if server.issuer in servers:
            found, expected = repr(server.issuer), "one that no earlier server has"
            raise SmartServersFileError(place.file, f"{place.path}.issuer", found, expected)
        servers[server.issuer] = server
    return MappingProxyType(servers)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this computer by itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _server(place: Place) -> SmartServer:
    members = place.members(_REQUIRED, _OPTIONAL)
    return SmartServer(
        issuer=_url(members["issuer"]),
        client=members["client"].text(),
        client_id=_visible(members["client_id"]),
        authentication=_authentication(members["authentication"]),
        scopes=_scopes(members["scopes"]) if "scopes" in members else None,
        redirect_uri=_url(members["redirect_uri"]) if "redirect_uri" in members else None,
    )


def _url(place: Place) -> str:
    text = place.text()
    try:
        (server,) = allowed_servers([text])
    except ValueError as error:
        raise place.refused("an https URL without a query", str(error)) from None
    # A code or a token is never sent in clear, except to a server beside us while something is developed.
    if server.scheme != "https" and not is_loopback(server.host):
        raise place.refused("https; http only on localhost", "http")
    return text


def _authentication(place: Place) -> Authentication:
    if not isinstance(place.value, dict):
        raise place.refused("an object")
    known = frozenset().union(*_METHODS.values())
    method = place.members(frozenset({"method"}), known)["method"].one_of(frozenset(_METHODS))
    members = place.members(_METHODS[method] | {"method"}, frozenset())
    if "client_secret_file" in members:
        return Authentication(method, secret=_secret(members["client_secret_file"]))
    return Authentication(method, key=_key(members) if method == "private_key_jwt" else None)


def _secret(place: Place) -> str:
    """The first line of the file: no error ever quotes it."""
    try:
        secret = _content(place).decode("ascii").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise place.refused("a file with the secret in ASCII", "other characters") from None
    if not _VISIBLE.fullmatch(secret):
        raise place.refused("a file with the secret in one line", "none, or more")
    return secret


def _key(members: Mapping[str, Place]) -> ClientKey:
    algorithm = members["algorithm"].one_of(ALGORITHMS)
    pem = _content(members["key_file"])
    try:
        return client_key(pem, _visible(members["kid"]), algorithm)
    except ValueError as error:
        raise members["key_file"].refused(
            f"a file with a private key for {algorithm} as PEM", str(error)
        ) from None


def _content(place: Place) -> bytes:
    path = Path(place.file).parent / place.text()
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE)
    except OSError as error:
        raise place.refused("a file that can be read", error.strerror or "no file") from None


def _visible(place: Place) -> str:
    if not _VISIBLE.fullmatch(place.text()):
        raise place.refused("ASCII characters")
    return place.text()


def _scopes(place: Place) -> tuple[str, ...]:
    scopes = tuple(item.text() for item in place.items())
    for item in place.items():
        if not _SCOPE.fullmatch(item.text()):
            raise item.refused("one scope")
    return scopes
