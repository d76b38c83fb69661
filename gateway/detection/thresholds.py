"""How much of what is too much: each figure is a setting of `[detection]`, and docs/detection.md says why it is so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The figures that rules and explanations compare with."""

    # what explains
    shared_case_days: int = 30
    later_hours: int = 72
    # D1
    rare_surname: float = 0.0005
    common_surname: float = 0.003
    # D3
    unrelated_viewers: int = 3
    # D4
    uncorroborated_a_month: int = 3
    # D6
    lookups_an_hour: int = 60
    times_own_median: float = 3.0
    times_peers: float = 2.0
    # D7
    minutes_off_rota: int = 120
    # D8
    misses_an_hour: int = 5
    miss_share: float = 0.3
    near_numbers: int = 3
    near_distance: int = 50
    same_birthday: int = 4
    # D9
    repeat_days: int = 3
    # D10
    two_hands_minutes: int = 15
    new_client_lookups: int = 15
    # D11
    identical_reasons: int = 5
    unusual_purpose: float = 0.002
    # D12
    leaver_days: int = 14
    leaver_lookups: int = 3
    # what opens an item
    alert_score: float = 1.0
    never_corroborated_weight: float = 0.3
