"""Where we may connect to, and with what.

A FHIR server is called only when its URL is, part by part, one that was configured; never because it looks like one.
A URL that different programs could read differently (user names, backslashes, dot segments, numbers as host names) is
refused before anything of it is compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Never, NoReturn
from urllib.parse import urljoin

import idna

_LONGEST_URL = 8_192
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>[^:/?#]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]@]+)(?::(?P<port>[1-9][0-9]{0,4}))?")
# The underscore is in no host name of the DNS, but in those of container networks.
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})+)*/?")
_QUERY = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7e]*")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
# A slash, a backslash, a percent sign or a control character in disguise.
_DISGUISED = re.compile(r"%(?:2F|5C|25|[01][0-9A-F]|7F)")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TOKEN = re.compile(r"[\x21-\x7e]+")

_Network = IPv4Network | IPv6Network
# Nobody's FHIR server: this host, link-local, protocol assignments, multicast, reserved, and clouds' metadata services.
_NEVER: tuple[_Network, ...] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "fd00:ec2::/32",
        "fd20:ce::/32",
    )
)
# Someone's own network, and what is set aside for examples and measurements.
_PRIVATE: tuple[_Network, ...] = tuple(
    ip_network(each)
    for each in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::1/128",
        "2001:db8::/32",
        "fc00::/7",
    )
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class Token:
    """A bearer token. It is shown nowhere: not in a repr, a log or a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """ValueError when no HTTP header could carry ``text``; the message does not repeat it."""
        if not _TOKEN.fullmatch(text):
            raise ValueError("found a token that no header can carry; expected visible ASCII characters")
        self._text = text

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self._text}"

    def __repr__(self) -> str:
        return "Token(***)"

    def __reduce__(self) -> Never:
        raise TypeError("a token is not to be stored")


@dataclass(frozen=True)
class AllowedServer:
    """A FHIR server that may be read: its origin and a path prefix without a final slash.

    ``private_addresses``: whether its name may resolve to an address of a private network or of this host.
    """

    scheme: str
    host: str
    port: int
    path: str
    private_addresses: bool

    @property
    def base_url(self) -> str:
        """The normalised URL of the server."""
        return _origin(self.scheme, self.host, self.port) + self.path


@dataclass(frozen=True)
class _Location:
    """An absolute http or https URL in its one normalised spelling."""

    scheme: str
    host: str
    port: int
    path: str
    query: str | None

    @property
    def url(self) -> str:
        query = "" if self.query is None else f"?{self.query}"
        return _origin(self.scheme, self.host, self.port) + self.path + query

    def below(self, server: AllowedServer) -> bool:
        """Whether it is on the server's origin and at or under its path."""
        same_origin = (self.scheme, self.host, self.port) == (server.scheme, server.host, server.port)
        return same_origin and f"{self.path.rstrip('/')}/".startswith(f"{server.path}/")


def allowed_servers(
    base_urls: Iterable[str], *, private_addresses: bool = False
) -> tuple[AllowedServer, ...]:
    """The servers at these base URLs. ValueError saying which one, what was found and what is expected.

    A server that is configured by a private address or as localhost may be there; with ``private_addresses`` all may,
    and only those that may are allowed to be without TLS.
    """
    return tuple(
        _configured(f"FHIR server {n}", base_url, private_addresses)
        for n, base_url in enumerate(base_urls, 1)
    )


def allowed_server(url: str, allowed: tuple[AllowedServer, ...]) -> AllowedServer | None:
    """The configured server that a base URL belongs to."""
    location = _base(url)
    return next((each for each in allowed if location and location.below(each)), None)


def permitted(url: str, allowed: tuple[AllowedServer, ...]) -> str | None:
    """The normalised base URL if it is that of a configured server, or lies under its path; else None."""
    location = _base(url)
    if location is None or not any(location.below(each) for each in allowed):
        return None
    return location.url


def page_url(link: str, current_url: str, base_url: str) -> str | None:
    """The normalised URL of a further page, if it lies on the origin and under the path of ``base_url``; else None.

    ``link`` may be relative to ``current_url``; ``base_url`` is one that ``permitted`` gave.
    """
    try:
        _refuse_odd_characters(link)
        location = _location(urljoin(current_url, link))
        (base,) = allowed_servers([base_url], private_addresses=True)
    except ValueError:
        return None
    return location.url if location.below(base) else None


