"""Notes, checkpoints and cosignatures, held to the published examples of C2SP and to every way of being wrong."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.checkpoints import Checkpoint, open_checkpoint, parse_checkpoint
from gateway.audit.cosignatures import Ed25519Cosigner, MLDSA44Cosigner, post_quantum, time_of, verify_cosignature
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.notes import (
    Note,
    NoteRefused,
    NoteSigner,
    Signature,
    SignatureRefused,
    parse_note,
    parse_signatures,
    parse_verifier_key,
    verify_note,
)

# Source: C2SP signed-note v1.0.0, section "Example", and tlog-cosignature, the example at its beginning.
PUBLISHED_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PUBLISHED_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
PUBLISHED_CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()

SIGNER = NoteSigner("log.example/audit", b"s" * 32)
CHECKPOINT = Checkpoint("log.example/audit/1", 5, sha256(b"root").digest())
COSIGNERS = [
    pytest.param(Ed25519Cosigner("witness.example/w", b"w" * 32), id="ed25519"),
    pytest.param(MLDSA44Cosigner("witness.example/w", b"w" * 32), id="ml-dsa-44"),
]


def test_the_published_example_verifies() -> None:
    key = parse_verifier_key(PUBLISHED_KEY)

    assert verify_note(parse_note(PUBLISHED_NOTE), [key]) == (key,)
    assert str(key) == PUBLISHED_KEY
    assert parse_note(PUBLISHED_NOTE).encode() == PUBLISHED_NOTE


def test_the_published_example_does_not_verify_with_one_letter_changed() -> None:
    with pytest.raises(SignatureRefused):
        verify_note(parse_note(PUBLISHED_NOTE.replace(b"message", b"massage")), [parse_verifier_key(PUBLISHED_KEY)])


def test_the_published_checkpoint_is_read_and_written_again() -> None:
    note = parse_note(PUBLISHED_CHECKPOINT)
    checkpoint = parse_checkpoint(note.text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == note.text
    assert note.encode() == PUBLISHED_CHECKPOINT
    assert time_of(note.signatures[1]) == 1679315147  # the time that the specification shows for it


def test_a_checkpoint_that_we_sign_opens_with_our_key_alone() -> None:
    raw = Note(CHECKPOINT.text(), (SIGNER.sign(CHECKPOINT.text()),)).encode()

    assert open_checkpoint(raw, [SIGNER.key])[0] == CHECKPOINT
    with pytest.raises(SignatureRefused):
        open_checkpoint(raw, [NoteSigner(SIGNER.key.name, b"t" * 32).key])


def test_signatures_of_strangers_are_ignored_and_a_false_one_of_a_known_key_is_not() -> None:
    text = CHECKPOINT.text()
    ours = SIGNER.sign(text)
    stranger = Signature("somebody.example", b"\0\1\2\3", b"x" * 64)
    false = Signature(ours.name, ours.key_id, b"x" * 64)

    verify_note(Note(text, (stranger, ours)), [SIGNER.key])
    for signatures in [(stranger,), (ours, false), (false, ours)]:
        with pytest.raises(SignatureRefused):
            verify_note(Note(text, signatures), [SIGNER.key])


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"text\n", id="no-signature"),
        pytest.param("text\n— a AAAAAAA=\n".encode(), id="no-blank-line"),
        pytest.param("text\n\n— a AAAAAAA=".encode(), id="no-newline-at-the-end"),
        pytest.param("text\n\n— a AAAAAAA=\n\n".encode(), id="a-blank-line-after"),
        pytest.param("te\txt\n\n— a AAAAAAA=\n".encode(), id="a-control-character"),
        pytest.param("text\r\n\n— a AAAAAAA=\n".encode(), id="a-carriage-return"),
        pytest.param(b"te\xffxt\n\n\xe2\x80\x94 a AAAAAAA=\n", id="not-utf-8"),
        pytest.param(b"text\n\n- a AAAAAAA=\n", id="a-hyphen"),
        pytest.param("text\n\n—  AAAAAAA=\n".encode(), id="no-name"),
        pytest.param("text\n\n— a+b AAAAAAA=\n".encode(), id="a-plus-in-the-name"),
        pytest.param("text\n\n— a\u00a0b AAAAAAA=\n".encode(), id="a-space-in-the-name"),
        pytest.param("text\n\n— a AAAA AAA=\n".encode(), id="a-space-in-the-signature"),
        pytest.param("text\n\n— a AAAAAAB=\n".encode(), id="stray-bits-in-base64"),
        pytest.param("text\n\n— a AAAAAA==\n".encode(), id="a-key-id-alone"),
        pytest.param("text\n\n— a AAAAAAA\n".encode(), id="no-padding"),
        pytest.param("text\n\n— a AAAA_AA=\n".encode(), id="the-other-base64"),
        pytest.param(("text\n\n" + "— a AAAAAAA=\n" * 65).encode(), id="too-many-signatures"),
        pytest.param(b"x" * (1 << 20) + "\n\n— a AAAAAAA=\n".encode(), id="too-large"),
    ],
)
def test_no_note_is(raw: bytes) -> None:
    with pytest.raises(NoteRefused):
        parse_note(raw)


def test_sixteen_large_signatures_are_read() -> None:
    line = Signature("w", b"\0\0\0\0", b"x" * 5000).line()

    assert len(parse_signatures(line * 16)) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        PUBLISHED_KEY.replace("foo", "fooo"),
        PUBLISHED_KEY.replace("530d903a", "530D903A"),
        PUBLISHED_KEY.replace("530d903a", "530d903b"),
        PUBLISHED_KEY + "\n",
        PUBLISHED_KEY[:-4],
        "example.com/foo+530d903a+" + base64.b64encode(b"\x02" + b"x" * 32).decode(),
        " " + PUBLISHED_KEY,
    ],
)
def test_no_verifier_key_is(text: str) -> None:
    with pytest.raises(NoteRefused):
        parse_verifier_key(text)


ROOT = base64.b64encode(b"r" * 32).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"\n1\n{ROOT}\n",
        f"origin\n01\n{ROOT}\n",
        f"origin\n+1\n{ROOT}\n",
        f"origin\n1_0\n{ROOT}\n",
        f"origin\n١\n{ROOT}\n",
        f"origin\n\n{ROOT}\n",
        f"origin\n-1\n{ROOT}\n",
        f"origin\n{2**63}\n{ROOT}\n",
        f"origin\n{'9' * 5000}\n{ROOT}\n",
        f"origin\n1\n{ROOT[:-4]}\n",
        f"origin\n1\n{ROOT}\nextension\n",
        f"origin\n1\n{ROOT}\n\n",
        f"origin\n1\n{ROOT}",
        "origin\n1\n",
    ],
)
def test_no_checkpoint_is(text: str) -> None:
    with pytest.raises(NoteRefused):
        parse_checkpoint(text)


def test_an_empty_log_has_the_empty_root_and_no_other() -> None:
    def signed(checkpoint: Checkpoint) -> bytes:
        return Note(checkpoint.text(), (SIGNER.sign(checkpoint.text()),)).encode()

    assert open_checkpoint(signed(Checkpoint("o", 0, EMPTY_ROOT)), [SIGNER.key])[0].size == 0
    with pytest.raises(NoteRefused):
        open_checkpoint(signed(Checkpoint("o", 0, b"x" * 32)), [SIGNER.key])


@pytest.mark.parametrize("cosigner", COSIGNERS)
def test_a_cosignature_says_when_and_of_what(cosigner: Ed25519Cosigner | MLDSA44Cosigner) -> None:
    made = cosigner.cosign(CHECKPOINT, 1_790_000_000)

    assert verify_cosignature(cosigner.key, CHECKPOINT, parse_signatures(made.line())[0]) == 1_790_000_000
    assert parse_verifier_key(str(cosigner.key)) == cosigner.key


@pytest.mark.parametrize("cosigner", COSIGNERS)
def test_a_cosignature_stands_for_nothing_else(cosigner: Ed25519Cosigner | MLDSA44Cosigner) -> None:
    made = cosigner.cosign(CHECKPOINT, 1_790_000_000)
    later = Signature(made.name, made.key_id, (1_790_000_001).to_bytes(8) + made.signature[8:])
    short = Signature(made.name, made.key_id, made.signature[:-1])
    renamed = type(cosigner)("other.example/w", b"w" * 32)
    others = [
        Checkpoint(CHECKPOINT.origin + "x", CHECKPOINT.size, CHECKPOINT.root),
        Checkpoint(CHECKPOINT.origin, CHECKPOINT.size + 1, CHECKPOINT.root),
        Checkpoint(CHECKPOINT.origin, CHECKPOINT.size, b"x" * 32),
    ]

    for other in others:
        with pytest.raises(SignatureRefused):
            verify_cosignature(cosigner.key, other, made)
    for false in (later, short):
        with pytest.raises((SignatureRefused, NoteRefused)):
            verify_cosignature(cosigner.key, CHECKPOINT, false)
    with pytest.raises(SignatureRefused):
        verify_cosignature(renamed.key, CHECKPOINT, made)
    for never in (0, -1, 2**63):
        with pytest.raises(NoteRefused):
            cosigner.cosign(CHECKPOINT, never)


def test_a_signature_of_the_log_is_no_cosignature() -> None:
    text = CHECKPOINT.text()
    cosigner = Ed25519Cosigner("w", b"s" * 32)

    with pytest.raises(SignatureRefused):
        verify_cosignature(cosigner.key, CHECKPOINT, SIGNER.sign(text))
    with pytest.raises(SignatureRefused):
        verify_note(Note(text, (cosigner.cosign(CHECKPOINT, 1),)), [cosigner.key])


def test_the_message_of_an_ml_dsa_cosignature_is_the_published_structure() -> None:
    """Written here again from the specification, and verified with nothing of ours."""
    cosigner = post_quantum("w.example", b"w" * 32)
    assert cosigner is not None
    made = cosigner.cosign(CHECKPOINT, 7)
    message = (
        b"subtree/v1\n\x00"
        + b"\x09w.example"
        + b"\0\0\0\0\0\0\0\x07"
        + bytes([len(CHECKPOINT.origin)])
        + CHECKPOINT.origin.encode()
        + b"\0" * 8
        + b"\0\0\0\0\0\0\0\x05"
        + CHECKPOINT.root
    )

    MLDSA44PublicKey.from_public_bytes(cosigner.key.public).verify(made.signature[8:], message)


@given(st.binary(max_size=400))
def test_whatever_is_read_as_a_note_is_written_again_byte_for_byte(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except NoteRefused:
        return
    assert note.encode() == raw


@given(st.integers(0, len(PUBLISHED_NOTE) - 1), st.integers(0, 7))
def test_a_flipped_bit_of_a_note_is_found(position: int, bit: int) -> None:
    changed = bytearray(PUBLISHED_NOTE)
    changed[position] ^= 1 << bit

    with pytest.raises((NoteRefused, SignatureRefused)):
        verify_note(parse_note(bytes(changed)), [parse_verifier_key(PUBLISHED_KEY)])
