"""Whatever an insider changes of the log is found: a bit at once, a rewriting as soon as a witness had seen the log.

CONTACTPOINT_TEST_FLIPS sets how many bits are flipped (200), CONTACTPOINT_TEST_REWRITES how often each attack is made
(2); the longer proofs take more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.crash.power_cut import ROOT
from tests.progress import Progress
from tests.tampering.attacks import ATTACKS, BACKUP, NO_KEY, ROWS_ONLY, WITH_KEY
from tests.tampering.flips import COLUMNS

FLIPS = int(os.environ.get("CONTACTPOINT_TEST_FLIPS", "200"))
ROUNDS = int(os.environ.get("CONTACTPOINT_TEST_REWRITES", "2"))
FLIPS_OF_A_LOG = 2_000
ROUNDS_OF_A_LOG = 20
TOGETHER = 2


def ran(module: str, whole: int, of_a_log: int) -> list[Mapping[str, Any]]:
    """Return what every process found, each on a log of its own, two at a time."""

    def work(step: str) -> Mapping[str, Any]:
        seed, count = step.split()[1:]
        command = [sys.executable, "-m", f"tests.tampering.{module}", seed, count]
        child = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=900)
        found: Mapping[str, Any] = json.loads(child.stdout)
        return found

    steps = [f"{module} {first // of_a_log} {min(of_a_log, whole - first)}" for first in range(0, whole, of_a_log)]
    return Progress.of_this_proof(module).run(steps, work, at_once=TOGETHER)


def test_every_flipped_bit_of_the_log_is_found(record_testsuite_property: Callable[[str, object], None]) -> None:
    found = ran("flips", FLIPS, FLIPS_OF_A_LOG)

    flips: Counter[str] = Counter()
    for each in found:
        flips.update(each["flips"])
    missed = [miss for each in found for miss in each["missed"]]
    record_testsuite_property("bits flipped, one at a time, each judged by the real verifier", flips.total())
    record_testsuite_property("records in a log", found[0]["records"])
    for column, count in sorted(flips.items()):
        record_testsuite_property(f"of them in {column}", count)
    record_testsuite_property("found", f"{flips.total() - len(missed)} of {flips.total()}")
    assert missed == []
    assert flips.total() == FLIPS
    columns = {f"{table}.{column}" for table, named in COLUMNS.items() for column in named}
    assert set(flips) == columns if FLIPS >= 2_000 else set(flips) <= columns


def test_every_rewriting_older_than_the_witness_s_last_look_is_found(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    tallies: dict[str, Counter[str]] = {}
    for each in ran("attacks", ROUNDS, ROUNDS_OF_A_LOG):
        for name, tally in each.items():
            tallies.setdefault(name, Counter()).update(tally)

    for name, tally in tallies.items():
        shares = ", ".join(f"{judge} {tally[judge] / tally['tried']:.3f}" for judge in ("hashes", "signed", "witness"))
        record_testsuite_property(
            f"{name} (tried {tally['tried']})",
            f"{shares}, receipts {tally['receipts'] / tally['tried']:.3f}; older than the witness's last look: "
            f"{tally['old_witness']} of {tally['old']}",
        )
    asked = [tally for name, tally in tallies.items() if not name.endswith(ROWS_ONLY)]
    total: Counter[str] = sum(asked, Counter())
    record_testsuite_property("what was recomputed or put back, brought to the witness's own program", total["asked"])
    record_testsuite_property(
        "of these older than its last look, and not cosigned", f"{total['old_refused']} of {total['old']}"
    )
    answers = f"409 {total['stale']}, 422 {total['contradicted']}, nothing left to bring {total['not_brought']}"
    record_testsuite_property("its answers where it did not cosign", answers)
    cosigned = f"{total['forgetful']} of {total['asked_forgetful']}"
    record_testsuite_property("control: cosigned by a witness that has lost its store", cosigned)
    assert total["stale"] > 0
    assert total["contradicted"] > 0
    assert total["forgetful"] == total["asked_forgetful"] > 0
    assert set(tallies) == {f"{name} | {strength}" for name, strength in ATTACKS}
    for name, tally in tallies.items():
        assert tally["old_witness"] == tally["old"], name
        if not name.endswith(ROWS_ONLY):
            assert tally["asked"] == tally["tried"], name
            assert tally["old_refused"] == tally["old"], name
            # what its store shows to an auditor is what the witness itself refuses, and the other way about
            assert tally["refused"] == tally["witness"], name
        if name.endswith(ROWS_ONLY):
            # what is not recomputed contradicts itself, whoever looks
            assert tally["hashes"] == tally["signed"] == tally["tried"], name
        else:
            # the controls: neither hashes nor our own signatures stop somebody who may rewrite them
            assert name.endswith((NO_KEY, WITH_KEY, BACKUP))
            assert tally["hashes"] == 0, name
            assert tally["signed"] == 0, name
    assert sum(tally["old"] for tally in tallies.values()) > 0
