"""Every setting, and what each may be; `gateway.settings_reading` reads them from a file and the environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.audit.notes import NoteRefused, SignatureType, parse_verifier_key
from gateway.detection.settings import DetectionSection
from schema.vocabulary import AgencyKind

PREFIX: Final = "CONTACTPOINT_"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a configuration: keys and rules, but no values."""

    setting: str | None
    """What to change: a key of the file, or a variable of the environment; None is the file as a whole."""
    what: str
    """What is wrong with it, and in which file and line where the setting names another file."""
    line: str
    """All of it, as people are told."""

    @classmethod
    def of(cls, setting: str | None, what: str, place: str | None = None) -> Fault:
        """Return the fault of a setting; `place` is the file that it stands in, or `environment`."""
        return cls(setting, what, ": ".join(part for part in (place, setting, what) if part is not None))

    @classmethod
    def in_another_file(cls, setting: str, what: str) -> Fault:
        """Return a fault of what a setting names; `what` begins with the file."""
        return cls(setting, what, what)


class SettingsFault(Exception):
    """The configuration cannot be used; `found` holds each fault, and `faults` one line for each.

    `rest` holds the sections without a fault, with defaults in place of the others, for who looks for further faults
    in one run; None when nothing can be read. It is not to be served.
    """

    def __init__(self, found: Sequence[Fault], rest: Settings | None = None) -> None:
        self.found = tuple(found)
        self.faults = [fault.line for fault in found]
        self.rest = rest
        super().__init__("; ".join(self.faults))


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerSection(_Section):
    """Where to listen."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    leave_seconds: Annotated[float, Field(ge=0, le=4)] = 2.0  # between "not ready" and closing the door
    # whoever closes an idle connection first must be the proxy: the longest of the usual ones keeps it for 600 s
    keep_alive_seconds: Annotated[int, Field(ge=1, le=86_400)] = 620


def _resource_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        raise PydanticCustomError("setting", "must be an https URL (http on the loopback address only)")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise PydanticCustomError("setting", "must hold no user and no fragment")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ResourceSection(_Section):
    """Who we are to the identity providers: the audience expected in tokens, an absolute URL (RFC 8707, RFC 9728)."""

    identifier: Annotated[str, AfterValidator(_resource_url)]


class IssuerSection(_Section):
    """One identity provider. `clients` and `organisations` are allow-lists: whom it may speak for; absent, anybody."""

    issuer: str
    jwks_uri: str | None = None
    jwks_file: Path | None = None
    algorithms: tuple[str, ...] = ("ES256", "PS256")
    clients: frozenset[str] | None = None
    organisations: frozenset[str] | None = None


class DatabaseSection(_Section):
    """Where the log, budgets and shields are kept: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.

    `migrate_url` names the same PostgreSQL database as the role that owns its tables: for `contactpoint migrate` alone.
    """

    url: Annotated[str, Field(repr=False)] = "sqlite:///contactpoint.db"
    migrate_url: Annotated[str | None, Field(repr=False)] = None
    purge_url: Annotated[str | None, Field(repr=False)] = None


def _cosigner_key(text: str) -> str:
    try:
        key = parse_verifier_key(text)
    except NoteRefused as refused:
        raise PydanticCustomError("setting", "must be a verifier key: {why}", {"why": str(refused)}) from None
    if key.kind is SignatureType.ED25519:
        raise PydanticCustomError("setting", "must be the verifier key of a witness, of type 04 or 06")
    return text


class WitnessSection(_Section):
    """Somebody else's process that cosigns checkpoints: where it is, and its verifier key."""

    url: Annotated[str, AfterValidator(_resource_url)]
    vkey: Annotated[str, AfterValidator(_cosigner_key)]


class AuditSection(_Section):
    """The audit key (absent, one is made beside the database, with a warning); who signs and cosigns checkpoints."""

    key_file: Path | None = None
    signing_key_file: Path | None = None
    witnesses: tuple[WitnessSection, ...] = ()
    alarm_after_seconds: Annotated[float, Field(ge=1)] = 300.0  # without a cosignature from any of the witnesses
    refuse_after_seconds: Annotated[float, Field(ge=1)] = 14_400.0
    shard_days: Annotated[int, Field(ge=1, le=400)] = 31  # then another shard of the log is begun
    shard_records: Annotated[int, Field(ge=1_000)] = 20_000_000
    lookups_retention_days: Annotated[int, Field(ge=30)] | None = None
    refusals_retention_days: Annotated[int, Field(ge=30)] | None = None
    reviews_retention_days: Annotated[int, Field(ge=30)] | None = None
    readings_retention_days: Annotated[int, Field(ge=30)] | None = None
    legal_holds: tuple[str, ...] = ()


