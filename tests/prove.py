"""`make prove`: the long proofs. Each writes its own figures to docs/evidence.md; a proof that fails writes nothing.

make prove                      every proof
make prove ARGS="kills 500"     one, with its size
make prove-disclosure           those that nothing is told that may not be; at most 20 minutes
make prove-audit                those of the audit log; each at most 20 minutes
make prove-faults               what every fault reads as: of sources, and of our own; each at most 20 minutes
make prove-soak                 half an hour with faults on

What a proof has done is kept in .proofs/ until it has ended, for as long as the code is the same: one that was
interrupted, or that a slow machine did not end in its time, goes on where it was, and so does a group. The soak alone
begins anew: it is about what one process comes to hold. Each minute it says where it is.

Exit codes: 0 every proof that was asked for held; 75 one did not end, and the same command goes on with it; 2 something
to mend first; any other a proof that failed, as pytest gives it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

from tests.progress import VARIABLE as PROGRESS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "evidence.md"
KEPT = ROOT / ".proofs"
CODE = ("auth", "connectors", "gateway", "schema", "tests", "pyproject.toml")
SECONDS = 20 * 60
INTERRUPTED = 75  # EX_TEMPFAIL: try again
HEAD = "# Evidence\n\nWritten by `make prove`; do not edit. Each part names the command that wrote it.\n"


@dataclass(frozen=True)
class Proof:
    """A test whose size an environment variable sets; it records its figures as properties of the run."""

    title: str
    test: str  # paths and options, as a shell parts them
    variable: str
    size: int
    processes: int = 1
    """Over how many the tests are spread, where each stands alone and none measures time."""
    seconds: int = SECONDS
    """After which it is interrupted."""
    beside: tuple[tuple[str, int], ...] = ()
    """Other variables, of tests whose size is not that of the proof."""


PROOFS = {
    "power-cuts": Proof(
        "No acknowledged record is missing from any state of the disk that a power cut may leave",
        "tests/crash/test_power_cut.py",
        "CONTACTPOINT_TEST_STATES",
        120_000,
    ),
    "storage-faults": Proof(
        "Nothing is told without a durable OUTCOME, whichever call on the database's files fails during a lookup",
        "tests/crash/test_storage_faults.py",
        "CONTACTPOINT_TEST_FAULTS",
        1_000,
    ),
    "verify-speed": Proof(
        "A log that the real writer wrote is verified whole, and how fast",
        "tests/audit/test_verify_speed.py",
        "CONTACTPOINT_TEST_VERIFIED",
        1_000_000,
    ),
    "database-kills": Proof(
        "Every answer has its OUTCOME when PostgreSQL is back, whenever the whole of it is killed",
        "tests/crash/test_database_kill.py",
        "CONTACTPOINT_TEST_DATABASE_KILLS",
        50,
    ),
    "audit-cost": Proof(
        "Both commits of a lookup cost at most 5 ms at the median and 20 ms at the 99th percentile, at 500 a second",
        "tests/crash/test_audit_cost.py",
        "CONTACTPOINT_TEST_COST_SECONDS",
        30,
    ),
    "flips": Proof(
        "Every flipped bit of the stored log is found",
        "tests/tampering/test_tampering.py -k flipped",
        "CONTACTPOINT_TEST_FLIPS",
        100_000,
    ),
    "rewritings": Proof(
        "Every rewriting of the log that is older than the witness's last look is found",
        "tests/tampering/test_tampering.py tests/tampering/test_yesterdays_checkpoint.py -k 'older_than or yesterdays'",
        "CONTACTPOINT_TEST_REWRITES",
        720,
    ),
    "fault-matrix": Proof(
        "No fault of a source reads as nobody, alone or with any other beside it",
        "tests/faults/test_fault_matrix.py tests/faults/test_seeded_defects.py",
        "CONTACTPOINT_TEST_FAULT_DEEDS",
        100,  # all of them: there are fewer
    ),
    "fault-triples": Proof(
        "No fault of a source reads as nobody where three sources do wrong at one time",
        "tests/faults/test_triples.py",
        "CONTACTPOINT_TEST_FAULT_TRIPLES",
        4_000,
    ),
    "fault-batches": Proof(
        "No fault of a source reads as nobody, or costs another asker's answer, where several askers share one call",
        "tests/faults/test_shared_calls.py",
        "CONTACTPOINT_TEST_SHARED_DEEDS",
        100,  # all of them: there are fewer
    ),
    "fault-drivers": Proof(
        "No fault of an agency reads as nobody through a shipped driver, alone or with another beside it",
        "tests/faults/test_drivers.py tests/faults/test_drivers_shared.py",
        "CONTACTPOINT_TEST_DRIVER_PAIRS",
        3_000,
    ),
    "fault-rows": Proof(
        "Each of the 43 rows of the fault matrix has its outcome, and a defect in it is found",
        "tests/faults/test_rows.py",
        "CONTACTPOINT_TEST_FAULT_ROWS",
        43,
    ),
    "soak": Proof(
        "A long time with faults on tells nothing wrong, and nothing grows",
        # what the gateway logs in half an hour would bury what went wrong
        "tests/faults/test_soak.py --show-capture=no",
        "CONTACTPOINT_TEST_SOAK_SECONDS",
        1_800,
        seconds=40 * 60,
    ),
    "kills": Proof(
        "No practitioner reaches a client without a durable OUTCOME, whenever the gateway is killed",
        "tests/end_to_end/test_kill.py",
        "CONTACTPOINT_TEST_KILLS",
        500,
    ),
    "recorded-equals-sent": Proof(
        "OUTCOME holds exactly what its answer holds, for every answer that the tests ask for",
        "tests/gateway tests/appointments tests/reviews tests/review tests/graphql tests/scenarios "
        "tests/end_to_end tests/canaries tests/monotonicity tests/noninterference/test_two_worlds.py "
        "tests/recorded",
        "CONTACTPOINT_TEST_RECORDED",
        1,
    ),
    "compiled": Proof(
        "A compiled answer is what the executor gives, for random operations over random trees",
        "tests/graphql/test_compiled.py",
        "CONTACTPOINT_TEST_OPERATIONS",
        20_000,
    ),
    "two-worlds": Proof(
        "No viewer can tell two worlds apart that policy lets them see alike",
        "tests/noninterference/test_two_worlds.py",
        "CONTACTPOINT_TEST_PAIRS",
        20_000,
    ),
    "stale": Proof(
        "Nothing is told once more but what this viewer was told before and nobody has taken back",
        "tests/noninterference/test_stale_pairs.py tests/gateway/test_stale_sequences.py",
        "CONTACTPOINT_TEST_STALE_PAIRS",
        2_000,
        beside=(("CONTACTPOINT_TEST_SEQUENCES", 60),),
    ),
    "auditors": Proof(
        "No auditor reads in the log what the answers kept from their practitioners",
        "tests/noninterference/test_auditors.py",
        "CONTACTPOINT_TEST_AUDITED_PAIRS",
        600,
    ),
    "leaks": Proof(
        "Every seeded leak is caught, in each of the 26 channels",
        "tests/noninterference/test_leaks_are_caught.py",
        "CONTACTPOINT_TEST_LEAK_SEEDS",
        4,
    ),
    "attacks": Proof(
        "Every row of the attack table is answered as the contract says, and tools recover nothing",
        "tests/attacks/test_attack_table.py tests/attacks/test_attacks_over_the_wire.py "
        "tests/attacks/test_attacks_on_sources.py tests/attacks/test_scanners.py tests/attacks/test_tools.py",
        "CONTACTPOINT_TEST_TOOLS",
        200,
        processes=2,
    ),
    "cost": Proof(
        "What a body of 16 KiB can cost before execution",
        "tests/attacks/test_cost_before_execution.py",
        "CONTACTPOINT_TEST_WORST",
        3_000,
    ),
    "malformed": Proof(
        "No malformed request gets a 5xx or an echo",
        "tests/attacks/test_malformed.py",
        "CONTACTPOINT_TEST_MALFORMED",
        100_000,
    ),
    "timing": Proof(
        "The time of an answer that discloses nothing does not tell why",
        "tests/timing",
        "CONTACTPOINT_TEST_TIMING",
        10_000,
    ),
    "canaries": Proof(
        "Nothing hidden is found in any log, metric, error, header or plain column",
        "tests/canaries",
        "CONTACTPOINT_TEST_CANARIES",
        60,
        processes=2,
    ),
    "detection": Proof(
        "Planted misuse is found among a million lookups, with few alerts, by rules that the simulation does not know",
        "tests/detection/test_evaluation.py",
        "CONTACTPOINT_TEST_DETECTION",
        1_000_000,
    ),
    "monotonicity": Proof(
        "Nobody is told more for losing a scope, a role, a relationship or an agreement",
        "tests/monotonicity",
        "CONTACTPOINT_TEST_DROPS",
        20_000,
        processes=2,
    ),
}


GROUPS = {
    "disclosure": ("two-worlds", "leaks", "attacks", "cost", "malformed", "timing", "canaries", "monotonicity"),
    "audit": (
        "power-cuts",
        "storage-faults",
        "kills",
        "database-kills",
        "flips",
        "rewritings",
        "verify-speed",
        "audit-cost",
        "recorded-equals-sent",
        "auditors",
        "detection",
    ),
    "faults": ("fault-rows", "fault-matrix", "fault-triples", "fault-batches", "fault-drivers"),
}
"""Names for several proofs, in the order in which they run."""


def fingerprint() -> str:
    """Return a name for the code as it is: what was proved of other code is not gone on with."""
    git = ["git", "-C", str(ROOT)]
    text = b"".join(
        subprocess.run([*git, *more, "--", *CODE], check=False, stdout=subprocess.PIPE).stdout
        for more in (["ls-tree", "-r", "HEAD"], ["diff", "HEAD"])
    )
    return hashlib.sha256(text).hexdigest()[:16]


def prove(name: str, size: int) -> int:
    """Run one proof, or what is left of it, and write its part of the document. Return pytest's exit code."""
    proof = PROOFS[name]
    progress = KEPT / fingerprint() / f"{name}-{size}"
    progress.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", *shlex.split(proof.test), f"--junit-xml={report}"]
        # figures are properties of the tests that found them, which the other family of reports leaves out
        command += ["-o", "junit_family=xunit1"]
        if proof.processes > 1:
            command += ["-n", str(proof.processes), "--dist", "worksteal"]
        # the processes must collect the same tests in the same order, also those named from a set
        more = {name: str(number) for name, number in (*proof.beside, (proof.variable, size))}
        more |= {PROGRESS: str(progress / "steps"), "PYTHONHASHSEED": "0"}
        code = run(command, os.environ | more, proof.seconds)
        seconds = _spent(progress / "seconds", time.monotonic() - started)
        if code == INTERRUPTED:
            print(f"{name}: not ended in {proof.seconds // 60} minutes; the same command goes on where it was")
        if code:
            return code
        suite = ElementTree.parse(report).getroot()  # noqa: S314 - our own file
        figures = [(p.get("name"), p.get("value")) for p in suite.iter("property") if "::" not in str(p.get("name"))]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ).stdout.strip()
    figures = [(name, _grouped(str(value))) for name, value in figures]
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures)
    wide = max((len(str(figure)) for figure, _ in figures), default=0)
    for figure, value in figures:
        print(f"  {figure:<{wide}}  {value}")
    write(
        f'make prove ARGS="{name} {size}"',
        f'## {proof.title}\n\n`make prove ARGS="{name} {size}"`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit '
        f"{commit}, {seconds} s, {platform.system()} {platform.machine()}, Python {platform.python_version()}\n\n"
        f"| figure | value |\n|---|---|\n{rows}\n",
    )
    shutil.rmtree(progress)
    return 0


