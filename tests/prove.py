"""`make prove`: the long proofs. Each writes its own figures to docs/evidence.md; a proof that fails writes nothing.

make prove                      every proof
make prove ARGS="kills 500"     one, with its size
make prove-disclosure           those that nothing is told that may not be; at most 20 minutes
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "evidence.md"
HEAD = "# Evidence\n\nWritten by `make prove`; do not edit. Each part names the command that wrote it.\n"


@dataclass(frozen=True)
class Proof:
    """A test whose size an environment variable sets; it records its figures as properties of the run."""

    title: str
    test: str  # paths, parted by spaces
    variable: str
    size: int


PROOFS = {
    "kills": Proof(
        "No practitioner reaches a client without a durable OUTCOME, whenever the gateway is killed",
        "tests/end_to_end/test_kill.py",
        "CONTACTPOINT_TEST_KILLS",
        500,
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
    ),
    "monotonicity": Proof(
        "Nobody is told more for losing a scope, a role, a relationship or an agreement",
        "tests/monotonicity",
        "CONTACTPOINT_TEST_DROPS",
        20_000,
    ),
}


GROUPS = {"disclosure": ("two-worlds", "leaks", "attacks", "cost", "malformed", "timing", "canaries", "monotonicity")}
"""Names for several proofs, in the order in which they run."""


def prove(name: str, size: int) -> int:
    """Run one proof and write its part of the document. Return pytest's exit code."""
    proof = PROOFS[name]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", *proof.test.split(), f"--junit-xml={report}"]
        code = subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, proof.variable: str(size)}).returncode
        if code:
            return code
        suite = ElementTree.parse(report).getroot()  # noqa: S314 - our own file
        figures = [(p.get("name"), p.get("value")) for p in suite.iter("property") if "::" not in str(p.get("name"))]
    seconds = round(time.monotonic() - started)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ).stdout.strip()
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures)
    write(
        f'make prove ARGS="{name} {size}"',
        f'## {proof.title}\n\n`make prove ARGS="{name} {size}"`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit '
        f"{commit}, {seconds} s, {platform.system()} {platform.machine()}, Python {platform.python_version()}\n\n"
        f"| figure | value |\n|---|---|\n{rows}\n",
    )
    return 0


def write(command: str, part: str) -> None:
    """Put a part into the document in the place of the same proof's earlier one."""
    title = part.partition("\n")[0]
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else HEAD
    head, *parts = text.split("\n## ")
    others = [f"## {p}".rstrip() + "\n" for p in parts if f"## {p}".partition("\n")[0] != title]
    DOCUMENT.write_text("\n".join([head.rstrip() + "\n", *others, part]), encoding="utf-8")
    print(f"{command}: written to {DOCUMENT.relative_to(ROOT)}")


def main(arguments: list[str]) -> int:
    """Return 0 when every proof that was asked for held."""
    known = (*PROOFS, *GROUPS)
    if arguments and (arguments[0] not in known or len(arguments) > 2 or not all(a.isdigit() for a in arguments[1:])):
        print(f"prove: give one of {', '.join(known)} and, for a single proof, its size", file=sys.stderr)
        return 2
    names = GROUPS.get(arguments[0], arguments[:1]) if arguments else list(PROOFS)
    codes = {}
    for name in names:
        size = int(arguments[1]) if len(arguments) > 1 else PROOFS[name].size
        codes[name] = prove(name, size)
    for name, code in codes.items():
        print(f"{name:<14}{'holds' if code == 0 else 'FAILS'}")
    return max(codes.values())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