class AgreementsSection(_Section):
    """Where the information-sharing agreements are (absent, those shipped), and how often they are looked at again."""

    directory: Path | None = None
    reload_seconds: Annotated[float, Field(ge=1, le=3600)] = 30.0


class WindowSection(_Section):
    """The most in a minute, an hour and a day; absent: not limited."""

    minute: Annotated[int, Field(ge=0)] | None = None
    hour: Annotated[int, Field(ge=0)] | None = None
    day: Annotated[int, Field(ge=0)] | None = None

    def as_limits(self) -> dict[str, int]:
        """Return the windows that are limited."""
        return {name: value for name, value in self if value is not None}


class LimitsSection(_Section):
    """Document, body, time and budget limits."""

    body_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 16_384
    body_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1024  # never more requests at once than this
    document_depth: Annotated[int, Field(ge=4, le=20)] = 8
    document_fields: Annotated[int, Field(ge=10, le=2000)] = 200
    total_seconds: Annotated[float, Field(gt=0.1, le=30)] = 2.5
    source_seconds: Annotated[float, Field(gt=0.05, le=30)] = 1.5
    reserve_seconds: Annotated[float, Field(ge=0, le=5)] = 0.25
    quiet_seconds: Annotated[float, Field(ge=0, le=5)] = 0.25  # an answer without a disclosure leaves at a multiple
    person_lookups: WindowSection = WindowSection(minute=10, hour=60, day=200)
    person_misses: WindowSection = WindowSection(hour=5, day=20)
    person_overrides: WindowSection = WindowSection(hour=10, day=20)
    client_lookups: WindowSection = WindowSection(minute=600, hour=12_000, day=100_000)
    client_misses: WindowSection = WindowSection(hour=600, day=4_000)
    organisation_lookups: WindowSection = WindowSection(minute=600, hour=12_000, day=100_000)
    organisation_misses: WindowSection = WindowSection(hour=600, day=4_000)
    shield_list_seconds: Annotated[float, Field(ge=10)] = 900.0  # how often sources' full lists are read again

    @model_validator(mode="after")
    def _leaves_time_for_sources(self) -> Self:
        if self.reserve_seconds >= self.total_seconds:
            raise PydanticCustomError("setting", "reserve_seconds must be less than total_seconds: sources need time")
        return self


class BrokerSection(_Section):
    """Who makes contact with sensitive services, and for which connectors. Callers see it as the agency."""

    id: str
    name: str
    kind: AgencyKind
    connectors: tuple[str, ...]
    area: str | None = None
    phone: str | None = None
    email: str | None = None
    out_of_hours: str | None = None
    expected_response: str | None = None


def _endpoint_url(url: str | None) -> str | None:
    return None if url is None else _resource_url(url)


class TelemetrySection(_Section):
    """Logs and traces. `traces_endpoint`: an OTLP collector's URL for traces; without it there are none."""

    request_log: bool = True  # a line for each request
    traces_endpoint: Annotated[str | None, AfterValidator(_endpoint_url)] = None
    traces_ratio: Annotated[float, Field(gt=0, le=1)] = 0.05  # of the requests that bring no trace of their own
    traces_from_callers: bool = False  # whether a request's `traceparent` is taken in

    log_format: Annotated[str, Field(pattern="^(json|text)$")] = "json"
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    server: ServerSection = ServerSection()
    resource: ResourceSection
    issuers: tuple[IssuerSection, ...] = ()
    database: DatabaseSection = DatabaseSection()
    audit: AuditSection = AuditSection()
    agreements: AgreementsSection = AgreementsSection()
    connectors: tuple[dict[str, Any], ...] = ()  # each is checked by its driver
    brokers: tuple[BrokerSection, ...] = ()
    limits: LimitsSection = LimitsSection()
    detection: DetectionSection = DetectionSection()
    telemetry: TelemetrySection = TelemetrySection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment stands over the file; there are no other sources."""
        return env_settings, init_settings


def audit_key_file(settings: Settings) -> Path:
    """Return where the audit key is, or is to be made: beside the database file unless configured.

    Raises SettingsFault for another database without a configured key: every gateway on it needs the same.
    """
    if settings.audit.key_file is not None:
        return settings.audit.key_file
    file = settings.database.url.removeprefix("sqlite:///")
    if file == settings.database.url:
        what = "is needed beside a database that is not a file: all gateways share it"
        raise SettingsFault([Fault.of("audit.key_file", what)])
    return Path(file).with_suffix(".audit-key.json")
