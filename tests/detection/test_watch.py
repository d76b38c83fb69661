"""Detection over a real log: what the reader gives, what is opened once and no more, and what is on record of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import event_index
from gateway.audit.verify import Status, verify
from gateway.commands.audit_detect import faults_of
from gateway.detection import watch as watching
from gateway.detection.detector import Detector
from gateway.detection.feeds import FeedFault, read_feeds
from gateway.detection.log_reader import LogReader
from gateway.detection.lookups import LogFault, SeenLookup
from gateway.detection.thresholds import Thresholds
from gateway.resting import Resting
from tests.detection.acts import Act, payloads_of, seen_of
from tests.detection.childhoods import children
from tests.detection.conftest import Bench
from tests.detection.simulated import simulation
from tests.detection.working_days import Town, act
from tests.detection.workplaces import workforce

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
MONDAY = 24.0 * 56  # 2 March 2026, in hours of the simulation


@pytest.fixture
def town() -> Town:
    random = Random(5)
    workers = workforce(random, 1)
    return Town(random, workers, children(random, workers, 400), 400)


def look(town: Town, index: int = 0, child: int = 0, *, hours: float = MONDAY + 10, **differs: Any) -> Act:
    found = act(town, town.workers[index], town.children[child], hours, differs.pop("relationship", "NONE"), **differs)
    found.receipt = f"receipt-{index}-{child}-{hours}-{found.override}"
    return found


def seen(bench: Bench) -> list[Any]:
    reader = LogReader(bench.engine, bench.keys)
    reader.begin(0)
    return [read.seen for read in reader.read(bench.now_ms)]


async def test_what_the_reader_gives_is_what_was_looked_up(bench: Bench, town: Town) -> None:
    acts = [
        look(town, 0, 0, relationship="PRACTITIONER"),
        look(town, 1, 1, hours=MONDAY + 11, reference="REF-1"),
        look(town, 2, 2, hours=MONDAY + 12, outcome="NOTHING_DISCLOSABLE"),
        look(town, 3, 3, hours=MONDAY + 13, override=True, relationship="OVERRIDE"),
    ]
    places = [await bench.write(each) for each in acts]
    person_of = lambda issuer, subject: bench.keys.opaque_id("person", issuer, subject)  # noqa: E731

    found = seen(bench)

    expected = [seen_of(each, 0, person_of, bench.keys.pseudonym) for each in acts]
    assert [each.place.seq for each in found] == places
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, SeenLookup)
        for name in SeenLookup.__dataclass_fields__:
            if name not in {"place", "at_ms"}:
                assert getattr(one, name) == getattr(other, name), name
        assert abs(one.at_ms - other.at_ms) <= 1


async def test_refused_tokens_are_no_look_ups_of_anybody(bench: Bench, town: Town) -> None:
    """Taken for one person's they would fill that one's day with whatever is sent without a token."""
    refused, _ = payloads_of(look(town), bench.keys)
    refused = {name: refused[name] for name in ("caller", "request", "subject", "receipt")} | {"rule": "scope"}
    for payload in (
        {"caller": {"token": "9f2c"}, "request": "r-1", "code": "TOKEN EXPIRED", "rule": None},
        {"code": "TOKEN MALFORMED", "rule": None, "count": 86_400},
        refused | {"code": "SCOPE"},
    ):
        await bench.log.append(EventKind.DENIED, payload)

    found = [each for each in seen(bench) if isinstance(each, SeenLookup)]
    assert [(each.outcome, each.receipt) for each in found] == [("SCOPE", refused["receipt"])]


@pytest.mark.parametrize("relationship", ["ORGANISATION", "PRACTITIONER"])
async def test_what_an_answer_kept_from_the_asker_explains_nothing_to_their_reviewers(
    bench: Bench, town: Town, relationship: str
) -> None:
    """In one world a source knows the child and shields it, in the other nobody knows it: both answers are the same."""
    town.children[0].shielded, town.children[1].shielded = True, False
    await bench.write(look(town, 0, 0, outcome="NOTHING_DISCLOSABLE", relationship=relationship))
    await bench.write(look(town, 1, 1, outcome="NOTHING_DISCLOSABLE"))
    detector = Detector(read_feeds(None, None, bench.keys).workforce, Thresholds(), frozenset())
    for each in seen(bench):
        detector.see(each)
    detector.advance(bench.now_ms + 100 * HOUR_MS)

    assert dict(detector.grounds) == {}
    assert len(detector.unexplained) == 2


async def test_no_item_says_that_a_child_is_shielded(bench: Bench, town: Town) -> None:
    town.children[0].shielded = True
    for index in range(8):
        await bench.write(look(town, index, 0, hours=MONDAY + 10 + index / 10, outcome="NOTHING_DISCLOSABLE"))

    ran = await bench.watch().run()

    assert "D3" in {rule for alert in ran.opened for rule in alert.rules}
    assert not [words for alert in ran.opened for words in alert.words if "shield" in words.casefold()]


async def test_an_item_tells_reviewers_of_no_lookup_by_another_organisation(bench: Bench, town: Town) -> None:
    by_organisation: dict[str, list[int]] = {}
    for index, worker in enumerate(town.workers):
        by_organisation.setdefault(worker.organisation, []).append(index)
    one, other, *_ = by_organisation.values()
    acts = [look(town, index, 0, hours=MONDAY + 10 + at / 60) for at, index in enumerate([*other[:6], *one[:2]])]
    for each in acts:
        await bench.write(each)

    opened = [alert for alert in (await bench.watch().run()).opened if "D3" in alert.rules]

    last = next(alert for alert in opened if alert.receipt == acts[-1].receipt)
    assert last.receipts == (acts[-2].receipt,)
    assert any("2 of them at the asker's organisation" in words for words in last.words)
    assert not [digit for words in last.words for digit in words if digit.isdigit() and digit != "2"]
    organisation_of = {each.receipt: each.worker.organisation for each in acts}
    told = [(item["organisation"], json.loads(item["found"])["receipts"]) for item in bench.items()]
    assert len([receipts for _, receipts in told if receipts]) >= 3
    for organisation, receipts in told:
        assert {organisation_of[receipt] for receipt in receipts} <= {organisation}


async def test_a_simulated_week_in_a_real_log_gives_the_alerts_of_the_simulation(bench: Bench) -> None:
    simulated = simulation(3, 1, 1, quiet=0.05)
    written = [each for each in simulated.acts if isinstance(each, Act)]
    for each in written:
        bench.now_ms = each.at_ms
        await bench.write(each)
    feed, canaries = bench.folder / "feed.csv", bench.folder / "canaries.txt"
    feed.write_text(simulated.feed)
    canaries.write_text("\n".join(simulated.canaries))

    ran = await bench.watch(workforce_file=feed, canaries_file=canaries).run()

    feeds = read_feeds(feed, canaries, bench.keys)
    detector = Detector(feeds.workforce, Thresholds(), feeds.canaries)
    person_of = lambda issuer, subject: bench.keys.opaque_id("person", issuer, subject)  # noqa: E731
    direct = [
        alert
        for seq, each in enumerate(written)
        for alert in detector.see(seen_of(each, seq, person_of, bench.keys.pseudonym))
    ]
    direct += detector.advance(bench.now_ms)
    assert ran.looked_up == len(written) > 300
    assert len(ran.opened) > 5
    assert sorted((a.receipt, a.rules) for a in ran.opened) == sorted((a.receipt, a.rules) for a in direct)
    assert ran.explained == {ground.value: n for ground, n in detector.grounds.items()}


async def test_an_item_leads_to_its_record_and_names_nobody(bench: Bench, town: Town) -> None:
    glass = look(town, override=True, relationship="OVERRIDE")
    place = await bench.write(glass)
    await bench.watch().run()

    (item,) = bench.items()
    (opened,) = bench.records(EventKind.REVIEW)

    assert (item["kind"], item["state"], item["severity"]) == ("DETECTION", "OPEN", "IMMEDIATE")
    assert (item["shard"], item["seq"], item["receipt"]) == (bench.log.shard, place, glass.receipt)
    assert json.loads(item["found"])["rules"] == ["D5"]
    assert opened.payload is not None
    assert (opened.payload["review"], opened.payload["of"]) == (item["id"], place)
    assert opened.payload["detection"]["rules"] == ["D5"]
    assert unlisted_keys(EventKind.REVIEW, opened.payload) == frozenset()
    stored = json.dumps([item, opened.payload])
    for text in (glass.child.number, glass.child.surname, f'"{glass.worker.id}"', glass.reason):
        assert text not in stored


@pytest.mark.parametrize("behind", [False, True], ids=["", "after-a-run-that-found-it-behind"])
async def test_what_nothing_explains_is_marked_in_the_index_of_events(
    bench: Bench, town: Town, monkeypatch: pytest.MonkeyPatch, *, behind: bool
) -> None:
    glass = look(town, override=True, relationship="OVERRIDE")
    work = look(town, 1, 1, relationship="PRACTITIONER")
    for each in (glass, work):
        await bench.write(each)
    watch = bench.watch()
    with monkeypatch.context() as patched:
        if behind:
            patched.setattr(EventIndex, "catch_up", lambda *_, **__: False)
        ran = await watch.run()
    if behind:
        await watch.run()
    with bench.engine.connect() as connection:
        found = connection.execute(sa.select(event_index.c.receipt, event_index.c.explained))
        marked = {receipt: explained for receipt, explained in found}  # noqa: C416 - rows, not pairs

    assert [alert.explained for alert in ran.opened] == [None]
    assert (marked[glass.receipt], marked[work.receipt]) == (0, None)


async def test_a_run_is_on_record_with_how_much_it_read(bench: Bench, town: Town) -> None:
    await bench.write(look(town, relationship="PRACTITIONER"))
    await bench.watch(rules_off=("D9",)).run()

    (record,) = bench.records(EventKind.READ)

    assert record.payload is not None
    assert (record.payload["reading"], record.payload["count"]) == ("DETECTION", 1)
    assert record.payload["detection"]["explained"] == {"OWN_WORK": 1}
    assert record.payload["detection"]["rulesOff"] == ["D9"]
    assert unlisted_keys(EventKind.READ, record.payload) == frozenset()


async def test_a_run_that_finds_nothing_new_leaves_no_record(bench: Bench, town: Town) -> None:
    await bench.write(look(town))
    watch = bench.watch()
    for _ in range(3):
        await watch.run()

    assert len(bench.records(EventKind.READ)) == 1


async def test_nothing_is_opened_twice(bench: Bench, town: Town) -> None:
    await bench.write(look(town, override=True, relationship="OVERRIDE"))
    watch = bench.watch()
    first, again, another = await watch.run(), await watch.run(), await bench.watch().run()
    looking_back = await bench.watch().run(since=bench.clock() - timedelta(days=9))

    assert [len(ran.opened) for ran in (first, again, another, looking_back)] == [1, 0, 0, 0]
    assert len(bench.items()) == 1


async def test_a_lookup_that_ends_after_a_run_is_seen_by_the_next(bench: Bench, town: Town) -> None:
    glass = look(town, override=True, relationship="OVERRIDE")
    asked, told = payloads_of(glass, bench.keys)
    intent = await bench.log.append(EventKind.INTENT, asked)
    await bench.write(look(town, 1, 1, relationship="PRACTITIONER"))
    await bench.watch().run()
    await bench.log.append(EventKind.OUTCOME, {**told, "intent": intent.seq})

    ran = await bench.watch().run()

    assert [alert.rules for alert in ran.opened] == [("D5",)]


async def test_another_process_goes_on_where_the_last_one_stopped(bench: Bench, town: Town) -> None:
    """What takes three days of looking is found though each run was a process of its own."""
    for day in range(3):
        await bench.write(look(town, 20, 7, hours=MONDAY + 10 + 24 * day))
        await bench.watch().run()
    assert bench.items() == []
    bench.now_ms += 80 * HOUR_MS

    ran = await bench.watch().run()

    assert [set(alert.rules) for alert in ran.opened] == [{"D4", "D9"}]


async def test_an_intent_that_nothing_closes_pages(bench: Bench, town: Town) -> None:
    place = await bench.write(look(town), closed=False)
    watch = bench.watch()
    assert (await watch.run()).opened == []
    bench.now_ms += HOUR_MS

    (alert,) = (await watch.run()).opened

    assert (alert.rules, alert.severity, alert.place.seq) == (("D13",), "PAGE", place)
    assert bench.items()[0]["organisation"] == ""


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)  # the role on PostgreSQL may not tamper with the schema
async def test_a_gap_in_the_sequence_pages(bench: Bench, town: Town) -> None:
    for child in range(3):
        await bench.write(look(town, 0, child, relationship="PRACTITIONER"))
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_leaf_keep")
        connection.exec_driver_sql("DELETE FROM audit_leaf WHERE seq = 3")

    faults = [each for each in seen(bench) if isinstance(each, LogFault)]

    assert "GAP" in {fault.code for fault in faults}


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)  # the role on PostgreSQL may not tamper with the schema
@pytest.mark.parametrize("spoilt", ["leaf SET body = x'00'", "payload SET body = x'00'", "payload SET body = x'5b5d'"])
async def test_a_record_that_cannot_be_read_pages_and_hides_nothing_that_comes_after(
    bench: Bench, town: Town, spoilt: str
) -> None:
    """Whoever could stop the detection by spoiling one record would do that first."""
    await bench.write(look(town, 0, 1, relationship="PRACTITIONER"))
    await bench.write(look(town, 0, 2))
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_leaf_fixed")
        connection.exec_driver_sql("DROP TRIGGER audit_payload_fixed")
        connection.exec_driver_sql(f"UPDATE audit_{spoilt} WHERE seq = 2")

    everything = seen(bench)
    ran = await bench.watch().run()

    assert [each.code for each in everything if isinstance(each, LogFault)] == ["UNREADABLE"]
    assert len(everything) > 1
    assert (("D13",), "PAGE") in [(alert.rules, alert.severity) for alert in ran.opened]
    assert (await bench.watch().run()).opened == []


async def test_silence_while_running_pages_and_a_stop_does_not(bench: Bench, town: Town) -> None:
    begun = {"action": "STARTED", "signer": "a key"}
    await bench.rest()
    await bench.log.append(EventKind.ADMIN, begun)
    bench.now_ms += 60_000
    await bench.log.append(EventKind.HEARTBEAT, {})
    bench.now_ms += HOUR_MS
    await bench.log.append(EventKind.ADMIN, begun)
    bench.now_ms += 60_000
    await bench.log.append(EventKind.ADMIN, {"action": "STOPPED"})
    bench.now_ms += HOUR_MS
    await bench.log.append(EventKind.ADMIN, begun)
    assert seen(bench) == []
    bench.now_ms += HOUR_MS
    await bench.log.append(EventKind.HEARTBEAT, {})

    assert [fault.code for fault in seen(bench)] == ["SILENCE"]


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)  # the role on PostgreSQL may not tamper with the schema
async def test_what_verification_finds_is_opened_once_for_the_same_findings(bench: Bench, town: Town) -> None:
    await bench.write(look(town, relationship="PRACTITIONER"))
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_payload_fixed")
        connection.exec_driver_sql("UPDATE audit_payload SET body = '{}' WHERE seq = 2")
    assert verify(bench.engine).status is Status.TAMPERED

    first = await bench.watch().run(faults=faults_of(bench.engine))
    again = await bench.watch().run(faults=faults_of(bench.engine))

    assert [alert.rules for alert in first.opened] == [("D13",)]
    assert again.opened == []


async def test_what_nobody_decides_for_five_days_is_escalated_once(bench: Bench, town: Town) -> None:
    await bench.write(look(town, override=True, relationship="OVERRIDE"))
    watch = bench.watch()
    await watch.run()
    bench.now_ms += 5 * 24 * HOUR_MS - 1000
    assert (await watch.run()).escalated == 0
    bench.now_ms += 2000

    assert (await watch.run()).escalated == 1
    assert (await watch.run()).escalated == 0
    assert bench.items()[0]["state"] == "ESCALATED"
    last = bench.records(EventKind.REVIEW)[-1].payload
    assert last is not None
    assert last["verdict"] == "ESCALATED"


async def test_a_turn_is_taken_by_one_process(bench: Bench, town: Town) -> None:
    await bench.write(look(town, relationship="PRACTITIONER"))
    one, other = bench.watch(every_seconds=300), bench.watch(every_seconds=300)

    assert await one.turn() is not None
    assert await other.turn() is None
    bench.now_ms += 300_000
    assert await other.turn() is not None


async def test_a_feed_that_becomes_faulty_leaves_the_last_good_one(bench: Bench, town: Town) -> None:
    feed = bench.folder / "feed.csv"
    feed.write_text("person,organisation,team\nsomebody,amber,north\n")
    watch = bench.watch(workforce_file=feed)
    assert (await watch.run()).members == 1
    feed.write_text("person,organisation,team\nsomebody,amber\n")

    assert (await watch.run()).members == 1
    with pytest.raises(FeedFault):
        await bench.watch(workforce_file=feed).run()


def bad_canaries() -> Iterator[tuple[str, str]]:
    yield "9990000019\n", "line 1"
    yield "# fictitious\n9990000018\nTom\n", "line 3"


@pytest.mark.parametrize(("text", "line"), list(bad_canaries()))
async def test_a_faulty_list_of_canaries_is_refused_by_line(bench: Bench, text: str, line: str) -> None:
    file = bench.folder / "canaries.txt"
    file.write_text(text)

    with pytest.raises(FeedFault) as caught:
        read_feeds(None, file, bench.keys)
    assert line in caught.value.faults[0]
    assert "Tom" not in caught.value.faults[0]
    assert "9990000019" not in caught.value.faults[0]


async def test_a_canary_is_found_by_its_number(bench: Bench, town: Town) -> None:
    file = bench.folder / "canaries.txt"
    file.write_text(f"# placed for detection\n{town.children[4].number}  # Kim Placed\n")
    await bench.write(look(town, 0, 4, relationship="PRACTITIONER"))

    ran = await bench.watch(canaries_file=file).run()

    assert [alert.rules for alert in ran.opened] == [("D14",)]


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)  # the role on PostgreSQL may not tamper with the schema
async def test_what_was_purged_is_passed_over(bench: Bench, town: Town) -> None:
    await bench.write(look(town, relationship="PRACTITIONER"))
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_payload_keep")
        connection.execute(sa.text("DELETE FROM audit_payload"))

    assert seen(bench) == []


async def test_a_turn_beside_lookups_rests_and_a_run_of_its_own_does_not(
    bench: Bench, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[None] = []
    monkeypatch.setattr(watching, "_ASIDE_READS", 2)
    monkeypatch.setattr(Resting, "rest", lambda _: rests.append(None))
    for child in range(6):
        await bench.write(look(town, child=child, relationship="PRACTITIONER"))

    alone = await bench.watch().run()
    rests_alone = len(rests)
    bench.now_ms += 300_000
    for child in range(6):
        await bench.write(look(town, child=child, hours=MONDAY + 11, relationship="PRACTITIONER"))
    beside = await bench.watch(every_seconds=300).turn()

    assert beside is not None
    assert (alone.looked_up, beside.looked_up) == (6, 6)
    assert (rests_alone, len(rests) >= 3) == (0, True)
