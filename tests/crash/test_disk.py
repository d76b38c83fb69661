"""The model of a disk that loses its power: what is certain, and what is not."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.crash.disk import Disk, Pending, states
from tests.crash.tracing import Call

FILE, OTHER, FOLDER = 11, 12, 10
OPENED = Call("O", FILE, 0, 0, b"/data/log.db")


def wrote(at: int, data: bytes, inode: int = FILE) -> Call:
    return Call("W", inode, at, 1, data)


def synced(number: int, inode: int = FILE, error: int = 0) -> list[Call]:
    return [Call("S", inode, number, 0, b""), Call("s", inode, number, error, b"")]


def after(*calls: Call) -> Disk:
    disk = Disk({"log.db": b"old!"})
    for call in (OPENED, *calls):
        disk.follow(call)
    return disk


def certain(disk: Disk) -> dict[str, bytes]:
    """Return the files when everything that is pending is lost."""
    return {name: bytes(content) for name, content in disk.files([]).items()}


def all_kept(disk: Disk) -> dict[str, bytes]:
    return {name: bytes(content) for name, content in disk.files([(each, None) for each in disk.pending]).items()}


def test_a_write_is_certain_once_a_sync_begun_later_has_returned() -> None:
    assert certain(after(wrote(0, b"new!"))) == {"log.db": b"old!"}
    assert certain(after(wrote(0, b"new!"), *synced(1))) == {"log.db": b"new!"}


def test_a_write_made_while_a_sync_runs_is_not_under_it() -> None:
    begun, ended = synced(1)
    assert certain(after(begun, wrote(0, b"new!"), ended)) == {"log.db": b"old!"}


def test_what_a_failed_sync_should_have_written_is_never_written_again() -> None:
    assert certain(after(wrote(0, b"new!"), *synced(1, error=5), *synced(2))) == {"log.db": b"old!"}


def test_a_new_file_has_its_name_only_once_its_directory_was_synced() -> None:
    made = [Call("O", OTHER, 0, 1, b"/data/log.db-wal"), wrote(0, b"frame", OTHER), *synced(1, OTHER)]
    assert certain(after(*made)) == {"log.db": b"old!"}
    assert certain(after(*made, *synced(2, FOLDER))) == {"log.db": b"old!", "log.db-wal": b"frame"}


def test_a_removed_file_and_a_new_one_of_the_same_inode_number_are_two_files() -> None:
    made = Call("O", OTHER, 0, 1, b"/data/log.db-wal")
    one = [made, wrote(0, b"first", OTHER), *synced(1, OTHER), *synced(2, FOLDER)]
    removed = Call("U", OTHER, 0, 0, b"/data/log.db-wal")
    disk = after(*one, removed, made, wrote(0, b"second", OTHER))
    assert certain(disk)["log.db-wal"] == b"first"
    assert all_kept(disk)["log.db-wal"] == b"second"


def test_a_write_may_be_there_in_some_of_its_sectors() -> None:
    disk = after(Call("T", FILE, 0, 1, b""), *synced(1), wrote(0, b"a" * 512 + b"b" * 512 + b"c" * 100))
    (pending,) = disk.pending
    assert list(pending.sectors()) == [0, 1, 2]
    assert bytes(disk.files([(pending, frozenset({1}))])["log.db"]) == bytes(512) + b"b" * 512


def test_the_states_of_a_trace_hold_every_prefix_and_every_loss() -> None:
    calls = [OPENED, wrote(0, b"A"), wrote(1, b"B"), *synced(1), Call("A", 0, 0, 0, b"x"), wrote(2, b"C")]
    found = {
        (each.how, bytes(each.files["log.db"]), each.acknowledged)
        for each in states({"log.db": b"old!"}, calls, random.Random(1), 0)
    }
    assert {content for how, content, _ in found if how == "prefix"} == {b"old!", b"Ald!", b"ABd!", b"ABC!"}
    assert {each[1:] for each in found if each[0] == "all unsynced lost"} == {(b"old!", 0), (b"ABd!", 1)}


def test_no_random_state_comes_twice_between_two_syncs() -> None:
    calls = [OPENED, *(wrote(at, b"x") for at in range(8))]
    found: Sequence[bytes] = [
        bytes(each.files["log.db"])
        for each in states({"log.db": bytes(8)}, calls, random.Random(1), 200)
        if each.how == "subset"
    ]
    assert len(found) == len(set(found)) > 50


def test_a_truncation_is_a_change_like_any_other() -> None:
    content = bytearray(b"12345678")
    Pending(1, "T", FILE, 3, b"").apply(content, None)
    assert content == b"123"
    Pending(2, "T", FILE, 5, b"").apply(content, None)
    assert content == b"123\0\0"
