"""A whole shard, put together from its stretches: its tree, its runs, its entry, and its root at any size asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.audit.merkle import EMPTY_ROOT, Frontier, node_hash
from gateway.audit.verification.findings import Findings
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.stretch import LONGEST_SILENCE_MS, STRETCH, STRETCH_LEVEL, Purge, Start, Stretch, Told
from gateway.audit.verification.tree import compare_nodes

_LARGEST: Final = 2**63 - 1


@dataclass(slots=True)
class Shard:
    """What one shard holds."""

    name: str
    sizes: frozenset[int] = frozenset()
    """The sizes at which its root is wanted."""
    size: int = 0
    whole: bool = True
    """Whether every leaf has its place, so that roots can be known."""
    root: bytes = EMPTY_ROOT
    roots: dict[int, bytes] = field(default_factory=dict)
    opened_at: int | None = None
    closed_at: int | None = None
    open_intents: set[int] = field(default_factory=set)
    absent: list[int] = field(default_factory=list)
    payloads: int = 0
    purges: list[Purge] = field(default_factory=list)
    silences: list[tuple[int, int]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def stretches_of(reader: Reader, shard: Shard) -> list[tuple[int, int]]:
    """Return where to look for the leaves of a shard: [first, end) of each stretch that has any."""
    # three questions, since the last two are then answered without a look at the rows between
    count, lowest, highest = (
        reader.value(f"SELECT {what} FROM audit_leaf WHERE shard = ?", (shard.name,))  # noqa: S608 the words are ours
        for what in ("count(*)", "min(seq)", "max(seq)")
    )
    if not count:
        shard.findings.tamper(f"shard {shard.name}: no leaf is stored")
        return []
    outside = 0
    if type(lowest) is not int or lowest < 0 or type(highest) is not int:
        outside = reader.value(
            "SELECT sum(CASE WHEN seq >= 0 AND seq <= ? THEN 0 ELSE 1 END) FROM audit_leaf WHERE shard = ?",
            (_LARGEST, shard.name),
        )
    if outside:
        shard.findings.tamper(f"shard {shard.name}: {outside} leaves have no place")
    if lowest == 0 and highest == count - 1:
        shard.size = count
        return [(first, min(first + STRETCH, count)) for first in range(0, count, STRETCH)]
    shard.whole = False
    indices = reader.rows(
        f"SELECT DISTINCT seq >> {STRETCH_LEVEL} FROM audit_leaf WHERE shard = ? AND seq >= 0 AND seq <= ? ORDER BY 1",  # noqa: S608
        (shard.name, _LARGEST),
    )
    shard.size = count - outside
    shard.findings.tamper(f"shard {shard.name}: leaves are missing between 0 and {highest}")
    return [(ix << STRETCH_LEVEL, min((ix + 1) << STRETCH_LEVEL, _LARGEST)) for (ix,) in indices]


def join(reader: Reader, shard: Shard, stretches: Iterable[Stretch]) -> None:
    """Put the stretches together, in their order, into the shard; and look for rows that belong to no leaf."""
    counted = _counted(reader, shard)
    edge = Frontier()
    upper: list[bytes] = []
    closes: set[int] = set()
    for stretch in stretches:
        shard.findings.take(stretch.findings)
        shard.payloads += stretch.payloads
        shard.absent += stretch.absent
        shard.purges += stretch.purges
        shard.starts += stretch.starts
        shard.told += stretch.told
        shard.open_intents |= stretch.intents
        closes |= stretch.closes
        if shard.closed_at is not None and (stretch.opened_at or 0) - shard.closed_at > LONGEST_SILENCE_MS:
            shard.silences.append((stretch.first, (stretch.opened_at or 0) - shard.closed_at))
        shard.silences += stretch.silences
        shard.opened_at = stretch.opened_at if shard.opened_at is None else shard.opened_at
        shard.closed_at = stretch.closed_at if stretch.closed_at is not None else shard.closed_at
        if not stretch.peaks:
            shard.whole = False
        if not shard.whole:
            continue
        for size, cut in stretch.cuts.items():
            shard.roots[size] = _root([*edge.peaks(), *cut])
        if stretch.end - stretch.first == STRETCH:
            upper.append(stretch.peaks[0])
            edge.append(stretch.peaks[0])
            shard.root = edge.root()
        else:
            shard.root = _root([*edge.peaks(), *stretch.peaks])
    shard.open_intents -= closes
    if shard.whole:
        shard.roots[0] = EMPTY_ROOT
        _check_upper(reader, shard, upper)
    _check_left_over(shard, *counted)


def _root(peaks: list[bytes]) -> bytes:
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def _check_upper(reader: Reader, shard: Shard, below: list[bytes]) -> None:
    """Compare the nodes above the stretches."""
    level = STRETCH_LEVEL
    while len(below) > 1:
        level += 1
        pairs = iter(below)
        below = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)]
        compare_nodes(shard.findings, shard.name, level, 0, below, reader.nodes(shard.name, level, 0, len(below)))


def _counted(reader: Reader, shard: Shard) -> tuple[dict[Any, int], int]:
    """Return how many nodes of each level are stored, and how many payloads."""
    # asked before the stretches are waited for, which other processes may be reading
    nodes = dict(reader.rows("SELECT level, count(*) FROM audit_node WHERE shard = ? GROUP BY level", (shard.name,)))
    return nodes, reader.value("SELECT count(*) FROM audit_payload WHERE shard = ?", (shard.name,))


def _check_left_over(shard: Shard, stored: dict[Any, int], payloads: int) -> None:
    expected = {level: shard.size >> level for level in range(1, shard.size.bit_length()) if shard.size >> level}
    for level in sorted(expected.keys() | stored.keys(), key=str):
        if stored.get(level, 0) > expected.get(level, 0):
            shard.findings.tamper(f"shard {shard.name}: nodes of level {level} belong to no leaf")
        elif stored.get(level, 0) < expected.get(level, 0):
            shard.findings.tamper(f"shard {shard.name}: nodes of level {level} are missing")
    if payloads != shard.payloads and not shard.findings.tampered:
        shard.findings.tamper(f"shard {shard.name}: payloads belong to no leaf")


def check_silences(shard: Shard) -> None:
    """Note where a run that promised a heartbeat each minute was silent. A start says that a stop was before it."""
    starts = [start.seq for start in shard.starts]
    for seq, milliseconds in shard.silences:
        position = bisect_right(starts, seq) - 1
        if position >= 0 and starts[position] != seq and shard.starts[position].signer is not None:
            shard.findings.miss(
                f"shard {shard.name}: no record for {milliseconds // 1000} s before leaf {seq}, and no stop between"
            )


def check_entry(reader: Reader, shard: Shard, origin: str, ended: str | None) -> None:
    """Compare the shard's row with its leaves and with what the master log says of its end: CLOSED, FROZEN or none."""
    rows: list[tuple[Any, ...]] = reader.rows(
        "SELECT origin, opened, closed, state FROM audit_shard WHERE id = ?", (shard.name,)
    )
    if not rows:
        shard.findings.tamper(f"shard {shard.name} is not listed")
        return
    closed = shard.closed_at if ended == "CLOSED" else None
    if rows[0] != (origin, shard.opened_at, closed, ended or "OPEN"):
        shard.findings.tamper(f"shard {shard.name}: its entry is not what its leaves and the master log give")


def by_shard(told: Iterable[Told]) -> Iterator[tuple[str, list[Told]]]:
    """Yield each shard that master logs name, with all that they say of it."""
    found: dict[str, list[Told]] = {}
    for each in told:
        found.setdefault(each.shard, []).append(each)
    yield from found.items()
