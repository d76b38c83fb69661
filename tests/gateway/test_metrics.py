"""What /metrics shows of requests, of the log and of what was worked out before, in one process and in several."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from connectors.base import Ask, FieldMask
from connectors.faults import FaultCode, SourceFailed
from gateway import tallies
from gateway.audit.events import EventKind
from gateway.tallies import Answers, Counts, Distribution, Durations, Requests
from gateway.workers import METRICS_VARIABLE
from schema.records import Answer, NoAnswer, SubjectRef
from schema.vocabulary import SourceReason
from tests.docs.words_of_metrics import WORDS
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import World
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


_COMMITS = "contactpoint_audit_commit_seconds_count"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def shown(world: World) -> Samples:
    return samples((await world.client.get("/metrics")).text)


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


async def test_what_nobody_was_refused_for_is_there_as_0_and_no_series_tells_when_it_began(running: Running) -> None:
    async with running(council()) as world:
        found = await shown(world)

    for name in ("contactpoint_requests_shed", "contactpoint_detection_alerts"):
        told = {dict(labels).popitem()[1] for each, labels in found if each == f"{name}_total"}
        (words,) = [words for (metric, _), words in WORDS.items() if metric == name]
        assert told == words
    assert [name for name, _ in found if name.endswith("_created")] == []


async def test_requests_are_counted_by_what_they_ask_and_how_they_are_answered(running: Running) -> None:
    async with running(council()) as world:
        before = await shown(world)
        await world.ask()
        await world.client.post("/graphql", json={"query": "{ viewer { subject } }"}, headers=world.headers())
        await world.client.post("/graphql", json={"query": "{ viewer { subject } }"})
        await world.client.post("/graphql", json={"query": "{ nonsense }"}, headers=world.headers())
        await world.client.get("/anything/9990000018")
        after = await shown(world)

    def grew(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grew("contactpoint_requests_total", operation="child", code="OK") == 1
    assert grew("contactpoint_requests_total", operation="viewer", code="OK") == 1
    assert grew("contactpoint_requests_total", operation="unread", code="UNAUTHENTICATED") == 1
    assert grew("contactpoint_requests_total", operation="unread", code="GRAPHQL_VALIDATION_FAILED") == 1
    assert grew("contactpoint_requests_total", operation="page", code="HTTP_404") == 1
    assert grew("contactpoint_request_seconds_count", operation="child") == 1
    assert grew("contactpoint_lookup_seconds_count") == 1


async def test_the_log_shows_its_commits_its_records_and_whether_it_is_ready(running: Running) -> None:
    async with running(council()) as world:
        before = await shown(world)
        await world.ask()
        after = await shown(world)
        # the log's thread counts a commit once those who wait for it have been told
        while value(after, _COMMITS) - value(before, _COMMITS) < 2:
            await asyncio.sleep(0.01)
            after = await shown(world)
        world.gateway.log.fail()
        world.gateway.log.close()
        failed = await shown(world)

    records = value(after, "contactpoint_audit_records_total") - value(before, "contactpoint_audit_records_total")
    commits = value(after, _COMMITS) - value(before, _COMMITS)
    assert (records, commits) == (2, 2)  # INTENT and OUTCOME
    assert value(after, "contactpoint_audit_log_ready") == 1
    assert value(failed, "contactpoint_audit_log_ready") == 0


async def test_a_second_lookup_like_the_first_finds_its_plan_in_memory(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        first = await shown(world)
        await world.ask()
        second = await shown(world)

    for cache in ("documents", "plans", "compiled"):
        grew = {
            result: value(second, "contactpoint_plan_cache_total", cache=cache, result=result)
            - value(first, "contactpoint_plan_cache_total", cache=cache, result=result)
            for result in ("hit", "miss")
        }
        assert grew == {"hit": 1, "miss": 0}, cache


class FreeSpokenSource(Remembering):
    """Says why it has no answer in words of its own, which quote what was asked."""

    raises = False

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        words = f"no record of {CHILD}"
        if self.raises:
            failed = SourceFailed(FaultCode.SCHEMA)
            failed.code = words  # type: ignore[assignment]
            raise failed
        return {each: NoAnswer(each, SourceReason.PROTOCOL, words) for each in subjects}


def words_of_no_list(found: Samples, sources: Collection[str]) -> set[tuple[str, str, str]]:
    """Return metric, label and word of what no closed list holds; `sources` are the connectors' ids."""
    odd = set()
    for name, labels in found:
        if not name.startswith("contactpoint_"):
            continue
        metric = re.sub("_(total|created|bucket|sum|count)$", "", name)
        for label, word in labels:
            known = sources if label == "source" else WORDS.get((metric, label), ())
            if label != "le" and word not in known:
                odd.add((metric, label, word))
    return odd


