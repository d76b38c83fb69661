"""Wires everything once: settings in, the running parts of a gateway out."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
import structlog

from auth.agreement_files import SHIPPED
from auth.caller import Caller
from auth.keys import KeySets, KeySource
from auth.sharing import AgreementSet
from auth.tokens import IssuerSettings, TokenValidator, challenge
from connectors.base import Ask, Deadline
from connectors.faults import SourceFailed
from gateway.agreements_in_force import AgreementsInForce
from gateway.appointments import Appointments
from gateway.audit.checkpointer import Checkpointer
from gateway.audit.index import EventIndex
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log
from gateway.audit.rotation import ShardLimits
from gateway.audit.signing import LogSigner
from gateway.audit.witnessing.configured import witness_watch
from gateway.audit.witnessing.watch import WitnessWatch
from gateway.auditing import AuditEvents
from gateway.budgets import Allowance, Budgets, forget_counts
from gateway.clock import ClockWatch, steady
from gateway.configured import build_sources, fetch_keys, key_sources, load_agreements, unheld_agreements
from gateway.detection.watch import Watch
from gateway.duty import Duty
from gateway.federation.gathering import Gathering, LookupLimits
from gateway.federation.sources import Source
from gateway.federation.standing_in import StandIns
from gateway.federation.upstream import cancelled_by_nobody
from gateway.front.authentication import authenticator, metadata_url, rechecker
from gateway.front.early_refusals import EarlyRefusals
from gateway.front.refused_tokens import RefusedTokens
from gateway.front.repeated_refusals import RepeatedRefusals
from gateway.front.request_lines import RequestLines
from gateway.front.shedding import Admission
from gateway.front.stopping import Stopping
from gateway.graphql.body import BodyLimits
from gateway.graphql.documents import Documents
from gateway.graphql.endpoint import GraphQLEndpoint
from gateway.graphql.execution import Execution
from gateway.graphql.guard import DocumentLimits
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.selection import asks_for_override
from gateway.legal_day import legal_today
from gateway.lookup import Lookups
from gateway.lookup_budgets import LookupBudgets
from gateway.metrics import note_commit, show_now, watch_log
from gateway.migrate import migrate
from gateway.plan import Planner
from gateway.registers import Registers
from gateway.reviews import Reviews
from gateway.revocations import Revocations, forget_revocations
from gateway.settings import LimitsSection, Settings, audit_key_file
from gateway.shields import DatabaseShields
from gateway.storage.engine import is_postgresql, open_engine
from gateway.storage.postgresql import standing_of_role
from gateway.tracing.configured import tracing_of
from gateway.tracing.traced import TracedGathering, TracedLog, TracedLookups, TracedSource, authenticating
from gateway.tracing.tracing import Tracing
from schema.vocabulary import PurposeClass, Scope

log = structlog.get_logger("gateway.app")

STRONG_ACR = "urn:contactpoint:acr:strong"
_LIST_SECONDS = 5.0
_INDEX_SECONDS = 10.0
_LET_GO_SECONDS = 2.0


@dataclass
class Gateway:
    """The running parts, for the routes, the commands and the tests."""

    settings: Settings
    engine: sa.Engine
    keys: AuditKeys
    log: AuditLog
    checkpointer: Checkpointer
    witnesses: WitnessWatch
    sources: Sequence[Source]
    agreements: AgreementsInForce
    key_sets: KeySets
    validator: TokenValidator
    shields: DatabaseShields
    lookups: Lookups
    endpoint: GraphQLEndpoint[Caller]
    authenticate: Callable[[Sequence[str]], Awaitable[Caller]]
    registers: Registers
    refused_tokens: RefusedTokens
    index: EventIndex
    watch: Watch
    duty: Duty
    stopping: Stopping
    lines: RequestLines
    early_refusals: EarlyRefusals
    revocations: Revocations
    clock: ClockWatch = field(default_factory=ClockWatch)
    tracing: Tracing | None = None

    def ready(self) -> Mapping[str, bool]:
        """Return what readiness needs, each by name; never connector state."""
        return {
            "audit": self.log.ready,
            "keys": self.key_sets.ready or not self.settings.issuers,
            "clock": self.clock.holds,
            "staying": not self.stopping.begun,
        }

    async def read_shield_lists(self) -> None:
        """Take the full list of every source that can give one into the register; a source's trouble is logged."""
        await asyncio.gather(*(self._read_shield_list(source) for source in self.sources if source.enabled))

    async def index_events(self) -> None:
        """Bring the index of events up with the log, as far as a few seconds take it; not on the event loop."""
        await asyncio.to_thread(self.index.catch_up, seconds=_INDEX_SECONDS, aside=True)

    async def forget_counts(self) -> None:
        """Delete the counts of budgets whose windows ended long ago. Raises sqlalchemy errors."""
        await asyncio.to_thread(forget_counts, self.engine, time.time())

    async def forget_revocations(self) -> None:
        """Delete the revocations that refuse no token any more. Raises sqlalchemy errors."""
        await asyncio.to_thread(forget_revocations, self.engine, time.time())

    async def _read_shield_list(self, source: Source) -> None:
        ask = Ask(str(uuid.uuid4()), None, PurposeClass.SAFEGUARDING, Deadline.after(_LIST_SECONDS), None)
        try:
            async with asyncio.timeout_at(ask.deadline.at):
                listed = await source.connector.shields(ask)
            if listed is not None:
                await self.shields.load(self.log, source.id, listed, replace=False)
        except SourceFailed as failed:
            log.warning("shield_list_unread", source=source.id, code=failed.code)
        except BaseException as fault:
            # one that ends itself as cancelled would end the timer with it
            if not isinstance(fault, Exception) and not cancelled_by_nobody(fault):
                raise
            log.error("shield_list_unread", source=source.id, exception=type(fault).__qualname__)

    async def close(self) -> None:
        """Let answers under way end, then close connections and the log."""
        await self.endpoint.drain()
        await self.registers.refusals.drain()
        await self.refused_tokens.drain()
        await asyncio.gather(*(_let_go(source) for source in self.sources))
        await asyncio.to_thread(self.log.close)
        await asyncio.to_thread(self.checkpointer.close)
        await asyncio.to_thread(self.witnesses.close)
        await asyncio.to_thread(self.duty.close)
        self.shields.close()
        self.engine.dispose()
        self.lines.flush()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        show_now()


