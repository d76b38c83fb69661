"""The Merkle tree of RFC 6962 section 2.1, and its proofs (verified as in RFC 9162 sections 2.1.3.2 and 2.1.4.2).

Pure: bytes in, bytes out. A stored tree is seen through `Fetch`, which returns the root of a complete subtree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

Fetch = Callable[[int, int], bytes]
"""(level, ix) -> root of the subtree over leaves [ix << level, (ix + 1) << level); at level 0 the leaf hash."""

EMPTY_ROOT: Final = sha256(b"").digest()
HASH_SIZE: Final = 32


class ProofRefused(Exception):
    """A proof does not show what it was offered to show."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right); the prefix keeps a node from being offered as a leaf."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its complete subtrees, largest first. Small and cheap to copy."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """`peaks` are the subtree roots for the bits set in `size`, highest bit first. Raises ValueError otherwise."""
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_SIZE for peak in peaks):
            raise ValueError("these are not the peaks of a tree of this size")
        self.size = size
        self._peaks = list(peaks)

    def copy(self) -> Frontier:
        twin = Frontier.__new__(Frontier)
        twin.size = self.size
        twin._peaks = self._peaks.copy()
        return twin

    def peaks(self) -> list[bytes]:
        """Return the roots of the complete subtrees, largest first."""
        return self._peaks.copy()

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; return (level, ix, hash) of every subtree of two leaves or more that it completes."""
        completed = []
        peaks = self._peaks
        node, ix, level = leaf, self.size, 0
        while ix & 1:
            node = sha256(b"\x01" + peaks.pop() + node).digest()
            ix >>= 1
            level += 1
            completed.append((level, ix, node))
        peaks.append(node)
        self.size += 1
        return completed

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[int, int, list[bytes]]]:
        """Add leaf hashes, level by level; return what `append` would, as (level, ix of the first, hashes) by level."""
        completed: list[tuple[int, int, list[bytes]]] = []
        left_over: list[bytes] = []
        nodes: Sequence[bytes] = leaves
        ix, level = self.size, 0
        while nodes:
            if ix & 1:
                ix -= 1
                nodes = [self._peaks.pop(), *nodes]
            if len(nodes) & 1:
                left_over.append(nodes[-1])
            pairs = iter(nodes)
            above = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            ix >>= 1
            level += 1
            if above:
                completed.append((level, ix, above))
            nodes = above
        self._peaks += reversed(left_over)
        self.size += len(leaves)
        return completed

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def peak_positions(size: int) -> list[tuple[int, int]]:
    """Return (level, ix) of the complete subtrees that make up a tree of this size, largest first."""
    return [(level, (size >> level) - 1) for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]


def root_at(size: int, fetch: Fetch) -> bytes:
    """Return the root of the first `size` leaves of a stored tree."""
    return EMPTY_ROOT if size == 0 else _subtree(0, size, fetch)


def inclusion_proof(index: int, size: int, fetch: Fetch) -> list[bytes]:
    """Return PATH(index, D[size]), nearest sibling first. Raises ValueError unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_subtree(middle, end, fetch))
            end = middle
        else:
            path.append(_subtree(begin, middle, fetch))
            begin = middle
    return path[::-1]


def consistency_proof(first: int, second: int, fetch: Fetch) -> list[bytes]:
    """Return PROOF(first, D[second]). Raises ValueError unless 0 < first <= second."""
    if not 0 < first <= second:
        raise ValueError("sizes must rise from one")
    path: list[bytes] = []
    begin, end = 0, second
    whole = True
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            path.append(_subtree(middle, end, fetch))
            end = middle
        else:
            path.append(_subtree(begin, middle, fetch))
            begin = middle
            whole = False
    if not whole:
        path.append(_subtree(begin, end, fetch))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Return if the leaf hash is at `index` under the root of `size` leaves. Raises ProofRefused.

    Source: RFC 9162 section 2.1.3.2.
    """
    _check_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise ProofRefused("the index is outside the tree")
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofRefused("the proof is too short")
    if computed != root:
        raise ProofRefused("the proof leads to another root")


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the tree of `second` leaves begins with the tree of `first`. Raises ProofRefused.

    Source: RFC 9162 section 2.1.4.2.
    """
    _check_hashes([first_root, second_root, *proof])
    if not 0 < first <= second:
        raise ProofRefused("sizes must rise from one")
    if first == second:
        if proof or first_root != second_root:
            raise ProofRefused("equal sizes need equal roots and no proof")
        return
    path = list(proof)
    if first & (first - 1) == 0:
        # the first tree is itself a subtree of the second, so the proof leaves it out
        path.insert(0, first_root)
    if not path:
        raise ProofRefused("the proof is too short")
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for part in path[1:]:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if node & 1 or node == last:
            old = node_hash(part, old)
            new = node_hash(part, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, part)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofRefused("the proof is too short")
    if old != first_root or new != second_root:
        raise ProofRefused("the proof leads to another root")


def _split(count: int) -> int:
    """Return the largest power of two below `count` (which is above 1)."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtree(begin: int, end: int, fetch: Fetch) -> bytes:
    """Return the root over leaves [begin, end), where `begin` is where such a subtree begins in a larger tree."""
    count = end - begin
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return fetch(level, begin >> level)
    middle = begin + _split(count)
    return node_hash(_subtree(begin, middle, fetch), _subtree(middle, end, fetch))


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise ProofRefused("a hash has the wrong length")
