"""The tree against an independent reference, written straight from the definitions of RFC 6962 section 2.1."""

from __future__ import annotations

from hashlib import sha256

import pytest

from gateway.audit import merkle

LARGEST = 130
LEAVES = [f"leaf {n}".encode() for n in range(LARGEST)]


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = reference_split(len(leaves))
    return sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:])).digest()


def reference_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = reference_split(len(leaves))
    if m < k:
        return [*reference_path(m, leaves[:k]), reference_root(leaves[k:])]
    return [*reference_path(m - k, leaves[k:]), reference_root(leaves[:k])]


def reference_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [reference_root(leaves)]
    k = reference_split(len(leaves))
    if m <= k:
        return [*reference_subproof(m, leaves[:k], whole), reference_root(leaves[k:])]
    return [*reference_subproof(m - k, leaves[k:], False), reference_root(leaves[:k])]


def reference_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Stored:
    """What the log stores: level 0 and every node that the frontier reports as completed."""

    def __init__(self) -> None:
        self.tree = merkle.Frontier()
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.roots = [self.tree.root()]
        for index, leaf in enumerate(LEAVES):
            hashed = merkle.leaf_hash(leaf)
            self.nodes[0, index] = hashed
            for level, ix, node in self.tree.append(hashed):
                self.nodes[level, ix] = node
            self.roots.append(self.tree.root())

    def fetch(self, level: int, ix: int) -> bytes:
        return self.nodes[level, ix]


STORED = Stored()


def test_the_empty_tree_and_the_first_trees_have_the_published_roots() -> None:
    """Vectors of the Certificate Transparency reference implementation (merkletree tests)."""
    leaves = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43"]
    tree = merkle.Frontier()
    roots = [tree.root().hex()]
    for leaf in leaves:
        tree.append(merkle.leaf_hash(leaf))
        roots.append(tree.root().hex())

    assert roots[:4] == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ]


def test_the_frontier_has_the_reference_root_at_every_size() -> None:
    assert STORED.roots == [reference_root(LEAVES[:size]) for size in range(LARGEST + 1)]


def test_the_root_at_any_size_comes_from_stored_subtrees() -> None:
    assert [merkle.root_at(size, STORED.fetch) for size in range(LARGEST + 1)] == STORED.roots


def test_exactly_the_complete_subtrees_are_stored() -> None:
    expected = {(level, ix) for level in range(8) for ix in range(LARGEST >> level)}

    assert set(STORED.nodes) == expected


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_a_frontier_goes_on_from_its_stored_peaks(size: int) -> None:
    peaks = [STORED.fetch(level, ix) for level, ix in merkle.peak_positions(size)]
    tree = merkle.Frontier(size, peaks)

    assert tree.root() == STORED.roots[size]
    for leaf in LEAVES[size:]:
        tree.append(merkle.leaf_hash(leaf))
    assert tree.root() == STORED.roots[LARGEST]


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_many_leaves_at_once_give_the_tree_and_the_subtrees_that_they_give_one_by_one(size: int) -> None:
    """From any size to any other: what was complete before is not told again."""
    hashes = [STORED.fetch(0, ix) for ix in range(LARGEST)]
    peaks = [STORED.fetch(level, ix) for level, ix in merkle.peak_positions(size)]
    for larger in range(size, LARGEST + 1):
        tree = merkle.Frontier(size, peaks)
        completed = tree.extend(hashes[size:larger])

        told = {(level, ix): node for level, first, nodes in completed for ix, node in enumerate(nodes, start=first)}
        expected = [(level, ix) for level in range(1, 8) for ix in range(size >> level, larger >> level)]
        assert (tree.size, tree.root()) == (larger, STORED.roots[larger])
        assert told == {place: STORED.nodes[place] for place in expected}
        assert tree.peaks() == [STORED.fetch(level, ix) for level, ix in merkle.peak_positions(larger)]


def test_a_copy_of_a_frontier_grows_alone() -> None:
    tree = merkle.Frontier()
    tree.append(merkle.leaf_hash(b"a"))
    before = tree.root()

    tree.copy().append(merkle.leaf_hash(b"b"))

    assert (tree.size, tree.root()) == (1, before)


