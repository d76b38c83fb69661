"""D6 and D8: too many, and too many in vain."""

from __future__ import annotations

from statistics import median

from gateway.detection.explanations import Ground
from gateway.detection.lookups import SeenLookup
from gateway.detection.past import DAY, HOUR
from gateway.detection.rules.base import ANYTHING, NOTHING, Severity, Signal, Situation

_LEAST_A_DAY = 10
_UNEXPLAINED_SHARE = 0.3
_LEAST_UNEXPLAINED = 5
_DAYS_KEPT = 30
_LEAST_MISSES = 7
_LEAST_MISSED_LOOKUPS = 10
_LEAST_OF_ROLE = 100
_TIMES_USUAL = 2
_QUIET_DAYS = 7
_AT_A_DESK = frozenset({Ground.DUTY, Ground.FOLLOW_UP, Ground.SHARED_CASE})


class Volume:
    """D6: far more look-ups in a day than this person and their peers make, with many that nothing explains."""

    id = "D6"
    severity = Severity.ALERT

    def __init__(self) -> None:
        self._day = 0
        self._today: dict[str, int] = {}
        self._peers_of: dict[str, str] = {}
        self._days: dict[str, list[tuple[int, int]]] = {}
        self._peers: dict[str, float] = {}

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        if seen.denied:
            return None
        day = around.local.toordinal()
        if day != self._day:
            self._end_day(day)
        count = self._today[seen.person] = self._today.get(seen.person, 0) + 1
        peers = self._peers_of[seen.person] = peers_of(seen, around)
        bounds = around.thresholds
        if around.view.explained or count < _LEAST_A_DAY:
            return None
        within_hour = 1 + sum(1 for _ in around.past.of_person(seen.person, seen.at_ms - HOUR))
        own = median([n for _, n in self._days.get(seen.person, ())] or [0])
        most = max(bounds.times_own_median * own, bounds.times_peers * self._peers.get(peers, _LEAST_A_DAY))
        if count <= most and within_hour <= bounds.lookups_an_hour:
            return None
        today = [v for v in around.past.of_person(seen.person, seen.at_ms - 12 * HOUR) if not v.explained]
        unexplained = len(today) + 1
        if unexplained < _LEAST_UNEXPLAINED or unexplained < _UNEXPLAINED_SHARE * count:
            return None
        words = f"{count} look-ups in a day, more than the asker and their peers make; nothing explains {unexplained}."
        receipts = tuple(v.receipt for v in today)
        return Signal(self.id, 1.0, self.severity, words, ANYTHING, receipts, of_person=True)

    def _end_day(self, day: int) -> None:
        """Take yesterday's counts into each person's own month, and into what is usual in their role."""
        by_role: dict[str, list[int]] = {}
        for person, count in self._today.items():
            days = self._days.setdefault(person, [])
            days.append((self._day, count))
            by_role.setdefault(self._peers_of[person], []).append(count)
        for role, counts in by_role.items():
            counts.sort()
            high = float(counts[min(len(counts) - 1, int(len(counts) * 0.95))])
            usual = self._peers.get(role, high)
            # slowly, so that one day does not make the unusual usual
            self._peers[role] = usual + (high - usual) / 5
        self._today.clear()
        self._day = day

    def forget(self, before_ms: int) -> None:
        """Keep thirty days of counts; people without any are dropped."""
        first = self._day - _DAYS_KEPT
        for person in list(self._days):
            kept = [(day, count) for day, count in self._days[person] if day >= first]
            if kept:
                self._days[person] = kept
            else:
                del self._days[person]
        self._peers_of = {
            person: role for person, role in self._peers_of.items() if person in self._days or person in self._today
        }


class Fishing:
    """D8: many in vain, numbers close to each other, or one birthday tried again and again."""

    id = "D8"
    severity = Severity.ALERT

    def __init__(self) -> None:
        self._of_peers: dict[str, tuple[int, int]] = {}

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        view = around.view
        if seen.denied:
            if seen.outcome.startswith("BUDGET") and "miss" in seen.outcome:
                words = "The allowance of look-ups in vain is spent."
                return Signal(self.id, 1.0, self.severity, words, NOTHING, of_person=True)
            return None
        usual = self._usual(seen, peers_of(seen, around))
        if view.explained and not view.missed:
            return None
        bounds = around.thresholds
        last_hour = seen.at_ms - HOUR
        missed = hour = int(view.missed)
        total = all_hour = 1
        near, same_day, receipts = set(), set(), []
        for other in around.past.of_person(seen.person, seen.at_ms - DAY):
            total += 1
            all_hour += other.at_ms >= last_hour
            if other.missed:
                missed += 1
                receipts.append(other.receipt)
                hour += other.at_ms >= last_hour
            if other.subject == view.subject:
                continue
            if view.number is not None and other.number is not None:
                if abs(view.number - other.number) <= bounds.near_distance:
                    near.add(other.number)
                if view.birthday == other.birthday and (view.missed or other.missed):
                    same_day.add(other.number)
        own = tuple(receipts[:50])
        if len(near) + 1 >= bounds.near_numbers:
            words = f"{len(near) + 1} numbers close to each other within a day."
            return Signal(self.id, 1.0, self.severity, words, NOTHING, own, of_person=True)
        if len(same_day) + 1 >= bounds.same_birthday:
            words = f"{len(same_day) + 1} numbers with one date of birth within a day."
            return Signal(self.id, 1.0, self.severity, words, NOTHING, own, of_person=True)
        if not view.missed:
            return None
        most = max(bounds.miss_share, _TIMES_USUAL * usual)
        if hour > bounds.misses_an_hour:
            words = f"{hour} look-ups in vain within an hour."
            # a front door hears of children whom nobody knows, but not of them alone
            excused_by = _AT_A_DESK if hour <= most * all_hour else NOTHING
            return Signal(self.id, 1.0, self.severity, words, excused_by, own, True, _QUIET_DAYS)
        if total >= _LEAST_MISSED_LOOKUPS and missed >= _LEAST_MISSES and missed > most * total:
            words = f"{missed} of {total} look-ups within a day were in vain, more than peers have."
            return Signal(self.id, 1.0, self.severity, words, _AT_A_DESK, own, True, _QUIET_DAYS)
        return None

    def _usual(self, seen: SeenLookup, peers: str) -> float:
        """Return the share of look-ups in vain among all of these peers, and count this one."""
        total, missed = self._of_peers.get(peers, (0, 0))
        self._of_peers[peers] = (total + 1, missed + seen.missed)
        return missed / total if total >= _LEAST_OF_ROLE else 0.0

    def forget(self, before_ms: int) -> None:
        """Let what is long ago weigh half."""
        self._of_peers = {peers: (total // 2, missed // 2) for peers, (total, missed) in self._of_peers.items()}


def peers_of(seen: SeenLookup, around: Situation) -> str:
    """Return whom a person is compared with: their role, apart where it stands at a front door."""
    at_a_door = around.member is not None and around.member.front_door
    return f"{seen.role} at a front door" if at_a_door else seen.role
