"""What the running service holds: its policy set, its decision log, who may call, and what reads FHIR servers."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from cds_service.development import FHIR_PATH
from cds_service.errors import (
    DecisionLogError,
    FormUnavailableError,
    NoPoliciesError,
    PlansError,
    SmartServersFileError,
    StoreError,
)
from cds_service.operations.metrics import Condition, Metrics
from cds_service.operations.reloads import Reload, Reloads, tried_library
from cds_service.operations.requests import Traffic
from cds_service.operations.tracing import span_maker
from cds_service.policies.library import Library, load_library
from cds_service.record.reads import Limits, RecordReader
from cds_service.settings import Settings
from cds_service.smart.issuers import Authentication, SmartServer, load_smart_servers
from cds_service.smart.smart_app import SmartApp
from cds_service.store.store import Store, open_store
from cds_service.trust.clients import Client, load_clients
from cds_service.trust.key_sets import fetched_jwks
from cds_service.trust.outbound import allowed_servers
from cds_service.trust.verifier import ClientVerifier, Presented

logger = logging.getLogger("cds_service")
Clock = Callable[[], datetime]


@dataclass
class State:
    """The service's parts, or the ``problem`` why it lacks one. Without a ``verifier`` anybody may call.

    ``smart_servers``: those configured, by issuer.
    """

    settings: Settings
    clock: Clock
    smart_servers: Mapping[str, SmartServer]
    verifier: ClientVerifier | None = None
    reader: RecordReader | None = None
    library: Library | None = None
    problem: str | None = None
    store: Store | None = None
    smart: SmartApp | None = None

    def __post_init__(self) -> None:
        # These two variables are the libraries' own, who read everything else about it from the environment themselves.
        self.metrics = Metrics(self._condition, shared="PROMETHEUS_MULTIPROC_DIR" in os.environ)
        self.span = span_maker(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))
        self.traffic = Traffic(self.settings.max_in_flight, self.metrics.overloaded)
        self.reloads = Reloads(self._tried, self._use, self._reloaded, self.clock)

    async def caller(self, request: Request, path: str) -> Client | None:
        """The client that made this call of ``path``; None in development mode. ClientRejectedError for anybody else."""
        caller = await self.presented(request, path)
        await caller.spend()
        return caller.client

    async def presented(self, request: Request, path: str) -> Presented:
        """As ``caller``, but for whether the token was used before, which is found out when its use is written down."""
        if self.verifier is None:
            return Presented(None)
        header = request.headers.get("authorization")
        return await self.verifier.presented(header, self.settings.public_url + path)

    def loaded_library(self) -> Library:
        """The policy set in use. NoPoliciesError when there is none."""
        if self.library is None:
            raise NoPoliciesError("no policy set is loaded; see the service's log or cds-service check")
        return self.library

    @property
    def launches_forms(self) -> bool:
        """Whether there is an EHR that can open a card's form: in development mode our own."""
        return self.settings.in_development or self.settings.smart_servers is not None

    def opened_smart(self) -> SmartApp:
        """What forms are launched with. FormUnavailableError when no EHR is configured that could."""
        if self.smart is None:
            reason = "This service is not set up to open forms."
            raise FormUnavailableError(
                reason, "Ask whoever runs it to configure your EHR (CDS_SMART_SERVERS)."
            )
        return self.smart

    def opened_store(self) -> Store:
        """Where everything is written down. DecisionLogError when it could not be opened."""
        if self.store is None:
            raise DecisionLogError("the store is not open")
        return self.store

    def open(self) -> None:
        """Load the policies and open the store; what fails is said, and answered with 503 until it is mended."""
        try:
            if self.library is None:
                self.library = load_library(
                    self.settings.plans, self.settings.ods_practices, self.settings.cache_folder
                )
            logger.info("%d policies loaded, set %s", len(self.library.policies), self.library.digest[:12])
        except PlansError as error:
            self.problem = "the policy set cannot be used"
            for problem in error.problems:
                logger.error("plan refused: %s", problem)  # noqa: TRY400  the problem says it all
        try:
            self.store = open_store(
                self.settings.database_url,
                self.settings.secret_bytes,
                commit_seconds=self.metrics.committed,
            )
        except StoreError as error:
            self.problem = self.problem or "the decision log cannot be written"
            logger.error("%s", error)  # noqa: TRY400  the error says it all
        self.reader = _record_reader(self.settings, self.smart_servers)

    async def first_use(self, issuer: str, jti: str, until: float) -> bool:
        """Whether a token is used for the first time, over all workers and restarts (``trust.replay.ReplayStore``)."""
        return await self.opened_store().first_use(issuer, jti, until)

    async def reload(self) -> Reload:
        """What came of using the policies as they are on the disk now. The last good set stays when these are bad."""
        return await self.reloads.made()

    @property
    def is_ready(self) -> bool:
        """Whether hooks can be answered, as far as is known without trying."""
        return self.library is not None and self.store is not None and not self.traffic.is_stopping

    def _tried(self) -> Library:
        return tried_library(self.settings.plans, self.settings.ods_practices, self.settings.cache_folder)

    def _use(self, library: Library) -> None:
        self.library = library
        self.problem = None if self.store else "the decision log cannot be written"

    def _reloaded(self, reload: Reload) -> None:
        self.metrics.reloaded(is_good=reload.is_good)
        for problem in reload.problems:
            logger.error("plan refused: %s", problem)
        if reload.digest is not None:
            logger.info("policies reloaded, set %s", reload.digest[:12])

    def _condition(self) -> Condition:
        last = self.reloads.last
        return Condition(
            is_ready=self.is_ready,
            policies=len(self.library.policies) if self.library else 0,
            digest=self.library.digest if self.library else "",
            in_flight=self.traffic.in_flight,
            reloaded_at=last.at.timestamp() if last else None,
            reload_was_good=last.is_good if last else None,
        )

    async def aclose(self) -> None:
        """Let go of connections and files."""
        for part in (self.reader, self.smart):
            if part is not None:
                await part.aclose()
        if self.store is not None:
            await self.store.close()


