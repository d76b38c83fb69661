"""No byte is given twice: not across pages, and not in a child process."""

from __future__ import annotations

import os
import uuid

from gateway.randomness import Randomness


def test_nothing_is_given_twice() -> None:
    source = Randomness()
    texts = [source.text(16) for _ in range(2000)]
    uuids = [source.uuid() for _ in range(2000)]

    assert len(set(texts)) == len(set(uuids)) == 2000
    assert {len(text) for text in texts} == {22}
    assert {uuid.UUID(each).version for each in uuids} == {4}
    assert len(source.take(10_000)) == 10_000


def test_a_child_process_does_not_repeat_its_parent() -> None:
    source = Randomness()
    source.take(1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, source.take(16))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        assert told.read() != source.take(16)