async def _let_go(source: Source) -> None:
    """Close a source's connections; whatever its driver makes of that, the log is closed after it, in good time."""
    try:
        async with asyncio.timeout(_LET_GO_SECONDS):
            await source.connector.aclose()
    except BaseException as fault:
        if not isinstance(fault, Exception) and not cancelled_by_nobody(fault):
            raise
        log.error("connector_not_closed", source=source.id, exception=type(fault).__qualname__)


def prepare(settings: Settings) -> None:
    """Bring the database and its keys to where every worker finds them. Blocks. Raises what `build` raises."""
    load_agreements(settings)
    key_sources(settings)
    key_file = audit_key_file(settings)
    engine = open_engine(settings.database.url)
    try:
        migrate(engine)
        _keys(engine, key_file)
    finally:
        engine.dispose()


def build(settings: Settings) -> Gateway:
    """Return the gateway, its log open. Blocks. Raises SettingsFault, StorageError, AuditError, KeyFileRefused.

    Other processes may serve the same database: each writes a shard of its own, and what they must share is in it.
    """
    sources = build_sources(settings)
    tracing = tracing_of(settings, [source.id for source in sources])
    if tracing is not None:
        sources = [TracedSource(source.connector, source.enabled, source.broker) for source in sources]
    agreements = load_agreements(settings)
    issuers = key_sources(settings)
    for name in unheld_agreements(agreements, {s.id for s in sources}):
        log.warning("agreement_of_no_connector", agreement=name, advice="it opens nothing: see its custodian")
    key_file = audit_key_file(settings)
    engine = open_engine(settings.database.url)
    try:
        return _build(settings, sources, agreements, issuers, engine, key_file, tracing)
    except BaseException:
        engine.dispose()
        raise


