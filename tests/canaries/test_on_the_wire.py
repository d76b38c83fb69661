"""The same over real sockets: simulated agencies in their own formats, their faults, and every place written to.

Nothing is marked here: what is looked for are the identifiers, names, telephones, addresses and keys of the fictional
families themselves. Also held: what the gateway tells an agency, in URL, headers and body.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.asked import Access
from gateway.demo.agencies.faults import Fault
from gateway.demo.families import World
from gateway.demo.people import Officer, Worker
from gateway.demo.personas import PERSONAS
from gateway.federation.gathering import Gathering
from tests.canaries.marked import Canaries, leaves
from tests.canaries.sinks import MAY_STAND, Sinks, database_columns, files_under, summary
from tests.canaries.upstream import AGENCIES, Received, everything_received
from tests.end_to_end.world import PRACTITIONERS, DemoWorld, demo_world

pytestmark = pytest.mark.network

FULL: Final = int(os.environ.get("CONTACTPOINT_TEST_CANARIES", "0")) >= 20
REASON: Final = "cnry7qzk-reason Strategy discussion"
REFERENCE: Final = "cnry7qzk-case-4711"
JUSTIFICATION: Final = "cnry7qzk-justification"
QUICK_FAULTS: Final = (Fault.SERVER_ERROR, Fault.MALFORMED, Fault.WRONG_PERSON, Fault.WRONG_SHAPE, Fault.REDIRECT)

IN_A_URL: Final = {
    # The published interface has it there: PDS FHIR, and the HMPPS External API.
    ("health", "child.nhs_number"): re.compile(rb"/Patient/[0-9]{10}\?"),
    ("probation", "adult.crn"): re.compile(rb"/v1/persons/[^/?]+[/?]"),
    ("probation", "adult.prison_number"): re.compile(rb"/v1/persons/[^/?]+[/?]"),
}
"""Which identifier may stand in a URL to which agency, and where."""
_TOLD: Final = (
    "team.",
    "unit.",
    "worker.",
    "practitioners.",
    "statutory.",
    "orders.",
    "told.",
    "asker.",
    "child.born",
    "health.",
)
IN_A_BODY: Final = {
    ("health", "child.nhs_number"),
    ("police", "child.nhs_number"),
    ("childrens_services", "child.nhs_number"),
}


def canaries_of(families: World) -> Canaries:
    """Return what must not come out of these families' records."""
    found = Canaries()
    for child in families.children:
        found.add("child.nhs_number", child.nhs_number)
        found.add("child.born", child.date_of_birth.isoformat())
        for name in child.names:
            found.add("child.name", f"{' '.join(name.given)} {name.family}")
        for path, value in leaves("child", child):
            if isinstance(value, str) and _is_distinctive(value):
                found.add_plain(_kind(path), value)
        for name in _names(child):
            # an initial is the end of many a given name: looked for where a value begins
            found.add_plain("worker.name", f'"{name}' if name[1:2] == " " else name)
    for adult in families.adults:
        for kind in ("crn", "prison_number"):
            if identifier := getattr(adult, kind):
                found.add(f"adult.{kind}", identifier)
        found.add("adult.name", f"{adult.given} {adult.family}")
    found.add("reason", REASON)
    found.add("case reference", REFERENCE)
    found.add("justification", JUSTIFICATION)
    return found


def _names(held: object) -> Iterator[str]:
    """Yield the whole name of every worker and officer in a record."""
    if isinstance(held, Worker | Officer):
        yield held.name
    elif dataclasses.is_dataclass(held):
        for each in dataclasses.fields(held):
            yield from _names(getattr(held, each.name))
    elif isinstance(held, tuple):
        for inner in held:
            yield from _names(inner)


def _kind(path: str) -> str:
    return ".".join(path.split(".")[-2:]).replace("linked_adults.", "adult.")


def _is_distinctive(text: str) -> bool:
    """Telephones, addresses, keys and whole names; no words of a list, and nothing that a configuration names."""
    if re.fullmatch(r"[A-Z_]+|[a-z_-]+|[A-Z][a-z]+", text) or len(text) < 6:
        return False
    return bool(re.search(r"[0-9@]", text)) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[A-Z]{2,4}[0-9]?", text)


