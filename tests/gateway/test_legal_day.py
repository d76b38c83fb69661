"""The date that counts in law is London's, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.legal_day import LegalDay

LONDON = ZoneInfo("Europe/London")
MOMENTS = st.floats(datetime(2020, 1, 1, tzinfo=UTC).timestamp(), datetime(2035, 1, 1, tzinfo=UTC).timestamp())


class Clock:
    """A time of day that is set."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("midnight", "day"),
    [
        pytest.param(datetime(2026, 1, 15, 0, tzinfo=UTC), date(2026, 1, 15), id="in-winter"),
        pytest.param(datetime(2026, 7, 14, 23, tzinfo=UTC), date(2026, 7, 15), id="in-summer"),
        pytest.param(datetime(2026, 3, 29, 0, tzinfo=UTC), date(2026, 3, 29), id="the-day-summer-time-begins"),
        pytest.param(datetime(2026, 3, 29, 23, tzinfo=UTC), date(2026, 3, 30), id="the-day-after-23-hours"),
        pytest.param(datetime(2026, 10, 24, 23, tzinfo=UTC), date(2026, 10, 25), id="the-day-summer-time-ends"),
        pytest.param(datetime(2026, 10, 26, 0, tzinfo=UTC), date(2026, 10, 26), id="the-day-after-25-hours"),
    ],
)
def test_the_date_turns_at_midnight_in_london(midnight: datetime, day: date) -> None:
    clock = Clock(midnight.timestamp() - 0.001)
    legal = LegalDay(clock)

    assert legal.today() == day - timedelta(days=1)
    clock.at = midnight.timestamp()
    assert legal.today() == day


def test_a_clock_that_is_set_back_gives_the_earlier_date_again() -> None:
    clock = Clock(datetime(2026, 1, 15, 0, 0, 1, tzinfo=UTC).timestamp())
    legal = LegalDay(clock)
    legal.today()

    clock.at -= 2
    assert legal.today() == date(2026, 1, 14)


@given(moments=st.lists(MOMENTS, min_size=1))
def test_whatever_the_clock_shows_the_date_is_that_of_the_moment(moments: list[float]) -> None:
    clock = Clock(moments[0])
    legal = LegalDay(clock)

    for clock.at in moments:
        assert legal.today() == datetime.fromtimestamp(clock.at, LONDON).date()
