"""What a disk may hold after a power cut: the model, after ALICE (Pillai et al., OSDI 2014).

A file is an inode. What was written to it is on the disk once a sync of that inode, begun later, has returned without
an error; a name is, once its directory was synced. Everything else may be there or not, each call by itself, and a
write may be there in some of its sectors only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.tracing import Call

SECTOR = 512
_SHARED_MEMORY = 3
_DIRECTORY = -1


@dataclass(frozen=True, slots=True)
class Pending:
    """One change that no sync has yet made certain."""

    order: int
    operation: str
    inode: int
    offset: int
    data: bytes
    name: str = ""

    def apply(self, content: bytearray, sectors: frozenset[int] | None) -> None:
        """Change a file's content, in whole or in the given sectors of the file."""
        if self.operation == "T":
            del content[self.offset :]
            content.extend(bytes(self.offset - len(content)))
            return
        end = self.offset + len(self.data)
        if sectors is None:
            content.extend(bytes(max(0, self.offset - len(content))))
            content[self.offset : end] = self.data
            return
        for sector in sectors:
            first, last = max(self.offset, sector * SECTOR), min(end, (sector + 1) * SECTOR)
            content.extend(bytes(max(0, first - len(content))))
            content[first:last] = self.data[first - self.offset : last - self.offset]

    def sectors(self) -> range:
        return range(self.offset // SECTOR, (self.offset + len(self.data) - 1) // SECTOR + 1)


@dataclass(frozen=True, slots=True)
class State:
    """One state of the disk: the files by name, what had been acknowledged, and how the state came about."""

    how: str
    files: Mapping[str, bytes | bytearray]
    acknowledged: int


class Disk:
    """Follows a trace; at any moment it can say what the disk may hold."""

    def __init__(self, baseline: Mapping[str, bytes]) -> None:
        """`baseline` are the files that were on the disk, synced, when the trace began, by name."""
        self._baseline = baseline
        self._durable: dict[int, bytearray] = {}
        self._names: dict[str, int] = {}
        self._pending: list[Pending] = []
        self._syncs: dict[int, tuple[int, int]] = {}
        # a file system gives the number of a removed inode to a new one, so ours are counted
        self._identity: dict[int, int] = {}
        self._order = 0

    @property
    def pending(self) -> Sequence[Pending]:
        return self._pending

    def follow(self, call: Call) -> bool:
        """Take one call into account; return whether it changed what the disk may hold."""
        self._order += 1
        match call.operation:
            case "O":
                return self._open(call)
            case "W" | "T" if call.b != _SHARED_MEMORY:
                inode = self._identity[call.inode]
                self._pending.append(Pending(self._order, call.operation, inode, call.a, call.data))
            case "U":
                self._pending.append(Pending(self._order, "U", _DIRECTORY, 0, b"", Path(call.data.decode()).name))
            case "S":
                self._syncs[call.a] = (self._identity.get(call.inode, _DIRECTORY), self._order)
                return False
            case "s":
                return self._synced(*self._syncs.pop(call.a), failed=call.b != 0)
            case _:
                return False
        return True

    def _open(self, call: Call) -> bool:
        name = Path(call.data.decode()).name
        if name.endswith("-shm"):
            return False
        if call.b:
            inode = self._identity[call.inode] = self._order
            self._durable[inode] = bytearray()
            self._pending.append(Pending(self._order, "N", _DIRECTORY, inode, b"", name))
            return True
        if call.inode not in self._identity and name in self._baseline:
            inode = self._identity[call.inode] = self._order
            self._durable[inode] = bytearray(self._baseline[name])
            self._names[name] = inode
        return False

    def _synced(self, inode: int, begun: int, *, failed: bool) -> bool:
        under, self._pending = _parted(self._pending, lambda each: each.order < begun and each.inode == inode)
        if failed:
            # the kernel has marked the pages clean: they will not be written again
            return bool(under)
        for each in under:
            if each.operation in "NU":
                self._rename(self._names, each)
            else:
                each.apply(self._durable[inode], None)
        return bool(under)

    @staticmethod
    def _rename(names: dict[str, int], pending: Pending) -> None:
        if pending.operation == "N":
            names[pending.name] = pending.offset
        else:
            names.pop(pending.name, None)

    def files(self, kept: Sequence[tuple[Pending, frozenset[int] | None]]) -> dict[str, bytes | bytearray]:
        """Return the files when, of all that is pending, just `kept` came through, each in whole or in some sectors."""
        names = dict(self._names)
        contents: dict[int, bytearray] = {}
        for each, sectors in kept:
            if each.operation in "NU":
                self._rename(names, each)
                continue
            content = contents.get(each.inode)
            if content is None:
                content = contents[each.inode] = bytearray(self._durable[each.inode])
            each.apply(content, sectors)
        return {name: contents.get(inode, self._durable[inode]) for name, inode in names.items()}


def _parted(pending: Sequence[Pending], belongs: Callable[[Pending], bool]) -> tuple[list[Pending], list[Pending]]:
    """Return those that belong, and the others, each in order."""
    parts: tuple[list[Pending], list[Pending]] = ([], [])
    for each in pending:
        parts[not belongs(each)].append(each)
    return parts


def states(baseline: Mapping[str, bytes], calls: Sequence[Call], chance: random.Random, wanted: int) -> Iterator[State]:
    """Yield different states that a power cut during the trace may leave: about `wanted`, and never one twice.

    Of each moment: everything lost that was not synced, and everything kept (as `kill` leaves it, so that every prefix
    of the calls is among them). The others are random: any part of what was pending, or torn between sectors.
    """
    moments = _moments(baseline, calls)
    random_ones = max(0, wanted - sum(2 if at_risk else 1 for at_risk in moments.values())) / max(1, len(moments))
    disk = Disk(baseline)
    acknowledged, owed = 0, 0.0
    seen: set[object] = set()
    for number, call in enumerate(calls):
        if number in moments:
            # before a call that changes anything: the most that has been acknowledged so far
            yield State("prefix", disk.files([(each, None) for each in disk.pending]), acknowledged)
            if moments[number]:
                yield State("all unsynced lost", disk.files([]), acknowledged)
            # what this moment cannot give, for little is pending, a later one gives
            owed += random_ones
            for _ in range(round(2 * owed)):
                how, kept = _some(disk.pending, chance)
                key = tuple((each.order, sectors) for each, sectors in kept)
                if key in seen or (how == "subset" and len(kept) in {0, len(disk.pending)}):
                    continue
                seen.add(key)
                owed -= 1
                yield State(how, disk.files(kept), acknowledged)
                if owed < 1:
                    break
            if moments[number]:
                seen.clear()
        disk.follow(call)
        acknowledged += call.operation == "A"
    yield State("prefix", disk.files([(each, None) for each in disk.pending]), acknowledged)
    yield State("all unsynced lost", disk.files([]), acknowledged)


def _moments(baseline: Mapping[str, bytes], calls: Sequence[Call]) -> dict[int, bool]:
    """Return before which calls the power is cut, and of which the pending changes are about to become certain."""
    disk = Disk(baseline)
    changing: list[int] = []
    certain: set[int] = set()
    for number, call in enumerate(calls):
        if disk.follow(call):
            changing.append(number)
            if call.operation == "s":
                certain.add(number)
    return {number: number in certain for number in changing}


def _some(pending: Sequence[Pending], chance: random.Random) -> tuple[str, list[tuple[Pending, frozenset[int] | None]]]:
    share = chance.choice((0.1, 0.3, 0.5, 0.7, 0.9, 0.97))
    kept: list[tuple[Pending, frozenset[int] | None]] = [(each, None) for each in pending if chance.random() < share]
    torn = [place for place, (each, _) in enumerate(kept) if each.operation == "W" and len(each.sectors()) > 1]
    if not torn or chance.random() < 0.5:
        return "subset", kept
    for place in chance.sample(torn, min(len(torn), chance.randint(1, 3))):
        each = kept[place][0]
        some = frozenset(sector for sector in each.sectors() if chance.random() < 0.5)
        kept[place] = (each, some)
    return "torn", kept