@pytest.mark.parametrize("raises", [False, True], ids=["says-it", "raises-it"])
async def test_whatever_a_driver_or_a_client_says_every_label_keeps_to_its_list(running: Running, raises: bool) -> None:
    free = FreeSpokenSource(source("police-amber", kind="POLICE", organisation="amber-police"))
    free.raises = raises
    async with running(free, council()) as world:
        before = await shown(world)
        told = await world.ask()
        for query in ("{ viewer { subject } }", "{ nonsense }", "{", f'{{ a: __typename b: __typename }} # "{CHILD}"'):
            body = {"query": query, "operationName": None, "variables": {CHILD: CHILD}}
            await world.client.post("/graphql", json=body, headers=world.headers())
        for method in ("GET", "DELETE", "WHATEVER"):
            await world.client.request(method, f"/{CHILD}")
            await world.client.request(method, "/readyz")
            await world.client.request(method, "/graphql")
        after = await shown(world)
        outcome = world.payload(EventKind.OUTCOME)
        text = (await world.client.get("/metrics")).text

    # other tests of this process have had sources of their own
    sources = {word for _, labels in after for label, word in labels if label == "source"}
    assert words_of_no_list(after, sources) == set()
    assert CHILD not in text
    assert told.sources["police-amber"].startswith("NO_ANSWER")
    named = {"source": "police-amber", "status": "NO_ANSWER", "code": "UNTOLD"}
    grew = [value(found, "contactpoint_source_answers_total", **named) for found in (before, after)]
    assert grew[1] - grew[0] == 1
    assert [each["code"] for each in outcome["sources"] if each["id"] == "police-amber"] == ["UNTOLD"]


def test_a_word_of_no_list_would_be_found() -> None:
    told = "contactpoint_requests_total"
    odd = {
        (told, frozenset({("operation", "child"), ("code", "OK")})): 1.0,
        (told, frozenset({("operation", CHILD), ("code", "OK")})): 1.0,
        ("contactpoint_batch_size_bucket", frozenset({("source", "somewhere"), ("le", "1")})): 1.0,
        ("contactpoint_new_total", frozenset({("who", "anybody")})): 1.0,
    }

    assert words_of_no_list(odd, {"cs-amber"}) == {
        ("contactpoint_requests", "operation", CHILD),
        ("contactpoint_batch_size", "source", "somewhere"),
        ("contactpoint_new", "who", "anybody"),
    }


def test_what_is_folded_is_what_would_have_been_counted() -> None:
    random = Random(7)
    bounds = (0.005, 0.01, 0.1, 2.5)
    text = []
    values = [(random.choice("ab"), random.choice([0.0, 0.005, 0.1, 3.0, random.random()])) for _ in range(400)]
    for folded in (False, True):
        registry = CollectorRegistry()
        counter = Counter("asked", "Asked", ["who"], registry=registry)
        kind = Distribution if folded else Histogram
        histogram = kind("took", "Took", ["who"], buckets=bounds, registry=registry)
        plain = kind("plain", "Plain", buckets=bounds, registry=registry)
        if isinstance(histogram, Distribution) and isinstance(plain, Distribution):
            counts, durations = Counts(counter), Durations(histogram, bounds)
            unlabelled = Durations(plain, bounds, labelled=False)
            for number, (who, seconds) in enumerate(values):
                counts.add(who)
                durations.add(seconds, who)
                unlabelled.add(seconds)
                if number % 100 == 99:
                    for tally in (counts, durations, unlabelled):
                        tally.fold()
        else:
            for who, seconds in values:
                counter.labels(who).inc()
                histogram.labels(who).observe(seconds)
                plain.observe(seconds)
        found = samples(generate_latest(registry).decode())
        text.append({key: v for key, v in found.items() if not key[0].endswith("_created")})

    assert text[1] == pytest.approx(text[0])
    assert len(text[0]) > 20


