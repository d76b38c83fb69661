"""Rows for people: a table where the page is wide enough, one block for each row where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

# below this, columns break words and numbers
NARROW_COLUMNS = 90


@dataclass(slots=True)
class Listing:
    """A titled list of rows that chooses its layout when it is printed."""

    title: str
    columns: Sequence[str]
    spaced: bool
    unbroken: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[Text, ...]] = field(default_factory=list)

    def add(self, *cells: Text) -> None:
        """Append one row, a cell for each column; the first heads its block."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the table or the blocks."""
        if options.max_width >= NARROW_COLUMNS:
            yield self._table()
        else:
            yield Text(self.title, style="bold")
            yield Text("")
            yield from self._blocks()

    def _table(self) -> Table:
        table = Table(
            title=Text(self.title, style="bold"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            expand=False,
        )
        for column in self.columns:
            # a number, an address or a date that breaks across lines is read or copied wrongly
            table.add_column(column, overflow="fold", width=self.unbroken.get(column))
        table.leading = int(self.spaced)
        for row in self.rows:
            table.add_row(*row)
        return table

    def _blocks(self) -> Iterator[RenderableType]:
        for head, *cells in self.rows:
            yield Text("", style="bold").append_text(head)
            for column, cell in zip(self.columns[1:], cells, strict=True):
                if not cell.plain:
                    continue
                if "\n" in cell.plain:
                    yield Padding(Text(f"{column}:"), (0, 0, 0, 2), expand=False)
                    yield Padding(cell, (0, 0, 0, 4), expand=False)
                else:
                    yield Padding(Text(f"{column}: ").append_text(cell), (0, 0, 0, 2), expand=False)
            if self.spaced:
                yield Text("")
        if not self.spaced:
            yield Text("")