def _build(
    settings: Settings,
    sources: Sequence[Source],
    agreements: AgreementSet,
    issuers: Sequence[KeySource],
    engine: sa.Engine,
    key_file: Path,
    tracing: Tracing | None,
) -> Gateway:
    migrate(engine)
    if is_postgresql(engine) and (standing := standing_of_role(engine)) is not None:
        log.warning("database_role", standing=standing, advice="contactpoint migrate makes one that cannot rewrite")
    keys = _keys(engine, key_file)
    signer = LogSigner.of(keys, settings.audit.signing_key_file)
    audit = (AuditLog if tracing is None else TracedLog).open(
        engine,
        keys,
        on_fatal=_stop,
        signer=signer,
        limits=ShardLimits(settings.audit.shard_days, settings.audit.shard_records),
        witnesses=[w.vkey for w in settings.audit.witnesses],
        note_commit=note_commit,
    )
    watch_log(audit)
    directory = settings.agreements.directory or SHIPPED
    in_force = AgreementsInForce(directory, agreements, audit, {s.id for s in sources})
    revocations = Revocations(engine, keys)
    key_sets = KeySets(issuers, fetch=fetch_keys, clock=steady)
    validator = TokenValidator(
        [IssuerSettings(i.issuer, i.algorithms, i.clients, i.organisations) for i in settings.issuers],
        settings.resource.identifier,
        key_sets,
        revoked=revocations.revoked,
    )
    metadata = metadata_url(settings)
    for source in sources:
        if source.enabled:
            # made now, so that its figures are there before it is first asked
            _ = source.upstream
    shields = DatabaseShields(engine, keys)
    refusals = RepeatedRefusals(audit)
    index = EventIndex(engine, keys)
    registers = Registers(
        Appointments(engine, keys, audit, lambda: in_force.current),
        Reviews(engine, keys, audit, lambda: in_force.current),
        AuditEvents(engine, keys, audit, index, lambda: in_force.current),
        refusals,
        legal_today,
    )
    lookups = (Lookups if tracing is None else TracedLookups)(
        sources=sources,
        agreements=lambda: in_force.current,
        planner=Planner([s.custodian for s in sources if s.enabled]),
        shields=shields,
        budgets=LookupBudgets(Budgets(_allowances(settings.limits)), refusals, keys),
        log=audit,
        keys=keys,
        limits=LookupLimits(
            settings.limits.total_seconds,
            settings.limits.source_seconds,
            settings.limits.reserve_seconds,
            settings.limits.quiet_seconds,
        ),
        step_up=lambda max_age: challenge(
            "insufficient_user_authentication", resource_metadata=metadata, acr_values=STRONG_ACR, max_age=max_age
        ),
        recheck=rechecker(validator, metadata),
        appointments=registers.appointments,
        reviews=registers.reviews,
        gathering=Gathering if tracing is None else TracedGathering,
        stand_ins=StandIns.among(sources, keys),
    )
    limits = settings.limits
    authenticate = authenticator(validator, metadata, revocations)
    refused_tokens = RefusedTokens(audit)
    stopping, admission = Stopping(), Admission(limits.in_flight)
    lines = RequestLines(settings.telemetry)
    noted = lines.counted if tracing is None else tracing.noted(lines.counted)
    endpoint = GraphQLEndpoint(
        documents=Documents(
            GRAPHQL_SCHEMA, DocumentLimits(max_depth=limits.document_depth, max_fields=limits.document_fields)
        ),
        authenticate=authenticate if tracing is None else authenticating(authenticate),
        may_introspect=lambda caller: Scope.SCHEMA in caller.scopes,
        answer=Execution(lookups, registers).answer,
        refused=refused_tokens.note,
        limits=BodyLimits(max_bytes=limits.body_bytes, read_seconds=limits.body_seconds),
        admission=admission,
        breaks_glass=lambda caller, operation, variables: (
            Scope.OVERRIDE in caller.scopes and asks_for_override(operation, variables)
        ),
        stopping=stopping,
        noted=noted,
    )
    return Gateway(
        settings,
        engine,
        keys,
        audit,
        Checkpointer(engine, audit, keys.key_id, signer),
        witness_watch(engine, audit, keys.key_id, signer.key, settings.audit),
        sources,
        in_force,
        key_sets,
        validator,
        shields,
        lookups,
        endpoint,
        authenticate,
        registers,
        refused_tokens,
        index,
        Watch(engine, keys, audit, settings.detection),
        Duty(engine, audit),
        stopping,
        lines,
        EarlyRefusals(admission, stopping, lines.counted),
        revocations,
        tracing=tracing,
    )


def _keys(engine: sa.Engine, key_file: Path) -> AuditKeys:
    keys = keys_of_log(engine, key_file)
    if keys.created:
        log.warning("audit_key_made", file=str(key_file), advice="keep a copy: it opens the log")
    return keys


def _allowances(limits: LimitsSection) -> dict[str, Allowance]:
    return {
        "person": Allowance(limits.person_lookups.as_limits(), limits.person_misses.as_limits()),
        "override": Allowance(limits.person_overrides.as_limits(), {}),
        "client": Allowance(limits.client_lookups.as_limits(), limits.client_misses.as_limits()),
        "organisation": Allowance(limits.organisation_lookups.as_limits(), limits.organisation_misses.as_limits()),
    }


def _stop() -> None:
    """Storage has failed: this process may acknowledge nothing more, so it ends."""
    log.critical("audit_log_failed")
    os.kill(os.getpid(), signal.SIGTERM)
