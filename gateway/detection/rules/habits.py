"""D7, D9, D11 and D12: at the wrong time, again and again, with words that say nothing, and on the way out."""

from __future__ import annotations

from gateway.detection.lookups import SeenLookup
from gateway.detection.past import DAY
from gateway.detection.rules.base import ANYTHING, CASEWORK, Severity, Signal, Situation, Stateless

_REPEAT_DAYS = 30
_REASON_DAYS = 7
_LEAVER_QUIET_DAYS = 3
_LEAVE_QUIET_DAYS = 7
_AT_WORK = 2
_LEAST_OF_ROLE = 500


class OffRota(Stateless):
    """D7: on leave, or hours away from the rota."""

    id = "D7"
    severity = Severity.QUEUE

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        member = around.member
        if member is None or member.rota is None:
            return None
        if member.rota.on_leave(around.local.date()):
            day = list(around.past.of_person(seen.person, seen.at_ms - DAY))
            # who does ordinary work beside it has come back, and the feed has not heard
            weight = 1.0 if sum(other.explained for other in day) < _AT_WORK else 0.5
            others = tuple(other.receipt for other in day if not other.explained)
            return Signal(
                self.id, weight, self.severity, "The asker was on leave.", CASEWORK, others, True, _LEAVE_QUIET_DAYS
            )
        if member.rota.minutes_outside(around.local) <= around.thresholds.minutes_off_rota:
            return None
        # front doors swap shifts, and the feed hears of it late
        weight = 0.5 if member.front_door else 0.7
        return Signal(self.id, weight, self.severity, "The asker was not on the rota, and not nearly.", CASEWORK)


class Repeats(Stateless):
    """D9: one child on several days, without any casework."""

    id = "D9"
    severity = Severity.QUEUE

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        if seen.subject is None or (around.explanation is not None and around.explanation.ground in CASEWORK):
            return None
        today = seen.at_ms // DAY
        days = {today}
        receipts = []
        for other in around.past.of_child(seen.subject, seen.at_ms - _REPEAT_DAYS * DAY):
            if other.person == seen.person:
                days.add(other.at_ms // DAY)
                receipts.append(other.receipt)
        if len(days) < around.thresholds.repeat_days:
            return None
        words = f"The asker looked this child up on {len(days)} days, and no casework shows."
        weight = 0.7 if len(days) < around.thresholds.repeat_days + 2 else 1.0
        return Signal(self.id, weight, self.severity, words, CASEWORK, tuple(receipts))


class Reasons(Stateless):
    """D11: the same words for one child after another, or a purpose that nobody in this role uses."""

    id = "D11"
    severity = Severity.QUEUE

    def __init__(self) -> None:
        self._purposes: dict[tuple[str, str], int] = {}
        self._roles: dict[str, int] = {}

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        pair = (seen.role, seen.purpose)
        used = self._purposes[pair] = self._purposes.get(pair, 0) + 1
        total = self._roles[seen.role] = self._roles.get(seen.role, 0) + 1
        view = around.view
        if view.explained:
            return None
        bounds = around.thresholds
        alike = [
            other
            for other in around.past.of_person(seen.person, seen.at_ms - _REASON_DAYS * DAY)
            if other.reason == view.reason and other.subject != view.subject
        ]
        same = [other for other in alike if not other.explained]
        children = {other.subject for other in same}
        if len(children) >= bounds.identical_reasons:
            words = f"The same reason, word for word, for {len(children) + 1} children, none of whom anything explains."
            # who always writes the same says as little of the explained ones
            weight = 0.7 if len(alike) < 2 * len(same) else 0.4
            return Signal(
                self.id, weight, self.severity, words, ANYTHING, tuple(o.receipt for o in same), True, _REASON_DAYS
            )
        if total >= _LEAST_OF_ROLE and used < bounds.unusual_purpose * total:
            return Signal(self.id, 0.7, self.severity, "A purpose that this role hardly ever has.", ANYTHING)
        return None


class Leavers(Stateless):
    """D12: in the last days of employment, and after them."""

    id = "D12"
    severity = Severity.QUEUE

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        member = around.member
        if member is None or member.leaves_on is None:
            return None
        left = (member.leaves_on - around.local.date()).days
        bounds = around.thresholds
        if left > bounds.leaver_days:
            return None
        if left < -1:  # a last night shift ends the day after
            return Signal(self.id, 1.0, self.severity, "The asker had left.", frozenset())
        if around.view.explained:
            return None
        last_days = seen.at_ms - max(1, bounds.leaver_days - left) * DAY
        unexplained = [v for v in around.past.of_person(seen.person, 0) if not v.explained]
        earlier = [v for v in unexplained if v.at_ms >= last_days]
        before = sum(v.at_ms >= last_days - bounds.leaver_days * DAY for v in unexplained) - len(earlier)
        if len(earlier) + 1 < max(bounds.leaver_lookups, 2 * before):
            return None
        words = (
            f"{len(earlier) + 1} look-ups that nothing explains, in the last {bounds.leaver_days} days of employment."
        )
        return Signal(
            self.id, 0.7, self.severity, words, ANYTHING, tuple(v.receipt for v in earlier), True, _LEAVER_QUIET_DAYS
        )
