"""Spans, where OpenTelemetry is configured and installed; otherwise nothing, and no fault."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from cds_service.operations.tracing import span_maker
from tests.operations.processes import served
from tests.operations.sets import HOOK, asked, write_set

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What the collector that is configured was sent."""
    sent: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield sent
    server.shutdown()
    server.server_close()


@contextmanager
def traced(folder: Path) -> Iterator[str]:
    """The address of a service that has told the collector everything when this is over."""
    write_set(folder / "plans", "1")
    with served(folder, plans=folder / "plans") as service:
        yield service.url
        service.process.terminate()
        service.process.wait(10)


def test_without_an_endpoint_a_span_is_nothing() -> None:
    with span_maker(None)("hook", parent=f"00-{TRACE}-b7ad6b7169203331-01", decision="d1"):
        pass


def test_an_endpoint_without_the_packages_is_said_and_no_fault(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with caplog.at_level(logging.WARNING), span_maker("http://127.0.0.1:4318")("hook"):
        pass

    assert "telemetry" in caplog.text


def test_a_hook_is_a_span_of_the_callers_trace_and_tells_nothing_of_the_request(
    collected: list[bytes], tmp_path: Path
) -> None:
    trace = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}

    with traced(tmp_path) as url:
        answer = httpx.post(url + HOOK, json=asked(), headers=trace)
        assert answer.status_code == 200

    spans = b"".join(collected)
    assert spans.count(bytes.fromhex(TRACE)) == 3
    for name in (b"hook", b"decide", b"store"):
        assert name in spans
    assert b"p1" not in spans
    assert b"ServiceRequest" not in spans


def test_the_web_framework_sends_nothing_of_its_own(
    collected: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With this FastAPI tells addresses, and errors word by word, to where the spans go.
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")

    with traced(tmp_path) as url:
        httpx.post(url + HOOK, json=asked())
        httpx.get(f"{url}/launch", params={"handle": "sealed-name"})

    told = b"".join(collected)
    assert b"decide" in told
    assert b"sealed-name" not in told
    assert b"http.server.request" not in told
    assert b"/cds-services" not in told
