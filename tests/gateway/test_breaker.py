"""A circuit opens on a source's trouble, lets it alone, sees once whether it is well again, and counts nothing else."""

from __future__ import annotations

import pytest

from connectors.faults import REASON_OF, Bearing, FaultCode, bearing_of
from gateway.federation.breaker import Breaker, Circuit
from schema.vocabulary import SourceReason

SOUND, FAILING, NONE = Bearing.SOUND, Bearing.FAILING, Bearing.NONE


def through(breaker: Breaker, bearing: Bearing, now: float) -> bool:
    """Return whether a call was let through; what comes of it is noted at once."""
    ticket = breaker.admit(now)
    if ticket is None:
        return False
    breaker.note(ticket, bearing, now)
    return True


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        through(breaker, FAILING, now)
    return breaker


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    breaker = Breaker()
    for _ in range(4):
        assert through(breaker, FAILING, 0.0)
    assert breaker.state is Circuit.CLOSED
    through(breaker, FAILING, 0.0)

    assert breaker.state is Circuit.OPEN
    assert breaker.admit(4.9) is None


def test_a_sound_call_between_failures_begins_the_row_anew() -> None:
    breaker = Breaker()
    for _ in range(3):
        for bearing in (FAILING, FAILING, SOUND, SOUND, SOUND):
            through(breaker, bearing, 0.0)

    assert breaker.state is Circuit.CLOSED


def test_half_of_twenty_failing_within_ten_seconds_opens_it() -> None:
    breaker = Breaker()
    for number in range(19):
        assert through(breaker, FAILING if number % 2 else SOUND, number / 2)
    assert breaker.state is Circuit.CLOSED
    through(breaker, FAILING, 9.5)

    assert breaker.state is Circuit.OPEN


def test_failures_longer_ago_than_ten_seconds_do_not_count() -> None:
    breaker = Breaker()
    for number in range(60):
        through(breaker, FAILING if number % 2 else SOUND, number * 2.0)

    assert breaker.state is Circuit.CLOSED


def test_after_five_seconds_one_call_alone_is_let_through_and_closes_it_if_it_goes_well() -> None:
    breaker = opened()
    ticket = breaker.admit(5.0)
    assert ticket is not None
    assert breaker.state is Circuit.HALF_OPEN
    assert breaker.admit(5.0) is None
    breaker.note(ticket, SOUND, 5.1)

    assert breaker.state is Circuit.CLOSED
    assert breaker.admit(5.1) is not None


def test_a_probe_that_fails_opens_it_for_another_five_seconds() -> None:
    breaker = opened()
    assert through(breaker, FAILING, 5.0)

    assert breaker.admit(9.9) is None
    assert breaker.admit(10.0) is not None


def test_a_probe_that_proves_nothing_leaves_the_next_call_to_try() -> None:
    breaker = opened()
    assert through(breaker, NONE, 5.0)

    assert breaker.state is Circuit.OPEN
    assert breaker.admit(5.0) is not None


def test_what_was_let_through_before_it_opened_neither_closes_it_nor_counts_after() -> None:
    breaker = Breaker()
    early = [breaker.admit(0.0) for _ in range(3)]
    for _ in range(5):
        through(breaker, FAILING, 0.0)
    for ticket in early:
        assert ticket is not None
        breaker.note(ticket, SOUND, 1.0)

    assert breaker.state is Circuit.OPEN
    assert breaker.admit(1.0) is None


def test_a_closed_circuit_has_forgotten_the_failures_that_opened_it() -> None:
    breaker = opened()
    through(breaker, SOUND, 5.0)
    for _ in range(4):
        through(breaker, FAILING, 5.0)

    assert breaker.state is Circuit.CLOSED


def test_calls_that_say_nothing_of_the_source_count_for_nothing() -> None:
    breaker = Breaker()
    for _ in range(100):
        through(breaker, NONE, 0.0)

    assert breaker.state is Circuit.CLOSED


@pytest.mark.parametrize("code", FaultCode)
def test_every_code_is_judged(code: FaultCode) -> None:
    reason = REASON_OF[code]
    in_trouble = {
        SourceReason.CONNECT,
        SourceReason.TIMEOUT,
        SourceReason.PROTOCOL,
        SourceReason.RATE_LIMITED,
        SourceReason.OVERLOADED,
    }
    own = {FaultCode.FORBIDDEN_ADDRESS, FaultCode.BULKHEAD_FULL, FaultCode.CIRCUIT_OPEN}
    whole = {FaultCode.STATUS_UNEXPECTED}  # it answered: our request was not one that it takes
    if code in own:
        assert bearing_of(code) is Bearing.NONE
    elif code in whole or (reason not in in_trouble and code is not FaultCode.CONTENT_TYPE):
        assert bearing_of(code) is Bearing.SOUND, "one child's record, or our sign-in, would silence the source for all"
    else:
        assert bearing_of(code) is Bearing.FAILING


def test_a_code_that_nobody_knows_is_not_counted() -> None:
    assert bearing_of("CONNECTOR_FAULT") is Bearing.NONE
