"""Settings, read once from the environment (``CDS_…``)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cds_service.trust.outbound import allowed_servers


class Settings(BaseSettings):
    """Every setting of the service; each is an environment variable of its name with the prefix ``CDS_``."""

    model_config = SettingsConfigDict(env_prefix="CDS_", frozen=True, extra="forbid")

    plans: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(Path("plans"),), description="Folders of plan folders, separated by commas."
    )
    ods_practices: Path | None = Field(
        default=None,
        description="The NHS Organisation Data Service's epraccur.csv: which practice belongs to which commissioner.",
    )
    cache: Path | None = Field(
        default=None,
        description="Folder that remembers which plans were checked; else cds-service below $XDG_CACHE_HOME or ~/.cache.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="The URL under which clients reach the service, without a final slash.",
    )
    database_url: str = Field(
        default="sqlite:///cds-service.db",
        description="Where decisions are written down: sqlite:///FILE or postgresql://USER@HOST/DATABASE.",
    )
    clients: Path | None = Field(
        default=None,
        description="File of the CDS clients that may call. Without it: development mode, open to all callers.",
    )
    fhir_servers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Base URLs of the FHIR servers that may be read, separated by commas; in development mode any.",
    )
    fhir_private_addresses: bool = Field(
        default=False,
        description="Whether the configured FHIR servers' names may resolve to addresses of a private network.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates of the authorities that FHIR servers are trusted by, as PEM; else the usual.",
    )
    read_seconds: float = Field(
        default=4.5, gt=0, le=60, description="How long reading a record from a FHIR server may take in all."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Web origins that may call from a browser, separated by commas; in development mode all may.",
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Web origins that may show the form in a frame, separated by commas; else it has its own window.",
    )
    smart_servers: Path | None = Field(
        default=None,
        description="File of the SMART servers that the form may be launched from (cds_service/smart/issuers.py).",
    )
    secret: SecretStr | None = Field(
        default=None,
        description="64 hexadecimal digits that kept answers and launches are sealed with; else the database's own.",
    )
    retention_days: int = Field(
        default=3650,
        ge=1,
        description="How many days decisions, answers and feedback are kept; cds-service purge removes what is older.",
    )
    fixtures: Path = Field(
        default=Path("fhir_fixtures"),
        description="Folder of example patients and requests, served in development mode only.",
    )
    development: bool = Field(
        default=False,
        description="Allow listening on other than loopback addresses while no clients are configured.",
    )
    time_zone: str = Field(
        default="UTC", description="The zone whose calendar says which day it is, such as Europe/London."
    )
    answers_valid_days: int = Field(
        default=90,
        ge=0,
        description="How many days a completed form that names no order goes on answering for new orders.",
    )
    max_body_bytes: int = Field(
        default=10_000_000, ge=1_000, description="The largest request body that is read."
    )
    max_in_flight: int = Field(
        default=64,
        ge=1,
        description="How many hook requests may be under way at a time; one more is refused with 503.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="The form of the log's lines: text or json."
    )

    @field_validator("plans", "cors_origins", "fhir_servers", "frame_ancestors", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("an http or https URL")
        return value.rstrip("/")

    @field_validator("fhir_servers")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        allowed_servers(value)
        return value

    @field_validator("secret")
    @classmethod
    def _of_32_bytes(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value.get_secret_value()):
            raise ValueError("64 hexadecimal digits")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("a time zone of the IANA database, such as Europe/London") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _of_a_store(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("sqlite:///FILE or postgresql://USER@HOST/DATABASE")
        return value

    @property
    def cache_folder(self) -> Path:
        """Where it is remembered which plans were checked before, by their content."""
        return self.cache or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cds-service"

    @property
    def in_development(self) -> bool:
        """Whether anybody may call, because no clients are configured."""
        return self.clients is None

    @property
    def secret_bytes(self) -> bytes | None:
        """The secret of the deployer, 32 bytes."""
        return None if self.secret is None else bytes.fromhex(self.secret.get_secret_value())
