"""What the running service holds: its policy set, its decision log, who may call, and what reads FHIR servers."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from cds_service.errors import DecisionLogError, NoPoliciesError, PlansError
from cds_service.policies.library import Library, load_library
from cds_service.record.reads import Limits, RecordReader
from cds_service.settings import Settings
from cds_service.store.decisions import DecisionLog
from cds_service.trust.clients import Client, load_clients
from cds_service.trust.key_sets import fetched_jwks
from cds_service.trust.outbound import allowed_servers
from cds_service.trust.replay import MemoryReplayStore
from cds_service.trust.verifier import ClientVerifier

logger = logging.getLogger("cds_service")
Clock = Callable[[], datetime]


@dataclass
class State:
    """The service's parts, or the ``problem`` why it lacks one. Without a ``verifier`` anybody may call."""

    settings: Settings
    verifier: ClientVerifier | None = None
    reader: RecordReader | None = None
    library: Library | None = None
    problem: str | None = None
    log: DecisionLog | None = None

    async def caller(self, request: Request, path: str) -> Client | None:
        """The client that made this call of ``path``; None in development mode. ClientRejectedError for anybody else."""
        if self.verifier is None:
            return None
        return await self.verifier.verify(
            request.headers.get("authorization"), self.settings.public_url + path
        )

    def loaded_library(self) -> Library:
        """The policy set in use. NoPoliciesError when there is none."""
        if self.library is None:
            raise NoPoliciesError("no policy set is loaded; see the service's log or cds-service check")
        return self.library

    def open(self) -> None:
        """Load the policies and open the log; what fails is said, and answered with 503 until it is mended."""
        try:
            self.library = load_library(self.settings.plans, self.settings.ods_practices)
            logger.info("%d policies loaded, set %s", len(self.library.policies), self.library.digest[:12])
        except PlansError as error:
            self.problem = "the policy set cannot be used"
            for problem in error.problems:
                logger.error("plan refused: %s", problem)  # noqa: TRY400  the problem says it all
        try:
            self.log = DecisionLog(self.settings.database_file)
        except DecisionLogError as error:
            self.problem = self.problem or "the decision log cannot be written"
            logger.error("%s", error)  # noqa: TRY400  the error says it all
        self.reader = record_reader(self.settings)

    async def aclose(self) -> None:
        """Let go of connections and files."""
        if self.reader is not None:
            await self.reader.aclose()
        if self.log is not None:
            self.log.close()


def client_verifier(settings: Settings, clock: Clock) -> ClientVerifier | None:
    """What tells who calls; None when no clients are configured. ClientsFileError when the file cannot be used."""
    if settings.clients is None:
        return None
    return ClientVerifier(load_clients(settings.clients), MemoryReplayStore(clock), fetched_jwks, clock)


def record_reader(settings: Settings) -> RecordReader:
    """What reads the callers' FHIR servers: those configured; in development mode, when none is configured, any."""
    return RecordReader(
        allowed_servers(settings.fhir_servers, private_addresses=settings.fhir_private_addresses),
        limits=Limits(seconds=settings.read_seconds),
        any_server=settings.clients is None and not settings.fhir_servers,
        tls=ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else None,
    )
