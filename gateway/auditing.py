"""The events of the log, for the auditors of the organisation whose people asked: `auditEvents`.

The index is brought up with the log, a page is read, the reading is put on record, and then the page leaves. Of a
lookup it tells what its caller was told, and nothing that the log alone knows; the child is in it as a pseudonym.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import strawberry

from auth.auditing import READ_EVENTS, EventsRequest, audited_by
from auth.decision import Deny
from auth.sharing import AgreementSet
from gateway.audit.events import EventKind, Reading
from gateway.audit.events_query import Event, NotWhatWasWritten, Place, Wanted, page
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import Flag
from gateway.audit.indexed import person_of
from gateway.audit.keys import AuditKeys, NotDecrypted
from gateway.audit.log import AuditLog
from gateway.errors import BadUserInput, Overloaded
from gateway.register_requests import NotPermitted, RegisterRequest
from gateway.storage.postgresql import patient_for
from schema import auditing as told
from schema.auditing import AuditFlag, AuditKind, AuditOutcome
from schema.vocabulary import Purpose, SourceReason, SourceStatus

MOST: Final = 50
_SECONDS: Final = 5.0  # for the index to come up with the log: it is a minute behind at most
_LONGEST: Final = 200

_KINDS: Final[Mapping[AuditKind, tuple[str, ...]]] = {
    # an OUTCOME or OVERRIDE stands alone only when nothing but its leaf is left
    AuditKind.LOOKUP: (EventKind.INTENT, EventKind.OUTCOME, EventKind.OVERRIDE),
    AuditKind.REFUSAL: (EventKind.DENIED,),
    AuditKind.REVIEW: (EventKind.REVIEW,),
    AuditKind.READ: (EventKind.READ,),
    AuditKind.ADMIN: (EventKind.ADMIN,),
}
_KIND_OF: Final = {word: kind for kind, words in _KINDS.items() for word in words}
_FLAGS: Final[Mapping[AuditFlag, Flag]] = {
    AuditFlag.OVERRIDE: Flag.OVERRIDE,
    AuditFlag.DENIED: Flag.DENIED,
    AuditFlag.UNKNOWN: Flag.OPEN,
    AuditFlag.INCOMPLETE: Flag.INCOMPLETE,
    AuditFlag.FAILED: Flag.FAILED,
    AuditFlag.NOTHING_TOLD: Flag.NOTHING,
    AuditFlag.BUDGET: Flag.BUDGET,
    AuditFlag.BAD_TOKEN: Flag.TOKEN,
    AuditFlag.SILENT: Flag.SILENT,
    AuditFlag.PURGED: Flag.PURGED,
    AuditFlag.UNREADABLE: Flag.UNREADABLE,
}
"""What can be asked for. Not among them, and never told: that a source shields the child, that a name fitted nobody."""


class AuditEvents:
    """The events, for one event loop."""

    def __init__(
        self,
        engine: sa.Engine,
        keys: AuditKeys,
        log: AuditLog,
        index: EventIndex,
        agreements: Callable[[], AgreementSet],
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._log = log
        self._index = index
        self._agreements = agreements

    async def read(self, request: RegisterRequest, arguments: Mapping[str, Any]) -> told.AuditEventConnection:
        """Return a page of events once the reading is on record.

        Raises BadUserInput, Overloaded, NotPermitted, AuditError, sqlalchemy errors, NotWhatWasWritten.
        """
        given: Mapping[str, Any] = arguments.get("filter") or {}
        party = self._agreements().organisations.get(request.caller.organisation)
        decision = READ_EVENTS.decide(EventsRequest(request.caller, party, given.get("organisation")))
        if isinstance(decision, Deny):
            raise NotPermitted(decision)
        most = _first(arguments.get("first"))
        wanted = self._wanted(given, audited_by(request.caller, party))
        binding = self._binding(request, wanted)
        after = self._place(arguments.get("after"), binding)
        events, more = await asyncio.to_thread(self._page, wanted, after, most)
        payload = {
            **request.words(),
            "reading": Reading.AUDIT_EVENTS,
            "filter": wanted.filter() | {"first": most, "continued": after is not None},
            "count": len(events),
            **ends_of(events),
        }
        await self._log.append(EventKind.READ, payload)
        return self._connection(events, more, after is not None, binding)

    def _page(self, wanted: Wanted, after: Place | None, most: int) -> tuple[list[Event], bool]:
        # a server that stands still is waited for as long as one whose index is behind
        with patient_for(2 * _SECONDS):
            try:
                caught_up = self._index.catch_up(seconds=_SECONDS)
            except msgspec.MsgspecError:
                raise NotWhatWasWritten("a record of the log cannot be read") from None
            if not caught_up:
                # a page that lacks the latest events would read as if they had not happened
                raise Overloaded(5)
            with self._engine.connect() as connection:
                return page(connection, wanted, after, most)

    def _wanted(self, given: Mapping[str, Any], audited: frozenset[str] | None) -> Wanted:
        of = _text(given, "organisation")
        since_ms, until_ms = _milliseconds(given.get("since")), _milliseconds(given.get("until"))
        if since_ms is not None and until_ms is not None and since_ms >= until_ms:
            # an empty page would read as if nothing had happened
            raise BadUserInput("`since` must be before `until`.")
        outcomes, kinds, purposes = given.get("outcome"), given.get("kind"), given.get("purpose")
        flags = given.get("flags") or ()
        return Wanted(
            organisations=audited if of is None else frozenset({of}),
            person=_text(given, "person"),
            subject=self._subject(given),
            receipt=_text(given, "receipt"),
            purposes=None if purposes is None else frozenset(purpose.value for purpose in purposes),
            outcomes=None if outcomes is None else frozenset(outcome.value for outcome in outcomes),
            kinds=None if kinds is None else frozenset(str(word) for kind in kinds for word in _KINDS[kind]),
            flags=sum(_FLAGS[flag] for flag in set(flags) if flag in _FLAGS),
            unexplained=AuditFlag.UNEXPLAINED in flags,
            since_ms=since_ms,
            until_ms=until_ms,
        )

    def _subject(self, given: Mapping[str, Any]) -> str | None:
        number, pseudonym = given.get("nhsNumber"), _text(given, "subject")
        if number is None:
            return pseudonym
        if pseudonym is not None:
            raise BadUserInput("Give one of `nhsNumber` and `subject`.")
        return self._keys.pseudonym(number)

    def _binding(self, request: RegisterRequest, wanted: Wanted) -> bytes:
        """Return what a cursor is good for: this person of this organisation, and this filter."""
        who = [request.caller.issuer, request.caller.person, request.caller.organisation]
        return json.dumps([*who, wanted.filter()], sort_keys=True).encode()

    def _place(self, cursor: str | None, binding: bytes) -> Place | None:
        if cursor is None:
            return None
        try:
            at_ms, shard, seq = json.loads(self._keys.unseal(cursor, about=binding))
            return Place(at_ms, shard, seq)
        except NotDecrypted:
            raise BadUserInput("`after` is not a cursor of this list: the caller or the filter is another.") from None

    def _cursor(self, place: Place, binding: bytes) -> str:
        return self._keys.seal(json.dumps([place.at_ms, place.shard, place.seq]), about=binding)

    def _connection(
        self, events: Sequence[Event], more: bool, continued: bool, binding: bytes
    ) -> told.AuditEventConnection:
        edges = [told.AuditEventEdge(cursor=self._cursor(e.place, binding), node=self._event(e)) for e in events]
        return told.AuditEventConnection(
            edges=edges,
            page_info=told.PageInfo(
                has_next_page=more,
                has_previous_page=continued,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )

    def _event(self, event: Event) -> told.AuditEvent:
        row, first, closing = event.row, event.first or {}, event.closing or {}
        return told.AuditEvent(
            id=strawberry.ID(self._keys.opaque_id("event", row["shard"], str(row["seq"]))),
            kind=_KIND_OF.get(row["kind"], AuditKind.ADMIN),
            at=datetime.fromtimestamp(row["at_ms"] / 1000, UTC),
            person=self._person(row, first.get("caller") or {}),
            organisation=row["organisation"],
            subject=_id(row["subject"]),
            receipt=_id(row["receipt"]),
            purpose=Purpose(row["purpose"]) if row["purpose"] in Purpose.__members__ else None,
            reason=first.get("reason"),
            case_reference=first.get("caseReference"),
            justification=(first.get("override") or {}).get("justification"),
            outcome=_outcome(event),
            complete=closing.get("complete"),
            sources=_sources(closing),
            disclosed=_disclosed(closing),
            sections=list((closing.get("disclosed") or {}).get("sections") or ()),
            code=row["code"],
            rules=_rules(row["kind"], first, closing),
            agreements=((closing or first).get("agreements") or {}).get("version"),
            reading=first.get("reading"),
            count=first.get("count"),
            flags=_flags(event),
            covered=event.covered,
        )

    def _person(self, row: Mapping[str, Any], caller: Mapping[str, Any]) -> told.AuditPerson | None:
        if row["person"] is None:
            return None
        acting = caller.get("onBehalfOf") or {}
        subject = acting.get("subject") or caller.get("subject")
        if caller and person_of(self._keys, caller.get("issuer"), subject) != row["person"]:
            raise NotWhatWasWritten("the index names another person than the record")
        return told.AuditPerson(
            id=strawberry.ID(row["person"]),
            subject=subject,
            name=caller.get("name"),
            registration=caller.get("registration"),
            roles=list(caller.get("roles") or ()),
            client=caller.get("client"),
        )


def ends_of(events: Sequence[Event]) -> dict[str, Any]:
    """Return what a READ record says of the first and the last event that was shown."""
    if not events:
        return {"from": None, "to": None}
    return {"from": _where(events[0]), "to": _where(events[-1])}


def _where(event: Event) -> dict[str, Any]:
    return {"shard": event.row["shard"], "seq": event.row["seq"], "receipt": event.row["receipt"]}


def _first(first: int | None) -> int:
    count = MOST if first is None else first
    if not 1 <= count <= MOST:
        raise BadUserInput("`first` must be from 1 to 50.")
    return count


def _text(given: Mapping[str, Any], name: str) -> str | None:
    found: str | None = given.get(name)
    if found is not None and not 1 <= len(found) <= _LONGEST:
        raise BadUserInput("An id of the filter is not one of ours.")
    return found


def _milliseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise BadUserInput("`since` and `until` need an offset from UTC.")
    return int(moment.timestamp() * 1000)


def _outcome(event: Event) -> AuditOutcome | None:
    if Flag.OPEN in event.flags:
        return AuditOutcome.UNKNOWN
    word = event.row["outcome"]
    return AuditOutcome(word) if word in AuditOutcome.__members__ else None


def _flags(event: Event) -> list[AuditFlag]:
    found = [word for word, flag in _FLAGS.items() if flag in event.flags]
    return [*found, AuditFlag.UNEXPLAINED] if event.row["explained"] == 0 else found


def _rules(kind: str, first: Mapping[str, Any], closing: Mapping[str, Any]) -> list[str]:
    """Return the rule that refused; or the policy that permitted, and the grants at whom an entry came from.

    Grants elsewhere follow from a relationship that the caller may not have been told of.
    """
    if kind == EventKind.DENIED:
        return [first["rule"]] if first.get("rule") else []
    rules = closing.get("rules") or {}
    told_by = {source for entry in _entries(closing) for source in entry["sources"]}
    grants = (rules.get("grants") or {}).items()
    found = {f"{source} {grant}" for source, opened in grants if source in told_by for grant in opened}
    return ([rules["policy"]] if rules.get("policy") else []) + sorted(found)


def _sources(closing: Mapping[str, Any]) -> list[told.AuditSource]:
    return [
        told.AuditSource(
            source=strawberry.ID(source["id"]),
            status=SourceStatus(source["status"]),
            reason=SourceReason(source["reason"]) if source["reason"] else None,
        )
        for source in closing.get("sources") or ()
    ]


def _disclosed(closing: Mapping[str, Any]) -> list[told.AuditDisclosure]:
    return [
        told.AuditDisclosure(
            entry=strawberry.ID(entry["entry"]),
            agency=strawberry.ID(entry["agency"]),
            sources=[strawberry.ID(source) for source in entry["sources"]],
            fields=list(entry["fields"]),
        )
        for entry in _entries(closing)
    ]


def _entries(closing: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = (closing.get("disclosed") or {}).get("entries") or ()
    return found


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)
