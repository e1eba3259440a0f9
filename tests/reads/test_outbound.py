"""Where we may connect to: the configured servers, in every honest spelling, and nowhere else in any spelling."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from cds_service.trust.outbound import (
    Token,
    address_refusal,
    allowed_server,
    allowed_servers,
    page_url,
    permitted,
)

ALLOWED = allowed_servers(
    [
        "https://fhir.example.org/r4",
        "https://ehr.example.com:8443/api/FHIR/R4",
        "https://whole.example.net",
        "https://münchen.example/fhir",
        "http://127.0.0.1:8080/fhir",
        "http://[::1]:8080/fhir",
    ]
)

HONEST = {
    "https://fhir.example.org/r4": "https://fhir.example.org/r4",
    "https://fhir.example.org/r4/": "https://fhir.example.org/r4",
    "HTTPS://FHIR.Example.ORG/r4": "https://fhir.example.org/r4",
    "https://fhir.example.org:443/r4": "https://fhir.example.org/r4",
    "https://fhir.example.org/%724": "https://fhir.example.org/r4",
    "https://fhir.example.org/r4/tenant-a": "https://fhir.example.org/r4/tenant-a",
    "https://fhir.example.org/r4/a%c3%a9": "https://fhir.example.org/r4/a%C3%A9",
    "https://fhir.example.org/r4/v1.2": "https://fhir.example.org/r4/v1.2",
    "https://ehr.example.com:8443/api/FHIR/R4": "https://ehr.example.com:8443/api/FHIR/R4",
    "https://whole.example.net": "https://whole.example.net",
    "https://whole.example.net/": "https://whole.example.net",
    "https://whole.example.net/any/path": "https://whole.example.net/any/path",
    "https://münchen.example/fhir": "https://xn--mnchen-3ya.example/fhir",
    "https://MÜNCHEN.example/fhir": "https://xn--mnchen-3ya.example/fhir",
    "https://mu\u0308nchen.example/fhir": "https://xn--mnchen-3ya.example/fhir",
    "https://xn--mnchen-3ya.example/fhir": "https://xn--mnchen-3ya.example/fhir",
    "http://127.0.0.1:8080/fhir": "http://127.0.0.1:8080/fhir",
    "http://[::1]:8080/fhir": "http://[::1]:8080/fhir",
    "http://[0:0:0:0:0:0:0:1]:8080/fhir": "http://[::1]:8080/fhir",
}

CROOKED = [
    # another server
    "https://evil.example/r4",
    "https://fhir.example.org.evil.example/r4",
    "https://evilfhir.example.org/r4",
    "https://fhir.example.orgevil.example/r4",
    "https://sub.fhir.example.org/r4",
    "https://example.org/r4",
    "https://fhir.example.org./r4",
    "https://fhir-example.org/r4",
    "https://fhir.example.org%2eevil.example/r4",
    "https://fhir.example.org%00.evil.example/r4",
    "https://fhir.example.org\u3002evil.example/r4",
    "https://fhir\u3002example.org/r4",
    "https://ｆhir.example.org/r4",
    "https://fhir.exampIe.org/r4",
    "https://fhіr.example.org/r4",
    "https://xn--fhr-xed.example.org/r4",
    "https://fhir.example.org\u200b/r4",
    "https://*.example.org/r4",
    # user names
    "https://fhir.example.org@evil.example/r4",
    "https://fhir.example.org:443@evil.example/r4",
    "https://user@fhir.example.org/r4",
    "https://user:word@fhir.example.org/r4",
    "https://@fhir.example.org/r4",
    "https://evil.example%40fhir.example.org/r4",
    "https://evil.example\\@fhir.example.org/r4",
    "https://evil.example#@fhir.example.org/r4",
    "https://evil.example?@fhir.example.org/r4",
    "https://fhir.example.org@[::1]/r4",
    # ports
    "https://fhir.example.org:80/r4",
    "https://fhir.example.org:8443/r4",
    "https://fhir.example.org:/r4",
    "https://fhir.example.org:0443/r4",
    "https://fhir.example.org:0/r4",
    "https://fhir.example.org:65979/r4",
    "https://fhir.example.org:443:443/r4",
    "https://fhir.example.org:٤٤٣/r4",
    "https://fhir.example.org:-443/r4",
    "https://ehr.example.com/api/FHIR/R4",
    # schemes
    "http://fhir.example.org/r4",
    "http://fhir.example.org:443/r4",
    "ftp://fhir.example.org/r4",
    "file:///etc/passwd",
    "file://fhir.example.org/r4",
    "gopher://fhir.example.org/r4",
    "data:application/json,{}",
    "javascript:alert(1)",
    "ws://fhir.example.org/r4",
    "https:fhir.example.org/r4",
    "https:/fhir.example.org/r4",
    "https:///fhir.example.org/r4",
    "https:\\\\fhir.example.org\\r4",
    "//fhir.example.org/r4",
    "fhir.example.org/r4",
    "/r4",
    "",
    "https://",
    "https:///r4",
    "https+unix://fhir.example.org/r4",
    # paths
    "https://fhir.example.org",
    "https://fhir.example.org/",
    "https://fhir.example.org/R4",
    "https://fhir.example.org/r4x",
    "https://fhir.example.org/r4;x",
    "https://fhir.example.org/r",
    "https://fhir.example.org/other/r4",
    "https://fhir.example.org/r4/../admin",
    "https://fhir.example.org/r4/..",
    "https://fhir.example.org/r4/./x",
    "https://fhir.example.org/r4/%2e%2e/admin",
    "https://fhir.example.org/r4/%2E./admin",
    "https://fhir.example.org/r4/..;/admin",
    "https://fhir.example.org/r4/..%2fadmin",
    "https://fhir.example.org/r4%2f..%2fadmin",
    "https://fhir.example.org/r4%2fx",
    "https://fhir.example.org/r4%5c..%5cadmin",
    "https://fhir.example.org/r4/%252e%252e/admin",
    "https://fhir.example.org/r4\\..\\admin",
    "https://fhir.example.org//r4",
    "https://fhir.example.org/r4//x",
    "https://fhir.example.org/x/../r4",
    "https://fhir.example.org/r4/%00",
    "https://fhir.example.org/r4/%zz",
    "https://fhir.example.org/r4/%",
    "https://fhir.example.org/r4/é",
    # queries, fragments, odd characters
    "https://fhir.example.org/r4?x=1",
    "https://fhir.example.org/r4?",
    "https://fhir.example.org/r4#x",
    "https://fhir.example.org/r4#",
    "https://fhir.example.org?/r4",
    " https://fhir.example.org/r4",
    "https://fhir.example.org/r4 ",
    "https://fhir.example.org/r4\n",
    "https://fhir.example.org\t/r4",
    "https://fhir.exa\nmple.org/r4",
    "https://fhir.example.org/r4\r\nX-Injected: 1",
    "https://fhir.example.org/r4\x00",
    "https://fhir.example.org/r4\u202e",
    "https://fhir.example.org/" + "r4/" * 4_000,
    # numbers for hosts
    "http://2130706433:8080/fhir",
    "http://0x7f000001:8080/fhir",
    "http://0x7f.0.0.1:8080/fhir",
    "http://017700000001:8080/fhir",
    "http://0177.0.0.1:8080/fhir",
    "http://127.1:8080/fhir",
    "http://127.0.1:8080/fhir",
    "http://127.0.0.01:8080/fhir",
    "http://127.0.0.1.:8080/fhir",
    "http://127.0.0.2:8080/fhir",
    "http://0.0.0.0:8080/fhir",
    "http://0:8080/fhir",
    "http://１２７.0.0.1:8080/fhir",
    "http://①②⑦.0.0.1:8080/fhir",
    "http://127。0。0。1:8080/fhir",
    "http://localhost:8080/fhir",
    "http://[::ffff:127.0.0.1]:8080/fhir",
    "http://[::ffff:7f00:1]:8080/fhir",
    "http://[::]:8080/fhir",
    "http://[::1%25lo]:8080/fhir",
    "http://[::1]evil.example:8080/fhir",
    "http://::1:8080/fhir",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00:ec2::254]/latest/meta-data",
    "http://metadata.google.internal/",
]


@pytest.mark.parametrize(("url", "normalised"), HONEST.items(), ids=ascii)
def test_a_configured_server_is_permitted_in_every_honest_spelling(url: str, normalised: str) -> None:
    assert permitted(url, ALLOWED) == normalised
    server = allowed_server(url, ALLOWED)
    assert server is not None
    assert normalised.startswith(server.base_url)


@pytest.mark.parametrize("url", CROOKED, ids=lambda url: ascii(url)[:70])
def test_everything_else_is_not_permitted(url: str) -> None:
    assert permitted(url, ALLOWED) is None
    assert allowed_server(url, ALLOWED) is None


def test_there_are_at_least_eighty_crooked_ways() -> None:
    assert len(set(CROOKED)) == len(CROOKED) >= 80


def test_nothing_is_permitted_when_nothing_is_configured() -> None:
    assert permitted("https://fhir.example.org/r4", ()) is None


@pytest.mark.parametrize(
    ("base_url", "found"),
    [
        ("fhir.example.org", "something else"),
        ("ftp://fhir.example.org", "something else"),
        ("https://fhir.example.org/r4#x", "something else"),
        ("https://fhir.example.org/r4?x=1", "a query"),
        ("https://user:word@fhir.example.org", "a server that is not plainly named"),
        ("https://fhir.example.org:99999", "port 99999"),
        ("https://fhir.example.org/a/../b", "a path with dot segments"),
        ("https://fhir.example.org/a//b", "an odd path"),
        ("https://fhir.example.org.", "a host name that is none"),
        ("https://-fhir.example.org", "a host name that is none"),
        ("https://☃☃.example.org", "a host name that is none"),
        ("https://10.1", "a number that is no address"),
        ("https://fhir.example.org/ r4", "a space, a backslash or a control character"),
        ("http://fhir.example.org/r4", "http"),
        ("http://169.254.169.254", "an address that is no server's"),
        ("http://[fd00:ec2::254]", "an address that is no server's"),
        ("http://0.0.0.0:8080", "an address that is no server's"),
        ("", "0 characters"),
    ],
)
def test_a_server_that_cannot_be_meant_is_refused_with_its_place(base_url: str, found: str) -> None:
    with pytest.raises(ValueError, match=r"^FHIR server 2: found .*; expected .") as refused:
        allowed_servers(["https://fhir.example.org", base_url])

    assert f"found {found}; expected" in str(refused.value)
    assert "word" not in str(refused.value)


@pytest.mark.parametrize(
    ("base_url", "private"),
    [
        ("https://fhir.example.org", False),
        ("https://8.8.8.8/fhir", False),
        ("http://localhost:8080/fhir", True),
        ("http://hapi.localhost/fhir", True),
        ("http://10.1.2.3/fhir", True),
        ("http://127.0.0.1/fhir", True),
        ("http://[fd12::1]/fhir", True),
    ],
)
def test_a_server_may_be_at_a_private_address_when_it_is_configured_by_one(
    base_url: str, private: bool
) -> None:
    (server,) = allowed_servers([base_url])

    assert server.private_addresses is private


def test_ones_own_network_may_be_allowed_to_all_servers() -> None:
    (server,) = allowed_servers(["http://fhir.hospital.internal/r4"], private_addresses=True)

    assert server.private_addresses


PUBLIC = [
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.0",
    "11.0.0.0",
    "100.128.0.0",
    "2606:4700::1",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
PRIVATE = [
    "10.0.0.1", "127.0.0.1", "127.255.255.254", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "198.18.0.1", "192.0.2.1", "203.0.113.9", "::1", "fc00::1", "fd12:3456::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::1", "2002:7f00:1::", "fd00:ec3::1",
]  # fmt: skip
NEVER = [
    "0.0.0.0",  # noqa: S104 - nothing listens there
    "0.1.2.3", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1", "::127.0.0.1", "64:ff9b:1::a9fe:a9fe", "100::1", "4000::1",
    "2001:0:a9fe:a9fe::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert address_refusal(address, private_addresses=False) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_may_be_connected_to_only_where_it_is_configured(address: str) -> None:
    assert address_refusal(address, private_addresses=False) == "a private address"
    assert address_refusal(address, private_addresses=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_connected_to(address: str) -> None:
    assert address_refusal(address, private_addresses=True) == "an address that is no server's"


CURRENT = "https://fhir.example.org/r4/Condition?patient=1"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://fhir.example.org/r4?_getpages=1", "https://fhir.example.org/r4?_getpages=1"),
        ("https://fhir.example.org/r4/?_getpages=1", "https://fhir.example.org/r4/?_getpages=1"),
        ("https://fhir.example.org:443/r4/Condition?p=2", "https://fhir.example.org/r4/Condition?p=2"),
        ("Condition?p=2", "https://fhir.example.org/r4/Condition?p=2"),
        ("?p=2", "https://fhir.example.org/r4/Condition?p=2"),
        ("/r4/Condition?p=a|b%7C{c}", "https://fhir.example.org/r4/Condition?p=a|b%7C{c}"),
        ("//fhir.example.org/r4/Condition?p=2", "https://fhir.example.org/r4/Condition?p=2"),
        ("//evil.example/r4/Condition?p=2", None),
        ("/other?p=2", None),
        ("../other", None),
        ("https://whole.example.net/x", None),
        ("http://fhir.example.org/r4/Condition?p=2", None),
        ("https://fhir.example.org/r4/Condition?p=2#x", None),
        ("https://fhir.example.org/r4/Condition?p=\r\nHost: x", None),
        ("https://fhir.example.org/r4/Condition?p=é", None),
        ("https://fhir.example.org@evil.example/r4", None),
        ("https://fhir.example.org/r4x?p=2", None),
        ("https://[", None),
        ("", None),
    ],
)
def test_a_further_page_lies_on_the_same_server_or_nowhere(link: str, url: str | None) -> None:
    assert page_url(link, CURRENT, "https://fhir.example.org/r4") == url


def test_a_token_is_shown_nowhere() -> None:
    token = Token("s3cret")

    shown = [repr(token), str(token), f"{token}", f"{[token]}", "%s" % token]  # noqa: UP031 - each way of showing
    assert not any("s3cret" in each for each in shown)
    assert token.authorization == "Bearer s3cret"
    for stored in (pickle.dumps, json.dumps, copy.copy):
        with pytest.raises(TypeError):
            stored(token)


@pytest.mark.parametrize("text", ["", "a b", "a\r\nX: y", "a\x00", "é", "a\n"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="found a token that no header can carry") as refused:
        Token(text)

    assert not text or text not in str(refused.value)
