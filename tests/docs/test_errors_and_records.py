"""Every error that a caller can get, and every record that an operator can see, is documented."""

from __future__ import annotations

from collections.abc import Iterator

from auth.rules import Refusal
from gateway import errors
from gateway.audit.events import PAYLOAD_KEYS, AdminAction, EventKind
from gateway.errors import GatewayError
from tests.docs.markdown import codes, rows, text_of


def concrete(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for inner in kind.__subclasses__():
        if inner.__module__ == errors.__name__:
            if inner.code:
                yield inner
            yield from concrete(inner)


def status_cell(kind: type[GatewayError]) -> str:
    legacy = kind.legacy_status
    return str(kind.status) if legacy in (None, kind.status) else f"{kind.status} ({legacy})"


def test_every_error_code_is_documented_with_its_status() -> None:
    told = {codes(cells[0])[0]: cells[1] for cells in rows(text_of("docs/errors.md")) if codes(cells[0])}

    assert told == {kind.code: status_cell(kind) for kind in concrete(GatewayError)}


def first_cells(name: str) -> list[str]:
    return [cells[0] for cells in rows(text_of(name))]


def test_every_kind_of_record_and_every_action_is_documented() -> None:
    told = first_cells("docs/audit-log.md")

    assert [kind for kind in EventKind if told.count(kind.value) != 2] == []  # once with its keys
    assert [action for action in AdminAction if told.count(action.value) != 1] == []


def test_the_documented_keys_of_payloads_are_those_that_may_be_written() -> None:
    table = text_of("docs/audit-log.md").partition("## Keys of payloads")[2]
    told = {cells[0]: frozenset(codes(cells[1])) for cells in rows(table) if cells[0] in set(EventKind)}

    assert told == {kind.value: keys for kind, keys in PAYLOAD_KEYS.items()}


def test_the_keys_called_notable_are_keys_of_their_kind() -> None:
    table = text_of("docs/audit-log.md").partition("## Actions")[0]

    for cells in rows(table):
        if cells[0] in set(EventKind):
            assert set(codes(cells[2])) <= PAYLOAD_KEYS[EventKind(cells[0])]


def test_refusals_of_the_policy_are_words_that_the_log_may_hold() -> None:
    assert "a refusal of the policy" in text_of("docs/audit-log.md")
    assert "code" in PAYLOAD_KEYS[EventKind.DENIED]
    assert list(Refusal)