def test_what_is_folded_of_requests_is_what_would_have_been_counted_of_each() -> None:
    random = Random(7)
    bounds = (0.005, 0.01, 0.1, 2.5)
    text = []
    values = [(random.choice("ab"), random.choice("cd"), random.choice([0.0, 0.005, 0.1, 3.0])) for _ in range(400)]
    for folded in (False, True):
        registry = CollectorRegistry()
        counter = Counter("answered", "Answered", ["operation", "code"], registry=registry)
        histogram = Distribution("took", "Took", ["operation"], buckets=bounds, registry=registry)
        requests = Requests(counter, histogram, bounds)
        for number, (operation, code, seconds) in enumerate(values):
            if folded:
                requests.add(operation, code, seconds)
                if number % 100 == 99:
                    requests.fold()
            else:
                counter.labels(operation, code).inc()
                histogram.labels(operation).observe(seconds)
        found = samples(generate_latest(registry).decode())
        text.append({key: v for key, v in found.items() if not key[0].endswith("_created")})

    assert text[1] == pytest.approx(text[0])
    assert len(text[0]) > 15


@pytest.mark.parametrize("most", [3, 4096])
def test_what_sources_did_and_took_is_what_would_have_been_counted_of_each(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "_MOST_ANSWERS", most)
    random = Random(7)
    bounds = (0.005, 0.01, 0.1, 2.5)
    text = []
    values = [(random.choice("ab"), random.choice("cd"), random.choice([0, 5, 6, 100, 3000])) for _ in range(400)]
    for folded in (False, True):
        registry = CollectorRegistry()
        counter = Counter("did", "Did", ["source", "status", "code"], registry=registry)
        histogram = Distribution("took", "Took", ["source"], buckets=bounds, registry=registry)
        answers = Answers(counter, histogram, bounds)
        for number, (who, status, milliseconds) in enumerate(values):
            if folded:
                answers.add(who, status, "", milliseconds)
                if number % 100 == 99:
                    answers.fold()
            else:
                counter.labels(who, status, "").inc()
                histogram.labels(who).observe(milliseconds / 1000)
        found = samples(generate_latest(registry).decode())
        text.append({key: v for key, v in found.items() if not key[0].endswith("_created")})

    assert text[1] == pytest.approx(text[0])
    assert len(text[0]) > 15


_WORKER = """
from gateway import metrics
metrics.note_request("child", "OK", 0.02)
metrics.note_lookup("DISCLOSED", (), 0.01)
metrics.note_witness_lag({lag})
metrics.note_commit(3, 0.004)
metrics.show_now()
"""


def in_a_worker(folder: Path, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, METRICS_VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_whichever_worker_is_asked_shows_the_figures_of_all(tmp_path: Path) -> None:
    for lag in (7, 400):
        in_a_worker(tmp_path, _WORKER.format(lag=lag))
    found = samples(in_a_worker(tmp_path, "from gateway import metrics; print(metrics.exposition().decode())"))

    assert value(found, "contactpoint_requests_total", operation="child", code="OK") == 2
    assert value(found, "contactpoint_request_seconds_bucket", operation="child", le="0.025") == 2
    assert value(found, "contactpoint_audit_records_total") == 6
    assert value(found, "contactpoint_audit_witness_lag_seconds") == 400
    assert [key for key in found if "pid" in dict(key[1])] == []
    assert value(found, "contactpoint_workers") == 3
