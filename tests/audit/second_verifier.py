"""A second verifier of the audit log, written from the documents alone: it imports nothing of the gateway.

Reads an SQLite database directly; hashes with hashlib, verifies with `cryptography`. Returns what is wrong, as words.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

PREFIX = "contactpoint-gateway/audit/"


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def root_over(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, by its own recursion."""
    if not hashes:
        return sha(b"")
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha(b"\x01", root_over(hashes[:split]), root_over(hashes[split:]))


def key_of(vkey: str) -> tuple[str, bytes, int, bytes]:
    name, key_id, material = vkey.split("+", 2)
    raw = base64.b64decode(material)
    assert sha(name.encode(), b"\n", raw)[:4].hex() == key_id
    return name, bytes.fromhex(key_id), raw[0], raw[1:]


def signed_by(key: tuple[str, bytes, int, bytes], text: str, name: str, raw: bytes) -> bool:
    """Whether a signature line is of this key and verifies over the text of a checkpoint."""
    if (name, raw[:4]) != (key[0], key[1]):
        return False
    origin, size, root, _ = text.split("\n")
    at, signature = raw[4:12], raw[12:]
    try:
        if key[2] == 1:
            Ed25519PublicKey.from_public_bytes(key[3]).verify(raw[4:], text.encode())
        elif key[2] == 4:
            message = f"cosignature/v1\ntime {int.from_bytes(at)}\n{text}".encode()
            Ed25519PublicKey.from_public_bytes(key[3]).verify(signature, message)
        else:
            named = bytes([len(name.encode())]) + name.encode() + at + bytes([len(origin.encode())]) + origin.encode()
            tree = (0).to_bytes(8) + int(size).to_bytes(8) + base64.b64decode(root)
            MLDSA44PublicKey.from_public_bytes(key[3]).verify(signature, b"subtree/v1\n\0" + named + tree)
    except InvalidSignature:
        return False
    return True


def lines_of(text: str) -> list[tuple[str, bytes]]:
    """Return the names and signatures of lines of which every byte counts: the last bits of base64 as well."""
    *lines, end = text.split("\n")
    found = []
    for dash, name, signature in (line.split(" ") for line in lines):
        raw = base64.b64decode(signature, validate=True)
        if (end, dash, base64.b64encode(raw).decode()) != ("", "—", signature):
            raise ValueError("a line of signature is not in its one form")
        found.append((name, raw))
    return found


