"""A witness cosigns what continues what it has cosigned, and nothing else; and what a log does with its witnesses."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from gateway.audit import merkle
from gateway.audit.checkpointer import Checkpointer
from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.cosignatures import Ed25519Cosigner, verify_cosignature
from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.notes import Note, NoteSigner, VerifierKey, parse_note, parse_signatures
from gateway.audit.recovery import origin_of
from gateway.audit.rotation import ShardLimits
from gateway.audit.sealed import cosigned_size, frontier_at, store_note
from gateway.audit.signing import LogSigner
from gateway.audit.tables import audit_cosignature, audit_shard
from gateway.audit.verification.trust import Trust, held
from gateway.audit.verify import Status, verify
from gateway.audit.witnessing.client import WitnessClient, WitnessUnavailable
from gateway.audit.witnessing.evidence import WitnessContradicts
from gateway.audit.witnessing.keys import WitnessKeyRefused, WitnessKeys
from gateway.audit.witnessing.protocol import format_submission
from gateway.audit.witnessing.server import Witness, witness_application
from gateway.audit.witnessing.store import WitnessStore, witnessed_notes
from gateway.audit.witnessing.watch import Patience, WitnessWatch
from tests.audit.rewriting import rewrite

LOG = NoteSigner("log.example/audit", b"l" * 32)
ORIGIN = "log.example/audit/1"


class Tree:
    """A log of any leaves, with proofs."""

    def __init__(self, leaves: int, flavour: bytes = b"") -> None:
        self._nodes: dict[tuple[int, int], bytes] = {}
        edge = merkle.Frontier()
        self.roots = [edge.root()]
        for seq in range(leaves):
            hashed = merkle.leaf_hash(flavour + str(seq).encode())
            self._nodes[0, seq] = hashed
            self._nodes.update({(level, ix): node for level, ix, node in edge.append(hashed)})
            self.roots.append(edge.root())

    def proof(self, old: int, new: int) -> list[bytes]:
        if not 0 < old < new:
            return []
        return merkle.consistency_proof(old, new, lambda level, ix: self._nodes[level, ix])

    def note(self, size: int, signer: NoteSigner = LOG, origin: str = ORIGIN) -> bytes:
        text = Checkpoint(origin, size, self.roots[size]).text()
        return Note(text, (signer.sign(text),)).encode()

    def request(self, old: int, new: int) -> bytes:
        return format_submission(old, self.proof(old, new), self.note(new))


class InProcess(httpx.BaseTransport):
    """Answers from an ASGI application, without a socket; each request in a loop of its own."""

    def __init__(self, application: Starlette) -> None:
        self._transport = httpx.ASGITransport(application)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()

        async def ask() -> httpx.Response:
            asked = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            answer = await self._transport.handle_async_request(asked)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()


def served(application: Starlette) -> httpx.Client:
    return httpx.Client(transport=InProcess(application), base_url="https://witness.example")


TREE = Tree(40)
FORK = Tree(40, b"another ")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "witness"


@pytest.fixture
def keys_of_witness(tmp_path: Path) -> WitnessKeys:
    return WitnessKeys.load_or_create(tmp_path / "witness.json", "witness.example/w")


@pytest.fixture
def opened(store: Path, keys_of_witness: WitnessKeys) -> Iterator[Callable[..., httpx.Client]]:
    """Start the witness, with its store and key of before: as often as asked."""
    stores: list[WitnessStore] = []

    def start(prefix: str = "log.example/audit/", key: VerifierKey = LOG.key) -> httpx.Client:
        stores.append(WitnessStore(store))
        return served(witness_application(Witness(keys_of_witness, stores[-1], [(prefix, key)])))

    yield start
    for each in stores:
        each.close()


def post(client: httpx.Client, body: bytes) -> httpx.Response:
    return client.post("/add-checkpoint", content=body)


# The protocol


def test_the_first_checkpoint_is_cosigned_by_both_keys_of_the_witness(
    opened: Callable[..., httpx.Client], keys_of_witness: WitnessKeys
) -> None:
    before = int(time.time())
    answer = post(opened(), TREE.request(0, 5))

    assert answer.status_code == 200
    signatures = parse_signatures(answer.text)
    assert len(signatures) == len(keys_of_witness.cosigners) == 2
    for cosigner, signature in zip(keys_of_witness.cosigners, signatures, strict=True):
        assert verify_cosignature(cosigner.key, Checkpoint(ORIGIN, 5, TREE.roots[5]), signature) >= before


@pytest.mark.parametrize("step", [1, 3, 7])
def test_a_growing_log_is_cosigned_step_by_step_across_restarts(opened: Callable[..., httpx.Client], step: int) -> None:
    for old in range(0, 40 - step, step):
        assert post(opened(), TREE.request(old, old + step)).status_code == 200


def test_the_same_checkpoint_is_cosigned_again(opened: Callable[..., httpx.Client]) -> None:
    client = opened()

    assert [post(client, TREE.request(*sizes)).status_code for sizes in [(0, 5), (5, 5), (5, 5)]] == [200, 200, 200]


def test_a_stale_old_size_gets_the_size_that_was_seen_in_its_own_type(opened: Callable[..., httpx.Client]) -> None:
    client = opened()
    post(client, TREE.request(0, 7))

    answers = [post(client, TREE.request(old, 9)) for old in (0, 5, 8)]

    assert [(a.status_code, a.text, a.headers["content-type"]) for a in answers] == [
        (409, "7\n", "text/x.tlog.size")
    ] * 3
    assert post(client, TREE.request(7, 9)).status_code == 200


def test_a_log_that_was_never_seen_has_size_zero(opened: Callable[..., httpx.Client]) -> None:
    answer = post(opened(), TREE.request(3, 9))

    assert (answer.status_code, answer.text) == (409, "0\n")


def test_what_contradicts_gets_422_and_is_kept_as_evidence(opened: Callable[..., httpx.Client], store: Path) -> None:
    client = opened()
    post(client, TREE.request(0, 7))
    bodies = {
        "another log": FORK.request(7, 9),
        "another root at the same size": FORK.request(7, 7),
        "no proof": format_submission(7, [], TREE.note(9)),
        "a proof that is too long": format_submission(7, [*TREE.proof(7, 9), b"x" * 32], TREE.note(9)),
        "a proof that is too short": format_submission(7, TREE.proof(7, 9)[:-1], TREE.note(9)),
        "a proof with two lines swapped": format_submission(7, TREE.proof(7, 9)[::-1], TREE.note(9)),
        "a proof at the same size": format_submission(7, [b"x" * 32], TREE.note(7)),
    }

    assert {name: post(client, body).status_code for name, body in bodies.items()} == dict.fromkeys(bodies, 422)
    assert post(client, TREE.request(7, 9)).status_code == 200
    with sqlite3.connect(store / "witness.db") as database:
        kept = [request for (request,) in database.execute("SELECT request FROM refused ORDER BY id")]
    database.close()
    assert kept == list(bodies.values())


def test_the_empty_log_takes_no_proof_and_no_other_root(opened: Callable[..., httpx.Client]) -> None:
    client = opened()
    text = Checkpoint(ORIGIN, 0, b"x" * 32).text()
    false_root = format_submission(0, [], Note(text, (LOG.sign(text),)).encode())

    assert post(client, format_submission(0, [b"x" * 32], TREE.note(5))).status_code == 422
    assert post(client, false_root).status_code == 422
    assert post(client, TREE.request(0, 0)).status_code == 200
    assert post(client, TREE.request(0, 5)).status_code == 200


def test_an_unknown_log_gets_404_and_a_false_signature_403(opened: Callable[..., httpx.Client]) -> None:
    client = opened()
    stranger = NoteSigner(LOG.key.name, b"s" * 32)
    text = Checkpoint(ORIGIN, 5, TREE.roots[5]).text()
    ours = LOG.sign(text)
    false = Note(text, (type(ours)(ours.name, ours.key_id, b"x" * 64),)).encode()

    assert post(client, format_submission(0, [], TREE.note(5, origin="other.example/1"))).status_code == 404
    assert post(client, format_submission(0, [], TREE.note(5, signer=stranger))).status_code == 403
    assert post(client, format_submission(0, [], false)).status_code == 403
    assert post(client, format_submission(9, [], TREE.note(5))).status_code == 400


LINE = base64.b64encode(b"x" * 32) + b"\n"
MALFORMED = {
    "nothing": b"",
    "no old size": b"\n" + TREE.note(5),
    "another word": b"new 0\n\n" + TREE.note(5),
    "a leading zero": b"old 00\n\n" + TREE.note(5),
    "a sign": b"old +0\n\n" + TREE.note(5),
    "no number": b"old \n\n" + TREE.note(5),
    "no empty line": b"old 0\n" + TREE.note(5),
    "64 lines of proof": b"old 3\n" + LINE * 64 + b"\n" + TREE.note(5),
    "a short hash": b"old 3\nAAAA\n\n" + TREE.note(5),
    "no base64": b"old 3\n" + b"!" * 44 + b"\n\n" + TREE.note(5),
    "carriage returns": b"old 0\r\n\r\n" + TREE.note(5),
    "no checkpoint": b"old 0\n\n",
    "an unsigned checkpoint": b"old 0\n\n" + TREE.note(5).partition(b"\n\n")[0] + b"\n",
    "an extension line": b"old 0\n\n" + TREE.note(5).replace(b"\n\n", b"\nmore\n\n", 1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_gets_400(opened: Callable[..., httpx.Client], name: str) -> None:
    assert post(opened(), MALFORMED[name]).status_code == 400


def test_63_lines_of_proof_are_read(opened: Callable[..., httpx.Client]) -> None:
    client = opened()
    post(client, TREE.request(0, 3))

    assert post(client, b"old 3\n" + LINE * 63 + b"\n" + TREE.note(5)).status_code == 422


def test_a_request_without_end_is_cut_off_and_another_method_refused(opened: Callable[..., httpx.Client]) -> None:
    client = opened()

    assert post(client, b"x" * 70_000).status_code == 413
    assert client.get("/add-checkpoint").status_code == 405


def test_of_two_that_come_at_once_one_is_cosigned(opened: Callable[..., httpx.Client], store: Path) -> None:
    """The race of the specification: were both cosigned, the log would have been rolled back under the witness."""
    clients = [opened(), opened()]
    post(clients[0], TREE.request(0, 5))
    statuses: list[int] = []
    gate = threading.Barrier(2)

    def submit(client: httpx.Client, size: int) -> None:
        gate.wait()
        statuses.append(post(client, TREE.request(5, size)).status_code)

    threads = [threading.Thread(target=submit, args=each) for each in zip(clients, (9, 12), strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(statuses) == [200, 409]


def test_monitors_read_the_newest_note_with_both_signatures(
    opened: Callable[..., httpx.Client], keys_of_witness: WitnessKeys, store: Path
) -> None:
    client = opened()
    where = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    unknown = client.get(where).status_code
    post(client, TREE.request(0, 5))
    post(client, TREE.request(5, 9))

    note = parse_note(client.get(where).content)

    assert unknown == 404
    assert note.text == Checkpoint(ORIGIN, 9, TREE.roots[9]).text()
    assert [s.name for s in note.signatures] == [LOG.key.name, *(c.key.name for c in keys_of_witness.cosigners)]
    assert witnessed_notes(store) == [client.get(where).content]


def test_a_witness_keeps_its_key_and_lets_nobody_read_it(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    first = WitnessKeys.load_or_create(file)

    assert file.stat().st_mode & 0o777 == 0o600
    assert [str(c.key) for c in WitnessKeys.load_or_create(file).cosigners] == [str(c.key) for c in first.cosigners]
    with pytest.raises(WitnessKeyRefused):
        WitnessKeys.load_or_create(file, "another.example/name")
    with pytest.raises(WitnessKeyRefused):
        WitnessKeys.load_or_create(tmp_path / "no.json", "a name")
    assert not (tmp_path / "no.json").exists()
    file.chmod(0o644)
    with pytest.raises(WitnessKeyRefused):
        WitnessKeys.load_or_create(file)


def test_two_logs_whose_keys_have_one_name_are_told_apart_by_the_key(store: Path, keys_of_witness: WitnessKeys) -> None:
    """Every gateway's key has the same name, and the names of all their logs the same prefix."""
    second = NoteSigner(LOG.key.name, b"m" * 32)
    tree, elsewhere = Tree(9), Tree(9, b"another ")
    memory = WitnessStore(store)
    known = [(f"{key.name}/", key) for key in (LOG.key, second.key)]
    client = served(witness_application(Witness(keys_of_witness, memory, known)))
    ours, theirs = ORIGIN, "log.example/audit/2"

    def bring(log: Tree, old: int, new: int, signer: NoteSigner, origin: str) -> int:
        return post(client, format_submission(old, log.proof(old, new), log.note(new, signer, origin))).status_code

    assert [bring(tree, 0, 4, LOG, ours), bring(elsewhere, 0, 4, second, theirs)] == [200, 200]
    assert [bring(tree, 4, 7, LOG, ours), bring(elsewhere, 4, 7, second, theirs)] == [200, 200]
    # neither continues the other, though both are known
    assert bring(tree, 7, 9, second, ours) == 403
    assert bring(tree, 7, 9, LOG, ours) == 200
    memory.close()


