"""What a long proof has done so far, so that one that was interrupted goes on where it was.

`make prove` names the file in CONTACTPOINT_PROOF_PROGRESS; without it, as in `make test`, nothing is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

VARIABLE = "CONTACTPOINT_PROOF_PROGRESS"


class Progress:
    """The finished steps of a proof by name, each with what came out of it, a line of JSON each."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._done: dict[str, Any] = {}
        if file is not None and file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    name, outcome = json.loads(line)
                except ValueError:
                    continue  # the line that was being written when the proof was interrupted
                self._done[name] = outcome

    @classmethod
    def of_this_proof(cls, part: str = "") -> Progress:
        """Return the progress of the proof that runs this test; `part` keeps the tests of one proof apart."""
        named = os.environ.get(VARIABLE)
        return cls(Path(f"{named}{part and '-'}{part}.jsonl") if named else None)

    def run(
        self, steps: Sequence[str], work: Callable[[str], Mapping[str, Any]], *, at_once: int = 1
    ) -> list[Mapping[str, Any]]:
        """Return what came out of every step, in order, doing those that were not done before."""

        def outcome(step: str) -> Mapping[str, Any]:
            if step not in self._done:
                self._keep(step, dict(work(step)))
            found: Mapping[str, Any] = self._done[step]
            return found

        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(outcome, steps))

    def _keep(self, step: str, outcome: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                # whole lines: two steps that end together do not mix
                file.write(json.dumps([step, outcome]) + "\n")
        self._done[step] = outcome