def ask_everything(world: DemoWorld, sinks: Sinks) -> None:
    """Ask about every story as everybody, well and badly, and while agencies fail."""
    stories = sorted({story for story, *_ in world.families.stories()})
    access: dict[str, Any] = {"reason": REASON}
    for persona in PRACTITIONERS if FULL else ("social-worker", "probation-officer", "case-system"):
        for story in stories:
            _put(sinks, world.ask(persona, story, **access))
        override = {"justification": JUSTIFICATION, "acceptReview": True}
        _put(sinks, world.ask(persona, "shielded", override=override, **access))
        _put(sinks, world.ask(persona, "linked-adult-probation", "NO_PURPOSE", **access))
    for agency in AGENCIES:
        faults = getattr(world.agencies, agency).faults
        for fault in (f for f in Fault if f is not Fault.DRIP) if FULL else QUICK_FAULTS:
            faults.set(fault)
            _put(sinks, world.ask("social-worker", "linked-adult-probation", **access))
            faults.clear()
    with world.stopped("police-northshire"):
        _put(sinks, world.ask("social-worker", "ordinary", **access))
    number = world.key("ordinary").nhs_number
    for raw in (b"", number.encode(), b'{"query": "{ viewer', f"GET /{number} HTTP/9\r\n\r\n".encode()):
        answer = world.client.post(f"{world.url}/graphql", content=raw, headers={"Authorization": f"Bearer {number}"})
        sinks.put("errors", answer.content)
        sinks.put("response headers", str(answer.headers))
    for path in ("/livez", "/readyz", "/metrics", f"/{number}"):
        sinks.put(f"operations {path.partition('/999')[0] or '/'}", world.client.get(f"{world.url}{path}").content)


def _put(sinks: Sinks, exchange: Any) -> None:
    sinks.put("response headers", str(exchange.headers))
    child = (exchange.body.get("data") or {}).get("child") or {}
    sections = {n for n, v in child.items() if v and n not in {"outcome", "advice", "receipt", "sources", "complete"}}
    place = "errors" if exchange.code else "answers" if sections else "answers without a disclosure"
    sinks.put(place, exchange.content)


def swept(folder: Path, capfd: pytest.CaptureFixture[str]) -> tuple[Canaries, Sinks, list[Received], DemoWorld]:
    """Return what was looked for, every place, and what the agencies received."""
    sinks, data = Sinks(), folder / "data"
    data.mkdir()
    capfd.readouterr()
    with demo_world(data) as world, everything_received(world.agencies) as received:
        ask_everything(world, sinks)
        canaries = canaries_of(world.families)
        for token in world.tokens():
            canaries.add("token", token.rpartition(".")[2])
        canaries.forget(world.settings.model_dump_json())  # what a configuration names is no record of anybody
        database = world.settings.database.url
    for stream, text in zip(("standard output", "standard error"), capfd.readouterr(), strict=True):
        sinks.put(stream, text)
    sinks.put("logs", world.logged.getvalue())
    for column, content in database_columns(database):
        sinks.put(column, content)
    for name, content in files_under(data):
        if name.startswith("gateway.db"):
            sinks.put("files of the database", content)
    return canaries, sinks, received, world


def note_who_was_told(world: DemoWorld, canaries: Canaries) -> None:
    """Give the practitioners who stand in answers, and those who asked, a kind of their own: the log must hold them."""
    told = (str(text) for persona in PERSONAS.values() for _, text in leaves("", persona))
    askers = {part.lower() for text in told for part in (text, text.rpartition(":")[2])}
    for kind in list(canaries.kind_of):
        if kind in askers:
            canaries.kind_of[kind] = "asker.name"
    for exchange in world.exchanges:
        for entry in ((exchange.body.get("data") or {}).get("child") or {}).get("involvements", ()):
            for _, text in leaves("told", entry["practitioner"]):
                for form in (str(text).lower(), f'"{text}'.lower()):
                    if canaries.kind_of.get(form, "").endswith((".name", ".registration")):
                        canaries.kind_of[form] = "told.practitioner"


def may_stand(canaries: Canaries) -> dict[str, set[str]]:
    """Return what may stand in an answer: what some grant tells, and no key of an agency's own."""
    told = {k for k in canaries.kinds if k.startswith(_TOLD) and not k.endswith(("id", "labels", "crn"))}
    return {**MAY_STAND, "answers": told}