# A log and its witness

OpenLog = Callable[..., AuditLog]


class World:
    """A log with a checkpointer, and a witness in reach of it."""

    def __init__(self, engine: sa.Engine, keys: AuditKeys, log: AuditLog, client: httpx.Client, key: VerifierKey):
        self.engine, self.keys, self.log, self.key = engine, keys, log, key
        self.sealing = Checkpointer(engine, log, keys.key_id, LogSigner.of(keys))
        self.client = self.reaching(client)
        self.lags: list[float] = []
        self.watch = WitnessWatch(engine, log, keys.key_id, [self.client], Patience(300.0, 14_400.0), self.lags.append)

    def reaching(self, client: httpx.Client) -> WitnessClient:
        """Return a client that remembers nothing, of the witness or of whatever stands in its place."""
        return WitnessClient(self.engine, client, "https://witness.example", self.key, LogSigner.of(self.keys).key)

    async def grow(self, count: int = 1) -> None:
        for _ in range(count):
            await self.log.append(EventKind.DENIED, {})
        self.sealing.checkpoint()

    def cosigned(self) -> list[int]:
        table = audit_cosignature
        query = sa.select(table.c.size).where(table.c.shard == self.log.shard).order_by(table.c.size)
        with self.engine.connect() as connection:
            return list(connection.scalars(query))

    def verified(self, *notes: bytes) -> Status:
        trust = Trust(
            log_keys=(LogSigner.of(self.keys).key,), held=tuple(held("what the witness has seen", n) for n in notes)
        )
        return verify(self.engine, trust).status