@pytest.mark.parametrize(("size", "peaks"), [(1, []), (3, [b"0" * 32]), (2, [b"short"]), (-1, [b"0" * 32])])
def test_peaks_that_do_not_fit_the_size_are_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ValueError):
        merkle.Frontier(size, peaks)


def test_every_inclusion_proof_is_the_reference_path_and_verifies() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, STORED.fetch)
            merkle.verify_inclusion(index, size, STORED.nodes[0, index], proof, STORED.roots[size])
    for size in (1, 2, 3, 7, 8, 9, 31, 64, 100, 127, 128, 129, 130):
        for index in range(size):
            assert merkle.inclusion_proof(index, size, STORED.fetch) == reference_path(index, LEAVES[:size])


def test_every_consistency_proof_is_the_reference_proof_and_verifies() -> None:
    for second in range(1, LARGEST + 1):
        for first in range(1, second + 1):
            proof = merkle.consistency_proof(first, second, STORED.fetch)
            merkle.verify_consistency(first, STORED.roots[first], second, STORED.roots[second], proof)
    for second in (1, 2, 3, 7, 8, 9, 31, 64, 100, 127, 128, 129, 130):
        for first in range(1, second + 1):
            expected = reference_subproof(first, LEAVES[:second], True)
            assert merkle.consistency_proof(first, second, STORED.fetch) == expected


def flipped(hashed: bytes) -> bytes:
    return bytes([hashed[0] ^ 1]) + hashed[1:]


def refused(check: object, *arguments: object) -> bool:
    try:
        check(*arguments)  # type: ignore[operator]
    except merkle.ProofRefused:
        return True
    return False


def test_no_altered_inclusion_proof_verifies() -> None:
    for size in range(1, 66):
        root = STORED.roots[size]
        for index in range(size):
            leaf = STORED.nodes[0, index]
            proof = merkle.inclusion_proof(index, size, STORED.fetch)
            altered: list[tuple[int, int, bytes, list[bytes], bytes]] = [
                (index, size, flipped(leaf), proof, root),
                (index, size, leaf, proof, flipped(root)),
                (index, size, leaf, [*proof, root], root),
                (index, size, leaf, [leaf, *proof], root),
                (size, size, leaf, proof, root),
                (-1, size, leaf, proof, root),
                (index, size, leaf[:-1], proof, root),
            ]
            altered += [(other, size, leaf, proof, root) for other in range(size) if other != index]
            altered += [
                (index, size, leaf, [*proof[:at], flipped(proof[at]), *proof[at + 1 :]], root)
                for at in range(len(proof))
            ]
            if proof:
                altered += [(index, size, leaf, proof[1:], root), (index, size, leaf, proof[:-1], root)]
            if len(proof) > 1:
                altered.append((index, size, leaf, [proof[1], proof[0], *proof[2:]], root))
            for case in altered:
                assert refused(merkle.verify_inclusion, *case)


def test_no_altered_consistency_proof_verifies() -> None:
    for second in range(1, 50):
        for first in range(1, second + 1):
            old, new = STORED.roots[first], STORED.roots[second]
            proof = merkle.consistency_proof(first, second, STORED.fetch)
            altered: list[tuple[int, bytes, int, bytes, list[bytes]]] = [
                (first, flipped(old), second, new, proof),
                (first, old, second, flipped(new), proof),
                (first, old, second, new, [*proof, new]),
                (0, old, second, new, proof),
                (second + 1, old, second, new, proof),
            ]
            altered += [
                (first, old, second, new, [*proof[:at], flipped(proof[at]), *proof[at + 1 :]])
                for at in range(len(proof))
            ]
            if proof:
                altered += [(first, old, second, new, proof[1:]), (first, old, second, new, proof[:-1])]
            for case in altered:
                assert refused(merkle.verify_consistency, *case)


def test_a_node_cannot_be_offered_as_a_leaf() -> None:
    left, right = STORED.nodes[0, 0], STORED.nodes[0, 1]

    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3)])
def test_no_inclusion_proof_exists_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError):
        merkle.inclusion_proof(index, size, STORED.fetch)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 1), (0, 0)])
def test_no_consistency_proof_exists_for_sizes_that_do_not_rise(first: int, second: int) -> None:
    with pytest.raises(ValueError):
        merkle.consistency_proof(first, second, STORED.fetch)