def _grouped(value: str) -> str:
    """Return a figure with its long numbers in threes: easier to read, and never taken for an identifier."""
    return re.sub(r"(?<![\w.,-])\d{5,}(?![\w-]|\.\w)", lambda number: f"{int(number[0]):,}", value)


def run(command: list[str], environment: dict[str, str], seconds: float = SECONDS) -> int:
    """Return the command's exit code, or INTERRUPTED when its time was over; it takes its children with it."""
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return INTERRUPTED
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it take away what it put on disk; end what is left of it and its children after ten seconds."""
    try:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _spent(file: Path, seconds: float) -> int:
    """Return for how long the proof has run in all, this time included."""
    before = int(file.read_text()) if file.exists() else 0
    file.write_text(str(round(before + seconds)))
    return round(before + seconds)


def write(command: str, part: str) -> None:
    """Put a part into the document in the place of the same proof's earlier one."""
    title = part.partition("\n")[0]
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else HEAD
    head, *parts = text.split("\n## ")
    others = [f"## {p}".rstrip() + "\n" for p in parts if f"## {p}".partition("\n")[0] != title]
    DOCUMENT.write_text("\n".join([head.rstrip() + "\n", *others, part]), encoding="utf-8")
    print(f"{command}: written to {DOCUMENT.relative_to(ROOT)}")


