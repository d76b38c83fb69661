"""The settings of `[detection]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.detection.thresholds import Thresholds

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000)]
RuleId = Literal["D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D11", "D12", "D13", "D14"]


class DetectionSection(BaseModel):
    """What detection reads, how often it looks, and how much is too much; see docs/detection.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    every_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300.0  # 0: this process does not look
    workforce_file: Path | None = None
    canaries_file: Path | None = None
    lookback_days: Annotated[int, Field(ge=4, le=400)] = 35
    escalate_days: Annotated[int, Field(ge=1, le=60)] = 5
    rules_off: tuple[RuleId, ...] = ()
    alert_score: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    shared_case_days: Count = 30
    later_hours: Annotated[int, Field(ge=1, le=720)] = 72
    unrelated_viewers: Count = 3
    uncorroborated_a_month: Count = 3
    lookups_an_hour: Count = 60
    times_own_median: Annotated[float, Field(ge=1, le=100)] = 3.0
    times_peers: Annotated[float, Field(ge=1, le=100)] = 2.0
    minutes_off_rota: Annotated[int, Field(ge=0, le=1440)] = 120
    misses_an_hour: Count = 5
    miss_share: Share = 0.3
    near_numbers: Count = 3
    same_birthday: Count = 4
    repeat_days: Count = 3
    two_hands_minutes: Count = 15
    new_client_lookups: Count = 15
    identical_reasons: Count = 5
    leaver_days: Count = 14
    leaver_lookups: Count = 3

    def thresholds(self) -> Thresholds:
        """Return what rules and explanations compare with."""
        return Thresholds(**self.model_dump(include=set(Thresholds.__dataclass_fields__)))
