"""The example of a reverse proxy, started as it is written: TLS, limits, and clients that never finish a header."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection, socket

import httpx
import pytest

from tests.operations.processes import free_port
from tests.operations.sets import HOOK, asked, versions, write_set
from tests.running_service import ROOT, running_service

EXAMPLE = ROOT / "docs" / "deployment" / "nginx.conf"
HALF_OPEN = 300
HEADER_SECONDS = 5

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None or shutil.which("openssl") is None,
    reason="nginx or openssl is not installed (Debian: nginx-light, openssl)",
)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service behind the example proxy, with a certificate made for this."""
    folder = tmp_path_factory.mktemp("proxied")
    write_set(folder / "plans", "1")
    certify(folder)
    trust = ssl.create_default_context(cafile=folder / "fullchain.pem")
    with running_service(folder / "x.db", plans=(folder / "plans",)) as service, ExitStack() as stack:
        url = stack.enter_context(started(folder, service))
        yield stack.enter_context(httpx.Client(base_url=url, verify=trust, timeout=20))


@pytest.fixture(scope="module")
def forsaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the example proxy before a service that is not there."""
    folder = tmp_path_factory.mktemp("forsaken")
    certify(folder)
    trust = ssl.create_default_context(cafile=folder / "fullchain.pem")
    with ExitStack() as stack:
        url = stack.enter_context(started(folder, f"http://127.0.0.1:{free_port()}"))
        yield stack.enter_context(httpx.Client(base_url=url, verify=trust, timeout=20))


def certify(folder: Path) -> None:
    """Make a key and a certificate of localhost."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout key.pem -out fullchain.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)  # noqa: S603 - the words above


class started:  # noqa: N801 - a context
    """The proxy of the example, its addresses and folders changed to the test's: its address."""

    def __init__(self, folder: Path, service: str) -> None:
        self.port = free_port()
        (folder / "logs").mkdir()
        own = "".join(
            f"    {each}_temp_path {folder}/{each};\n"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = EXAMPLE.read_text()
        for written, here in (
            ("http {\n", f"http {{\n{own}"),
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("server 127.0.0.1:8000;", f"server {service.removeprefix('http://')};"),
            ("/etc/nginx/tls", str(folder)),
        ):
            assert written in text
            text = text.replace(written, here)
        (folder / "nginx.conf").write_text(text)
        self.command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "logs/error.log"]
        self.command += ["-g", f"daemon off; pid {folder}/pid;"]

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)  # noqa: S603 - as made above
        give_up = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < give_up:
            try:
                create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.02)
            else:
                return f"https://localhost:{self.port}"
        raise AssertionError("nginx does not listen")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def test_a_hook_is_answered_over_tls(proxied: httpx.Client) -> None:
    answer = proxied.post(HOOK, json=asked())

    assert versions(answer.json()) == ["1", "1"]
    assert answer.headers["Strict-Transport-Security"]


def test_a_header_larger_than_any_token_is_refused_and_a_token_is_not(proxied: httpx.Client) -> None:
    assert proxied.get("/readyz", headers={"Authorization": "Bearer " + "x" * 8_000}).status_code == 200
    assert proxied.get("/readyz", headers={"Authorization": "Bearer " + "x" * 20_000}).status_code == 400


def test_a_body_over_the_limit_is_refused(proxied: httpx.Client) -> None:
    assert proxied.post(HOOK, content=b"x" * 11_000_000).status_code == 413


@pytest.mark.parametrize("path", ["/metrics", "/admin/reload", "/admin/"])
def test_what_is_for_who_runs_the_service_is_not_there_for_the_world(
    proxied: httpx.Client, path: str
) -> None:
    assert proxied.get(path).status_code == 404
    assert proxied.post(path).status_code in {404, 405}


def test_a_service_that_is_not_there_is_told_as_an_outcome(forsaken: httpx.Client) -> None:
    answer = forsaken.post(HOOK, json=asked())

    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/fhir+json"
    assert answer.headers["Retry-After"]
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_who_never_finishes_a_header_is_cut_off_and_keeps_nobody_else_waiting(proxied: httpx.Client) -> None:
    with ExitStack() as stack:
        half_open = [stack.enter_context(each) for each in _half_open(proxied.base_url.port or 443)]
        began = time.monotonic()

        answer = proxied.post(HOOK, json=asked())
        answered = time.monotonic() - began
        closed = [_closed_by(each, began + HEADER_SECONDS * 2) for each in half_open]

    assert answer.status_code == 200
    assert answered < HEADER_SECONDS
    assert closed == [True] * HALF_OPEN


def _half_open(port: int) -> Iterator[socket]:
    """Connections on which no header is ever finished; on every second one not even TLS is begun."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    for number in range(HALF_OPEN):
        plain = create_connection(("127.0.0.1", port))
        if number % 2:
            yield plain
            continue
        wrapped = trusting.wrap_socket(plain)
        wrapped.sendall(b"POST /cds-services/procedure-funding HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        yield wrapped


def _closed_by(connection: socket, moment: float) -> bool:
    """Whether the other side ends the connection by then."""
    connection.settimeout(max(0.01, moment - time.monotonic()))
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