def service_state(settings: Settings, clock: Clock, library: Library | None) -> State:
    """The parts of a service that is not open yet, the ``library`` if it is loaded.

    FileError when the clients' or SMART servers' file cannot be used.
    """
    listed = load_smart_servers(settings.smart_servers) if settings.smart_servers else {}
    state = State(settings, clock, listed, library=library, smart=_smart_app(settings, listed, clock))
    if settings.clients is not None:
        clients = load_clients(settings.clients)
        _refuse_unknown_clients(settings, listed, {client.name for client in clients})
        state.verifier = ClientVerifier(clients, state, fetched_jwks, clock)
    return state


def _refuse_unknown_clients(
    settings: Settings, servers: Mapping[str, SmartServer], names: Collection[str]
) -> None:
    """A SMART server of a client that there is not could open no card's form: better said at the start."""
    for server in servers.values():
        if server.client not in names:
            file, expected = str(settings.smart_servers), f"the name of a client in {settings.clients}"
            raise SmartServersFileError(file, "servers.client", repr(server.client), expected)


def _smart_app(settings: Settings, listed: Mapping[str, SmartServer], clock: Clock) -> SmartApp | None:
    """What launches forms from the configured EHRs, in development mode from our own; None when there is none."""
    servers = listed
    if settings.smart_servers is None and settings.in_development:
        issuer = settings.public_url + FHIR_PATH
        servers = {
            issuer: SmartServer(issuer, "development", "cds-service", Authentication("none"), None, None)
        }
    if not servers:
        return None
    tls = ssl.create_default_context(cafile=settings.ca_file)
    return SmartApp(servers, clock, private_addresses=settings.fhir_private_addresses, tls=tls)


def _record_reader(settings: Settings, forms: Mapping[str, SmartServer]) -> RecordReader:
    """What reads FHIR servers: those configured, also for forms; in development mode, when none is configured, any."""
    return RecordReader(
        allowed_servers(
            (*settings.fhir_servers, *(server.base_url for server in forms.values())),
            private_addresses=settings.fhir_private_addresses,
        ),
        limits=Limits(seconds=settings.read_seconds),
        any_server=settings.clients is None and not settings.fhir_servers,
        tls=ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else None,
    )
