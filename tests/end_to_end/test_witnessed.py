"""A gateway and the witness of another organisation, each a process of its own with its own key and store.

What the gateway's operators may do to their database, with their own key, the witness's process refuses to cosign, and
an auditor with what it has kept finds. And what the gateway does while its witness is away.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from gateway.audit.keys import AuditKeys
from gateway.audit.recovery import origin_of
from gateway.audit.signing import LogSigner
from gateway.audit.witnessing.keys import WitnessKeys
from gateway.audit.witnessing.protocol import format_submission
from tests.end_to_end.load import REPOSITORY, Lives, Load
from tests.end_to_end.world import DemoWorld
from tests.fixtures.ports import free_port
from tests.tampering.contents import Contents, store, stored
from tests.tampering.flips import Attacker

pytestmark = pytest.mark.network

WAIT = 60.0
NAME = "witness.example/audit"
ALARM, REFUSE = 1.0, 1.5
"""In place of the five minutes and the four hours that stand in the settings unless somebody says otherwise."""
LAG = "contactpoint_audit_witness_lag_seconds"


class WitnessProcess:
    """`contactpoint audit witness`, as another organisation runs it; it may be killed and started again."""

    def __init__(self, folder: Path, log_key: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.store = folder / "store"
        self._command = [
            *(sys.executable, "-m", "gateway", "audit", "witness", "--store", str(self.store)),
            *("--key", str(folder / "key.json"), "--name", NAME, "--log", log_key),
            *("--listen", f"127.0.0.1:{port}"),
        ]
        # made before the process, so that the gateway's configuration need not wait for it
        self.key = str(WitnessKeys.load_or_create(folder / "key.json", NAME).cosigners[0].key)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)

    def told(self) -> str:
        """Return the first line that it prints: its verifier key, which the gateway's configuration needs."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def add_checkpoint(self, old: int, note: bytes) -> httpx.Response:
        """Ask for a cosignature, as a log would, without a proof."""
        body = format_submission(old, [], note)
        return httpx.post(f"{self.url}/add-checkpoint", content=body, trust_env=False)

    def served(self, shard: str) -> bytes:
        """Return what it serves to monitors of a shard: 404's body if it has never seen it."""
        origin = sha256(origin_of(shard).encode()).hexdigest()
        return httpx.get(f"{self.url}/{origin}/checkpoint", trust_env=False).content

    def refused(self) -> int:
        """Return how many requests it has kept as evidence against the log."""
        with closing(sqlite3.connect(self.store / "witness.db")) as database:
            found: int = database.execute("SELECT count(*) FROM refused").fetchone()[0]
        return found


@dataclass(frozen=True)
class Organisations:
    """The gateway's, with its database and its key, and the witness's."""

    folder: Path
    lives: Lives
    load: Load
    witness: WitnessProcess

    @property
    def database(self) -> Path:
        return self.folder / "contactpoint.db"

    def look_up(self) -> int:
        token = self.load.world.token("social-worker")
        with httpx.Client(trust_env=False, timeout=10) as client:
            return self.load.look_up(client, token, "ordinary")

    def ask(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.lives.url}{path}", trust_env=False)

    def live(self, lookups: int) -> None:
        """Run the gateway for some lookups, and stop it in order: its last checkpoint is cosigned before it ends."""
        pid = self.lives.start()
        for _ in range(lookups):
            until(lambda: self.look_up() == 200)
        assert self.lives.end(pid, signal.SIGTERM) == 0

    def verified(self, *options: str | Path) -> dict[str, Any]:
        """Return what `contactpoint audit verify` says, with its exit code."""
        command = ["audit", "verify", "--config", str(self.folder / "gateway.toml"), "--json", *map(str, options)]
        told = CliRunner().invoke(contactpoint, command)
        report: dict[str, Any] = json.loads(told.stdout)
        return report | {"exit": told.exit_code}

    def exit_codes(self, note: Path) -> tuple[int, int, int]:
        """Return what an auditor finds with the gateway's word alone, with the witness's store, and with one note."""
        judged = ((), ("--from-witness", self.witness.store), ("--checkpoint", note))
        alone, witnessed, held = (self.verified(*options)["exit"] for options in judged)
        return alone, witnessed, held

    def newest(self) -> tuple[str, int, bytes]:
        """Return the shard of lookups, the size that its rows say was cosigned, and its newest signed note."""
        with closing(sqlite3.connect(self.database)) as database:
            shard, size = database.execute(
                "SELECT shard, max(size) FROM audit_cosignature WHERE shard NOT LIKE 'master%' GROUP BY shard"
            ).fetchone()
            (note,) = database.execute(
                "SELECT note FROM audit_checkpoint WHERE shard = ? ORDER BY size DESC LIMIT 1", (shard,)
            ).fetchone()
        return shard, size, note


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@contextmanager
def organisations(world: DemoWorld, folder: Path, **audit: Any) -> Iterator[Organisations]:
    ours, theirs = folder / "gateway", folder / "witness"
    ours.mkdir()
    theirs.mkdir()
    signer = LogSigner.of(AuditKeys.load_or_create(ours / "audit.key"))
    witness = WitnessProcess(theirs, str(signer.key))
    try:
        named = {"witnesses": [{"url": witness.url, "vkey": witness.key}], **audit}
        with Lives(world.settings, ours, audit=named) as lives:
            lives.prepare()
            assert witness.told() == witness.key
            yield Organisations(ours, lives, Load(world, lives.url), witness)
    finally:
        witness.kill()


