"""A connection goes to the address that was checked, and TLS is by the name that was configured."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds_service.record.patient_record import QueryAnswer
from cds_service.record.reads import Limits, RecordReader
from cds_service.trust.outbound import Token, allowed_servers
from tests.reads.faulty_server import FaultyServer, faulty_server
from tests.reads.reading import PATIENT, PATIENT_QUERY, RECORD, SECRET, TLS, ids

NAME = "fhir.example.org"
FORBIDDEN = "the FHIR server's address is not one that may be read"
UNREACHABLE = "the server could not be reached"


class Names:
    """A resolver that answers with each of these in turn, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def read(
    base_url: str,
    names: Names,
    *,
    private: bool = False,
    tls: ssl.SSLContext = TLS,
    times: int = 1,
    limits: Limits | None = None,
) -> QueryAnswer:
    """The last of some reads of the patient."""

    async def reads() -> QueryAnswer:
        allowed = allowed_servers([base_url], private_addresses=private)
        reader = RecordReader(allowed, tls=tls, resolve=names, limits=limits)
        try:
            for _ in range(times):
                found = await reader.read(base_url, Token(SECRET), PATIENT, PATIENT_QUERY, 2.0)
            return found["patient"]
        finally:
            await reader.aclose()

    return asyncio.run(reads())


def named(server: FaultyServer, scheme: str = "http") -> str:
    return f"{scheme}://{NAME}:{server.port}/fhir"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["10.0.0.1"],
    ],
)
def test_a_public_name_that_stands_for_a_private_address_is_not_connected_to(addresses: list[str]) -> None:
    with faulty_server("healthy", RECORD) as server:
        assert read(named(server, "https"), Names(addresses)).not_read == FORBIDDEN

    assert server.connections == 0


def test_the_metadata_service_is_not_connected_to_even_from_ones_own_network() -> None:
    with faulty_server("healthy", RECORD) as server:
        assert read(named(server), Names(["169.254.169.254"]), private=True).not_read == FORBIDDEN


def test_a_name_that_changes_its_address_is_connected_where_it_was_checked() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])

    with faulty_server("healthy", RECORD) as server:
        answer = read(named(server), names, private=True, times=3)

    assert ids(answer) == [PATIENT]
    assert (names.asked, server.connections) == (1, 1)
    assert server.requests[0].headers["host"] == f"{NAME}:{server.port}"


def test_a_name_is_checked_again_for_every_new_connection() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])

    with faulty_server("404", RECORD) as server:  # after an error the connection is not kept
        answer = read(named(server), names, private=True, times=2)

    assert answer.not_read == FORBIDDEN
    assert (names.asked, server.connections) == (2, 1)


def test_the_next_address_of_a_name_is_tried_when_one_takes_no_connection() -> None:
    with faulty_server("healthy", RECORD) as server:
        assert ids(read(named(server), Names(["127.0.0.2", "127.0.0.1"]), private=True)) == [PATIENT]


def test_a_name_without_an_address_cannot_be_reached() -> None:
    assert read(f"https://{NAME}/fhir", Names([])).not_read == UNREACHABLE


def test_a_resolver_that_fails_means_a_server_that_cannot_be_reached() -> None:
    class NoNames(Names):
        async def __call__(self, _host: str, _port: int) -> Sequence[str]:
            raise OSError("no such name")

    assert read(f"https://{NAME}/fhir", NoNames()).not_read == UNREACHABLE


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_a_connection() -> None:
    class SlowNames(Names):
        async def __call__(self, _host: str, _port: int) -> Sequence[str]:
            await asyncio.sleep(30)
            return []

    answer = read(f"https://{NAME}/fhir", SlowNames(), limits=Limits(connect_seconds=0.1))

    assert answer.not_read == UNREACHABLE


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server of this name presents, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, *private))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


@pytest.mark.parametrize(("name", "read_it"), [(NAME, True), ("other.example.org", False)])
def test_the_certificate_must_be_of_the_configured_name(name: str, read_it: bool, tmp_path: Path) -> None:
    presented, trusting = certified(name, tmp_path)

    with faulty_server("healthy", RECORD, tls=presented) as server:
        answer = read(named(server, "https"), Names(["127.0.0.1"]), private=True, tls=trusting)

    assert (answer.not_read is None) is read_it
    assert len(server.requests) == read_it


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    presented, _ = certified(NAME, tmp_path)

    with faulty_server("healthy", RECORD, tls=presented) as server:
        answer = read(named(server, "https"), Names(["127.0.0.1"]), private=True)

    assert answer.not_read == UNREACHABLE
    assert server.requests == []


@pytest.mark.parametrize("fault", ["reset in the body", "half body", "reset", "slow body"])
def test_a_connection_with_tls_that_breaks_is_not_read(fault: str, tmp_path: Path) -> None:
    presented, trusting = certified(NAME, tmp_path)

    with faulty_server(fault, RECORD, tls=presented) as server:
        answer = read(
            named(server, "https"),
            Names(["127.0.0.1"]),
            private=True,
            tls=trusting,
            limits=Limits(seconds=0.3),
        )

    assert answer.not_read in {"the connection to the server broke", "the server did not answer in time"}
