"""One `[[connectors]]` entry: the keys that every driver shares, checked once. Unknown keys are faults.

A driver subclasses `ConnectorSettings` (or `HTTPSettings`, if its source is reached over the network) with its own keys
and calls `read`. Faults name the key and the rule, never the value: an entry may hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag, ValidationError
from pydantic import model_validator as checked_whole
from pydantic_core import PydanticCustomError

from connectors.base import Manifest
from schema.records import Agency, ChildRef, Contact
from schema.vocabulary import AgencyKind, ContactMode


class ConnectorMisconfigured(ValueError):
    """An entry is wrong: `faults` holds every (key, what), `key` and `what` the first. Values are never repeated."""

    def __init__(self, key: str, what: str, *others: tuple[str, str]) -> None:
        self.key = key
        self.what = what
        self.faults: tuple[tuple[str, str], ...] = ((key, what), *others)
        super().__init__("; ".join(f"{key}: {what}" for key, what in self.faults))


def _fault(what: str) -> PydanticCustomError:
    # the message is a template: braces in it would be read as fields, and we never put a value there
    return PydanticCustomError("connector", "{what}", {"what": what})


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError when out of range
    except ValueError:
        raise _fault("is not a URL") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise _fault("must be an https URL")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _fault("must hold no user, query or fragment")
    return url


Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=200)]
SourceURL = Annotated[str, Field(max_length=500), AfterValidator(_origin)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class SafeguardingLead(_Strict):
    """Whom to ring at the agency when nobody named can be reached."""

    phone: Line | None = None
    email: Line | None = None
    out_of_hours: Line | None = None


class ConnectorSettings(_Strict):
    """The keys that every driver has. Driver settings subclass it and add their own."""

    id: Slug
    name: Line
    kind: Annotated[AgencyKind, Field(strict=False)]
    driver: Line
    area: Slug | None = None
    organisation: Slug | None = None  # the controller; absent: a controller of the connector's own id
    enabled: bool = True
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 1.5
    max_asks: Annotated[int, Field(ge=1, le=1000)] = 128  # the bulkhead: one more is OVERLOADED at once
    max_batch: Annotated[int, Field(ge=1, le=100)] = 32  # 1: never asked for several lookups in one call
    max_connections: Annotated[int, Field(ge=1, le=1000)] = 128  # calls at once, of all its asks
    circuit_failures: Annotated[int, Field(ge=1, le=10_000)] = 5  # so many one after another open its circuit
    stale_if_error_seconds: Annotated[int, Field(ge=0, le=3600)] = 0  # 0: never stood in for by what it said before
    run_by: Line | None = None
    support_contact: Line | None = None
    retention_days: Annotated[int, Field(ge=0, le=36_525)] | None = None  # ended work older than this is not told
    safeguarding_lead: SafeguardingLead | None = None

    def manifest(
        self,
        *,
        holds: frozenset[str],
        subjects: frozenset[type] = frozenset({ChildRef}),
        names_adults: bool = False,
        can_batch: bool = False,
        answers_depend_on_asker: bool = False,
        lists_shields: bool = False,
    ) -> Manifest:
        """Return the manifest of the source that this entry describes. Raises ConnectorMisconfigured."""
        lead = self.safeguarding_lead
        contact = None
        if lead is not None:
            contact = Contact(ContactMode.DIRECT, lead.phone, lead.email, lead.out_of_hours)
        manifest = Manifest(
            agency=Agency(self.id, self.name, self.kind, self.area, contact),
            organisation=self.organisation or self.id,
            driver=self.driver,
            subjects=subjects,
            names_adults=names_adults,
            holds=holds,
            can_batch=can_batch and self.max_batch > 1,
            answers_depend_on_asker=answers_depend_on_asker,
            run_by=self.run_by or self.name,
            support_contact=self.support_contact or "not stated",
            timeout_seconds=self.timeout_seconds,
            retention_days=self.retention_days,
            lists_shields=lists_shields,
            max_asks=self.max_asks,
            max_batch=self.max_batch,
            circuit_failures=self.circuit_failures,
            stale_if_error_seconds=self.stale_if_error_seconds,
        )
        if manifest.stale_if_error_seconds and not manifest.may_be_stood_in_for:
            what = "is only for a source about children whose answers do not depend on who asks"
            raise ConnectorMisconfigured("stale_if_error_seconds", what)
        return manifest


class ClientCredentialsSettings(_Strict):
    """`auth` of a source with its own token endpoint (RFC 6749 section 4.4); `method` may be left out."""

    method: Literal["client_credentials"] = "client_credentials"
    token_url: SourceURL
    client_id: Line
    client_secret: SecretStr | None = None
    client_secret_file: Annotated[Path, Field(strict=False)] | None = None
    scope: Line | None = None

    @checked_whole(mode="after")
    def _one_secret(self) -> Self:
        if (self.client_secret is None) == (self.client_secret_file is None):
            raise _fault("needs one of client_secret and client_secret_file")
        return self

    def secret(self) -> str:
        """Return the client secret; raises ConnectorMisconfigured if its file cannot be read or is empty."""
        return _secret("auth.client_secret", self.client_secret, self.client_secret_file)


class ApiKeySettings(_Strict):
    """`auth` of a source that takes a fixed key in a header."""

    method: Literal["api_key"]
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "x-api-key"
    api_key: SecretStr | None = None
    api_key_file: Annotated[Path, Field(strict=False)] | None = None

    @checked_whole(mode="after")
    def _one_secret(self) -> Self:
        if (self.api_key is None) == (self.api_key_file is None):
            raise _fault("needs one of api_key and api_key_file")
        return self

    def secret(self) -> str:
        """Return the key; raises ConnectorMisconfigured if its file cannot be read or is empty."""
        return _secret("auth.api_key", self.api_key, self.api_key_file)


def _secret(key: str, given: SecretStr | None, file: Path | None) -> str:
    if given is not None:
        text = given.get_secret_value()
    elif file is not None:
        key = f"{key}_file"
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ConnectorMisconfigured(key, "the file cannot be read") from None
    else:
        text = ""
    if not text:
        raise ConnectorMisconfigured(key, "is empty")
    return text


def _method(auth: Any) -> str:
    if isinstance(auth, Mapping):
        return str(auth.get("method", "client_credentials"))
    return str(getattr(auth, "method", ""))


AuthSettings = Annotated[
    Annotated[ClientCredentialsSettings, Tag("client_credentials")] | Annotated[ApiKeySettings, Tag("api_key")],
    Discriminator(
        _method,
        custom_error_type="connector",
        custom_error_message="method must be client_credentials or api_key",
    ),
]


class HTTPSettings(ConnectorSettings):
    """The keys of a source reached over HTTP."""

    base_url: SourceURL
    auth: AuthSettings | None = None
    allow_private: bool = False  # plain http and private addresses; for a source beside the gateway, and for the demo


S = TypeVar("S", bound=ConnectorSettings)


def read(model: type[S], entry: Mapping[str, Any]) -> S:
    """Return the entry as `model`. Raises ConnectorMisconfigured with every fault, by key and never with a value."""
    try:
        return model.model_validate(dict(entry))
    except ValidationError as error:
        faults = [(_key(fault["loc"]), _what(fault)) for fault in error.errors(include_input=False, include_url=False)]
    raise ConnectorMisconfigured(*faults[0], *faults[1:])


def _key(location: tuple[int | str, ...]) -> str:
    if location[:1] == ("auth",):
        # pydantic puts the chosen method here, which is no key of the file
        location = (location[0], *location[2:])
    return ".".join(str(part) for part in location) or "entry"


def _what(fault: Any) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a key of this driver"
        case "string_pattern_mismatch":
            return "has characters that are not allowed here"
        case _:
            text = str(fault["msg"])
            return text[:1].lower() + text[1:]