def copied(database: Path, to: Path) -> Path:
    """Make one database hold what another holds; return it."""
    with closing(sqlite3.connect(database)) as connection, closing(sqlite3.connect(to)) as copy:
        connection.backup(copy)
    return to


def rewrite_with_the_key(database: Path, keys: AuditKeys, shard: str) -> None:
    """Change the reason of the first lookup; then make every hash, node, checkpoint and the master log fit, signed."""
    attacker = Attacker(database)
    try:
        log, signer = Contents.of(stored(attacker)), LogSigner.of(keys)
        records = log.records[shard]
        at = next(seq for seq, each in enumerate(records) if each.kind == "INTENT")
        records[at] = records[at].saying(records[at].content | {"reason": "Another reason"})
        for _ in range(2):
            log.sign_anew(signer, int(time.time()))
            log.tell_the_master()
        log.sign_anew(signer, int(time.time()))
        store(attacker, log.rows())
    finally:
        attacker.close()


def test_the_witness_s_process_cosigns_no_log_that_was_put_back_or_rewritten_and_what_it_keeps_shows_it(
    world: DemoWorld, tmp_path: Path
) -> None:
    with organisations(world, tmp_path) as here:
        here.live(lookups=2)
        earlier = copied(here.database, tmp_path / "earlier.db")
        here.live(lookups=2)
        whole = copied(here.database, tmp_path / "whole.db")
        shard, size, _ = here.newest()
        note = tmp_path / "yesterday.txt"
        note.write_bytes(here.witness.served(shard))

        told = here.verified("--from-witness", here.witness.store)
        assert (told["exit"], told["findings"]) == (0, [])
        assert told["cosignatures"] >= 4  # of the shard and its master, in each life
        assert here.exit_codes(note) == (0, 0, 0)

        # an earlier copy of the database is put back: it is consistent in itself, and signed by the gateway's key
        copied(earlier, here.database)
        assert here.exit_codes(note) == (0, 4, 4)
        _, cosigned, newest = here.newest()
        stale = here.witness.add_checkpoint(cosigned, newest)
        assert cosigned < size
        assert (stale.status_code, stale.text, stale.headers["content-type"]) == (409, f"{size}\n", "text/x.tlog.size")
        here.lives.begin()
        assert here.lives.ended() == 70
        assert here.verified()["exit"] == 4

        # the log is rewritten from its first lookup on, as whoever has the key can
        copied(whole, here.database)
        assert here.exit_codes(note) == (0, 0, 0)
        before = here.witness.refused()
        rewrite_with_the_key(here.database, AuditKeys.load_or_create(here.folder / "audit.key"), shard)
        alone, *held = here.exit_codes(note)
        # it does not contradict itself; that the configured witness has seen none of it may be told already
        assert alone in {0, 3}
        assert held == [4, 4]
        with closing(sqlite3.connect(here.database)) as database:
            query = "SELECT note FROM audit_checkpoint WHERE shard = ? AND size = ?"
            (forged,) = database.execute(query, (shard, size)).fetchone()
        assert here.witness.add_checkpoint(size, forged).status_code == 422
        assert here.witness.refused() == before + 1
        here.lives.begin()
        assert here.lives.ended() == 70
        # the gateway's own attempt is evidence too
        assert here.witness.refused() > before + 1
        assert here.witness.served(shard) == note.read_bytes()


def test_without_its_witness_the_gateway_alarms_then_discloses_nothing_and_goes_on_when_it_is_back(
    world: DemoWorld, tmp_path: Path
) -> None:
    with organisations(world, tmp_path, alarm_after_seconds=ALARM, refuse_after_seconds=REFUSE) as here:
        pid = here.lives.start()
        until(lambda: here.look_up() == 200)
        until(lambda: here.verified()["cosignatures"] >= 2)

        here.witness.kill()
        until(lambda: here.look_up() == 503)
        told = here.lives.log.read_text(encoding="utf-8")
        assert told.index("no witness has cosigned the audit log") < told.index("nothing is disclosed until a witness")
        assert here.ask("/readyz").status_code == 503
        assert here.ask("/livez").status_code == 200
        lag = next(line for line in here.ask("/metrics").text.splitlines() if line.startswith(LAG))
        assert float(lag.split()[1]) >= REFUSE
        answered = len(here.load.received)

        here.witness.start()
        assert here.witness.told() == here.witness.key
        until(lambda: here.look_up() == 200)
        assert "lookups are answered" in here.lives.log.read_text(encoding="utf-8")
        assert here.ask("/readyz").status_code == 200
        assert len(here.load.received) == answered + 1
        assert here.lives.end(pid, signal.SIGTERM) == 0

        told_at_last = here.verified("--from-witness", here.witness.store)
        assert (told_at_last["exit"], told_at_last["findings"]) == (0, [])
        assert all("AUDIT_UNAVAILABLE" in each for each in here.load.odd)
        assert here.witness.refused() == 0