def address_refusal(address: str, *, private_addresses: bool) -> str | None:
    """Why no connection may be made to a resolved IP address; None when one may."""
    for each in _as_reached(ip_address(address)):
        if any(each in network for network in _NEVER):
            return "an address that is no server's"
        if any(each in network for network in _PRIVATE):
            if not private_addresses:
                return "a private address"
        elif isinstance(each, IPv6Address) and each not in _PUBLIC_IPV6 and each not in _NAT64:
            return "an address that is no server's"
    return None


def _as_reached(address: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """The address, and the IPv4 address it is carried to when it is written or tunnelled as IPv6."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return address, address.sixtofour
    if address.teredo is not None:
        return address, *address.teredo
    if address in _NAT64:
        return address, IPv4Address(int(address) & 0xFFFF_FFFF)
    return (address,)


def _configured(where: str, base_url: str, private_addresses: bool) -> AllowedServer:
    try:
        location = _location(base_url)
        _refuse_query(location)
        private = private_addresses or _is_private(location.host)
        if location.scheme != "https" and not private:
            _refuse("http", "https, or an address of a private network")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return AllowedServer(location.scheme, location.host, location.port, location.path.rstrip("/"), private)


def _base(url: str) -> _Location | None:
    try:
        location = _location(url)
        _refuse_query(location)
    except ValueError:
        return None
    return _Location(location.scheme, location.host, location.port, location.path.rstrip("/"), None)


def _is_private(host: str) -> bool:
    """Whether a host stands for a private address by itself. ValueError when it is an address that is no server's."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = str(ip_address(host))
    except ValueError:
        return False
    if refusal := address_refusal(address, private_addresses=True):
        _refuse(refusal, "the address of a FHIR server")
    return address_refusal(address, private_addresses=False) is not None


def _location(url: str) -> _Location:
    """ValueError (found, expected) when ``url`` is not absolute, or could be read in more than one way."""
    _refuse_odd_characters(url)
    parts = _URL.fullmatch(url)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in _PORTS:
        _refuse("something else", "an absolute http or https URL without a fragment")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        _refuse(
            "a server that is not plainly named", "a host name or address and perhaps a port, nothing else"
        )
    port = int(authority["port"] or _PORTS[scheme])
    if port > 65_535:
        _refuse(f"port {port}", "a port up to 65535")
    query = parts["query"]
    if query is not None and not _QUERY.fullmatch(query):
        _refuse("a query with odd characters", "a query of ASCII characters")
    return _Location(scheme, _host(authority["host"]), port, _path(parts["path"]), query)


def _refuse_odd_characters(url: str) -> None:
    if not 0 < len(url) <= _LONGEST_URL:
        _refuse(f"{len(url)} characters", f"a URL of up to {_LONGEST_URL}")
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        _refuse("a space, a backslash or a control character", "a URL without them")


def _refuse_query(location: _Location) -> None:
    if location.query is not None:
        _refuse("a query", "a base URL without one")


def _host(host: str) -> str:
    """The host in its one spelling: lower case, ASCII, addresses as they are usually written."""
    if host.startswith("["):
        return _address(host[1:-1])
    name = _ascii(unicodedata.normalize("NFC", host.lower()))
    # What ends in a number is an address to every program that takes 0x7f.1 or 017700000001 for one.
    if _NUMBER.fullmatch(name.rsplit(".", 1)[-1]):
        return _address(name)
    if not _HOST.fullmatch(name):
        _refuse("a host name that is none", "a host name, without a final dot")
    return name


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        _refuse("a number that is no address", "an IP address as it is usually written")


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    try:
        return idna.encode(name, strict=True).decode("ascii")
    except idna.IDNAError:
        _refuse("a host name that is none", "an internationalised host name")


def _path(path: str) -> str:
    """The path with nothing encoded that need not be, and no segment that goes elsewhere."""
    path = _ENCODED.sub(_unencoded, path)
    if not _PATH.fullmatch(path) or _DISGUISED.search(path):
        _refuse("an odd path", "a path of plain segments")
    # Some servers read "..;x" as "..".
    if any(segment.partition(";")[0] in {".", ".."} for segment in path.split("/")):
        _refuse("a path with dot segments", "a path without them")
    return path


def _unencoded(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _origin(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port == _PORTS[scheme] else f"{scheme}://{name}:{port}"


def _refuse(found: str, expected: str) -> NoReturn:
    raise ValueError(f"found {found}; expected {expected}")
