"""The bar that shows on a terminal how far a command is that takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Task, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from gateway.progress import Progress, untold

_AFTER_SECONDS: Final = 2.0
_A_SECOND: Final = 4  # so often it is drawn: no more than somebody sees, since the work waits for it


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Progress]:
    """Give what is told how far the work is. It is shown where standard error is a terminal, and gone at the end.

    Before the work has told how much there is of it, and where it never does, the bar says only that it goes on, and
    for how long. `shown` is false where the answer is for a machine. Nothing goes to standard output.
    """
    console = Console(stderr=True)
    if not (shown and sys.stderr.isatty() and console.is_interactive):
        yield untold
        return
    columns = (TextColumn("{task.description}"), BarColumn(), _Percentage(), TimeElapsedColumn())
    with _AfterAWhile(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=_A_SECOND,
        redirect_stdout=False,  # it would lead to standard error what is written meanwhile
    ) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, of: bars.update(task, completed=done, total=of)


class _AfterAWhile(Bars):
    """Bars that are drawn once the work has taken two seconds, even if it has told nothing by then."""

    _began: float | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return nothing before that."""
        if self._began is None:
            self._began = time.monotonic()
        if time.monotonic() - self._began >= _AFTER_SECONDS:
            yield from super().get_renderables()


class _Percentage(TaskProgressColumn):
    """How far the work is; nothing where it is not known, which is another thing than nought."""

    def render(self, task: Task) -> Text:
        """Return the percentage."""
        return Text() if task.total is None else super().render(task)
