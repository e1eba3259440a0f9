"""The CDS clients that may call, as a deployer lists them in one JSON file.

{"clients": [{
    "name": "trust-a",                        what the decision log calls it
    "issuer": "https://ehr.example",          the tokens' iss, exactly
    "jwks_url": "https://ehr.example/jwks",   where its keys are read, and the only jku its tokens may name
    "jwks": {"keys": […]},                    or its keys themselves: then nothing is fetched
    "algorithms": ["ES384"],                  the signatures it may use
    "tenants": ["ward-1"],                    optional: the only tenants its tokens may name
    "commissioner": "system|value",           optional: who pays when the record does not tell, by identifier
    "admin": true}]}                          optional: whether it may have the policies reloaded; else it may not
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from cds_service.errors import ClientsFileError
from cds_service.trust.json_places import Place, json_file
from cds_service.trust.keys import ALGORITHMS, EXPECTED_KEY, VerificationKey, key_and_id

_REQUIRED = frozenset({"name", "issuer", "algorithms"})
_OPTIONAL = frozenset({"jwks", "jwks_url", "tenants", "commissioner", "admin"})


@dataclass(frozen=True, slots=True)
class Client:
    """A CDS client, known by the ``issuer`` of its tokens.

    ``jwks`` are its keys by kid; none means that they are read from ``jwks_url``. No ``tenants`` means any.
    """

    name: str
    issuer: str
    jwks: Mapping[str, VerificationKey] | None
    jwks_url: str | None
    algorithms: frozenset[str]
    tenants: frozenset[str]
    commissioner: str | None
    admin: bool = False


def name_of(client: Client | None) -> str | None:
    """What stands in rows for who called; None in development mode, where nobody is known."""
    return None if client is None else client.name


def load_clients(path: Path) -> tuple[Client, ...]:
    """The clients in the file at ``path``, at least one. ClientsFileError names the first thing wrong."""
    whole = json_file(path, ClientsFileError)
    listed = whole.members(frozenset({"clients"}), frozenset())["clients"].items()
    clients = tuple(_client(place) for place in listed)
    _refuse_repeated(listed, [client.name for client in clients], "name")
    _refuse_repeated(listed, [client.issuer for client in clients], "issuer")
    return clients


def _client(place: Place) -> Client:
    members = place.members(_REQUIRED, _OPTIONAL)
    if not members.keys() & {"jwks", "jwks_url"}:
        raise place.refused("jwks or jwks_url", "neither")
    return Client(
        name=members["name"].text(),
        issuer=members["issuer"].text(),
        jwks=_keys(members["jwks"]) if "jwks" in members else None,
        jwks_url=_url(members["jwks_url"]) if "jwks_url" in members else None,
        algorithms=frozenset(item.one_of(frozenset(ALGORITHMS)) for item in members["algorithms"].items()),
        tenants=frozenset(i.text() for i in members["tenants"].items())
        if "tenants" in members
        else frozenset(),
        commissioner=members["commissioner"].text() if "commissioner" in members else None,
        admin=members["admin"].truth() if "admin" in members else False,
    )


def _keys(place: Place) -> Mapping[str, VerificationKey]:
    keys: dict[str, VerificationKey] = {}
    for item in place.members(frozenset({"keys"}), frozenset())["keys"].items():
        try:
            kid, key = key_and_id(item.value)
        except ValueError as error:
            raise item.refused(EXPECTED_KEY, str(error)) from None
        if kid in keys:
            raise item.refused("another kid", "one that an earlier key has")
        keys[kid] = key
    return keys


def _url(place: Place) -> str:
    text = place.text()
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise place.refused("an https URL") from None
    if url.scheme != "https" or not url.host or url.userinfo or url.fragment:
        raise place.refused("an https URL without user or fragment")
    return text


def _refuse_repeated(listed: tuple[Place, ...], values: list[str], member: str) -> None:
    for n, place in enumerate(listed):
        if values[n] in values[:n]:
            raise ClientsFileError(
                place.file, f"{place.path}.{member}", repr(values[n]), "one that no earlier client has"
            )
