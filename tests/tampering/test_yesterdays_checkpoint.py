"""Yesterday's checkpoint alone is enough to detect a rewritten log, and nothing that the log itself holds is."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from gateway.audit.verification.trust import held
from gateway.audit.verify import Status, verify
from gateway.storage.engine import open_engine
from tests.tampering.attacks import Target, edit
from tests.tampering.contents import Contents, store, stored
from tests.tampering.flips import Attacker
from tests.tampering.specimen import make_specimen


def test_yesterdays_checkpoint_alone_is_enough_to_detect_a_rewritten_log(tmp_path: Path) -> None:
    specimen = make_specimen(tmp_path, 24, 6)
    attacker = Attacker(specimen.file)
    log = Contents.of(stored(attacker))
    shard = log.victims[0]
    # what somebody outside copied yesterday: 150 bytes or so, and nothing else
    yesterday = min(size for of, size in log.notes if of == shard and size > 10)
    note = log.notes[shard, yesterday]
    engine = open_engine(f"sqlite:///{specimen.file}", create=False)
    outside = replace(specimen.trust, held=(held("yesterday's checkpoint", note),))
    assert verify(engine, outside).status is Status.GOOD

    # a record of yesterday is changed; then every hash, node, checkpoint and the master log are made to fit and signed
    edit(log, Target(shard, 5), random.Random(1))
    log.sign_anew(specimen.signer, 1_790_000_000)
    log.tell_the_master()
    log.sign_anew(specimen.signer, 1_790_000_000)
    store(attacker, log.rows())
    attacker.close()

    # the control: with everything that the gateway's operators have, nothing is found
    assert verify(engine, specimen.trust).status is Status.GOOD
    found = verify(engine, outside)
    engine.dispose()
    assert found.status is Status.TAMPERED
    assert [text for text in found.findings if "yesterday's checkpoint" in text]