def sent_upstream(received: list[Received], canaries: Canaries) -> Iterator[str]:
    """Yield each canary that an agency was sent where it must not be."""
    for agency in AGENCIES:
        requests = [r for r in received if r.agency == agency]
        for kind in canaries.found_in(b"\n".join(r.headers for r in requests)):
            yield f"{kind} in a header to {agency}"
        for kind in canaries.found_in(b"\n".join(r.body for r in requests)):
            if (agency, kind) not in IN_A_BODY:
                yield f"{kind} in a body to {agency}"
        for kind in canaries.found_in(b"\n".join(r.target for r in requests)):
            place = IN_A_URL.get((agency, kind))
            rest = b"\n".join(place.sub(b"", r.target) if place else r.target for r in requests)
            if place is None or kind in canaries.found_in(rest):
                yield f"{kind} in a URL to {agency}"


def test_no_record_of_anybody_comes_out_and_agencies_learn_nothing_of_the_asker(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None], capfd: pytest.CaptureFixture[str]
) -> None:
    canaries, sinks, received, world = swept(tmp_path, capfd)
    note_who_was_told(world, canaries)
    leaks, upstream = sinks.leaks(canaries, may_stand(canaries)), list(sent_upstream(received, canaries))
    sizes = sinks.sizes()

    record_testsuite_property("on the wire: values looked for, and kinds", f"{canaries.count}, {len(canaries.kinds)}")
    record_testsuite_property(
        "on the wire: lookups, and requests to agencies", f"{len(world.exchanges)}, {len(received)}"
    )
    for place, size in summary(sizes).items():
        record_testsuite_property(f"on the wire: bytes searched: {place}", size)
    for agency in AGENCIES:
        sent = sum(len(r.target + r.headers + r.body) for r in received if r.agency == agency)
        record_testsuite_property(f"on the wire: bytes searched: requests to {agency}", sent)
    exceptions = ", ".join(f"{kind} to {agency}" for agency, kind in IN_A_URL)
    record_testsuite_property("on the wire: in a URL, as the published interface has it", exceptions)
    record_testsuite_property("on the wire: values that came out", len(leaks) + len(upstream))
    with capfd.disabled():
        print(f"\non the wire: {len(leaks)} of {canaries.count} values came out, {len(upstream)} were sent upstream")
    assert not leaks, "\n".join(leaks)
    assert not upstream, "\n".join(upstream)
    assert {agency for agency in AGENCIES if any(r.agency == agency for r in received)} == set(AGENCIES)
    assert "told.practitioner" in canaries.kinds


def test_what_an_agency_must_not_learn_is_found_in_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = Gathering.__init__

    def with_the_reason(self: Gathering, *args: Any, **named: Any) -> None:
        made(self, *args, **named)
        asked = next(each for each in (*args, *named.values()) if isinstance(each, Access))
        self._fan_out = dataclasses.replace(self._fan_out, traceparent=asked.reason.partition(" ")[0])

    monkeypatch.setattr(Gathering, "__init__", with_the_reason)
    monkeypatch.setitem(
        globals(), "ask_everything", lambda world, _: world.ask("social-worker", "ordinary", reason=JUSTIFICATION)
    )
    canaries, _, received, _ = swept(tmp_path, capfd)

    assert "justification in a header to childrens_services" in set(sent_upstream(received, canaries))


@pytest.mark.parametrize(
    ("received", "said"),
    [
        (Received("police", b"/children/9990000018?", b"", b""), "child.nhs_number in a URL to police"),
        (Received("health", b"/Patient/9990000018?family=9990000018", b"", b""), "child.nhs_number in a URL to health"),
        (Received("probation", b"/v1/persons/X100001?", b"", b"9990000018"), "child.nhs_number in a body to probation"),
        (Received("health", b"/Patient/9990000018?", b"", b"9990000018"), None),
    ],
)
def test_an_identifier_in_the_wrong_place_is_found(received: Received, said: str | None) -> None:
    canaries = Canaries()
    canaries.add("child.nhs_number", "9990000018")
    assert list(sent_upstream([received], canaries)) == ([said] if said else [])
