"""The configured sources, in the order in which they are configured and shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from auth.paths import INVOLVEMENTS, LINKED_ADULT, PRACTITIONER, PREVIOUS, SENSITIVE
from auth.sharing import Custodian
from connectors.base import Connector, Manifest
from gateway.federation.stale_answers import StaleAnswers
from gateway.federation.upstream import Upstream
from schema.records import Agency, ChildRef


@dataclass(frozen=True)
class Source:
    """One source as the gateway runs it. A disabled one is listed and never asked."""

    connector: Connector
    enabled: bool
    broker: Agency | None

    @cached_property
    def id(self) -> str:
        """The connector's id."""
        return self.connector.manifest.agency.id

    @cached_property
    def agency(self) -> Agency:
        """The agency that callers see."""
        return self.connector.manifest.agency

    @cached_property
    def upstream(self) -> Upstream:
        """The connector as lookups ask it, with the source's own breaker, bulkhead and batches."""
        return Upstream(self.connector)

    @cached_property
    def stale_answers(self) -> StaleAnswers | None:
        """What the source told before, for when it does not answer; None unless its entry asks for that."""
        manifest = self.connector.manifest
        if not manifest.stale_if_error_seconds or not manifest.may_be_stood_in_for:
            return None
        return StaleAnswers(manifest.stale_if_error_seconds)

    @cached_property
    def custodian(self) -> Custodian:
        """The source as the access model sees it."""
        return custodian_of(self.connector.manifest)


def custodian_of(manifest: Manifest) -> Custodian:
    """Return a manifest as the access model sees it. A source about adults holds no entry about the child itself."""
    about_adults = ChildRef not in manifest.subjects
    entries = {LINKED_ADULT, PRACTITIONER} if about_adults else {INVOLVEMENTS, PRACTITIONER, PREVIOUS, SENSITIVE}
    sections = {path for path in manifest.holds if "." in path and not path.startswith(f"{INVOLVEMENTS}.")}
    hoisted = {path for path in manifest.holds if "." not in path and path != INVOLVEMENTS}
    return Custodian(
        id=manifest.agency.id,
        kind=manifest.kind,
        organisation=manifest.organisation,
        holds=frozenset(entries | sections | hoisted | ({PREVIOUS} & manifest.holds)),
        about_adults=about_adults,
        retention_days=manifest.retention_days,
    )