def faults(file: Path, vkey: str, kept: tuple[bytes, ...] = ()) -> list[str]:
    """Return every fault of the log in a database whose checkpoints `vkey` signs; none for a sound one."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return sorted(_faults(database, key_of(vkey), kept))
    except (sqlite3.Error, ValueError, AttributeError, TypeError, KeyError) as fault:
        return [f"unreadable: {type(fault).__name__}"]
    finally:
        database.close()


def _faults(database: sqlite3.Connection, log_key: tuple[str, bytes, int, bytes], kept: tuple[bytes, ...]) -> set[str]:
    found: set[str] = set()
    hashes: dict[str, list[bytes]] = {}
    times: dict[str, list[int]] = {}
    payloads = {(s, n): (salt, body) for s, n, salt, body in database.execute("SELECT * FROM audit_payload")}
    events: list[dict[str, Any]] = []
    keys = [log_key]
    for shard, seq, body, stored in database.execute("SELECT * FROM audit_leaf ORDER BY shard, seq"):
        so_far = hashes.setdefault(shard, [])
        leaf = json.loads(body)
        canonical = json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()
        if seq != len(so_far) or canonical != body or (leaf["seq"], leaf["shard"], leaf["v"]) != (seq, shard, 1):
            found.add("a leaf is out of its place or form")
        if sha(b"\x00", body) != stored:
            found.add("a leaf has not its hash")
        so_far.append(sha(b"\x00", body))
        times.setdefault(shard, []).append(leaf["t"])
        salt, content = payloads.pop((shard, seq), (None, None))
        if salt is None or len(salt) != 16 or hashlib.sha256(salt + content).hexdigest() != leaf["ph"]:
            found.add("a payload is missing or not bound")
            continue
        said = json.loads(content)
        if said.get("action") == "STARTED" or said.get("event") == "OPENED":
            keys += [key_of(k) for k in (said.get("cosigner"), *said.get("witnesses", [])) if k]
        if leaf["kind"] == "SHARD":
            events.append(said)
    if payloads:
        found.add("a payload belongs to no leaf")
    nodes = {(s, level, ix): node for s, level, ix, node in database.execute("SELECT * FROM audit_node")}
    for shard, leaves in hashes.items():
        level, below = 0, leaves
        while len(below) > 1:
            level, below = level + 1, [sha(b"\x01", *below[i : i + 2]) for i in range(0, len(below) - 1, 2)]
            if any(nodes.pop((shard, level, ix), None) != node for ix, node in enumerate(below)):
                found.add("a node is missing or wrong")
    if nodes:
        found.add("a node belongs to no leaf")
    texts: dict[tuple[str, int], str] = {}
    for shard, size, note in database.execute("SELECT * FROM audit_checkpoint"):
        text, _, signatures = note.decode().rpartition("\n\n")
        texts[shard, size] = text = text + "\n"
        found |= _sealed(PREFIX + shard, size, text, hashes.get(shard, []))
        signed = [any(signed_by(key, text, *line) for key in keys) for line in lines_of(signatures)]
        if not all(signed) or not any(signed_by(log_key, text, *line) for line in lines_of(signatures)):
            found.add("a checkpoint is not signed")
    cosigned = set()
    for shard, size, witness, line in database.execute("SELECT * FROM audit_cosignature"):
        ((name, raw),) = lines_of(line.decode())
        cosigned.add((shard, witness, size))
        if f"{name}+{raw[:4].hex()}" != witness or (shard, size) not in texts:
            found.add("a cosignature is of another")
        elif not any(signed_by(key, texts[shard, size], name, raw) for key in keys if key[2] != 1):
            found.add("a cosignature does not verify")
    for said in events:
        leaves = hashes.get(said["shard"], [])
        if len(leaves) < said["size"] or root_over(leaves[: said["size"]]).hex() != said["root"]:
            found.add("a shard is not what the master log says")
        if any((said["shard"], size) not in texts for size in said.get("sizes", [])):
            found.add("a checkpoint that the master log names is missing")
        for witness, sizes in said.get("cosigned", {}).items():
            if any((said["shard"], witness, size) not in cosigned for size in sizes):
                found.add("a cosignature that the master log names is missing")
    ended = {said["shard"]: said["event"] for said in events if said["event"] in {"FROZEN", "CLOSED"}}
    listed = {row[0]: row[1:] for row in database.execute("SELECT id, origin, opened, closed, state FROM audit_shard")}
    for shard in hashes.keys() | listed.keys():
        opened = times.get(shard, [None])[0]
        if listed.get(shard) != (PREFIX + shard, opened, None, ended.get(shard, "OPEN")):
            found.add("the entry of a shard is wrong")
    if {s for s, _ in texts if not s.startswith("master")} - {said["shard"] for said in events}:
        found.add("the master log does not name a shard")
    for note in kept:
        text = note.decode().rpartition("\n\n")[0] + "\n"
        origin, size, _, _ = text.split("\n")
        found |= _sealed(origin, int(size), text, hashes.get(origin.removeprefix(PREFIX), []))
    return found


def _sealed(origin: str, size: int, text: str, leaves: list[bytes]) -> set[str]:
    root = base64.b64encode(root_over(leaves[:size])).decode()
    right = size <= len(leaves) and text == f"{origin}\n{size}\n{root}\n"
    return set() if right else {"a checkpoint has another root"}