@pytest.fixture
def world(
    engine: sa.Engine,
    keys: AuditKeys,
    opened: Callable[..., httpx.Client],
    keys_of_witness: WitnessKeys,
) -> Iterator[Callable[..., World]]:
    logs: list[AuditLog] = []

    def make(client: httpx.Client | None = None) -> World:
        key = keys_of_witness.cosigners[0].key
        logs.append(AuditLog.open(engine, keys, on_fatal=lambda: None, witnesses=[str(key)]))
        client = client or opened("contactpoint-gateway/audit/", LogSigner.of(keys).key)
        return World(engine, keys, logs[-1], client, key)

    yield make
    for log in logs:
        log.close()


@pytest.mark.anyio
async def test_checkpoints_are_brought_to_the_witness_and_what_it_cosigns_is_stored(
    world: Callable[..., World], store: Path
) -> None:
    here = world()
    for count in (1, 4, 30):
        await here.grow(count)
        assert here.watch.bring(here.client)
        assert not here.client.submit(here.log.shard)  # there is nothing new to bring

    assert here.cosigned() == [2, 6, 36]
    assert here.verified(*witnessed_notes(store)) is Status.GOOD
    assert here.watch.look() == 0.0


@pytest.mark.anyio
async def test_a_client_that_has_forgotten_learns_the_size_from_the_witness(world: Callable[..., World]) -> None:
    here = world()
    await here.grow(5)
    here.watch.bring(here.client)
    here.client._known[here.log.shard] = 2
    await here.grow(5)

    assert here.client.submit(here.log.shard)
    assert here.cosigned() == [6, 11]


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [("cosignature", "checkpoint"), ("checkpoint",)], ids=["shown-by-it", "on-record"])
async def test_a_log_that_was_rolled_back_is_frozen(
    world: Callable[..., World], owner: sa.Engine, store: Path, lost: tuple[str, ...]
) -> None:
    """The evidence is what the witness shows, or what it had cosigned before, which is still on record here."""
    here = world()
    await here.grow(7)
    here.watch.bring(here.client)
    shard = here.log.shard
    seals = [f"DELETE FROM audit_{t} WHERE shard = '{shard}'" for t in lost]  # noqa: S608
    leaves = [f"DELETE FROM audit_{t} WHERE shard = '{shard}' AND seq >= 4" for t in ("leaf", "payload")]  # noqa: S608
    nodes = f"DELETE FROM audit_node WHERE shard = '{shard}' AND ((ix + 1) << level) > 4"  # noqa: S608
    rewrite(owner, *seals, *leaves, nodes)
    old = LogSigner.of(here.keys)
    with here.engine.begin() as connection:
        root = frontier_at(connection, shard, 4).root()
        store_note(connection, shard, 4, old.sign(Checkpoint(origin_of(shard), 4, root)).encode())
    again = here.reaching(here.client._client)

    with pytest.raises(WitnessContradicts):
        again.submit(shard)
    here.watch.bring(here.reaching(here.client._client))

    assert here.log.failed
    with here.engine.connect() as connection:
        assert connection.scalar(sa.select(audit_shard.c.state).where(audit_shard.c.id == shard)) == "FROZEN"
    assert here.verified() is Status.TAMPERED
    assert here.verified(*witnessed_notes(store)) is Status.TAMPERED


