"""`make prove`: the long proofs. Each writes its own figures to docs/evidence.md; a proof that fails writes nothing.

make prove                      every proof
make prove ARGS="kills 500"     one, with its size
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
    test: str
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
}


def prove(name: str, size: int) -> int:
    """Run one proof and write its part of the document. Return pytest's exit code."""
    proof = PROOFS[name]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", proof.test, f"--junit-xml={report}"]
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
    if arguments and (arguments[0] not in PROOFS or len(arguments) > 2 or not all(a.isdigit() for a in arguments[1:])):
        print(f"prove: give one of {', '.join(PROOFS)} and, if wanted, its size", file=sys.stderr)
        return 2
    names = arguments[:1] or list(PROOFS)
    for name in names:
        size = int(arguments[1]) if len(arguments) > 1 else PROOFS[name].size
        if code := prove(name, size):
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
