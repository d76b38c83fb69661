"""One run of the traced program, and the power cut at every moment of it.

python -m tests.crash.power_cut SPECIFICATION   (JSON: see `Run`); prints its Count as JSON
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.signing import LogSigner
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import Status, verify
from gateway.storage.engine import open_engine
from tests.crash import tracing
from tests.crash.disk import State, states
from tests.crash.stored_log import Verdict, whole_log
from tests.crash.traced import DATABASE, KEYS, MARKS, Traced, prepare

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """What is run, and how many states are tried; every `reopen`th by the real log and the real verifier as well."""

    library: str
    mode: str
    seed: int
    callers: int
    lookups: int
    pages: int
    states: int
    reopen: int

    def argument(self) -> str:
        return json.dumps(asdict(self))


@dataclass
class Count:
    """What was found: states by how they came about, and the bad ones by what is wrong."""

    states: dict[str, int] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)
    bad_as_killed: int = 0
    reopened: int = 0
    not_reopened: int = 0
    acknowledged: int = 0
    checkpoints: int = 0
    calls: int = 0
    syncs: int = 0


def scratch() -> Path:
    """Return where states are put: memory, where there is some, for no state needs a disk of its own."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of a random name is made in it
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def run(wanted: Run) -> Count:
    """Run the program, then judge every state."""
    with tempfile.TemporaryDirectory(prefix="crash-", dir=scratch()) as folder:
        return _replay(wanted, Path(folder).resolve())


def _replay(wanted: Run, folder: Path) -> Count:
    live = folder / "live"
    live.mkdir()
    prepare(live)
    baseline = {DATABASE: (live / DATABASE).read_bytes()}
    trace = folder / "trace"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.crash.traced"),
            Traced(str(live), wanted.mode, wanted.callers, wanted.lookups, wanted.pages).argument(),
        ],
        cwd=ROOT,
        env=tracing.environment(Path(wanted.library), live / DATABASE, trace, marks=live / MARKS),
    ) as process:
        if process.wait(120):
            raise RuntimeError("the traced program failed")
    calls = tracing.read_trace(Path(f"{trace}.{process.pid}"))
    acknowledged = [call.data.decode().strip() for call in calls if call.operation == "A"]
    whole = whole_log(live / DATABASE, acknowledged)
    last = whole.last_places(acknowledged)
    count = Count(
        acknowledged=len(acknowledged),
        checkpoints=len(whole.checkpoints),
        calls=len(calls),
        syncs=sum(call.operation == "s" for call in calls),
    )
    how, bad = Counter[str](), Counter[str]()
    chance = random.Random(f"{wanted.mode} {wanted.seed}")
    place = folder / "state"
    for number, state in enumerate(states(baseline, calls, chance, wanted.states)):
        _put(state, place, chance)
        verdict = whole.judge(place / DATABASE, last[state.acknowledged])
        how[state.how] += 1
        if verdict is not Verdict.GOOD:
            bad[verdict] += 1
            count.bad_as_killed += state.how == "prefix"
        elif number % wanted.reopen == 0:
            count.reopened += 1
            _put(state, place, chance)
            count.not_reopened += not _goes_on(place, live / KEYS)
    count.states, count.bad = dict(how), dict(bad)
    return count


def _put(state: State, place: Path, chance: random.Random) -> None:
    """Make the folder hold the files of a state, and nothing else of the database."""
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        if old.name not in state.files:
            old.unlink()
    for name, content in state.files.items():
        (place / name).write_bytes(content)
    if chance.random() < 0.3:
        # the index of the write-ahead log is never synced: it may be anything
        (place / f"{DATABASE}-shm").write_bytes(chance.randbytes(32_768))


def trust_of(keys: AuditKeys) -> Trust:
    """Return what an auditor trusts who was given the log's own keys."""
    signer = LogSigner.of(keys)
    return Trust(log_keys=(signer.key,), cosigners=() if signer.cosigner is None else (signer.cosigner,))


def _goes_on(place: Path, keys: Path) -> bool:
    """Say whether the real log takes the shard up again, writes to it, and the real verifier finds nothing."""
    shutil.copy(keys, place / KEYS)
    engine = open_engine(f"sqlite:///{place}/{DATABASE}", create=False)
    try:
        known = AuditKeys.load_or_create(place / KEYS, create=False)
        AuditLog.open(engine, known, on_fatal=lambda: None).close()
        return verify(engine, trust_of(known)).status is Status.GOOD
    finally:
        engine.dispose()


if __name__ == "__main__":
    print(json.dumps(asdict(run(Run(**json.loads(sys.argv[1]))))))
