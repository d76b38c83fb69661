"""C2SP tlog-tiles: the log of one shard as files that anybody can serve, fetch and check by its latest checkpoint.

`checkpoint`, `tile/LEVEL/INDEX` with 256 hashes of 32 bytes each, `tile/entries/INDEX` with 256 leaves, each after its
length in two bytes; the last tile of a level with fewer has the suffix `.p/WIDTH`. Leaves name nobody: payloads are not
among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.audit.export.entry import entries
from gateway.audit.merkle import node_hash
from gateway.audit.tables import audit_checkpoint

_WIDTH: Final = 256
_HEIGHT: Final = 8


class NoCheckpoint(Exception):
    """The shard has no signed checkpoint, by which its tiles could be checked."""


def latest_checkpoint(connection: sa.Connection, shard: str) -> tuple[int, bytes]:
    """Return size and note of a shard's latest checkpoint. Raises NoCheckpoint."""
    of = audit_checkpoint.c
    query = sa.select(of.size, of.note).where(of.shard == shard).order_by(of.size.desc()).limit(1)
    found = connection.execute(query).first()
    if found is None:
        raise NoCheckpoint("this shard has no checkpoint")
    return int(found.size), bytes(found.note)


def write_tiles(connection: sa.Connection, shard: str, folder: Path) -> int:
    """Write the tiles of a shard up to its latest checkpoint, and that last; return its size. Raises NoCheckpoint."""
    size, note = latest_checkpoint(connection, shard)
    levels: list[_Level] = []
    bundle: list[bytes] = []
    for entry in entries(connection, shard):
        if entry.seq >= size:
            break
        bundle.append(entry.leaf)
        _push(folder, levels, 0, entry.hash)
        if len(bundle) == _WIDTH:
            _write(folder / "tile" / "entries" / path_of(entry.seq // _WIDTH), _bundled(bundle))
            bundle.clear()
    if bundle:
        _write(_partial(folder / "tile" / "entries", size // _WIDTH, len(bundle)), _bundled(bundle))
    for level, held in enumerate(levels):
        if held.hashes:
            _write(_partial(folder / "tile" / str(level), held.index, len(held.hashes)), b"".join(held.hashes))
    # last, so that whoever reads it finds everything below it
    _write(folder / "checkpoint", note)
    return size


class _Level:
    def __init__(self) -> None:
        self.index = 0
        self.hashes: list[bytes] = []


def _push(folder: Path, levels: list[_Level], level: int, hashed: bytes) -> None:
    if len(levels) == level:
        levels.append(_Level())
    held = levels[level]
    held.hashes.append(hashed)
    if len(held.hashes) == _WIDTH:
        _write(folder / "tile" / str(level) / path_of(held.index), b"".join(held.hashes))
        _push(folder, levels, level + 1, _root(held.hashes))
        held.index += 1
        held.hashes = []


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in _pairs(hashes)]
    return hashes[0]


def _pairs(hashes: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(hashes[::2], hashes[1::2], strict=True)


def path_of(index: int) -> str:
    """Return the path of a tile's index: three digits at a time, all but the last after an x."""
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03d}")
    return "/".join(parts)


def _partial(folder: Path, index: int, width: int) -> Path:
    whole = folder / path_of(index)
    return whole.with_name(f"{whole.name}.p") / str(width)


def _bundled(leaves: list[bytes]) -> bytes:
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
