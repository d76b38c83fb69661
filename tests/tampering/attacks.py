"""What an insider may do to the log, from an edit of one row to a rewriting of everything with the signing key.

python -m tests.tampering.attacks SEED ROUNDS      prints what was found as JSON
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.merkle import Fetch, leaf_hash
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import NoLog, Status, verify
from gateway.storage.engine import open_engine
from tests.crash.power_cut import scratch
from tests.tampering.contents import Contents, Rows, Written, renumbered, store, stored
from tests.tampering.flips import Attacker
from tests.tampering.outsider import CONTRADICTED, COSIGNED, STALE
from tests.tampering.specimen import Specimen, make_specimen

RECEIPTS = 0.01
"""The share of records of which somebody outside has kept the proof."""


@dataclass(frozen=True)
class Target:
    """Where the attack is made."""

    shard: str
    seq: int


Change = Callable[[Contents, Target, random.Random], None]
Edit = Callable[[Rows, Target, random.Random], None]


# What is changed of the records, everything else being recomputed afterwards.


def edit(contents: Contents, target: Target, _: random.Random) -> None:
    """Somebody else was named."""
    records = contents.records[target.shard]
    records[target.seq] = records[target.seq].saying(records[target.seq].content | {"reason": "Another reason"})


def delete(contents: Contents, target: Target, _: random.Random) -> None:
    """It never happened."""
    records = contents.records[target.shard]
    del records[target.seq]
    contents.records[target.shard] = renumbered(records, target.seq, -1)


def insert(contents: Contents, target: Target, chance: random.Random) -> None:
    """It happened, although it did not."""
    records = renumbered(contents.records[target.shard], target.seq, 1)
    denied = Written(records[target.seq].time, EventKind.DENIED.value, chance.randbytes(16), b'{"code":"BUDGET"}')
    contents.records[target.shard] = [*records[: target.seq], denied, *records[target.seq :]]


def swap(contents: Contents, target: Target, _: random.Random) -> None:
    """It happened in another order."""
    records = contents.records[target.shard]
    here, there = target.seq, target.seq - 1
    times = records[there].time, records[here].time
    records[there], records[here] = records[here], records[there]
    for seq, time in zip((there, here), times, strict=True):
        records[seq] = Written(time, records[seq].kind, records[seq].salt, records[seq].payload)


def split(contents: Contents, target: Target, chance: random.Random) -> None:
    """From here on, another story of the same length: what the witness saw is another view."""
    records = contents.records[target.shard]
    for seq in range(target.seq, len(records)):
        if records[seq].kind != EventKind.ADMIN.value:
            records[seq] = records[seq].saying(records[seq].content | {"reason": f"Story {chance.randrange(1000)}"})


def drop_shard(contents: Contents, target: Target, _: random.Random) -> None:
    """A whole shard never was."""
    del contents.records[target.shard], contents.shards[target.shard]
    contents.notes = {key: note for key, note in contents.notes.items() if key[0] != target.shard}
    contents.lines = {key: line for key, line in contents.lines.items() if key[0] != target.shard}


CHANGES: Mapping[str, Change] = {
    "edit": edit,
    "delete": delete,
    "insert": insert,
    "swap": swap,
    "split view": split,
    "drop a shard": drop_shard,
}


# What is changed of the rows, nothing else being recomputed.


def _replace(rows: Rows, table: str, where: Target, column: int, value: bytes) -> None:
    for number, row in enumerate(rows[table]):
        if row[:2] == (where.shard, where.seq):
            rows[table][number] = (*row[:column], value, *row[column + 1 :])


def edit_row(rows: Rows, target: Target, _: random.Random) -> None:
    _replace(rows, "audit_payload", target, 3, b'{"reason":"Another reason"}')


def delete_row(rows: Rows, target: Target, _: random.Random) -> None:
    for table in ("audit_leaf", "audit_payload"):
        rows[table] = [row for row in rows[table] if row[:2] != (target.shard, target.seq)]


def insert_row(rows: Rows, target: Target, _: random.Random) -> None:
    last = max(seq for shard, seq, *_ in rows["audit_leaf"] if shard == target.shard)
    for table in ("audit_leaf", "audit_payload"):
        copied = next(row for row in rows[table] if row[:2] == (target.shard, target.seq))
        rows[table].append((target.shard, last + 1, *copied[2:]))


def swap_rows(rows: Rows, target: Target, _: random.Random) -> None:
    for table in ("audit_leaf", "audit_payload"):
        pair = [row for row in rows[table] if row[0] == target.shard and row[1] in {target.seq, target.seq - 1}]
        rows[table] = [row for row in rows[table] if row not in pair]
        rows[table] += [(a[0], b[1], *a[2:]) for a, b in zip(pair, pair[::-1], strict=True)]


def blank_hash(rows: Rows, target: Target, _: random.Random) -> None:
    """The anti-pattern: a row without its checksum that a careless verifier passes over."""
    _replace(rows, "audit_leaf", target, 3, b"")


def recompute_hash(rows: Rows, target: Target, _: random.Random) -> None:
    """A leaf and its hash agree; the tree above does not know of it."""
    row = next(row for row in rows["audit_leaf"] if row[:2] == (target.shard, target.seq))
    body = row[2].replace(b'"v":1', b'"v":2')
    _replace(rows, "audit_leaf", target, 2, body)
    _replace(rows, "audit_leaf", target, 3, leaf_hash(body))


def node_as_leaf(rows: Rows, target: Target, _: random.Random) -> None:
    """Two leaves are folded into one that has their node's hash, all along: the root stays what it was."""
    shard = target.shard
    leaves = [row for row in rows["audit_leaf"] if row[0] == shard]
    even = len(leaves) & ~1
    nodes = {(level, ix): hashed for of, level, ix, hashed in rows["audit_node"] if of == shard}
    folded = [(shard, ix, b"\x01" + leaves[2 * ix][3] + leaves[2 * ix + 1][3], nodes[1, ix]) for ix in range(even // 2)]
    rows["audit_leaf"] = [row for row in rows["audit_leaf"] if row[0] != shard] + folded
    rows["audit_payload"] = [row for row in rows["audit_payload"] if row[0] != shard or row[1] < len(folded)]
    rows["audit_node"] = [row for row in rows["audit_node"] if row[0] != shard] + [
        (shard, level - 1, ix, hashed) for (level, ix), hashed in nodes.items() if level > 1
    ]


def fake_purge(rows: Rows, target: Target, _: random.Random) -> None:
    """The payload is gone, as if its time had come; no record says so."""
    rows["audit_payload"] = [row for row in rows["audit_payload"] if row[:2] != (target.shard, target.seq)]


EDITS: Mapping[str, Edit] = {
    "edit": edit_row,
    "delete": delete_row,
    "insert": insert_row,
    "swap": swap_rows,
    "blanked checksum": blank_hash,
    "recomputed checksum": recompute_hash,
    "node as leaf": node_as_leaf,
    "faked purge": fake_purge,
}

ROWS_ONLY, NO_KEY, WITH_KEY = "rows only", "recomputed, no key", "recomputed, with the key"
ROLL_BACK, BACKUP = "roll back", "an earlier backup put back"
ATTACKS = (
    *((name, ROWS_ONLY) for name in EDITS),
    *((name, NO_KEY) for name in CHANGES),
    *((name, WITH_KEY) for name in CHANGES),
    (ROLL_BACK, BACKUP),
)


@dataclass
class Tally:
    """How often an attack was tried, and who found it; `old` counts what is older than the witness's last look.

    `refused` counts where the witness itself, brought the newest checkpoints afterwards, did not cosign one of each
    shard that it knows; `stale`, `contradicted` and `not_brought` what was the matter with the first that it did not.
    """

    tried: int = 0
    hashes: int = 0
    signed: int = 0
    witness: int = 0
    receipts: int = 0
    old: int = 0
    old_witness: int = 0
    asked: int = 0
    refused: int = 0
    old_refused: int = 0
    stale: int = 0
    contradicted: int = 0
    not_brought: int = 0
    forgetful: int = 0
    asked_forgetful: int = 0


@dataclass
class Campaign:
    """Attacks on one log, each from the whole of it."""

    specimen: Specimen
    tallies: dict[str, Tally] = field(default_factory=dict)

    def run(self, rounds: int, chance: random.Random) -> None:
        engine = open_engine(f"sqlite:///{self.specimen.file}", create=False)
        attacker = Attacker(self.specimen.file)
        try:
            whole = Contents.of(stored(attacker))
            self._control(engine, attacker, whole)
            for number in range(rounds):
                for name, strength in ATTACKS:
                    self._attack(engine, attacker, whole, name, strength, chance)
                    if strength == WITH_KEY and number == 0:
                        self._ask_one_that_forgot(name, stored(attacker))
            self._control(engine, attacker, whole)
        finally:
            self.specimen.witness.close()
            attacker.close()
            engine.dispose()

    def _control(self, engine: sa.Engine, attacker: Attacker, whole: Contents) -> None:
        """What is put together again without an attack is found whole: the forger's hand alone is not what is found."""
        store(attacker, whole.without_seals().rows())
        assert not found(engine, Trust())
        again = whole.copy()
        again.sign_anew(self.specimen.signer, 1_790_000_000)
        again.tell_the_master()
        store(attacker, again.rows())
        assert again.rows() == whole.copy().rows()
        assert not found(engine, self.specimen.witnessed)
        assert self._asked(again.rows(), again.master) == COSIGNED

    def _attack(
        self, engine: sa.Engine, attacker: Attacker, whole: Contents, name: str, strength: str, chance: random.Random
    ) -> None:
        shard = chance.choice(whole.victims)
        # after STARTED, which a forger leaves alone, and with one before it to swap with
        target = Target(shard, chance.randrange(2, len(whole.records[shard]) - 1))
        kept = {
            (of, seq): row for of, seq, *row in whole.rows()["audit_leaf"] if seq >= 0 and chance.random() < RECEIPTS
        }
        forged, bare = self._forged(whole, name, strength, target, chance)
        tally = self.tallies.setdefault(f"{name} | {strength}", Tally())
        tally.tried += 1
        store(attacker, bare)
        tally.hashes += found(engine, Trust())
        store(attacker, forged)
        tally.signed += found(engine, self.specimen.trust)
        seen = found(engine, self.specimen.witnessed)
        tally.witness += seen
        now = {(of, seq): row for of, seq, *row in forged["audit_leaf"]}
        tally.receipts += seen or any(now.get(place) != row for place, row in kept.items())
        old = self._seen_by_the_witness(name, target, forged)
        tally.old += old
        tally.old_witness += old and seen
        if strength != ROWS_ONLY:
            # without a new hash there is nothing new to sign, nor to bring
            answer = self._asked(forged, target.shard)
            tally.asked += 1
            tally.refused += answer != COSIGNED
            tally.old_refused += old and answer != COSIGNED
            tally.stale += answer == STALE
            tally.contradicted += answer == CONTRADICTED
            tally.not_brought += answer is None

    def _asked(self, rows: Rows, first: str) -> int | None:
        """Bring the witness the newest note of every shard that it knows, the attacked one first.

        Return the status of the first that it does not cosign, None if there is none to bring, or 200.
        """
        answers: list[int | None] = []
        for shard in sorted(self.specimen.seen, key=lambda shard: (shard != first, shard)):
            notes = {size: note for of, size, note in rows["audit_checkpoint"] if of == shard}
            if not notes:
                answers.append(None)
                break
            size = max(notes)
            cosigned = [at for of, at, *_ in rows["audit_cosignature"] if of == shard and at <= size]
            status, _ = self.specimen.witness.ask(max(cosigned, default=0), notes[size], nodes_of(rows, shard))
            answers.append(status)
            if status != COSIGNED:
                break
        if COSIGNED in answers:
            # that it remembers, and the next attack is made on the whole log
            self.specimen.witness.again()
        return answers[-1]

    def _ask_one_that_forgot(self, name: str, forged: Rows) -> None:
        """The control: a witness that has lost its store would cosign what was rewritten with the key."""
        tally = self.tallies[f"{name} | {WITH_KEY}"]
        self.specimen.witness.forget()
        newest = {shard: note for shard, _, note in sorted(forged["audit_checkpoint"])}
        answers = {self.specimen.witness.ask(0, note, nodes_of(forged, shard))[0] for shard, note in newest.items()}
        tally.asked_forgetful += 1
        tally.forgetful += answers == {COSIGNED}
        self.specimen.witness.again()

    def _seen_by_the_witness(self, name: str, target: Target, forged: Rows) -> bool:
        """Say whether what was changed is older than the witness's last look."""
        seen = self.specimen.seen
        if name != ROLL_BACK:
            return target.seq < seen[target.shard]
        left = Counter(shard for shard, *_ in forged["audit_leaf"])
        return any(left[shard] < size for shard, size in seen.items())

    def _forged(
        self, whole: Contents, name: str, strength: str, target: Target, chance: random.Random
    ) -> tuple[Rows, Rows]:
        """Return the rows after the attack, and those of the same attack on a log that has only hashes."""
        if strength == ROWS_ONLY:
            rows, bare = whole.copy().rows(), whole.without_seals().rows()
            state = chance.getstate()
            EDITS[name](rows, target, chance)
            chance.setstate(state)
            EDITS[name](bare, target, chance)
            return rows, bare
        if name == ROLL_BACK:
            backup = Attacker(chance.choice(self.specimen.backups))
            rows = stored(backup)
            backup.close()
            return rows, Contents.of(rows).without_seals().rows()
        contents = whole.copy()
        CHANGES[name](contents, target, chance)
        if strength == WITH_KEY:
            contents.sign_anew(self.specimen.signer, 1_790_000_000)
            contents.tell_the_master()
            contents.sign_anew(self.specimen.signer, 1_790_000_000)
        else:
            contents.only_what_fits()
            contents.tell_the_master()
            contents.only_what_fits()
        return contents.rows(), contents.without_seals().rows()


def nodes_of(rows: Rows, shard: str) -> Fetch:
    """Return the tree of a shard as rows hold it."""
    nodes = {(0, seq): hashed for of, seq, _, hashed in rows["audit_leaf"] if of == shard}
    nodes.update({(level, ix): hashed for of, level, ix, hashed in rows["audit_node"] if of == shard})
    return lambda level, ix: nodes[level, ix]


def found(engine: sa.Engine, trust: Trust) -> bool:
    """Say whether the real verifier finds that something is wrong."""
    try:
        return verify(engine, trust).status is not Status.GOOD
    except NoLog:
        return True


def run(seed: int, rounds: int) -> dict[str, Tally]:
    """Make every attack so often on a log of its own."""
    with tempfile.TemporaryDirectory(prefix="tampering-", dir=scratch()) as folder:
        campaign = Campaign(make_specimen(Path(folder), 32, 8))
        campaign.run(rounds, random.Random(seed))
        return campaign.tallies


if __name__ == "__main__":
    print(json.dumps({name: asdict(tally) for name, tally in run(int(sys.argv[1]), int(sys.argv[2])).items()}))
