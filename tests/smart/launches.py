"""What the tests of launches share: an app that one EHR may launch, a browser, and what a launch comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from cds_service.errors import LaunchRefusedError
from cds_service.smart.context import SmartContext
from cds_service.smart.issuers import Authentication, SmartServer
from cds_service.smart.launch_state import LaunchState
from cds_service.smart.smart_app import SmartApp
from cds_service.smart.write_back import NotWritten, Written
from tests.smart.authorization_server import CLIENT_ID, Ehr

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REDIRECT_URI = "https://cds.example/launch/callback"
READ = frozenset({"Patient", "Condition", "Observation"})
# Made once: it reads the file of trusted certificates, which takes longer than a test.
TLS = httpx.create_ssl_context(trust_env=False)


def server_of(ehr: Ehr, **changes: Any) -> SmartServer:
    """The EHR as it is configured here."""
    configured: dict[str, Any] = {
        "issuer": ehr.issuer,
        "client": "trust-a",
        "client_id": CLIENT_ID,
        "authentication": Authentication("none"),
        "scopes": None,
        "redirect_uri": None,
    }
    return SmartServer(**{**configured, **changes})


@dataclass
class Hands:
    """The clock's hands, which a test may move."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Launches:
    """Launches of an app from one EHR, with a browser that does as it is told.

    ``tampered``: what becomes of the query on its way back.
    """

    ehr: Ehr
    configured: Mapping[str, Any] = field(default_factory=dict)
    app_members: Mapping[str, Any] = field(default_factory=dict)
    clock: Hands = field(default_factory=Hands)
    tampered: Callable[[dict[str, str]], dict[str, str]] = dict

    def app(self) -> SmartApp:
        server = server_of(self.ehr, **self.configured)
        members = {"private_addresses": False, "tls": TLS, "seconds": 2.0, **self.app_members}
        return SmartApp({server.issuer: server}, self.clock, **members)

    def run(self, steps: Callable[[SmartApp], Any]) -> Any:
        """What the steps give; the app is closed behind them."""

        async def whole() -> Any:
            app = self.app()
            try:
                return await steps(app)
            finally:
                await app.aclose()

        return asyncio.run(whole())

    def pass_by(self, seconds: int) -> None:
        """Let time pass, for the EHR too."""
        self.clock.now += timedelta(seconds=seconds)
        self.ehr.now += seconds

    async def arrived(self, app: SmartApp, **query: str) -> SmartContext:
        """The context of a launch; in the EHR, unless told otherwise."""
        state, returned = await self.returned(app, **query)
        return await app.finished(state, returned, state.state)

    async def returned(self, app: SmartApp, **query: str) -> tuple[LaunchState, dict[str, str]]:
        """What is kept of a launch, through a store, and the query that the browser brings back."""
        asked = {"iss": self.ehr.issuer, **({"launch": "ehr-launch-1"} if not query else {}), **query}
        url, state = await app.begun(asked, READ, REDIRECT_URI)
        location = await asyncio.to_thread(visited, url)
        assert location.startswith(REDIRECT_URI)
        kept = LaunchState.from_json(state.to_json())
        assert kept == state
        return kept, self.tampered(dict(parse_qsl(urlsplit(location).query)))

    def context(self, **query: str) -> SmartContext:
        """The context of one launch."""
        context = self.run(lambda app: self.arrived(app, **query))
        assert isinstance(context, SmartContext)
        return context

    def refusal(self, **query: str) -> LaunchRefusedError:
        """Why one launch is refused; the error carries nothing secret, nor does what it stems from."""
        with pytest.raises(LaunchRefusedError) as refused:
            self.context(**query)
        assert_keeps_secrets(refused.value, self.ehr)
        return refused.value

    def written(
        self, context: SmartContext, form: Mapping[str, Any], existing: str | None = None
    ) -> Written | NotWritten:
        """What becomes of a form."""
        result = self.run(lambda app: app.written(form, existing, context))
        assert isinstance(result, Written | NotWritten)
        return result


def visited(url: str) -> str:
    """Where the authorization server sends the browser. Without httpx, which would log what a browser does not."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    location = answer.getheader("location")
    assert answer.status == 302
    assert location is not None
    connection.close()
    return location


def query_of(url: str) -> dict[str, str]:
    """The query of an authorization URL."""
    return dict(parse_qsl(urlsplit(url).query))


def assert_keeps_secrets(error: BaseException, ehr: Ehr) -> None:
    """Nothing that an error says, or one that led to it, holds a code or a token."""
    current: BaseException | None = error
    while current is not None:
        said = f"{current!s} {current!r} {vars(current)}"
        assert not [each for each in ehr.secrets if each in said]
        current = current.__cause__ or current.__context__