@pytest.mark.anyio
async def test_a_log_that_was_rewritten_is_frozen(world: Callable[..., World], store: Path) -> None:
    """The witness has cosigned another log under the shard's name: as after a rewrite with the key."""
    here = world()
    await here.grow(7)
    signer = LogSigner.of(here.keys)
    other = signer.sign(Checkpoint(origin_of(here.log.shard), 5, FORK.roots[5])).encode()
    assert post(here.client._client, format_submission(0, [], other)).status_code == 200

    here.watch.bring(here.client)

    assert here.log.failed
    assert here.verified() is Status.TAMPERED


def claiming(status: int, size: int, note: bytes | None) -> httpx.Client:
    """Return a client of what answers every submission with a claim, and serves this note, or none, to monitors."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404) if note is None else httpx.Response(200, content=note)
        return httpx.Response(status, text=f"{size}\n")

    return httpx.Client(transport=httpx.MockTransport(answer))


@pytest.mark.anyio
@pytest.mark.parametrize("status", [409, 422])
@pytest.mark.parametrize("shown", ["nothing", "no note", "by the log", "by the witness", "by a stranger", "of another"])
async def test_a_claim_that_the_log_was_rewritten_stops_nothing_without_a_note_that_both_have_signed(
    world: Callable[..., World],
    keys_of_witness: WitnessKeys,
    caplog: pytest.LogCaptureFixture,
    status: int,
    shown: str,
) -> None:
    here = world()
    await here.grow(3)
    checkpoint = Checkpoint(origin_of(here.log.shard), 900, b"r" * 32)
    cosigner = keys_of_witness.cosigners[0]
    log_signed = LogSigner.of(here.keys).sign(checkpoint)
    text, signatures = log_signed.text, log_signed.signatures
    stranger = Ed25519Cosigner("n", b"s" * 32).cosign(checkpoint, 7)
    other = LogSigner.of(here.keys).sign(Checkpoint(origin_of("f" * 32), 900, b"r" * 32))
    notes = {
        "nothing": None,
        "no note": b"it was rolled back",
        "by the log": log_signed.encode(),
        "by the witness": Note(text, (cosigner.cosign(checkpoint, 7),)).encode(),
        "by a stranger": Note(text, (*signatures, stranger)).encode(),
        "of another": Note(other.text, (*other.signatures, cosigner.cosign(parse_checkpoint(other.text), 7))).encode(),
    }

    assert not here.watch.bring(here.reaching(claiming(status, 900, notes[shown])))

    assert not here.log.failed
    assert here.cosigned() == []
    alarms = [record.levelname for record in caplog.records if "shows no proof" in record.message]
    assert alarms == ["ERROR", "ERROR"]  # of the shard, and of the master log
    both = Note(text, (*signatures, cosigner.cosign(checkpoint, 7))).encode()
    here.watch.bring(here.reaching(claiming(status, 900, both)))
    assert here.log.failed


@pytest.mark.anyio
@pytest.mark.parametrize("status", [409, 422])
async def test_what_stands_before_a_witness_and_lies_stops_nothing_while_the_witness_shows_what_the_log_bears_out(
    world: Callable[..., World], status: int, store: Path
) -> None:
    here = world()
    await here.grow(3)
    assert here.watch.bring(here.client)
    (note,) = [note for note in witnessed_notes(store) if here.log.shard.encode() in note]
    await here.grow(3)

    with pytest.raises(WitnessUnavailable):
        here.reaching(claiming(status, 900, note)).submit(here.log.shard)

    assert here.client.submit(here.log.shard)
    assert here.cosigned() == [4, 7]


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
async def test_a_witness_that_does_not_cosign_is_let_be(world: Callable[..., World], status: int) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(status))
    here = world(httpx.Client(transport=transport))
    await here.grow()

    assert not here.watch.bring(here.client)
    assert not here.log.failed
    assert here.cosigned() == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\n", id="not-utf-8"),
        pytest.param("— x AAAAAAA=\n".encode(), id="of-a-stranger"),
    ],
)
async def test_what_is_no_cosignature_is_not_stored(world: Callable[..., World], body: bytes) -> None:
    here = world(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=body))))
    await here.grow()

    with pytest.raises(WitnessUnavailable):
        here.client.submit(here.log.shard)
    assert here.cosigned() == []


@pytest.mark.anyio
async def test_a_cosignature_of_another_checkpoint_is_not_stored(
    world: Callable[..., World], keys_of_witness: WitnessKeys
) -> None:
    cosigner = keys_of_witness.cosigners[0]
    line = cosigner.cosign(Checkpoint("contactpoint-gateway/audit/other", 2, b"x" * 32), 7).line()
    here = world(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, text=line))))
    await here.grow()

    with pytest.raises(WitnessUnavailable):
        here.client.submit(here.log.shard)
    assert here.cosigned() == []


@pytest.mark.anyio
async def test_when_the_disk_fails_under_the_look_at_the_witnesses_the_log_takes_nothing_more(
    world: Callable[..., World], engine: sa.Engine
) -> None:
    here = world(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503))))
    await here.grow()
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN

    def fails(*_: object) -> None:
        raise sa.exc.OperationalError("a statement", {}, error)

    sa.event.listen(engine, "engine_connect", fails)
    try:
        here.watch.start()
        here.watch.close()
    finally:
        sa.event.remove(engine, "engine_connect", fails)

    assert here.log.failed


@pytest.mark.anyio
async def test_after_five_minutes_there_is_an_alarm_and_after_four_hours_nothing_is_disclosed(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, opened: object
) -> None:
    down = httpx.MockTransport(lambda request: httpx.Response(503))
    here = world(httpx.Client(transport=down))
    await here.grow()
    began = time.time()

    def after(seconds: float) -> tuple[bool, bool]:
        monkeypatch.setattr("gateway.audit.witnessing.watch.time.time", lambda: began + seconds)
        caplog.clear()
        here.watch.look()
        return "no witness has cosigned" in caplog.text, here.log.ready

    told = {seconds: after(seconds) for seconds in (299, 302, 14_399, 14_402)}

    assert told[299] == (False, True)
    assert told[302] == (True, True)
    assert told[14_399][1]
    assert not told[14_402][1]
    assert here.lags[-1] >= 14_400
    with pytest.raises(AuditUnavailable):
        await here.log.append(EventKind.INTENT, {})
    await here.log.append(EventKind.DENIED, {})

    assert callable(opened)
    here.client._client = opened("contactpoint-gateway/audit/", LogSigner.of(here.keys).key)
    here.sealing.checkpoint()
    assert here.watch.bring(here.client)

    assert after(14_403) == (False, True)
    await here.log.append(EventKind.INTENT, {})


@pytest.mark.anyio
async def test_the_lag_survives_a_restart(world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503))))
    await here.grow()
    here.log.close()
    here.sealing.close()
    began = time.time()

    again = world(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503))))
    monkeypatch.setattr("gateway.audit.witnessing.watch.time.time", lambda: began + 20_000)
    again.watch.start()
    again.watch.close()

    assert not again.log.ready


@pytest.mark.anyio
async def test_without_witnesses_there_is_nothing_of_this(
    engine: sa.Engine, keys: AuditKeys, world: Callable[..., World]
) -> None:
    here = world(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503))))
    watch = WitnessWatch(engine, here.log, keys.key_id, [], Patience(1.0, 1.0), here.lags.append)
    await here.grow()

    watch.start()
    watch.close()

    assert here.lags == []
    assert here.log.ready


def test_a_cosigner_s_key_is_not_the_log_s() -> None:
    assert Ed25519Cosigner("n", b"l" * 32).key.key_id != NoteSigner("n", b"l" * 32).key.key_id


@pytest.mark.anyio
async def test_the_end_of_a_shard_that_was_closed_is_cosigned_too(
    engine: sa.Engine, keys: AuditKeys, opened: Callable[..., httpx.Client], keys_of_witness: WitnessKeys, store: Path
) -> None:
    key = keys_of_witness.cosigners[0].key
    log = AuditLog.open(engine, keys, on_fatal=lambda: None, witnesses=[str(key)], limits=ShardLimits(records=5))
    here = World(engine, keys, log, opened("contactpoint-gateway/audit/", LogSigner.of(keys).key), key)
    first = log.shard
    await here.grow()
    here.watch.bring(here.client)
    while log.shard == first:
        await log.append(EventKind.DENIED, {})
    size = log.ended()[0].tree.size
    here.sealing.checkpoint()

    assert here.watch.look() > 0
    assert here.watch.bring(here.client)

    with engine.connect() as connection:
        assert cosigned_size(connection, first, [key.label]) == size
    assert here.watch.look() == 0.0
    assert here.verified(*witnessed_notes(store)) is Status.GOOD
    log.close()