def fault_of(arguments: list[str]) -> str | None:
    """Return what is wrong with the arguments, or with where the figures go, before any proof is begun."""
    known = (*PROOFS, *GROUPS)
    if arguments and arguments[0] not in known:
        return f"give one of {', '.join(known)}; --help says what each is"
    if len(arguments) > 1 and arguments[0] in GROUPS:
        return f"{arguments[0]} is several proofs, each with its own size: give none, or name one proof"
    if len(arguments) > 2 or not all(a.isascii() and a.isdecimal() and int(a) for a in arguments[1:]):
        return "the size is one whole number from 1"
    if not os.access(DOCUMENT if DOCUMENT.exists() else DOCUMENT.parent, os.W_OK):
        return f"the figures go to {DOCUMENT.relative_to(ROOT)}, which cannot be written"
    return None


def help_text() -> str:
    """Return what there is to prove, with the size that each has where none is given."""
    proofs = "\n".join(f"  {name:<22}{proof.size:>9,}  {proof.title}" for name, proof in PROOFS.items())
    groups = "\n".join(f"  {name:<22}{', '.join(several)}" for name, several in GROUPS.items())
    return f"{__doc__}\nproofs, and the size of each:\n{proofs}\n\nseveral by one name:\n{groups}"


def _stop(signum: int, frame: FrameType | None) -> None:
    print("prove: stopped; the same command goes on where it was", file=sys.stderr)
    sys.exit(INTERRUPTED)


def main(arguments: list[str]) -> int:
    """Return 0 when every proof that was asked for held."""
    if {"-h", "--help"} & set(arguments):
        print(help_text())
        return 0
    fault = fault_of(arguments)
    if fault:
        print(f"prove: {fault}", file=sys.stderr)
        return 2
    # so that what is stopped takes along what it runs
    for stopping in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stopping, _stop)
    names = GROUPS.get(arguments[0], arguments[:1]) if arguments else list(PROOFS)
    held = KEPT / fingerprint() / f"{arguments[0] if arguments else 'all'}.held"
    before = held.read_text().split() if held.exists() else []
    codes = dict.fromkeys(before, 0)
    for name in names:
        if name not in codes:
            size = int(arguments[1]) if len(arguments) > 1 else PROOFS[name].size
            codes[name] = prove(name, size)
            if codes[name] == 0:
                held.write_text("\n".join(name for name, code in codes.items() if code == 0))
    if all(code == 0 for code in codes.values()):
        # the whole of it: the next time is a new one
        held.unlink(missing_ok=True)
    for name, code in codes.items():
        word = "holds" if code == 0 else "has not ended" if code == INTERRUPTED else "FAILS"
        print(f"{name:<22}{word}")
    return max(codes.values())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
