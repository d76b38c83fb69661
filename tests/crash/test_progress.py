"""A long proof that was interrupted goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.progress import Progress


def test_a_step_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    done: list[str] = []

    def work(step: str) -> dict[str, object]:
        if step == "third" and "third" not in done:
            done.append(step)
            raise KeyboardInterrupt
        done.append(step)
        return {"is": step}

    with pytest.raises(KeyboardInterrupt):
        Progress(tmp_path / "steps").run(["first", "second", "third"], work)
    found = Progress(tmp_path / "steps").run(["first", "second", "third"], work)

    assert done == ["first", "second", "third", "third"]
    assert found == [{"is": "first"}, {"is": "second"}, {"is": "third"}]


def test_a_line_that_was_cut_off_counts_for_nothing(tmp_path: Path) -> None:
    Progress(tmp_path / "steps").run(["first"], lambda step: {"is": step})
    whole = (tmp_path / "steps").read_text()
    (tmp_path / "steps").write_text(whole + whole[: len(whole) // 2])

    assert Progress(tmp_path / "steps").run(["first"], lambda step: {"is": "again"}) == [{"is": "first"}]
